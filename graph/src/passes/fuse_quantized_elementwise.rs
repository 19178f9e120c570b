//! What stands between Dequantize and Quantize computes on integers.
//!
//! ```text
//! q_a -> Dequantize[s_a] -> Add[Relu] -> Quantize[s_y] -> q_y   =>   q_a, q_b -> Add[Relu] (int8) -> q_y
//! q_b -> Dequantize[s_b] ---^
//!
//! q -> Dequantize[s] -> AveragePool -> Quantize[s_y] -> q_y     =>   q -> AveragePool (int8) -> q_y
//! ```
//!
//! Also Sub, Mul, Div, MaxPool, the global pools, Resize, Concat and activations. Reals are made from the integers
//! on the way, so every scale may be another.

use super::quantized::{Dequantized, quantized_by};
use crate::ir::{Graph, Node, NodeId};
use crate::ops::{BinaryFunction, Op, ResizeMode};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FuseQuantizedElementwise;

impl Rule for FuseQuantizedElementwise {
    fn name(&self) -> &'static str {
        "fuse_quantized_elementwise"
    }

    fn summary(&self) -> &'static str {
        "make an Add, pool, Resize, Concat or activation between Dequantize and Quantize an INT8 one"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let dequantized = node.inputs.iter().any(|&v| Dequantized::from(graph, v).is_some());
        if !has_exact_form(&node.op) || !dequantized {
            return Outcome::NoMatch;
        }
        fuse(graph, id, node).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn has_exact_form(op: &Op) -> bool {
    match op {
        Op::Pool(_) | Op::GlobalPool(_) | Op::Concat(_) | Op::Activation(_) => true,
        Op::Resize(op) => !matches!(op.mode, ResizeMode::Cubic { .. }),
        Op::Binary(op) => {
            use BinaryFunction::{Add, Div, Mul, Sub};
            matches!(op.function, Add | Sub | Mul | Div)
        }
        _ => false,
    }
}

fn fuse(graph: &Graph, id: NodeId, node: &Node) -> Result<Patch, String> {
    let mut absorbed = Vec::new();
    let mut inputs: Vec<Source> = Vec::new();
    let mut real = Vec::new();
    for (index, &value) in node.inputs.iter().enumerate() {
        let Some(made) = Dequantized::from(graph, value) else {
            real.push(index);
            inputs.push(value.into());
            continue;
        };
        made.activation()?;
        inputs.push(made.q.into());
        absorbed.extend(made.absorbed_by(id).filter(|dequantize| !absorbed.contains(dequantize)));
    }
    let commutes = match &node.op {
        // Of two operands one may be real.
        Op::Binary(op) => Some(matches!(op.function, BinaryFunction::Add | BinaryFunction::Mul)),
        _ => None,
    };
    match (real.first(), commutes) {
        (None, _) | (Some(1), Some(_)) => {}
        (Some(0), Some(true)) => inputs.swap(0, 1),
        (Some(&index), _) => {
            return Err(format!("its input `{}` is not quantized", graph.value(node.inputs[index]).name));
        }
    }
    let Some((quantize, q, params)) = quantized_by(graph, node.outputs[0]) else {
        return Err("its result is not quantized to i8 around 0, or not only that; it stays real".to_owned());
    };
    absorbed.push(quantize);
    let mut patch = Patch::new("reals are made from the integers on the way");
    patch.replace_in_int8(graph, id, &absorbed, node.op.clone(), inputs, vec![q], Some(params.clone()));
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Activation, Binary, GlobalPool, PoolKind};
    use crate::tensor::QuantParams;

    #[test]
    fn a_sum_of_two_scales_becomes_int8() {
        let mut net = Net::new(&[2, 4, 4]);
        let a = net.pair("a", net.x, &QuantParams::per_tensor(0.01));
        let b = net.pair("b", net.x, &QuantParams::per_tensor(0.02));
        let y = net.add("add", Binary { function: BinaryFunction::Add, activation: Activation::Relu }, &[a, b]);
        let y = net.pair("y", y, &QuantParams::per_tensor(0.03));
        net.finish(&[y]).rewrite(&[&FuseQuantizedElementwise]).is("graph test
               input %x f32(N,2,4,4)
               %a.q i8(N,2,4,4) = Quantize[type=i8 scale=1e-2](%x)  @a.q
               %b.q i8(N,2,4,4) = Quantize[type=i8 scale=2e-2](%x)  @b.q
               %y.q i8(N,2,4,4) = Add[activation=Relu](%a.q, %b.q)  @add int8
               %y f32(N,2,4,4) = Dequantize[type=i8 scale=3e-2](%y.q)  @y
               output %y");
    }

    #[test]
    fn the_quantized_operand_goes_first() {
        let mut net = Net::new(&[2, 4, 4]);
        let a = net.pair("a", net.x, &QuantParams::per_tensor(0.01));
        let y = net.add("mul", Binary::new(BinaryFunction::Mul), &[net.x, a]);
        let y = net.pair("y", y, &QuantParams::per_tensor(0.01));
        let done = net.finish(&[y]).rewrite(&[&FuseQuantizedElementwise]);
        assert!(done.graph.to_string().contains("Mul(%a.q, %x)  @mul int8"), "{}", done.graph);
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[2, 4, 4]);
        let a = net.pair("a", net.x, &QuantParams::per_tensor(0.01));
        let y = net.add("sub", Binary::new(BinaryFunction::Sub), &[net.x, a]);
        let y = net.pair("y", y, &QuantParams::per_tensor(0.01));
        let z = net.add("mean", GlobalPool { kind: PoolKind::Average }, &[y]);
        let done = net.finish(&[z]).rewrite(&[&FuseQuantizedElementwise]);
        done.declined("sub", "its input `x` is not quantized");
        done.declined("mean", "its result is not quantized to i8 around 0, or not only that; it stays real");
    }
}

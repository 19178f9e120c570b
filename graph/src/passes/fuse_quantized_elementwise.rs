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

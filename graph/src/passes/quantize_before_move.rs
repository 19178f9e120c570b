//! What is quantized after it has moved can be quantized before: the operator that made it then stores integers.
//!
//! ```text
//! x -> MaxPool -> Quantize -> y      =>   x -> Quantize -> MaxPool -> y
//! a, b -> Concat -> Quantize -> y    =>   a -> Quantize -> Concat -> y
//!                                         b -> Quantize ---^
//! ```
//!
//! Rounding and clamping never exchange the order of two numbers, so the largest stays the largest.

use super::linear::only_read_by;
use super::quantized::{Dequantized, is_maximum};
use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct QuantizeBeforeMove;

impl Rule for QuantizeBeforeMove {
    fn name(&self) -> &'static str {
        "quantize_before_move"
    }

    fn summary(&self) -> &'static str {
        "move a Quantize before a MaxPool, Concat, Reshape or other movement"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Quantize(op) = &node.op else { return Outcome::NoMatch };
        let Some((mover, moved)) = graph.producer(node.inputs[0]) else { return Outcome::NoMatch };
        let joins = matches!(moved.op, Op::Concat(_));
        let moves = moved.op.as_operator().only_moves();
        if !(moves || joins || is_maximum(&moved.op)) || moved.outputs.len() != 1 || op.params.exact_scale().is_none() {
            return Outcome::NoMatch;
        }
        let count = if joins { moved.inputs.len() } else { 1 };
        // Between a Dequantize and a Quantize these compute on integers themselves, whatever the scales.
        let dequantized = moved.inputs[..count].iter().all(|&v| Dequantized::from(graph, v).is_some());
        if dequantized && !moves {
            return Outcome::NoMatch;
        }
        if let Err(reason) = only_read_by(graph, node.inputs[0], id) {
            return Outcome::Declined(reason);
        }
        let mut patch = Patch::new("rounding and clamping keep the order of numbers, and moving does not look at them");
        let mut inputs: Vec<Source> = moved.inputs.iter().map(|&v| v.into()).collect();
        for (index, input) in inputs.iter_mut().enumerate().take(count) {
            let part = if joins { format!("/{index}") } else { String::new() };
            *input = patch.insert(format!("{}/{}{part}", node.name, moved.name), op.clone(), vec![*input]);
        }
        let params = Some(op.params.clone());
        patch.replace_in_int8(graph, mover, &[id], moved.op.clone(), inputs, node.outputs.clone(), params);
        Outcome::Rewrite(patch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Concat, Flatten, GlobalPool, PoolKind};
    use crate::tensor::QuantParams;

    #[test]
    fn a_concatenation_is_quantized_piece_by_piece() {
        let mut net = Net::new(&[2, 4, 4]);
        let a = net.conv("a", net.x, 3, 1);
        let y = net.add("cat", Concat { axis: 1 }, &[a, net.x]);
        let y = net.pair("y", y, &QuantParams::per_tensor(0.02));
        net.finish(&[y]).rewrite(&[&QuantizeBeforeMove]).is("graph test
               input %x f32(N,2,4,4)
               const %a.w f32(3,2,1,1)
               %a f32(N,3,4,4) = Conv[kernel=1x1](%x, %a.w)  @a
               %y.q/cat/0 i8(N,3,4,4) = Quantize[type=i8 scale=2e-2](%a)  @y.q/cat/0
               %y.q/cat/1 i8(N,2,4,4) = Quantize[type=i8 scale=2e-2](%x)  @y.q/cat/1
               %y.q i8(N,5,4,4) = Concat[axis=1](%y.q/cat/0, %y.q/cat/1)  @cat int8
               %y f32(N,5,4,4) = Dequantize[type=i8 scale=2e-2](%y.q)  @y
               output %y");
    }

    #[test]
    fn goes_before_several_moves() {
        let mut net = Net::new(&[2, 4, 4]);
        let y = net.add("pool", GlobalPool { kind: PoolKind::Max }, &[net.x]);
        let y = net.add("rows", Flatten { axis: 1 }, &[y]);
        let y = net.pair("y", y, &QuantParams::per_tensor(0.02));
        net.finish(&[y]).rewrite(&[&QuantizeBeforeMove]).holds(&["Quantize", "GlobalMaxPool", "Flatten", "Dequantize"]);
    }

    #[test]
    fn stays_where_the_real_is_needed_or_the_order_matters() {
        let mut net = Net::new(&[2, 4, 4]);
        let pool = net.add("pool", GlobalPool { kind: PoolKind::Max }, &[net.x]);
        let mean = net.add("mean", GlobalPool { kind: PoolKind::Average }, &[net.x]);
        let y = net.pair("y", pool, &QuantParams::per_tensor(0.02));
        let z = net.pair("z", mean, &QuantParams::per_tensor(0.02));
        let done = net.finish(&[y, z, pool]).rewrite(&[&QuantizeBeforeMove]);
        done.declined("y.q", "`pool` is an output of the network");
        done.holds(&["GlobalMaxPool", "GlobalAveragePool", "Quantize", "Dequantize", "Quantize", "Dequantize"]);
    }
}

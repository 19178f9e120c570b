//! Integers move as reals do, and in a quarter of the bytes; and behind the move the Dequantize meets the product
//! that it belongs to.
//!
//! ```text
//! q -> Dequantize -> MaxPool -> y                    =>   q -> MaxPool -> Dequantize -> y
//! constant q -> Dequantize[axis=0] -> Transpose -> y =>   constant q -> Transpose -> Dequantize[axis=1] -> y
//! ```
//!
//! A scale is positive, so the largest integer is the largest real; what only moves does not look at numbers at all.
//! Scales along an axis go where a Transpose puts that axis.

use super::linear::only_read_by;
use super::quantized::{Dequantized, is_maximum, quantized_by};
use crate::ir::{Graph, NodeId};
use crate::ops::{Dequantize, Op};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::QuantParams;

/// The rule.
#[derive(Debug)]
pub struct DequantizeAfterMove;

impl Rule for DequantizeAfterMove {
    fn name(&self) -> &'static str {
        "dequantize_after_move"
    }

    fn summary(&self) -> &'static str {
        "move a Dequantize behind a MaxPool, Transpose, Reshape or other movement"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let moves = node.op.as_operator().only_moves() || is_maximum(&node.op);
        let moves = moves && node.outputs.len() == 1;
        let read = node.inputs.first().filter(|_| moves);
        let Some(made) = read.and_then(|&x| Dequantized::from(graph, x)) else { return Outcome::NoMatch };
        // Where the result is quantized again, another rule brings both to the one operator.
        if quantized_by(graph, node.outputs[0]).is_some() {
            return Outcome::NoMatch;
        }
        exchange(graph, id, &made).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn exchange(graph: &Graph, id: NodeId, made: &Dequantized<'_>) -> Result<Patch, String> {
    let (node, real) = (graph.node(id), graph.node(made.id).outputs[0]);
    let constant = graph.constant(made.q).is_some();
    if !made.params.is_symmetric() || !constant {
        made.activation()?;
    }
    only_read_by(graph, real, id)?;
    let axis = match (made.params.axis, &node.op) {
        (None, _) => None,
        (Some(axis), Op::Transpose(op)) => op.perm.iter().position(|&p| p == axis),
        (Some(axis), _) => {
            return Err(format!("its input has scales along axis {axis}, which would not stay one axis"));
        }
    };
    let params = QuantParams { axis, ..made.params.clone() };
    let mut patch = Patch::new("integers move as the reals they stand for");
    let inputs = [Source::Value(made.q)].into_iter().chain(node.inputs[1..].iter().map(|&v| v.into())).collect();
    // The value between the two is integers from now on.
    if constant {
        patch.replace(graph, id, &[], node.op.clone(), inputs, vec![real]);
    } else {
        patch.replace_in_int8(graph, id, &[], node.op.clone(), inputs, vec![real], Some(params.clone()));
    }
    let dequantize = Dequantize { params, to: made.to };
    patch.replace(graph, made.id, &[], dequantize, vec![Source::Value(real)], node.outputs.clone());
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Flatten, GlobalPool, MatMul, PoolKind, Transpose};

    #[test]
    fn integers_are_pooled_and_moved() {
        let mut net = Net::new(&[2, 4, 4]);
        let y = net.pair("x8", net.x, &QuantParams::per_tensor(0.02));
        let y = net.add("pool", GlobalPool { kind: PoolKind::Max }, &[y]);
        let y = net.add("rows", Flatten { axis: 1 }, &[y]);
        let done = net.finish(&[y]).rewrite(&[&DequantizeAfterMove]);
        done.holds(&["Quantize", "GlobalMaxPool", "Flatten", "Dequantize"]);
        let rows = done.graph.node(done.graph.find_node("rows").unwrap());
        assert_eq!(done.graph.fact(rows.outputs[0]).exact_scale(), Some(0.02));
    }

    #[test]
    fn scales_of_weights_go_where_their_axis_goes() {
        let mut net = Net::new(&[6]);
        let w = net.quantized_weights("w", &[3, 6], 0);
        let w = net.add("turn", Transpose { perm: vec![1, 0] }, &[w]);
        let y = net.add("product", MatMul, &[net.x, w]);
        let done = net.finish(&[y]).rewrite(&[&DequantizeAfterMove]);
        assert!(done.graph.to_string().contains("Dequantize[type=i8 axis=1]"), "{}", done.graph);
        done.holds(&["Transpose", "Dequantize", "MatMul"]);
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[2, 4, 4]);
        let shared = net.pair("shared", net.x, &QuantParams::per_tensor(0.02));
        let a = net.add("a", Flatten { axis: 1 }, &[shared]);
        let sliced = net.pair("sliced", net.x, &QuantParams::per_axis(vec![0.1, 0.2], 1));
        let b = net.add("b", Flatten { axis: 1 }, &[sliced]);
        let done = net.finish(&[a, b, shared]).rewrite(&[&DequantizeAfterMove]);
        done.declined("a", "`shared` is an output of the network");
        done.declined("b", "`sliced.q` has scales along axis 1; an INT8 activation has one");
    }
}

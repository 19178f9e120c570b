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
        let Some(made) = Dequantized::from(graph, node.inputs[0]).filter(|_| moves && node.outputs.len() == 1) else {
            return Outcome::NoMatch;
        };
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

//! 8-bit integers around 128 are 8-bit integers around 0, less 128.
//!
//! ```text
//! x -> Quantize[u8 z=128] -> Dequantize[u8 z=128] -> y   =>   x -> Quantize[i8] -> Dequantize[i8] -> y
//! constant q (u8) -> Dequantize[u8 z=128] -> y           =>   constant q - 128 (i8) -> Dequantize[i8] -> y
//! ```
//!
//! q_u8 = clamp(round(x/s) + 128, 0, 255) = clamp(round(x/s), -128, 127) + 128.

use super::quantized::Dequantized;
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Dequantize, Op, Quantize};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::{DType, QuantParams, Tensor};

/// The rule.
#[derive(Debug)]
pub struct ShiftUnsigned;

impl Rule for ShiftUnsigned {
    fn name(&self) -> &'static str {
        "shift_unsigned"
    }

    fn summary(&self) -> &'static str {
        "make u8 with zero point 128 i8 with zero point 0"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Some(made) = Dequantized::from(graph, node.outputs[0]) else { return Outcome::NoMatch };
        if made.params.dtype != DType::U8 || made.params.zero_points.iter().any(|z| *z != 128) {
            return Outcome::NoMatch;
        }
        shift(graph, &made).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn shift(graph: &Graph, made: &Dequantized<'_>) -> Result<Patch, String> {
    let zero_points = vec![0; made.params.scales.len()];
    let params = QuantParams { zero_points, dtype: DType::I8, ..made.params.clone() };
    let op = Dequantize { params: params.clone(), to: made.to };
    let mut patch = Patch::new("u8 around 128 is i8 around 0, less 128");
    let name = &graph.value(made.q).name;
    if let Some(tensor) = graph.constant(made.q) {
        let bytes = tensor.as_slice::<u8>().map_err(|e| e.to_string())?;
        let shifted = bytes.iter().map(|&q| (i16::from(q) - 128) as i8).collect();
        let shifted = Tensor::new(tensor.shape(), shifted).map_err(|e| e.to_string())?;
        let shifted = patch.constant(format!("{name}-128"), shifted);
        patch.replace(graph, made.id, &[], op, vec![shifted], graph.node(made.id).outputs.clone());
        return Ok(patch);
    }
    let Some((quantize, x)) = quantize(graph, made) else {
        return Err(format!("`{name}` is not made by a Quantize of the same scale and zero point"));
    };
    if graph.outputs.contains(&made.q) {
        return Err(format!("`{name}` is an output of the network"));
    }
    patch.replace(graph, quantize, &[], Quantize { params }, vec![Source::Value(x)], vec![made.q]);
    for (id, reader) in graph.readers(made.q) {
        if !matches!(&reader.op, Op::Dequantize(other) if other.params == *made.params) {
            return Err(format!("`{name}` is read by `{}`, too", reader.name));
        }
        patch.replace(graph, id, &[], op.clone(), vec![Source::Value(made.q)], reader.outputs.clone());
    }
    Ok(patch)
}

/// The Quantize that makes the integers, and what it reads.
fn quantize(graph: &Graph, made: &Dequantized<'_>) -> Option<(NodeId, ValueId)> {
    let (id, node) = graph.producer(made.q)?;
    matches!(&node.op, Op::Quantize(op) if op.params == *made.params).then(|| (id, node.inputs[0]))
}

//! What the rules about explicit quantization have in common: values between a Quantize and a Dequantize.

use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Op, PoolKind};
use crate::tensor::{DType, QuantParams};

/// A real that a Dequantize makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dequantized<'g> {
    graph: &'g Graph,
    /// The Dequantize.
    pub id: NodeId,
    /// Its integers.
    pub q: ValueId,
    /// What they stand for.
    pub params: &'g QuantParams,
    /// F32 or F16.
    pub to: DType,
}

impl<'g> Dequantized<'g> {
    /// The value, if a Dequantize makes it.
    pub fn from(graph: &'g Graph, value: ValueId) -> Option<Self> {
        let (id, node) = graph.producer(value)?;
        let Op::Dequantize(op) = &node.op else { return None };
        Some(Self { graph, id, q: node.inputs[0], params: &op.params, to: op.to })
    }

    /// The scale, or why the integers cannot be an INT8 activation.
    pub fn activation(&self) -> Result<f32, String> {
        let name = &self.graph.value(self.q).name;
        if let Some(zero_point) = self.params.zero_points.iter().find(|z| **z != 0) {
            let dtype = self.params.dtype;
            return Err(format!("`{name}` is {dtype} with zero point {zero_point}; INT8 arithmetic is i8 around 0"));
        }
        if let Some(axis) = self.params.axis {
            return Err(format!("`{name}` has scales along axis {axis}; an INT8 activation has one"));
        }
        match self.graph.fact(self.q).exact_scale() {
            Some(scale) => Ok(scale),
            None if self.params.dtype == DType::I8 => Err(format!("`{name}` comes from outside, without a scale")),
            None => Err(format!("`{name}` is {}; INT8 arithmetic is i8 around 0", self.params.dtype)),
        }
    }

    /// The Dequantize, if nobody but `reader` needs what it makes: it can go.
    pub fn absorbed_by(&self, reader: NodeId) -> Option<NodeId> {
        let made = self.graph.node(self.id).outputs[0];
        super::linear::only_read_by(self.graph, made, reader).ok().map(|()| self.id)
    }
}

/// The Quantize that alone reads a value, if it makes integers of the exact INT8 path: itself, what it makes, and how.
pub(super) fn quantized_by(graph: &Graph, value: ValueId) -> Option<(NodeId, ValueId, &QuantParams)> {
    let (id, node) = graph.readers(value).next()?;
    let Op::Quantize(op) = &node.op else { return None };
    op.params.exact_scale()?;
    super::linear::only_read_by(graph, value, id).ok()?;
    Some((id, node.outputs[0], &op.params))
}

/// True for a maximum over places: quantizing first gives the same, because a larger real is no smaller an integer.
pub(super) fn is_maximum(op: &Op) -> bool {
    match op {
        Op::Pool(pool) => pool.kind == PoolKind::Max,
        Op::GlobalPool(pool) => pool.kind == PoolKind::Max,
        _ => false,
    }
}

/// True if a value is dequantized, perhaps moved since.
fn comes_dequantized(graph: &Graph, mut value: ValueId) -> bool {
    while let Some((_, node)) = graph.producer(value) {
        if matches!(node.op, Op::Dequantize(_)) {
            return graph.constant(node.inputs[0]).is_none();
        }
        if !node.op.as_operator().only_moves() && !is_maximum(&node.op) {
            return false;
        }
        match node.inputs.first() {
            Some(&input) => value = input,
            None => return false,
        }
    }
    false
}

/// True if a value is, perhaps after being moved, what a product multiplies dequantized activations with.
pub(super) fn weighs_dequantized(graph: &Graph, value: ValueId) -> bool {
    graph.readers(value).any(|(_, reader)| match &reader.op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) | Op::MatMul(_) => {
            reader.inputs[1] == value && comes_dequantized(graph, reader.inputs[0])
        }
        op if op.as_operator().only_moves() => reader.outputs.iter().any(|&v| weighs_dequantized(graph, v)),
        _ => false,
    })
}

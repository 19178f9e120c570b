//! What a group could do with integers.

use crate::exact;
use limpid_graph::ir::{Graph, Node, NodeId, ValueId};
use limpid_graph::ops::{BinaryFunction, Op, PadMode, PoolKind, ResizeMode};
use std::collections::BTreeSet;

/// The part a group plays in an INT8 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Multiplies with weights: where INT8 pays.
    Product,
    /// Makes new numbers of integers, which get a scale of their own or stay real.
    Arithmetic,
    /// Passes integers on, at the scale they came with.
    Movement,
}

/// The part a node can play; `None` if its operator has no INT8 form.
pub fn part(node: &Node) -> Option<Part> {
    Some(match &node.op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) => Part::Product,
        Op::Pool(pool) if pool.kind == PoolKind::Max => Part::Movement,
        Op::GlobalPool(pool) if pool.kind == PoolKind::Max => Part::Movement,
        Op::Resize(resize) if matches!(resize.mode, ResizeMode::Nearest(_)) => Part::Movement,
        Op::Resize(resize) if resize.mode == ResizeMode::Linear => Part::Arithmetic,
        Op::Binary(binary) => match binary.function {
            BinaryFunction::Add | BinaryFunction::Sub | BinaryFunction::Mul | BinaryFunction::Div => Part::Arithmetic,
            _ => return None,
        },
        Op::Pool(_) | Op::GlobalPool(_) | Op::Activation(_) | Op::Concat(_) => Part::Arithmetic,
        Op::Pad(pad) if pad.mode == PadMode::Constant && pad.value == 0.0 => Part::Movement,
        Op::Reshape(_)
        | Op::Flatten(_)
        | Op::Squeeze(_)
        | Op::Unsqueeze(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Split(_)
        | Op::Identity(_) => Part::Movement,
        _ => return None,
    })
}

/// Inputs of a node that hold activations which it reads as integers: all but weights, biases and extents. The residual
/// of a product is not among them, since it may come in any type.
pub fn integer_inputs(graph: &Graph, node: &Node) -> Vec<ValueId> {
    let own = match part(node) {
        Some(Part::Product) => 1,
        _ => node.inputs.len(),
    };
    let real = |value: &ValueId| graph.fact(*value).dtype.is_float() && graph.constant(*value).is_none();
    node.inputs.iter().take(own).copied().filter(real).collect()
}

/// Whether a node can be INT8 when those in `chosen` are, or why not.
pub fn check(
    graph: &Graph,
    node: &Node,
    chosen: &BTreeSet<NodeId>,
    scale_of: &dyn Fn(&str) -> Option<f32>,
) -> Result<(), String> {
    let part = part(node).ok_or_else(|| format!("{} has no INT8 form", node.op.name()))?;
    let inputs = integer_inputs(graph, node);
    if inputs.is_empty() {
        return Err("it reads no activation of reals".to_owned());
    }
    for &input in &inputs {
        let name = &graph.value(input).name;
        if scale_of(name).is_none() {
            return Err(format!("the calibration has no scale for `{name}`"));
        }
    }
    if part == Part::Product {
        return weights(graph, node);
    }
    let constant = |value: &ValueId| graph.fact(*value).dtype.is_float() && graph.constant(*value).is_some();
    if let Some(&value) = node.inputs.iter().find(|v| constant(v)) {
        return Err(format!("its operand `{}` is a constant", graph.value(value).name));
    }
    let from_integers = |value: &ValueId| graph.value(*value).producer.is_some_and(|id| chosen.contains(&id));
    match inputs.iter().find(|value| !from_integers(value)) {
        Some(&value) => Err(format!("`{}` does not come as integers", graph.value(value).name)),
        None => Ok(()),
    }
}

/// The axis of a product's weights along which its output channels lie.
pub fn channel_axis(node: &Node) -> usize {
    if matches!(node.op, Op::ConvTranspose(_)) { 1 } else { 0 }
}

fn weights(graph: &Graph, node: &Node) -> Result<(), String> {
    let value = node.inputs[1];
    let Some(weights) = graph.constant(value) else {
        return Err(format!("its weights `{}` are computed at run time", graph.value(value).name));
    };
    let shape = weights.shape();
    let terms: usize = match &node.op {
        Op::Gemm(gemm) if gemm.trans_a || !gemm.trans_b || gemm.alpha != 1.0 => {
            return Err("its operands are transposed or scaled".to_owned());
        }
        // Each output element of a transposed convolution meets all input channels of its group.
        Op::ConvTranspose(op) => shape[0] / op.groups.max(1) * shape[2..].iter().product::<usize>(),
        _ => shape[1..].iter().product(),
    };
    if terms > exact::MAX_TERMS {
        return Err(format!("a sum of {terms} products may not fit 32 bits; at most {} do", exact::MAX_TERMS));
    }
    exact::quantize_weights(weights, channel_axis(node)).map(|_| ()).map_err(|error| error.to_string())
}

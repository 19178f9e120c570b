//! The rules, one per file, in the order they run.
//!
//! Each file starts with the picture of what it looks for and the algebra that makes the rewrite right. A rule that
//! finds its pattern but may not rewrite says why; the ledger keeps that, too.

mod affine_batch_norm;
mod batch_norm_before_conv;
mod dequantize_after_move;
mod dequantize_weights;
mod eliminate_dead;
mod fold_batch_norm;
mod fold_constants;
mod fuse_activation;
mod fuse_bias;
mod fuse_matmul_add;
mod fuse_pad;
mod fuse_quantized;
mod fuse_quantized_elementwise;
mod fuse_requantize;
mod fuse_residual;
mod fuse_scale;
mod fuse_silu;
mod linear;
mod merge_views;
#[cfg(test)]
mod net;
#[cfg(test)]
mod property;
mod quantize_before_move;
mod quantized;
mod remove_identity;
mod share_quantize;
mod shift_unsigned;

pub use affine_batch_norm::AffineBatchNorm;
pub use batch_norm_before_conv::BatchNormBeforeConv;
pub use dequantize_after_move::DequantizeAfterMove;
pub use dequantize_weights::DequantizeWeights;
pub use eliminate_dead::EliminateDead;
pub use fold_batch_norm::FoldBatchNorm;
pub use fold_constants::FoldConstants;
pub use fuse_activation::FuseActivation;
pub use fuse_bias::FuseBias;
pub use fuse_matmul_add::FuseMatMulAdd;
pub use fuse_pad::FusePad;
pub use fuse_quantized::FuseQuantized;
pub use fuse_quantized_elementwise::FuseQuantizedElementwise;
pub use fuse_requantize::FuseRequantize;
pub use fuse_residual::FuseResidual;
pub use fuse_scale::FuseScale;
pub use fuse_silu::FuseSilu;
pub use merge_views::MergeViews;
pub use quantize_before_move::QuantizeBeforeMove;
pub use remove_identity::RemoveIdentity;
pub use share_quantize::ShareQuantize;
pub use shift_unsigned::ShiftUnsigned;

use crate::ir::{Graph, Node};
use crate::ops::BatchNorm;
use crate::rewrite::{Driver, Ledger, RewriteError, Rule};

/// Every rule, in order. A rule that others make work for stands in the list again.
pub const RULES: &[&dyn Rule] = &[
    // What is known or does nothing goes first, so that it does not stand between the nodes that belong together.
    &FoldConstants,
    &EliminateDead,
    &RemoveIdentity,
    &MergeViews,
    &RemoveIdentity,
    // Quantized weights, as given, to where their products are.
    &ShiftUnsigned,
    &DequantizeAfterMove,
    &FoldConstants,
    // Arithmetic that weights can absorb. A BatchNorm that was exported as Sub, Mul, Add takes all three turns.
    &FusePad,
    &FuseMatMulAdd,
    &FuseBias,
    &FuseScale,
    &FuseBias,
    &FoldBatchNorm,
    &BatchNormBeforeConv,
    // Epilogues, from the inside out: an activation, a residual, and the activation behind it.
    &FuseSilu,
    &FuseActivation,
    &FuseResidual,
    &FuseActivation,
    // Explicit quantization, when it is settled what is one operator: Q and DQ to the operators they serve, then both
    // into them.
    &ShareQuantize,
    &QuantizeBeforeMove,
    &DequantizeAfterMove,
    &FuseRequantize,
    &FuseQuantized,
    &FuseQuantizedElementwise,
    &FuseActivation,
    &DequantizeWeights,
    &FoldConstants,
    // Last of all: what no other rule wanted.
    &AffineBatchNorm,
    &EliminateDead,
];

/// Applies every rule but those named in `disabled`, and books in `ledger` what became of each node.
///
/// # Errors
/// If a name is no rule's, or if a rule breaks the graph, which is a defect of the rule.
pub fn optimize(graph: &mut Graph, ledger: &mut Ledger, disabled: &[String]) -> Result<(), RewriteError> {
    Driver::new(RULES, disabled)?.run(graph, ledger)
}

/// A BatchNorm as y = factor·x + offset per channel, if its statistics are constant.
fn batch_norm_affine(graph: &Graph, node: &Node, op: &BatchNorm) -> Option<(Vec<f32>, Vec<f32>)> {
    let parameter = |i: usize| graph.constant(node.inputs[i]).map(|t| t.to_f32());
    let [scale, shift, mean, variance] = [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?];
    Some(op.affine([&scale, &shift, &mean, &variance]))
}

//! The rules, one per file, in the order they run.
//!
//! Each file starts with the picture of what it looks for and the algebra that makes the rewrite right. A rule that
//! finds its pattern but may not rewrite says why; the ledger keeps that, too.

mod batch_norm_before_conv;
mod fold_batch_norm;
mod linear;
#[cfg(test)]
mod net;

pub use batch_norm_before_conv::BatchNormBeforeConv;
pub use fold_batch_norm::FoldBatchNorm;

use crate::ir::{Graph, Node};
use crate::ops::BatchNorm;
use crate::rewrite::{Driver, Ledger, RewriteError, Rule};

/// Every rule, in order. A rule that others make work for stands in the list again.
pub const RULES: &[&dyn Rule] = &[&FoldBatchNorm, &BatchNormBeforeConv];

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

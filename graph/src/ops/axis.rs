//! Axes as ONNX counts them (negative from the end), and integers that were attributes before they were inputs.

use crate::onnx::{Builder, ImportError, NodeView};

/// The axis that `axis` names in a tensor of this rank, if there is one.
pub(super) fn resolve(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let counted = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&counted).then_some(counted as usize)
}

/// The attribute `name` as an axis of a tensor of this rank.
pub(super) fn attribute(
    node: &NodeView<'_>,
    name: &'static str,
    default: i64,
    rank: usize,
) -> Result<usize, ImportError> {
    let axis = node.int(name)?.unwrap_or(default);
    resolve(axis, rank).ok_or_else(|| node.bad_attribute(name, format!("an axis of a rank-{rank} tensor"), axis))
}

/// A list of different axes of a tensor of this rank, in ascending order.
pub(super) fn resolve_all(
    node: &NodeView<'_>,
    name: &'static str,
    axes: &[i64],
    rank: usize,
) -> Result<Vec<usize>, ImportError> {
    let mut resolved = in_order(node, name, axes, rank)?;
    resolved.sort_unstable();
    Ok(resolved)
}

/// A list of different axes of a tensor of this rank, in the order given.
pub(super) fn in_order(
    node: &NodeView<'_>,
    name: &'static str,
    axes: &[i64],
    rank: usize,
) -> Result<Vec<usize>, ImportError> {
    let resolved: Option<Vec<usize>> = axes.iter().map(|&axis| resolve(axis, rank)).collect();
    let different = |axes: &Vec<usize>| (1..axes.len()).all(|i| !axes[..i].contains(&axes[i]));
    resolved
        .filter(different)
        .ok_or_else(|| node.bad_attribute(name, format!("different axes of a rank-{rank} tensor"), format!("{axes:?}")))
}

/// Integers that older opsets give as the attribute `name` and newer ones as the input of this index.
pub(super) fn integers(
    node: &NodeView<'_>,
    build: &Builder,
    index: usize,
    name: &'static str,
) -> Result<Option<Vec<i64>>, ImportError> {
    match node.optional_input(index) {
        Some(value) => build.ints_input(node, value, name).map(Some),
        None => node.ints(name),
    }
}

/// A list for the canonical print: `1,2`.
pub(super) fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

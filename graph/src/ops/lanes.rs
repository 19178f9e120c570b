//! A tensor as lanes: for operators that look at all elements along some axes at once.

use super::{OpError, Transpose};
use crate::tensor::{Element, Tensor};
use rayon::prelude::*;

/// The elements along some axes side by side, one lane for each position along the others.
#[derive(Debug)]
pub(super) struct Lanes {
    /// `x` with the lanes' axes last.
    ordered: Tensor,
    /// For each axis of `ordered`, the axis of `x`.
    perm: Vec<usize>,
    /// Number of lanes.
    count: usize,
    /// Elements of a lane.
    len: usize,
}

impl Lanes {
    /// Lanes along `axes` of `x`, in the order of `axes`.
    pub(super) fn along(x: &Tensor, axes: &[usize]) -> Result<Self, OpError> {
        let others: Vec<usize> = (0..x.rank()).filter(|a| !axes.contains(a)).collect();
        let volume = |axes: &[usize]| axes.iter().map(|&a| x.shape()[a]).product();
        let (count, len) = (volume(&others), volume(axes));
        let perm = [others.as_slice(), axes].concat();
        let ordered = if perm.is_sorted() { x.clone() } else { Transpose::permute(x, &perm)? };
        Ok(Self { ordered, perm, count, len })
    }

    /// One result from each lane, in row-major order of the other axes.
    pub(super) fn fold<T: Element, R: Send>(&self, f: impl Fn(&[T]) -> R + Sync) -> Result<Vec<R>, OpError> {
        let x = self.ordered.as_slice::<T>()?;
        let lanes = (0..self.count).into_par_iter().with_min_len(1 + (1 << 12) / self.len.max(1));
        Ok(lanes.map(|i| f(&x[i * self.len..(i + 1) * self.len])).collect())
    }

    /// Each lane changed, the axes in x's own order again. `f` is also told which lane it is.
    pub(super) fn map(&self, f: impl Fn(usize, &[f32], &mut [f32]) + Sync) -> Result<Tensor, OpError> {
        let x = self.ordered.as_slice::<f32>()?;
        let mut y = vec![0f32; x.len()];
        let len = self.len.max(1);
        let lanes = y.par_chunks_mut(len).zip(x.par_chunks(len)).with_min_len(1 + (1 << 12) / len);
        lanes.enumerate().for_each(|(i, (out, lane))| f(i, lane, out));
        let y = Tensor::new(self.ordered.shape(), y)?;
        if self.perm.is_sorted() {
            return Ok(y);
        }
        let back: Vec<usize> = (0..self.perm.len()).filter_map(|a| self.perm.iter().position(|&p| p == a)).collect();
        Transpose::permute(&y, &back)
    }
}

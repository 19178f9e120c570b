//! Resizing of integers: coordinates on a line, interpolation by fused multiply-adds, one axis after another.

use super::{inverse_scale, quantize};
use crate::ops::{OpError, ResizeMode, Spec};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// Where the positions along a resized axis read: position o at `fma(slope, o, offset)`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Line {
    /// From one position to the next.
    pub slope: f32,
    /// What position 0 reads.
    pub offset: f32,
    /// The input's extent.
    pub extent: usize,
    /// The output's extent.
    pub positions: usize,
    /// Outside the input there is another value than the edge's.
    pub extrapolates: bool,
}

/// Two neighbours of a position, and how far it lies from the first to the second; `None` outside the input.
type Pair = Option<(usize, usize, f32)>;

impl Line {
    fn pair(&self, position: usize, mode: ResizeMode) -> Pair {
        let last = self.extent.saturating_sub(1);
        let at = self.slope.mul_add(position as f32, self.offset);
        let inside = at.clamp(0.0, last as f32);
        if self.extrapolates && inside != at {
            return None;
        }
        if let ResizeMode::Nearest(mode) = mode {
            let index = mode.index(at, self.extent);
            return Some((index, index, 0.0));
        }
        let low = inside.floor();
        Some((low as usize, (low as usize + 1).min(last), inside - low))
    }
}

/// One axis resampled, `inner` being the elements between its neighbours: `fma(share, second - first, first)`.
///
/// What lies outside the input is NaN, which passes through the axes that follow; integers make none.
pub(in crate::ops) fn resample(x: &[f32], line: &Line, mode: ResizeMode, inner: usize) -> Vec<f32> {
    let pairs: Vec<Pair> = (0..line.positions).map(|position| line.pair(position, mode)).collect();
    let outer = x.len() / (line.extent * inner).max(1);
    let mut y = vec![f32::NAN; outer * line.positions * inner];
    let rows = y.par_chunks_mut(inner.max(1)).with_min_len(1 + (1 << 12) / inner.max(1));
    rows.enumerate().for_each(|(row, out)| {
        let Some((first, second, share)) = pairs[row % line.positions] else { return };
        let plane = row / line.positions * line.extent;
        let [first, second] = [first, second].map(|index| &x[(plane + index) * inner..][..inner]);
        for ((y, &first), &second) in out.iter_mut().zip(first).zip(second) {
            *y = share.mul_add(second - first, first);
        }
    });
    y
}

/// Interpolated integers of scale `from`, stored as `output` says; NaN stands for `outside`, a real.
pub(in crate::ops) fn blended(values: Vec<f32>, from: f32, outside: f32, output: &Spec) -> Result<Tensor, OpError> {
    Ok(match inverse_scale(output)?.zip(output.exact_scale()) {
        None => {
            let real = |v: f32| if v.is_nan() { outside } else { v * from };
            Tensor::new(&output.shape, values.into_iter().map(real).collect())?
        }
        Some((inverse, to)) => {
            let factor = super::rescale(from, to);
            let integer = |v: f32| if v.is_nan() { quantize(outside, inverse) } else { quantize(v, factor) };
            Tensor::new(&output.shape, values.into_iter().map(integer).collect::<Vec<i8>>())?
        }
    })
}

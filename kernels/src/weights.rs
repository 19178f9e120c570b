//! How constant weights are laid out for a kernel.

use limpid_graph::tensor::{DType, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A kernel's layout of its weights. Padding is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Packing {
    /// Convolution (K, C/groups, R, S) -> `[groups][k_pad][R·S][c_pad]`, k and c counted per group.
    Krsc {
        /// Groups of the convolution.
        groups: u32,
        /// Filters of a group, padded.
        k_pad: u32,
        /// Channels of a group, padded.
        c_pad: u32,
        /// Element type.
        dtype: DType,
    },
    /// Convolution (K, C/groups, R, S) -> `[R·S][C/groups][k_pad]`, k counted over all groups.
    Rsck {
        /// Filters of all groups, padded.
        k_pad: u32,
        /// Element type.
        dtype: DType,
    },
    /// Depthwise convolution (C·multiplier, 1, R, S) -> `[R·S][c_pad]`.
    Rsc {
        /// Output channels, padded.
        c_pad: u32,
        /// Element type.
        dtype: DType,
    },
    /// Transposed convolution (C, K/groups, R, S) -> `[groups][R·S][k_pad][c_pad]`.
    TransposedRskc {
        /// Groups.
        groups: u32,
        /// Output channels of a group, padded.
        k_pad: u32,
        /// Input channels of a group, padded.
        c_pad: u32,
        /// Element type.
        dtype: DType,
    },
    /// Convolution (K, C, R, S), or a matrix (N, K) as filters of one tap -> `[k_pad][R·S][c_pad]`, filters in the order
    /// of `warpgroup.cuh`: of every 32, row `8u + 2t + e` is filter `8t + 2u + e` (u, t < 4, e < 2).
    Warpgroup {
        /// Filters, padded to a multiple of 32.
        k_pad: u32,
        /// Channels, padded.
        c_pad: u32,
        /// Element type.
        dtype: DType,
        /// Whether numbers, of f32, are rounded to the 10 bits that TF32 keeps, to nearest, ties away from zero.
        tf32: bool,
    },
    /// Convolution (K, C, R, S) -> `[k_pad][row]`, filters in the order of [`Packing::Warpgroup`]: R lines of `line` numbers, S
    /// taps of `c_pad` each with zeros behind them, and zeros up to `row`.
    Lines {
        /// Filters, padded to a multiple of 32.
        k_pad: u32,
        /// Channels, padded.
        c_pad: u32,
        /// Taps of a line: S.
        taps: u32,
        /// Numbers of a line.
        line: u32,
        /// Numbers of a filter.
        row: u32,
        /// Element type.
        dtype: DType,
        /// As in [`Packing::Warpgroup`].
        tf32: bool,
    },
    /// Matrix (N, K) -> `[n_pad][k_pad]`.
    Rows {
        /// Rows, padded.
        n_pad: u32,
        /// Columns, padded.
        k_pad: u32,
        /// Element type.
        dtype: DType,
    },
}

/// The weights do not fit the packing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("weights of shape {shape:?} cannot be packed as {packing:?}: {reason}")]
pub struct PackError {
    packing: Packing,
    shape: Vec<usize>,
    reason: &'static str,
}

/// A packing seen as copying runs: the packed array is `outer` runs of `inner` elements, each of which comes from
/// elements a fixed stride apart, or is padding.
struct Runs<F> {
    outer: usize,
    inner: usize,
    /// First source element of a run, their stride, and how many there are; `None`: the run is padding.
    source: F,
}

impl Packing {
    /// The element type of the packed weights.
    pub fn dtype(&self) -> DType {
        match *self {
            Self::Krsc { dtype, .. }
            | Self::Rsck { dtype, .. }
            | Self::Rsc { dtype, .. }
            | Self::TransposedRskc { dtype, .. }
            | Self::Warpgroup { dtype, .. }
            | Self::Lines { dtype, .. }
            | Self::Rows { dtype, .. } => dtype,
        }
    }

    /// Bytes of weights of this shape (ONNX's layout) once packed.
    pub fn bytes(&self, shape: &[usize]) -> u64 {
        let taps: u64 = shape.iter().skip(2).map(|&d| d as u64).product();
        let elements = match *self {
            Self::Krsc { groups, k_pad, c_pad, .. } | Self::TransposedRskc { groups, k_pad, c_pad, .. } => {
                u64::from(groups) * u64::from(k_pad) * u64::from(c_pad) * taps
            }
            Self::Rsck { k_pad, .. } => u64::from(k_pad) * taps * shape.get(1).map_or(1, |&c| c as u64),
            Self::Rsc { c_pad, .. } => u64::from(c_pad) * taps,
            Self::Warpgroup { k_pad, c_pad, .. } => u64::from(k_pad) * u64::from(c_pad) * taps,
            Self::Lines { k_pad, row, .. } => u64::from(k_pad) * u64::from(row),
            Self::Rows { n_pad, k_pad, .. } => u64::from(n_pad) * u64::from(k_pad),
        };
        elements * self.dtype().size() as u64
    }

    /// The packed bytes of `weights`, which are in ONNX's layout (a GEMM's as (N, K)), converted to the packing's
    /// element type as ONNX's Cast does. 1-D convolutions may come without their kernel's height.
    ///
    /// # Errors
    /// If the weights have another rank than the packing is of, or more than it has room for.
    pub fn pack(&self, weights: &Tensor) -> Result<Vec<u8>, PackError> {
        let shape = weights.shape();
        let error = |reason| PackError { packing: *self, shape: shape.to_vec(), reason };
        let room = |condition: bool| if condition { Ok(()) } else { Err(error("they do not fit")) };
        let (rows, columns, taps) = match (self, shape) {
            (Self::Rows { .. } | Self::Warpgroup { .. }, &[n, k]) => (n, k, 1),
            (Self::Rows { .. }, _) => return Err(error("a matrix was expected")),
            (_, [k, c, kernel @ ..]) if !kernel.is_empty() => (*k, *c, kernel.iter().product()),
            _ => return Err(error("filters of rank 3 or more were expected")),
        };
        let source = weights.cast(self.dtype());
        match *self {
            Self::Krsc { groups, k_pad, c_pad, .. } => {
                let (groups, k_pad, c_pad) = (groups as usize, k_pad as usize, c_pad as usize);
                room(groups > 0 && rows % groups == 0 && rows / groups <= k_pad && columns <= c_pad)?;
                let filters = rows / groups;
                let from = |run: usize| {
                    let (tap, k, g) = (run % taps, run / taps % k_pad, run / taps / k_pad);
                    (k < filters).then_some(((g * filters + k) * columns * taps + tap, taps, columns))
                };
                Ok(Runs { outer: groups * k_pad * taps, inner: c_pad, source: from }.copy(&source))
            }
            Self::Rsck { k_pad, .. } => {
                let k_pad = k_pad as usize;
                room(rows <= k_pad)?;
                let from = |run: usize| Some((run % columns * taps + run / columns, columns * taps, rows));
                Ok(Runs { outer: taps * columns, inner: k_pad, source: from }.copy(&source))
            }
            Self::Rsc { c_pad, .. } => {
                let c_pad = c_pad as usize;
                room(columns == 1 && rows <= c_pad)?;
                Ok(Runs { outer: taps, inner: c_pad, source: |tap| Some((tap, taps, rows)) }.copy(&source))
            }
            Self::TransposedRskc { groups, k_pad, c_pad, .. } => {
                let (groups, k_pad, c_pad) = (groups as usize, k_pad as usize, c_pad as usize);
                room(groups > 0 && rows % groups == 0 && rows / groups <= c_pad && columns <= k_pad)?;
                let channels = rows / groups;
                let from = |run: usize| {
                    let (k, tap, g) = (run % k_pad, run / k_pad % taps, run / k_pad / taps);
                    (k < columns).then_some((((g * channels) * columns + k) * taps + tap, columns * taps, channels))
                };
                Ok(Runs { outer: groups * taps * k_pad, inner: c_pad, source: from }.copy(&source))
            }
            Self::Warpgroup { k_pad, c_pad, tf32, .. } => {
                let (k_pad, c_pad) = (k_pad as usize, c_pad as usize);
                room(rows <= k_pad && columns <= c_pad)?;
                let from = |run: usize| {
                    let (tap, k) = (run % taps, filter_of_row(run / taps));
                    (k < rows).then_some((k * columns * taps + tap, taps, columns))
                };
                let mut packed = Runs { outer: k_pad * taps, inner: c_pad, source: from }.copy(&source);
                if tf32 {
                    packed.as_chunks_mut().0.iter_mut().for_each(round_to_tf32);
                }
                Ok(packed)
            }
            Self::Lines { k_pad, c_pad, taps: across, line, row, tf32, .. } => {
                let [k_pad, c_pad, across, line, row] = [k_pad, c_pad, across, line, row].map(|n| n as usize);
                room(rows <= k_pad && columns <= c_pad && across > 0 && taps % across == 0)?;
                room(across * c_pad <= line && taps / across * line <= row)?;
                let size = self.dtype().size();
                let mut packed = vec![0u8; k_pad * row * size];
                let real = (0..k_pad).map(|at| (at, filter_of_row(at))).filter(|(_, k)| *k < rows);
                for (at, k) in real {
                    for (c, tap) in (0..columns).flat_map(|c| (0..taps).map(move |tap| (c, tap))) {
                        let to = (at * row + tap / across * line + tap % across * c_pad + c) * size;
                        let from = ((k * columns + c) * taps + tap) * size;
                        packed[to..to + size].copy_from_slice(&source.bytes()[from..from + size]);
                    }
                }
                if tf32 {
                    packed.as_chunks_mut().0.iter_mut().for_each(round_to_tf32);
                }
                Ok(packed)
            }
            Self::Rows { n_pad, k_pad, .. } => {
                let (n_pad, k_pad) = (n_pad as usize, k_pad as usize);
                room(rows <= n_pad && columns <= k_pad)?;
                let from = |row: usize| (row < rows).then_some((row * columns, 1, columns));
                Ok(Runs { outer: n_pad, inner: k_pad, source: from }.copy(&source))
            }
        }
    }
}

/// The filter that a row of [`Packing::Warpgroup`] and [`Packing::Lines`] holds.
const fn filter_of_row(row: usize) -> usize {
    let (u, t, e) = (row / 8 % 4, row / 2 % 4, row % 2);
    row / 32 * 32 + 8 * t + 2 * u + e
}

/// An f32 as `cvt.rna.tf32.f32` leaves it: NaN and infinities as they are.
fn round_to_tf32(bytes: &mut [u8; 4]) {
    let bits = u32::from_le_bytes(*bytes);
    if f32::from_bits(bits).is_finite() {
        *bytes = (bits.wrapping_add(0x1000) & !0x1fff).to_le_bytes();
    }
}

impl<F: Fn(usize) -> Option<(usize, usize, usize)> + Sync> Runs<F> {
    fn copy(&self, weights: &Tensor) -> Vec<u8> {
        let (size, bytes) = (weights.dtype().size(), weights.bytes());
        let run_bytes = self.inner * size;
        let mut packed = vec![0u8; self.outer * run_bytes];
        if run_bytes == 0 {
            return packed;
        }
        packed.par_chunks_mut(run_bytes).enumerate().with_min_len(256).for_each(|(run, target)| {
            let Some((first, stride, count)) = (self.source)(run) else { return };
            if stride == 1 {
                target[..count * size].copy_from_slice(&bytes[first * size..(first + count) * size]);
            } else {
                for (i, element) in target.chunks_exact_mut(size).take(count).enumerate() {
                    let at = (first + i * stride) * size;
                    element.copy_from_slice(&bytes[at..at + size]);
                }
            }
        });
        packed
    }
}

#[cfg(test)]
mod tests;

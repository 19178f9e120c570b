//! Outputs, and residuals, that go to memory and come from it as tensor copies.

use super::tiling::Tiling;
use crate::launch::Role;
use crate::site::EpilogueSite;
use crate::tensor_map::{Swizzle, TensorMap};
use limpid_graph::ops::Activation;
use limpid_graph::tensor::DType;

/// y as a batch of matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub dtype: DType,
    pub rows: u64,
    /// Columns written, padding included.
    pub columns: u32,
    /// Elements from one row to the next.
    pub pitch: u32,
    pub batches: u32,
    /// Elements from one matrix to the next.
    pub stride: u64,
}

/// The way of sums to memory; a kernel is compiled for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayOut {
    /// Whatever the epilogue, by the threads themselves.
    Any,
    /// The shares of a split K.
    Partial,
    /// As tensor copies, with a residual or without; `plain` as [`crate::epilogue::EpilogueParams::is_plain`] has it.
    Copied { residual: bool, plain: bool },
}

impl WayOut {
    pub(super) const ALL: [Self; 6] = [
        Self::Any,
        Self::Partial,
        Self::Copied { residual: false, plain: false },
        Self::Copied { residual: false, plain: true },
        Self::Copied { residual: true, plain: false },
        Self::Copied { residual: true, plain: true },
    ];

    /// The name in way_out.cuh.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::Partial => "PARTIAL",
            Self::Copied { residual: false, plain: false } => "COPIED",
            Self::Copied { residual: false, plain: true } => "COPIED_PLAIN",
            Self::Copied { residual: true, plain: false } => "RESIDUAL",
            Self::Copied { residual: true, plain: true } => "RESIDUAL_PLAIN",
        }
    }
}

/// How tensor copies see y and the residual.
pub(super) struct Copies {
    pub y: TensorMap,
    pub residual: Option<TensorMap>,
}

impl Output {
    /// `None` where the threads have to write, and read, by themselves: other types than the operands', activations
    /// that do more than clip, rows that are not whole 16-byte vectors.
    pub(super) fn copies(&self, site: &EpilogueSite, tiling: &Tiling) -> Option<Copies> {
        let home = tiling.build.math.dtype();
        if self.dtype != home || ![site.steps.pre, site.steps.post].into_iter().all(clips) {
            return None;
        }
        let map = |role, columns: u32, pitch: u32, stride: u64, [row_bytes, rows]: [u32; 2]| {
            let [pitch, stride] = [u64::from(pitch), stride].map(|elements| elements * home.size() as u64);
            let dims = [columns.into(), self.rows, self.batches.into()];
            // The stride of a single matrix is never used, but held to the rules all the same.
            let stride = if self.batches == 1 { pitch * self.rows } else { stride };
            let extents = [row_bytes / home.size() as u32, rows, 1];
            let swizzle = match row_bytes {
                128 => Swizzle::B128,
                64 => Swizzle::B64,
                _ => Swizzle::B32,
            };
            let map = TensorMap::tiled(role, home, &dims, &[pitch, stride], &extents, swizzle);
            map.check().is_ok().then_some(map)
        };
        let (build, tile) = (tiling.build, &tiling.tile);
        let y = map(Role::Output(0), self.columns, self.pitch, self.stride, [build.chunk_bytes(tile), ROWS_OUT])?;
        let residual = match &site.residual {
            Some(residual) if residual.dtype != home => return None,
            Some(residual) => {
                let stride = self.rows * u64::from(residual.pitch);
                let rows = [build.residual_bytes(tile), tile.block_m];
                Some(map(Role::Residual, residual.c, residual.pitch, stride, rows)?)
            }
            None => None,
        };
        Some(Copies { y, residual })
    }
}

/// Rows that a warp writes at once.
const ROWS_OUT: u32 = 16;

/// Whether `Clip` of way_out.cuh computes it.
fn clips(activation: Activation) -> bool {
    matches!(activation, Activation::Identity | Activation::Relu | Activation::Clip { .. })
}

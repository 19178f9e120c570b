//! How constant weights are laid out for a kernel.

use limpid_graph::tensor::{DType, Tensor};
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

impl Packing {
    /// The packed bytes of `weights`, which are in ONNX's layout (a GEMM's as (N, K)).
    pub fn pack(&self, weights: &Tensor) -> Vec<u8> {
        let _ = weights;
        todo!()
    }
}

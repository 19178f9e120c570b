//! How a network's inputs and outputs lie in the memory of whoever calls it.
//!
//! The network itself knows pictures as (N,C,H,W) of reals. A camera, another engine or a post-processing kernel may
//! have them otherwise, and a conversion that the engine makes as part of its first or last kernel is one that nobody
//! needs to write. A port's format is an element type and a [`Layout`]:
//!
//! | layout  | in memory                    | element (n, c, h, w)                 |
//! |---------|------------------------------|--------------------------------------|
//! | `chw`   | `[N][C][H][W]`               | `[n][c][h][w]`; any rank, row-major  |
//! | `hwc`   | `[N][H][W][C]`               | `[n][h][w][c]`                       |
//! | `chw4`  | `[N][⌈C/4⌉][H][W][4]`        | `[n][c/4][h][w][c%4]`                |
//! | `chw16` | `[N][⌈C/16⌉][H][W][16]`      | `[n][c/16][h][w][c%16]`              |
//! | `chw32` | `[N][⌈C/32⌉][H][W][32]`      | `[n][c/32][h][w][c%32]`              |
//! | `hwc8`  | `[N][H][W][⌈C/8⌉·8]`         | `[n][h][w][c]`                       |
//! | `hwc16` | `[N][H][W][⌈C/16⌉·16]`       | `[n][h][w][c]`                       |
//!
//! They are TensorRT's of these names (`kLINEAR`, `kHWC`, `kCHW4`, …), for every element type. Where C is no multiple,
//! padding lanes fill up the last vector: of an output they are zeros, of an input they may hold anything.
//!
//! Element types: `fp32` and `fp16` hold the reals. `int8` holds `q = round(x / scale)`, ties to even, saturated, with
//! the tensor's own scale, so it costs no conversion where the first or last group is INT8. `uint8` inputs are taken
//! as the numbers 0 to 255; `uint8` outputs are cut toward zero and saturated.
//!
//! A conversion costs nothing where the port's format is what kernels work in: NHWC with vectors of 16 bytes, which
//! is `hwc8` of fp16 and `hwc16` of int8 (an input's channels must be a multiple of it, since kernels rely on zeros
//! in padding lanes and callers need not provide them), and where a convolution of up to four channels that multiplies on
//! tensor cores is an input's only reader: it takes fp32 and fp16 in any of these orders of one block and converts them
//! itself. Otherwise it is one kernel, whatever it combines.

mod format;
mod layout;
mod request;

pub use format::{PortFormat, ValueError};
pub use layout::{Blocks, Layout, LayoutError, Layouts, UnknownLayout};
pub use request::{FormatRequest, UnknownFormat, requests};

use limpid_graph::tensor::DType;

/// An element type's name in formats: `fp16`, as TensorRT's users write it.
pub const fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "fp32",
        DType::F16 => "fp16",
        DType::I8 => "int8",
        DType::U8 => "uint8",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::Bool => "bool",
    }
}

//! limpid's kernels: what can run what, why not, and the device that runs it.
//!
//! - [`site`] describes one piece of work in numbers: shapes, pitches, element types, epilogue.
//! - [`catalog`] asks every kernel for its candidates at a site; each answers with tactics or a reason.
//! - [`launch`] is what a candidate comes down to: a compile unit, a grid, arguments. Bytes only, no handles.
//! - `conv/`, `gemm/`, … hold the kernels, each a pair `name.rs` (when, which tiles, how to launch) and
//!   `name.cu` (the kernel).
//! - [`device`] is the only user of the CUDA driver and NVRTC.
//! - [`emulator`] runs the same kernels on the CPU.
//!
//! This crate never knows plans: a plan asks the catalog, not the other way round.

pub mod axis;
pub mod catalog;
pub mod chain;
pub mod conv;
pub mod conv_transpose;
pub mod depthwise;
pub mod device;
pub mod elementwise;
pub mod emulator;
pub mod epilogue;
pub mod gather;
pub mod gemm;
pub mod index;
pub mod launch;
pub mod layout;
pub mod norm;
mod picture;
pub mod pool;
pub mod reduce;
pub mod resize;
mod scale;
pub mod selection;
pub mod site;
pub mod softmax;
pub mod source;
pub mod target;
pub mod tensor_map;
pub mod tile;
pub mod weights;

//! The CUDA driver and NVRTC; nothing else names them.
//!
//! Two libraries stand behind this room, and a machine may have neither, one or both:
//!
//! - **NVRTC** compiles CUDA C++ to cubins and needs no GPU. [`Compiler`] asks it, [`CubinCache`] remembers.
//! - **The driver** (libcuda) runs cubins. [`Device`] opens a GPU; [`DeviceBuffer`], [`HostBuffer`], [`Stream`],
//!   [`Event`], [`Function`] and [`GraphExec`] are its objects; [`Timer`] measures.
//!
//! The way of one kernel: `CompileUnit` → [`Compiler::compile`] → [`Cubin`] → [`Device::prepare`] →
//! [`PreparedLaunch::enqueue`], the last of these usually once, inside [`GraphExec::capture`].
//!
//! [`MappedFile`] is here because mapping a file is `unsafe` too, and engines are mapped.
//!
//! [`Range`] names stretches of time for profilers, where NVTX is there.
//!
//! Both libraries are probed before the first call into them, so a machine without them gets a
//! [`DeviceError`] that says what to install, never a panic.
//!
//! **Safety.** Only this room contains `unsafe`. What it hands out is safe in Rust's sense: host memory is borrowed
//! only for as long as a transfer lasts ([`HostBuffer`] waits for transfers before it lends its bytes), handles
//! outlive their uses, and launch arguments are checked against the kernel's own parameter list. Device memory is
//! not Rust's: a wrong kernel can spoil other device buffers, whose contents are plain bytes, and compute-sanitizer
//! is the tool that finds it.

mod aligned;
mod attributes;
mod borrowed;
mod buffer;
mod clocks;
mod context;
mod cubin;
mod cubin_cache;
mod driver;
mod error;
mod event;
mod graph;
mod host;
mod launch;
mod library;
mod mapping;
mod module;
mod nvrtc;
mod nvtx;
mod options;
mod program;
mod samples;
mod stream;
mod tensor_map;
mod timer;
mod version;

pub use borrowed::DeviceSlice;
pub use buffer::{DeviceBuffer, DevicePtr};
pub use clocks::Clocks;
pub use context::{Device, MemoryInfo};
pub use cubin::{Cubin, Resources};
pub use cubin_cache::{CubinCache, CubinKey};
pub use error::{DeviceError, INSTALL_NVRTC};
pub use event::Event;
pub use graph::GraphExec;
pub use host::{HostBuffer, SettledBuffer};
pub use launch::PreparedLaunch;
pub use library::python_packages;
pub use mapping::MappedFile;
pub use module::Function;
pub use nvrtc::Compiler;
pub use nvtx::Range;
pub use program::Program;
pub use samples::Samples;
pub use stream::Stream;
pub use timer::{Repetitions, Timer};
pub use version::CudaVersion;

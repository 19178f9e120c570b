//! Runs kernels on the CPU: the very same `.cu` files, compiled by the system's C++ compiler with headers that
//! stand in for CUDA. A test instrument, and a microscope for tensor-core code.
//!
//! ```text
//! conv/mma.cu ─┐
//! cuda.hpp     ├─ g++ ─> one executable a compile unit ─ launch on stdin ─> buffers, or a fault, on stdout
//! runtime/*.cpp┘
//! ```
//!
//! A unit becomes an executable that runs one launch and ends, so a kernel that goes astray takes nothing with
//! it, launches run in parallel as processes, and no `unsafe` is needed here. Threads are fibers; see
//! `runtime/fiber.cpp` for how they meet, `runtime/memory.cpp` and `runtime/race.cpp` for what is checked at each
//! access, `runtime/mma.cpp` for the fragment layouts; for Hopper, `runtime/mbarrier.cpp`, `bulk_copy.cpp`,
//! `tensor_copy.cpp`, `wgmma.cpp` and `cluster.cpp`. What is asynchronous on the chip arrives as late as it may: when no
//! thread can go on without it, or when it is waited for.
//!
//! What it finds beyond wrong answers is listed in [`FaultKind`].

mod fault;
mod program;
mod tensor_map;
mod toolchain;
mod trace;

pub use fault::{Fault, FaultKind, Frame};
pub use program::{Buffer, Memory, Moved, Program, Traffic};
pub use toolchain::Emulator;
pub use trace::{Element, SharedAccess, TensorInstruction, Trace, TraceAt};

use std::path::PathBuf;

/// Why something could not be emulated, or what was found when it was.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// There is no C++ compiler.
    #[error("no C++ compiler found (tried {tried}); install one (Debian, Ubuntu: `apt install g++`) or name it in CXX")]
    NoCompiler {
        /// The names looked for.
        tried: String,
    },
    /// The emulator reads executables of Linux.
    #[error("kernels can be emulated on Linux only, because the emulator reads ELF segments")]
    NotLinux,
    /// A compile unit names a source that is not in [`crate::source`].
    #[error("no kernel source is called `{0}`")]
    UnknownSource(String),
    /// The compiler refused the kernel.
    #[error("{compiler} could not compile {what}:\n{messages}")]
    Compile {
        /// The compiler's name.
        compiler: String,
        /// The kernel's source.
        what: String,
        /// What the compiler said.
        messages: String,
    },
    /// The launch points at a buffer that was not given.
    #[error("the launch needs the buffer {0:?}, which was not given")]
    MissingBuffer(crate::launch::Role),
    /// No tensor copy takes such a tensor.
    #[error("a tensor map of {role:?} cannot be: {reason}")]
    TensorMap {
        /// Whose tensor.
        role: crate::launch::Role,
        /// Which rule it breaks.
        reason: String,
    },
    /// The compiled kernel did not speak as expected.
    #[error("the emulated launch of `{entry}` ended without an answer ({status})")]
    NoAnswer {
        /// The kernel.
        entry: String,
        /// How the process ended.
        status: String,
    },
    /// A file or process could not be used.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel did something wrong.
    #[error(transparent)]
    Fault(Box<Fault>),
}

//! Running an engine: a [`Session`] on CUDA or on the CPU reference.

mod batches;
mod cpu;
pub mod cuda;
pub mod emulated;
mod error;
mod gpu;
pub mod isolated;
pub mod kernels;
mod latency;
mod recent;
mod session;
pub mod shape_plans;

pub use cpu::cpu_name;
pub use error::RunError;
pub use latency::Latency;
pub use session::{Backend, Executor, Session, UnknownBackend, gpu_missing};

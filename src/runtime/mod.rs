//! Running an engine: a [`Session`] on CUDA or on the CPU reference.

mod batches;
mod copy;
mod cpu;
pub mod cuda;
pub mod emulated;
mod error;
mod executor;
mod gpu;
pub mod isolated;
pub mod kernels;
mod lane;
mod latency;
mod pipeline;
mod recent;
mod session;
pub mod shape_plans;

pub use cpu::cpu_name;
pub use error::RunError;
pub use executor::{DeviceTensor, Executor, StepTimes};
pub use lane::{Lane, LaneOptions, Origin, Trace};
pub use latency::Latency;
pub use pipeline::Pipeline;
pub use session::{Backend, Session, UnknownBackend, gpu_missing};

//! Running an engine: a [`Session`] on CUDA or on the CPU reference.

mod cpu;
mod cuda;
mod error;
mod session;

pub use error::RunError;
pub use session::{Backend, Session};

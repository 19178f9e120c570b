//! The interpreter: runs a graph on the CPU, operator by operator, plainly. It is the oracle that kernels are
//! held against, the calibrator's source of activations, and the backend of machines without a GPU.

mod error;
mod interpreter;

pub use error::EvalError;
pub use interpreter::{Interpreter, run_node, specs_of};

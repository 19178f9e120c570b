//! limpid: a TensorRT you can see through.
//!
//! A trained ONNX network is read, fused, converted to FP16, planned onto hand-written CUDA kernels, kept in an
//! engine file and run; with no GPU, the CPU reference runs the same graph. The way of the data:
//!
//! ```text
//! model.onnx -> onnx -> graph -> passes -> quant -> plan -> engine -> runtime -> cli
//! ```
//!
//! [`builder`] is the whole way as one readable list of calls.

pub mod budget;
pub mod builder;
pub mod cli;
pub mod compare;
pub mod engine;
pub mod input;
pub mod measure;
pub mod output_file;
pub mod plan;
pub mod port;
pub mod progress;
pub mod runtime;
pub mod sensitivity;
pub mod shapes;
pub mod zoo;

pub use builder::{Builder, Destination};
pub use engine::Engine;
pub use limpid_graph as graph;
pub use limpid_graph::ir::Precision;
pub use limpid_graph::tensor::{self, Tensor};
pub use limpid_kernels::device;
pub use runtime::{Backend, Session};

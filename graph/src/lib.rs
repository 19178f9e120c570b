//! limpid's graph: what a network *is*, before anyone asks how to run it.
//!
//! The rooms, in the order the data passes through them:
//!
//! - [`onnx`] reads a model file and builds the graph; no other room knows ONNX's protobuf.
//! - [`ir`] is the graph itself: nodes, values, facts; [`tensor`] holds the data types it is made of.
//! - [`ops`] is the vocabulary: one file per operator, with its shapes, its arithmetic and its cost.
//! - [`rewrite`] is the mechanism that changes a graph; [`passes`] are the rules it applies.
//! - [`mod@reference`] runs a graph on the CPU, plainly and right: every kernel is held against it.
//!
//! Nothing in this crate knows CUDA.

pub mod ir;
pub mod onnx;
pub mod ops;
pub mod passes;
pub mod reference;
pub mod rewrite;
pub mod tensor;

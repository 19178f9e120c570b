//! A TensorRT you can see through: ONNX to fused, quantized, JIT-compiled CUDA engines.

pub mod cli;
pub mod zoo;

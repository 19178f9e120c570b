//! The data types every room shares: element types, dims, shapes, host tensors, quantization parameters.

mod dim;
mod dtype;
mod host;
mod quant;
mod shape;
mod tolerance;

pub use dim::{Atom, Bindings, Dim, Symbol};
pub use dtype::DType;
pub use host::{Element, Tensor, TensorError};
pub use quant::QuantParams;
pub use shape::{Shape, broadcast_dims, broadcast_shapes, row_major_strides};
pub use tolerance::{Mismatch, Tolerance, relative_l2};

//! Reading and writing ONNX: the only room that names tract, and the only one that knows the protobuf.
//!
//! tract parses the file and decodes its tensors; the graph is built from the `ModelProto` by each operator's
//! own `from_onnx`, because tract's own typed graph no longer has the structure that fusion is about (a
//! BatchNormalization has become a Mul and an Add, a Gemm an einsum). The way out is [`ModelWriter`]: it states a
//! model node by node and streams it to a file. [`export()`] states a graph so, [`export_typed`] with
//! its FP16.

mod builder;
mod error;
mod export;
mod load;
mod node;
mod tensor;
mod wire;
mod write;

pub use builder::Builder;
pub use error::{ImportError, UnsupportedNode};
pub use export::{ExportError, OPSET, export, export_typed};
pub use load::{describe, load, load_bytes};
pub use node::NodeView;
pub use wire::EncodedModel;
pub use write::{Attribute, ModelWriter, NodeWriter, WriteError};

use crate::ir::Graph;
use crate::rewrite::Ledger;

/// An imported network: the graph and the book of what becomes of each ONNX node.
#[derive(Clone, Debug)]
pub struct Model {
    /// One node for each ONNX node that computes something.
    pub graph: Graph,
    /// Every ONNX node, by [`crate::ir::OriginId`].
    pub ledger: Ledger,
    /// Version of the default operator set.
    pub opset: i64,
    /// Who wrote the file, such as `pytorch 2.11`.
    pub producer: String,
}

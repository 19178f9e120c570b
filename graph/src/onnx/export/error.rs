use super::OPSET;
use crate::ir::GraphError;
use crate::ops::OpError;

/// Why a graph cannot be stated as an ONNX model.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something is stored or multiplied in FP16.
    #[error("`{name}` is in fp16; export the network from its fp32 or int8 form, which say what it computes")]
    Half {
        /// The first value or node found.
        name: String,
    },
    /// The operator set has no form for it.
    #[error("node `{node}` ({op}): ONNX's operator set {OPSET} has no {what}")]
    Inexpressible {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What there is none of.
        what: &'static str,
    },
    /// A shape depends on an extent that no input has.
    #[error("node `{node}`: no input has the extent `{symbol}` that its shape depends on")]
    Unbound {
        /// The node.
        node: String,
        /// The extent.
        symbol: String,
    },
    /// A constant cannot be brought into the form that ONNX wants.
    #[error("node `{node}`: {source}")]
    Constant {
        /// The node.
        node: String,
        /// What is wrong.
        source: OpError,
    },
    /// The graph is not well-formed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

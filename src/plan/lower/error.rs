use crate::port::LayoutError;
use limpid_graph::ir::GraphError;
use limpid_graph::reference::EvalError;

/// Why a graph cannot be put on a GPU.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// A node that no kernel computes.
    #[error("node `{node}` ({op}) cannot run on a GPU: {reason}; build with `--backend cpu` to run the network there")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// Why.
        reason: String,
    },
    /// A value without elements.
    #[error("value `{value}` has shape {shape:?}: there is nothing to compute; give larger extents")]
    Empty {
        /// The value.
        value: String,
        /// Its extents.
        shape: Vec<usize>,
    },
    /// An extent beyond 32 bits.
    #[error("an extent of {extent} is beyond what kernels count with (4294967295)")]
    TooLarge {
        /// The extent.
        extent: usize,
    },
    /// An input or output that cannot lie as it was asked to.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A symbol nothing binds.
    #[error(transparent)]
    Unbound(#[from] EvalError),
    /// The graph is not well-formed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

use crate::ir::GraphError;
use crate::ops::OpError;

/// Why a graph cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// Not as many inputs as the graph has.
    #[error("the network takes {expected} input(s) ({names}), got {got}")]
    InputCount {
        /// How many it has.
        expected: usize,
        /// Their names.
        names: String,
        /// How many came.
        got: usize,
    },
    /// An input of another shape or type.
    #[error("input `{name}` must be {expected}, got {got}")]
    Input {
        /// Its name.
        name: String,
        /// Type and shape.
        expected: String,
        /// Type and shape that came.
        got: String,
    },
    /// A symbol that no input's shape binds.
    #[error("value `{value}`: nothing says what `{symbol}` is")]
    Unbound {
        /// The value whose shape has it.
        value: String,
        /// The symbol.
        symbol: String,
    },
    /// An operator could not compute.
    #[error("node `{node}` ({op}): {source}")]
    Op {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What is wrong.
        source: OpError,
    },
    /// The graph is not well-formed.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

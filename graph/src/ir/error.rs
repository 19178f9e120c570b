use super::ValueId;
use crate::ops::OpError;

/// What makes a graph ill-formed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GraphError {
    /// Shapes or types do not fit an operator.
    #[error("node `{node}` ({op}): {source}")]
    Op {
        /// The node's name.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What the operator says.
        source: OpError,
    },
    /// A node reads a value that nothing makes.
    #[error("node `{node}` reads `{value}`, which is no input, no constant, and made by no node")]
    Dangling {
        /// The node's name.
        node: String,
        /// The value's name.
        value: String,
    },
    /// An output of the graph that nothing makes.
    #[error("the graph's output `{0}` is made by no node")]
    MissingOutput(String),
    /// Nodes that wait for each other.
    #[error("the graph has a cycle through {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Facts and the operator's inference differ.
    #[error("node `{node}`: output `{value}` is recorded as {recorded}, but the operator makes {inferred}")]
    StaleFact {
        /// The node's name.
        node: String,
        /// The value's name.
        value: String,
        /// The fact in the graph.
        recorded: String,
        /// The fact its operator infers.
        inferred: String,
    },
    /// Two nodes make one value, or a value's producer is not the node that lists it.
    #[error("value {0:?} has more than one producer, or a producer that does not list it")]
    Producer(ValueId),
}

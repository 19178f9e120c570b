use crate::ir::GraphError;
use crate::ops::OpError;
use std::fmt;
use std::path::PathBuf;

/// Why a model cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened or read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nothing in it.
    #[error("`{0}` is empty; expected an ONNX model")]
    Empty(PathBuf),
    /// Not a protobuf of a model.
    #[error("`{path}` is not an ONNX model: {reason}")]
    NotOnnx {
        /// The path as given.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// A node reads a name that nothing defines.
    #[error(
        "node `{node}` ({op}) reads `{value}`, which is no input, no initializer and no node's output; \
         the model is damaged or its external data were split off by name"
    )]
    MissingValue {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The name it reads.
        value: String,
    },
    /// A name that two things define.
    #[error("`{value}` is defined twice, the second time by node `{node}`; every value has one source")]
    Duplicate {
        /// The name.
        value: String,
        /// The later node.
        node: String,
    },
    /// Nodes that wait for each other.
    #[error("the model has a cycle through {}", .0.join(", "))]
    Cycle(Vec<String>),
    /// Operators limpid does not have.
    #[error("{}", unsupported(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// An operator does not take what the node gives it.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        source: OpError,
    },
    /// An initializer or constant cannot be decoded.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// An input of the model has no usable type.
    #[error("input `{name}`: {reason}")]
    Input {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A node whose operator is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// The node.
    pub node: String,
    /// Its operator, with the domain if it is not the default one.
    pub op: String,
    /// The version of that operator set.
    pub opset: i64,
    /// Its inputs' types and shapes as far as known.
    pub inputs: Vec<String>,
}

impl fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = if self.inputs.is_empty() { "none".to_owned() } else { self.inputs.join(", ") };
        write!(f, "node `{}`: {} (opset {}), inputs {inputs}", self.node, self.op, self.opset)
    }
}

fn unsupported(nodes: &[UnsupportedNode]) -> String {
    let mut operators: Vec<&str> = nodes.iter().map(|n| n.op.as_str()).collect();
    operators.sort_unstable();
    operators.dedup();
    let list: Vec<String> = nodes.iter().map(|n| format!("\n  {n}")).collect();
    format!(
        "{} node(s) use operators that limpid does not have ({}):{}",
        nodes.len(),
        operators.join(", "),
        list.concat()
    )
}

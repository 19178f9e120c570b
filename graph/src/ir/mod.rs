//! The graph: values joined by nodes, in single assignment.
//!
//! A [`Value`] is made once, by a node, or is an input or a constant; it has a [`Fact`]: element type, shape
//! (perhaps symbolic) and, if quantized, its scales. A [`Node`] applies an [`Op`](crate::ops::Op) to values.
//! Each node remembers the ONNX nodes it stands for, so that nothing a rewrite does is lost from sight.

mod casts;
mod error;
mod fact;
mod graph;
mod precision;
mod print;
mod verify;

pub use casts::Casts;
pub use error::GraphError;
pub use fact::Fact;
pub use graph::{Graph, Node, NodeId, OriginId, Value, ValueId};
pub use precision::Precision;

//! INT8: which groups compute with 8-bit integers, with which scales, and the graph rewritten so.
//!
//! ```text
//! x f32 -> Conv -> Relu -> MaxPool -> y f32
//!     =>  x f32 -> Quantize -> Conv(int8)+Relu -> MaxPool(int8) -> Dequantize -> y f32
//! ```
//!
//! Three questions, a file each: what a group could do with integers (`eligible`), which scale each tensor is stored
//! with (`scales`), and how the graph looks then (`apply`). The arithmetic is [`crate::exact`].
//!
//! Groups of products are INT8 if the caller wants them so. The others (pools, additions, concatenations, views)
//! follow those they read from: what arrives as integers is cheaper to go on with.

mod apply;
mod eligible;
mod scales;

pub use eligible::{Part, part};

use limpid_graph::ir::{Graph, GraphError, Node, NodeId};
use limpid_graph::rewrite::Ledger;
use std::collections::BTreeSet;

/// The name under which the ledger books this.
pub const RULE: &str = "int8";

/// What became of a network's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Groups that compute with integers.
    pub int8: usize,
    /// Groups of products that could not, or that the caller did not want so; the ledger has the reasons.
    pub declined: usize,
}

/// Converts every group that can be INT8 and that `wanted` does not decline with a reason.
///
/// `scale_of` knows the scale of an activation by its name. The graph must hold reals: no node is INT8 yet.
pub fn convert(
    graph: &mut Graph,
    ledger: &mut Ledger,
    scale_of: &dyn Fn(&str) -> Option<f32>,
    wanted: &dyn Fn(NodeId, &Node) -> Result<(), String>,
) -> Result<Converted, GraphError> {
    let mut chosen = BTreeSet::new();
    let mut converted = Converted::default();
    for id in graph.topological_order()? {
        let node = graph.node(id);
        let verdict = match eligible::check(graph, node, &chosen, scale_of) {
            Err(reason) => Err(reason),
            Ok(()) => wanted(id, node),
        };
        match (verdict, part(node)) {
            (Ok(()), _) => {
                chosen.insert(id);
            }
            (Err(reason), Some(_)) => {
                ledger.refuse(RULE, &node.name, &format!("does not compute in INT8: {reason}"));
                converted.declined += 1;
            }
            // Softmax and its like never do, and nobody asks why.
            (Err(_), None) => {}
        }
    }
    converted.int8 = chosen.len();
    let scales = scales::Scales::settle(graph, &chosen, scale_of)?;
    apply::Conversion::new(graph, &chosen, &scales).run()?;
    Ok(converted)
}

#[cfg(test)]
mod tests;

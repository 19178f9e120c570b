//! What nobody reads goes, and what it alone was computed for.
//!
//! ```text
//! x -> Shape -> Gather -> Concat ->|        =>   (nothing)
//! x -------------------------------> ...         x ---> ...
//! ```
//!
//! Most of it is shape arithmetic that import has carried out: the Reshape that read it knows its target by now. The
//! ledger books such nodes as folded, others as removed.

use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::ops::Op;
use crate::rewrite::{Outcome, Patch, Rule};
use std::collections::BTreeMap;

/// The rule.
#[derive(Debug)]
pub struct EliminateDead;

impl Rule for EliminateDead {
    fn name(&self) -> &'static str {
        "eliminate_dead"
    }

    fn summary(&self) -> &'static str {
        "remove what nobody reads"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let wanted = |v: &ValueId| graph.outputs.contains(v) || graph.readers(*v).next().is_some();
        if node.outputs.iter().any(wanted) {
            return Outcome::NoMatch;
        }
        let shapes_only = is_shape_arithmetic(graph, node, &mut BTreeMap::new());
        let why = if shapes_only { "shape arithmetic, carried out at import" } else { "nobody reads its result" };
        let mut patch = Patch::new(why);
        if shapes_only {
            patch.drop_folded(id);
        } else {
            patch.drop_node(id);
        }
        Outcome::Rewrite(patch)
    }
}

/// True if the node depends on what comes from outside through its extents only.
fn is_shape_arithmetic(graph: &Graph, node: &Node, seen: &mut BTreeMap<ValueId, bool>) -> bool {
    if matches!(node.op, Op::ShapeOf(_) | Op::Size(_)) {
        return true;
    }
    node.inputs.iter().all(|&value| {
        if let Some(&known) = seen.get(&value) {
            return known;
        }
        let known = match graph.producer(value) {
            None => graph.constant(value).is_some(),
            Some((_, producer)) => is_shape_arithmetic(graph, producer, seen),
        };
        seen.insert(value, known);
        known
    })
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Activation, ActivationOp, Gather, ShapeOf};
    use crate::rewrite::Fate;
    use crate::tensor::Tensor;

    #[test]
    fn removes_chains_and_tells_shape_arithmetic_from_waste() {
        let mut net = Net::new(&[3, 8]);
        let relu = ActivationOp { function: Activation::Relu };
        let shape = net.add("shape", ShapeOf { start: 0, end: 3 }, &[net.x]);
        let index = net.graph.add_constant("index", Tensor::scalar(0i64));
        net.add("batch", Gather { axis: 0 }, &[shape, index]);
        let wasted = net.add("wasted", relu.clone(), &[net.x]);
        net.add("wasted_too", relu.clone(), &[wasted]);
        let y = net.add("y", relu, &[net.x]);
        let done = net.finish(&[y]).rewrite(&[&EliminateDead]);
        done.is("graph test
                   input %x f32(N,3,8)
                   %y f32(N,3,8) = Relu(%x)  @y
                   output %y");
        let fates: Vec<Fate> = done.ledger.account(&done.graph).into_iter().map(|a| a.fate).collect();
        assert!(fates[..2].iter().all(|f| matches!(f, Fate::Folded { .. })), "{fates:?}");
        assert!(fates[2..4].iter().all(|f| matches!(f, Fate::Removed { .. })), "{fates:?}");
        assert_eq!(fates[4], Fate::Kept);
    }
}

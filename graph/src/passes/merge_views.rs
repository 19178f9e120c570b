//! Two changes of shape, or two of the order of axes, are one.
//!
//! ```text
//! x -> Flatten -> Reshape -> y          =>   x -> Reshape -> y
//! x -> Transpose(p) -> Transpose(q) -> y   =>   x -> Transpose(p∘q) -> y
//! ```
//!
//! with (p∘q)[i] = p[q[i]]. What comes out as no change at all is removed by `remove_identity`.

use super::linear::only_read_by;
use crate::ir::{Graph, Node, NodeId};
use crate::ops::{Op, Reshape, Transpose};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct MergeViews;

impl Rule for MergeViews {
    fn name(&self) -> &'static str {
        "merge_views"
    }

    fn summary(&self) -> &'static str {
        "merge neighbouring Reshapes (Flatten, Squeeze, Unsqueeze) and neighbouring Transposes"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Some((first, before)) = node.inputs.first().and_then(|&v| graph.producer(v)) else {
            return Outcome::NoMatch;
        };
        let merged: Op = match (&before.op, &node.op) {
            (Op::Transpose(p), Op::Transpose(q)) => {
                Transpose { perm: q.perm.iter().map(|&axis| p.perm[axis]).collect() }.into()
            }
            _ if is_view(before) && is_view(node) => Reshape::to(&graph.fact(node.outputs[0]).shape).into(),
            _ => return Outcome::NoMatch,
        };
        if let Err(reason) = only_read_by(graph, before.outputs[0], id) {
            return Outcome::Declined(reason);
        }
        let mut patch = Patch::new("one change of shape or order in place of two");
        let inputs = vec![Source::Value(before.inputs[0])];
        patch.replace(graph, id, &[first], merged, inputs, node.outputs.clone());
        Outcome::Rewrite(patch)
    }
}

fn is_view(node: &Node) -> bool {
    matches!(node.op, Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_))
}

#[cfg(test)]
mod tests {
    use super::super::RemoveIdentity;
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Flatten, Unsqueeze};

    #[test]
    fn merges_changes_of_shape() {
        let mut net = Net::new(&[3, 8]);
        let y = net.add("flatten", Flatten { axis: 1 }, &[net.x]);
        let y = net.add("unsqueeze", Unsqueeze { axes: vec![1] }, &[y]);
        net.finish(&[y]).rewrite(&[&MergeViews]).is("graph test
               input %x f32(N,3,8)
               %unsqueeze f32(N,1,24) = Reshape[target=N,1,24](%x)  @unsqueeze
               output %unsqueeze");
    }

    #[test]
    fn merges_orders_of_axes() {
        let mut net = Net::new(&[3, 8, 5]);
        let y = net.add("one", Transpose { perm: vec![0, 2, 3, 1] }, &[net.x]);
        let y = net.add("two", Transpose { perm: vec![1, 0, 3, 2] }, &[y]);
        let done = net.finish(&[y]).rewrite(&[&MergeViews]);
        assert!(
            matches!(&done.graph.node(done.graph.find_node("two").unwrap()).op, Op::Transpose(t) if t.perm == [2, 0, 1, 3])
        );
    }

    #[test]
    fn there_and_back_is_nothing() {
        let mut net = Net::new(&[3, 8, 5]);
        let y = net.conv("conv", net.x, 4, 1);
        let y = net.add("one", Transpose { perm: vec![0, 2, 3, 1] }, &[y]);
        let y = net.add("two", Transpose { perm: vec![0, 3, 1, 2] }, &[y]);
        net.finish(&[y]).rewrite(&[&MergeViews, &RemoveIdentity]).holds(&["Conv"]);
    }

    #[test]
    fn what_others_read_stays() {
        let mut net = Net::new(&[3, 8]);
        let y = net.add("flatten", Flatten { axis: 1 }, &[net.x]);
        let z = net.add("unsqueeze", Unsqueeze { axes: vec![1] }, &[y]);
        net.finish(&[z, y]).rewrite(&[&MergeViews]).declined("unsqueeze", "`flatten` is an output of the network");
    }
}

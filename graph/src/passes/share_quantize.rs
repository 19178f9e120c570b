//! A tensor that is quantized twice in the same way is quantized once.
//!
//! ```text
//! x -> Quantize -> a        =>   x -> Quantize -> a
//! |--> Quantize -> b                            b is a
//! ```
//!
//! Tools that put a pair in front of every convolution make one for each branch that reads x.

use crate::ir::{Graph, Node, NodeId};
use crate::ops::Op;
use crate::rewrite::{Outcome, Patch, Rule};

/// The rule.
#[derive(Debug)]
pub struct ShareQuantize;

impl Rule for ShareQuantize {
    fn name(&self) -> &'static str {
        "share_quantize"
    }

    fn summary(&self) -> &'static str {
        "quantize a tensor once where several branches do it in the same way"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Quantize(op) = &node.op else { return Outcome::NoMatch };
        let same = |node: &Node| matches!(&node.op, Op::Quantize(other) if other == op);
        let twin = graph.readers(node.inputs[0]).find(|(other, reader)| *other != id && same(reader));
        let Some((_, twin)) = twin else { return Outcome::NoMatch };
        let (own, other) = (node.outputs[0], twin.outputs[0]);
        // An output of the network keeps its node; the twin, met in its turn, goes instead.
        if graph.outputs.contains(&own) {
            return Outcome::NoMatch;
        }
        let mut patch = Patch::new(format!("`{}` quantizes the same tensor in the same way", twin.name));
        patch.bypass(id, own, other);
        Outcome::Rewrite(patch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::tensor::QuantParams;

    #[test]
    fn one_of_equals_is_left() {
        let mut net = Net::new(&[2, 4, 4]);
        let a = net.pair("a", net.x, &QuantParams::per_tensor(0.01));
        let b = net.pair("b", net.x, &QuantParams::per_tensor(0.01));
        let c = net.pair("c", net.x, &QuantParams::per_tensor(0.02));
        let done = net.finish(&[a, b, c]).rewrite(&[&ShareQuantize]);
        assert_eq!(done.graph.nodes().filter(|(_, n)| matches!(n.op, Op::Quantize(_))).count(), 2);
    }
}

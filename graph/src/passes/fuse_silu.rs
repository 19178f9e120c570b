//! An activation that exporters write as two nodes.
//!
//! ```text
//! x -+-> Sigmoid ------------> Mul -> y     =>   x -> Silu -> y         x·σ(x)
//!    +-------------------------^
//! x -+-> HardSigmoid(1/6,1/2) > Mul -> y    =>   x -> HardSwish -> y    x·clamp(x/6 + 1/2, 0, 1)
//!    +-------------------------^
//! ```

use super::linear::only_read_by;
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Activation, ActivationOp, BinaryFunction, Op};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FuseSilu;

impl Rule for FuseSilu {
    fn name(&self) -> &'static str {
        "fuse_silu"
    }

    fn summary(&self) -> &'static str {
        "recognize x·Sigmoid(x) as Silu and x·HardSigmoid(x) as HardSwish"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let is_product = matches!(&node.op, Op::Binary(op)
            if op.function == BinaryFunction::Mul && op.activation == Activation::Identity);
        let [a, b] = node.inputs[..] else { return Outcome::NoMatch };
        if !is_product {
            return Outcome::NoMatch;
        }
        let Some((gate, function)) = gated(graph, a, b).or_else(|| gated(graph, b, a)) else {
            return Outcome::NoMatch;
        };
        let gate_node = graph.node(gate);
        if let Err(reason) = only_read_by(graph, gate_node.outputs[0], id) {
            return Outcome::Declined(reason);
        }
        let mut patch = Patch::new(format!("x·{}(x) is {function}", gate_node.op.name()));
        let inputs = vec![Source::Value(gate_node.inputs[0])];
        patch.replace(graph, id, &[gate], ActivationOp { function }, inputs, node.outputs.clone());
        Outcome::Rewrite(patch)
    }
}

/// The node that makes `gate` from `x`, and what their product is.
fn gated(graph: &Graph, x: ValueId, gate: ValueId) -> Option<(NodeId, Activation)> {
    let (id, node) = graph.producer(gate)?;
    let Op::Activation(op) = &node.op else { return None };
    let product = match op.function {
        Activation::Sigmoid => Activation::Silu,
        Activation::HardSigmoid { alpha, beta } if (alpha - 1.0 / 6.0).abs() < f32::EPSILON && beta == 0.5 => {
            Activation::HardSwish
        }
        _ => return None,
    };
    (node.inputs[0] == x).then_some((id, product))
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::Binary;

    fn product(function: Activation, swapped: bool, keep: bool) -> super::super::net::Rewritten {
        let mut net = Net::new(&[3, 8]);
        let gate = net.add("gate", ActivationOp { function }, &[net.x]);
        let operands = if swapped { [gate, net.x] } else { [net.x, gate] };
        let y = net.add("mul", Binary::new(BinaryFunction::Mul), &operands);
        let outputs = if keep { vec![y, gate] } else { vec![y] };
        net.finish(&outputs).rewrite(&[&FuseSilu])
    }

    #[test]
    fn recognizes_both_orders() {
        for swapped in [false, true] {
            product(Activation::Sigmoid, swapped, false).holds(&["Silu"]);
            product(Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }, swapped, false).holds(&["HardSwish"]);
        }
    }

    #[test]
    fn leaves_other_gates() {
        product(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }, false, false).holds(&["HardSigmoid", "Mul"]);
        product(Activation::Tanh, false, false).holds(&["Tanh", "Mul"]);
        product(Activation::Sigmoid, false, true).declined("mul", "`gate` is an output of the network");
    }
}

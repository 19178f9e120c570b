//! What changes nothing goes.
//!
//! ```text
//! x -> Identity -> y                      =>   y is x
//! x (N,64) -> Reshape(0,-1) -> y (N,64)   =>   y is x
//! ```
//!
//! The same for a Dropout (an Identity since import), a Transpose that keeps the order of axes, a Cast to the type
//! that is there, a Slice of everything, a Concat of one, a Split into one, a Pad by nothing.

use crate::ir::{Graph, Node, NodeId};
use crate::ops::{Activation, Op};
use crate::rewrite::{Outcome, Patch, Rule};

/// The rule.
#[derive(Debug)]
pub struct RemoveIdentity;

impl Rule for RemoveIdentity {
    fn name(&self) -> &'static str {
        "remove_identity"
    }

    fn summary(&self) -> &'static str {
        "remove Identity, Dropout and no-op Reshape, Transpose, Cast, Slice, Concat, Split, Pad"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Some(why) = does_nothing(graph, node) else { return Outcome::NoMatch };
        let (x, y) = (node.inputs[0], node.outputs[0]);
        let made = graph.value(x).producer.is_some();
        if graph.outputs.contains(&y) && (!made || graph.outputs.contains(&x)) {
            let name = &graph.value(x).name;
            return Outcome::Declined(format!(
                "the network gives out both its result and `{name}`, or the input itself"
            ));
        }
        let mut patch = Patch::new(why);
        patch.bypass(id, y, x);
        Outcome::Rewrite(patch)
    }
}

fn does_nothing(graph: &Graph, node: &Node) -> Option<&'static str> {
    let fact = |list: &[_]| list.first().map(|&v| graph.fact(v));
    let (x, y) = (fact(&node.inputs)?, fact(&node.outputs)?);
    let same_shape = x.shape == y.shape;
    match &node.op {
        Op::Identity(_) => Some("its result is its input"),
        Op::Activation(op) if op.function == Activation::Identity => Some("its result is its input"),
        Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) | Op::Expand(_) if same_shape => {
            Some("the shape stays as it is")
        }
        Op::Transpose(op) if op.perm.is_sorted() => Some("the axes stay in order"),
        Op::Cast(op) if op.to == x.dtype => Some("the element type stays as it is"),
        // A range of the full extent with a step of 1 starts at 0: there is no other.
        Op::Slice(op) if same_shape && op.ranges.iter().all(|r| r.step == 1) => Some("it takes everything"),
        Op::Concat(_) if node.inputs.len() == 1 => Some("it joins one tensor"),
        Op::Split(op) if op.sizes.len() == 1 => Some("it makes one piece"),
        Op::Pad(op) if op.begin.iter().chain(&op.end).all(|p| *p == 0) => Some("it adds nothing"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{ActivationOp, Cast, Concat, Flatten, Identity, Reshape, Transpose};
    use crate::tensor::DType;

    #[test]
    fn removes_what_changes_nothing() {
        let mut net = Net::new(&[3, 8]);
        let mut y = net.add("identity", Identity, &[net.x]);
        y = net.add("none", ActivationOp { function: Activation::Identity }, &[y]);
        y = net.add("reshape", Reshape { target: vec![0.into(), 3.into(), (-1).into()], allow_zero: false }, &[y]);
        y = net.add("transpose", Transpose { perm: vec![0, 1, 2] }, &[y]);
        y = net.add("cast", Cast { to: DType::F32 }, &[y]);
        y = net.add("concat", Concat { axis: 1 }, &[y]);
        y = net.add("relu", ActivationOp { function: Activation::Relu }, &[y]);
        y = net.add("last", Identity, &[y]);
        // The node before the last one makes the output instead, under the output's name.
        net.finish(&[y]).rewrite(&[&RemoveIdentity]).is("graph test
               input %x f32(N,3,8)
               %last f32(N,3,8) = Relu(%x)  @relu
               output %last");
    }

    #[test]
    fn keeps_what_changes_something() {
        let mut net = Net::new(&[4, 4]);
        let y = net.add("transpose", Transpose { perm: vec![0, 2, 1] }, &[net.x]);
        let y = net.add("flatten", Flatten { axis: 1 }, &[y]);
        net.finish(&[y]).rewrite(&[&RemoveIdentity]).holds(&["Transpose", "Flatten"]);
    }

    #[test]
    fn an_output_is_not_lost() {
        let mut net = Net::new(&[3]);
        let y = net.add("y", Identity, &[net.x]);
        let reason = "the network gives out both its result and `x`, or the input itself";
        net.finish(&[y]).rewrite(&[&RemoveIdentity]).holds(&["Identity"]).declined("y", reason);
    }
}

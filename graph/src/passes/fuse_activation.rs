//! An activation behind an operator with an epilogue costs nothing there: the number is still in a register.
//!
//! ```text
//! x -> Conv -> Relu -> y        =>   x -> Conv[epilogue=Relu] -> y
//! a, b -> Add -> Relu -> y      =>   a, b -> Add[activation=Relu] -> y
//! ```

use super::linear::only_read_by;
use crate::ir::{Graph, NodeId};
use crate::ops::{Activation, Op};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FuseActivation;

impl Rule for FuseActivation {
    fn name(&self) -> &'static str {
        "fuse_activation"
    }

    fn summary(&self) -> &'static str {
        "fuse an activation into the Conv, ConvTranspose, Gemm or elementwise operator before it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Activation(activation) = &node.op else { return Outcome::NoMatch };
        let x = node.inputs[0];
        let Some((producer, lead)) = graph.producer(x) else { return Outcome::NoMatch };
        let mut op = lead.op.clone();
        let Some(last) = last_step(&mut op) else { return Outcome::NoMatch };
        if *last != Activation::Identity {
            return Outcome::Declined(format!("`{}` ends with {last} already", lead.name));
        }
        if let Err(reason) = only_read_by(graph, x, id) {
            return Outcome::Declined(reason);
        }
        *last = activation.function;
        let mut patch = Patch::new("applied to each element before it is stored");
        let inputs = lead.inputs.iter().map(|&v| Source::Value(v)).collect();
        patch.replace(graph, producer, &[id], op, inputs, node.outputs.clone());
        Outcome::Rewrite(patch)
    }
}

/// The activation that an operator applies last, to change; `None` if it cannot have one.
fn last_step(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Binary(binary) => Some(&mut binary.activation),
        op => op.as_operator_mut().epilogue_mut().map(|epilogue| &mut epilogue.post),
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{ActivationOp, Binary, BinaryFunction};

    const RELU: ActivationOp = ActivationOp { function: Activation::Relu };

    #[test]
    fn becomes_the_last_step() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let a = net.add("relu6", ActivationOp { function: Activation::Clip { min: 0.0, max: 6.0 } }, &[y]);
        let y = net.add("add", Binary::new(BinaryFunction::Add), &[a, a]);
        let y = net.add("relu", RELU, &[y]);
        net.finish(&[y]).rewrite(&[&FuseActivation]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.w f32(4,3,3,3)
               %relu6 f32(N,4,6,6) = Conv[kernel=3x3 epilogue=Clip(0,6)](%x, %conv.w)  @conv
               %relu f32(N,4,6,6) = Add[activation=Relu](%relu6, %relu6)  @add
               output %relu");
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let z = net.add("relu", RELU, &[y]);
        let w = net.add("tanh", ActivationOp { function: Activation::Tanh }, &[z]);
        net.finish(&[w]).rewrite(&[&FuseActivation]).declined("tanh", "`conv` ends with Relu already");

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let z = net.add("relu", RELU, &[y]);
        let w = net.add("tanh", ActivationOp { function: Activation::Tanh }, &[y]);
        net.finish(&[z, w]).rewrite(&[&FuseActivation]).declined("relu", "`conv` is read by `tanh`, too");
    }
}

//! A constant added to each channel of a linear operator's result is its bias.
//!
//! ```text
//! x -> Conv(w, b) -> Add(c) -> y   =>   x -> Conv(w, b + c) -> y        c of shape (K,1,1)
//! x -> Conv(w, b) -> Sub(c) -> y   =>   x -> Conv(w, b - c) -> y
//! ```

use super::linear::{Linear, per_channel};
use crate::ir::{Graph, NodeId};
use crate::ops::{BinaryFunction, Op};
use crate::rewrite::{Outcome, Rule};

/// The rule.
#[derive(Debug)]
pub struct FuseBias;

impl Rule for FuseBias {
    fn name(&self) -> &'static str {
        "fuse_bias"
    }

    fn summary(&self) -> &'static str {
        "fuse the Add of a constant per channel into the Conv, ConvTranspose or Gemm before it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Binary(op) = &node.op else { return Outcome::NoMatch };
        let [a, b] = node.inputs[..] else { return Outcome::NoMatch };
        let (value, constant, sign) = match op.function {
            BinaryFunction::Add if graph.constant(a).is_some() => (b, a, 1.0),
            BinaryFunction::Add => (a, b, 1.0),
            BinaryFunction::Sub => (a, b, -1.0),
            _ => return Outcome::NoMatch,
        };
        let Some(linear) = Linear::making(graph, value) else { return Outcome::NoMatch };
        if graph.constant(constant).is_none() {
            return Outcome::NoMatch;
        }
        let Some(mut offsets) = per_channel(graph, constant, value, linear.channel_axis()) else {
            return Outcome::Declined("the constant is not one value per output channel".to_owned());
        };
        offsets.iter_mut().for_each(|o| *o *= sign);
        linear.take_in(id, None, Some(&offsets), "b' = b + c").map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Activation, Binary};

    #[test]
    fn becomes_the_bias() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let (b, c) = (net.random("b", &[4, 1, 1]), net.random("c", &[1, 4, 1, 1]));
        let y = net.add("add", Binary::new(BinaryFunction::Add), &[b, y]);
        let y = net.add("sub", Binary::new(BinaryFunction::Sub), &[y, c]);
        net.finish(&[y]).rewrite(&[&FuseBias]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.w f32(4,3,3,3)
               const %conv.bias*sub f32(4)
               %sub f32(N,4,6,6) = Conv[kernel=3x3 epilogue=bias](%x, %conv.w, %conv.bias*sub)  @conv
               output %sub");
    }

    #[test]
    fn keeps_the_activation_behind_it() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let one = net.random("one", &[]);
        let add = Binary { function: BinaryFunction::Add, activation: Activation::Relu };
        let y = net.add("add", add, &[y, one]);
        let done = net.finish(&[y]).rewrite(&[&FuseBias]);
        assert_eq!(done.holds(&["Conv"]).graph.to_string().matches("epilogue=bias+Relu").count(), 1);
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let c = net.random("c", &[6, 1]);
        let z = net.add("add", Binary::new(BinaryFunction::Add), &[y, c]);
        let reason = "the constant is not one value per output channel";
        net.finish(&[z]).rewrite(&[&FuseBias]).declined("add", reason);

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let c = net.random("c", &[1]);
        let z = net.add("add", Binary::new(BinaryFunction::Add), &[y, c]);
        net.finish(&[z, y]).rewrite(&[&FuseBias]).declined("add", "`conv` is an output of the network");
    }
}

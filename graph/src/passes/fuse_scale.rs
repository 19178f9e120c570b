//! A constant that multiplies each channel of a linear operator's result scales its weights.
//!
//! ```text
//! x -> Conv(w, b) -> Mul(s) -> y   =>   x -> Conv(w·s, b·s) -> y        s of shape (K,1,1)
//! x -> Conv(w, b) -> Div(s) -> y   =>   x -> Conv(w/s, b/s) -> y
//! ```
//!
//! Some exporters write a BatchNorm as Mul and Add; this rule and `fuse_bias` fold it all the same.

use super::linear::{Linear, per_channel};
use crate::ir::{Graph, NodeId};
use crate::ops::{BinaryFunction, Op};
use crate::rewrite::{Outcome, Rule};

/// The rule.
#[derive(Debug)]
pub struct FuseScale;

impl Rule for FuseScale {
    fn name(&self) -> &'static str {
        "fuse_scale"
    }

    fn summary(&self) -> &'static str {
        "fold the Mul or Div by a constant per channel into the weights before it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Binary(op) = &node.op else { return Outcome::NoMatch };
        let [a, b] = node.inputs[..] else { return Outcome::NoMatch };
        let (value, constant) = match op.function {
            BinaryFunction::Mul if graph.constant(a).is_some() => (b, a),
            BinaryFunction::Mul | BinaryFunction::Div => (a, b),
            _ => return Outcome::NoMatch,
        };
        let Some(linear) = Linear::making(graph, value) else { return Outcome::NoMatch };
        if graph.constant(constant).is_none() {
            return Outcome::NoMatch;
        }
        let Some(mut factors) = per_channel(graph, constant, value, linear.channel_axis()) else {
            return Outcome::Declined("the constant is not one value per output channel".to_owned());
        };
        if op.function == BinaryFunction::Div {
            factors.iter_mut().for_each(|f| *f = f.recip());
        }
        if factors.iter().any(|f| !f.is_finite()) {
            return Outcome::Declined("a factor is not finite".to_owned());
        }
        linear.take_in(id, Some(&factors), None, "w' = w·s, b' = b·s").map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::Binary;
    use crate::tensor::Tensor;

    #[test]
    fn scales_the_weights_and_the_bias_that_is_there() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let (s, t) = (net.random("s", &[4, 1, 1]), net.random("t", &[]));
        let y = net.add("mul", Binary::new(BinaryFunction::Mul), &[s, y]);
        let y = net.add("div", Binary::new(BinaryFunction::Div), &[y, t]);
        net.finish(&[y]).rewrite(&[&FuseScale]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.weights*div f32(4,3,3,3)
               %div f32(N,4,6,6) = Conv[kernel=3x3](%x, %conv.weights*div)  @conv
               output %div");
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let zero = net.graph.add_constant("zero", Tensor::scalar(0f32));
        let z = net.add("div", Binary::new(BinaryFunction::Div), &[y, zero]);
        net.finish(&[z]).rewrite(&[&FuseScale]).declined("div", "a factor is not finite");

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let c = net.random("c", &[6, 6]);
        let z = net.add("mul", Binary::new(BinaryFunction::Mul), &[y, c]);
        let reason = "the constant is not one value per output channel";
        net.finish(&[z]).rewrite(&[&FuseScale]).declined("mul", reason);
    }
}

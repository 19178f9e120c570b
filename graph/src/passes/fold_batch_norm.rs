//! A BatchNorm behind a linear operator is part of it.
//!
//! ```text
//! x -> Conv -> BatchNorm -> y   =>   x -> Conv' -> y        w' = w·γ/σ,  b' = (b-μ)·γ/σ + β
//! ```
//!
//! with σ = √(variance + ε), per output channel. The same for ConvTranspose and Gemm. It is why a network at
//! inference has no BatchNorm: the weights absorb it, and a pass over the whole activation is saved.

use super::linear::Linear;
use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use crate::rewrite::{Outcome, Rule};

/// The rule.
#[derive(Debug)]
pub struct FoldBatchNorm;

impl Rule for FoldBatchNorm {
    fn name(&self) -> &'static str {
        "fold_batch_norm"
    }

    fn summary(&self) -> &'static str {
        "fold a BatchNorm into the Conv, ConvTranspose or Gemm before it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::BatchNorm(op) = &node.op else { return Outcome::NoMatch };
        let Some(linear) = Linear::making(graph, node.inputs[0]) else { return Outcome::NoMatch };
        if linear.channel_axis() != 1 {
            return Outcome::Declined("the dense layer's features are not the axis that is normalized".to_owned());
        }
        let Some((factors, offsets)) = super::batch_norm_affine(graph, node, op) else {
            return Outcome::Declined("its statistics are computed, not constant".to_owned());
        };
        let detail = "w' = w·γ/σ, b' = (b-μ)·γ/σ + β";
        linear.take_in(id, Some(&factors), &offsets, detail).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Activation, ActivationOp, ConvTranspose, Epilogue, Gemm, Window};

    #[test]
    fn folds_into_a_convolution() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let y = net.batch_norm("bn", y);
        net.finish(&[y]).rewrite(&[&FoldBatchNorm]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.weights*bn f32(4,3,3,3)
               const %conv.bias*bn f32(4)
               %bn f32(N,4,6,6) = Conv[kernel=3x3 epilogue=bias](%x, %conv.weights*bn, %conv.bias*bn)  @conv
               output %bn");
    }

    #[test]
    fn folds_into_every_linear_operator() {
        let mut net = Net::new(&[4, 5, 5]);
        let w = net.random("up.w", &[4, 3, 2, 3]);
        let b = net.random("up.b", &[6]);
        let mut window = Window::of(&[2, 3]);
        window.strides = vec![2, 2];
        let epilogue = Epilogue { bias: true, ..Epilogue::default() };
        let op = ConvTranspose { window, output_padding: vec![0, 1], groups: 2, epilogue };
        let y = net.add("up", op, &[net.x, w, b]);
        let up = net.batch_norm("bn", y);
        net.finish(&[up]).rewrite(&[&FoldBatchNorm]).holds(&["ConvTranspose"]);

        for trans_b in [false, true] {
            let mut net = Net::new(&[7]);
            let w = net.random("w", if trans_b { &[5, 7] } else { &[7, 5] });
            let op = Gemm { trans_a: false, trans_b, alpha: 0.5, epilogue: Epilogue::default() };
            let y = net.add("fc", op, &[net.x, w]);
            let y = net.batch_norm("bn", y);
            net.finish(&[y]).rewrite(&[&FoldBatchNorm]).holds(&["Gemm"]);
        }
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let z = net.batch_norm("bn", y);
        net.finish(&[z, y]).rewrite(&[&FoldBatchNorm]).declined("bn", "`conv` is an output of the network");

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        let relu = net.add("relu", ActivationOp { function: Activation::Relu }, &[y]);
        let z = net.batch_norm("bn", y);
        net.finish(&[z, relu]).rewrite(&[&FoldBatchNorm]).declined("bn", "`conv` is read by `relu`, too");

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.conv("conv", net.x, 4, 3);
        net.epilogue(y).post = Activation::Relu;
        let z = net.batch_norm("bn", y);
        net.finish(&[z]).rewrite(&[&FoldBatchNorm]).declined("bn", "`conv` applies Relu before it is done");

        let mut net = Net::new(&[6, 7]);
        let w = net.random("w", &[6, 7]);
        let y = net.add("fc", Gemm::dense(Epilogue::default()), &[net.x, w]);
        let z = net.batch_norm("bn", y);
        let reason = "the dense layer's features are not the axis that is normalized";
        net.finish(&[z]).rewrite(&[&FoldBatchNorm]).declined("bn", reason);
    }
}

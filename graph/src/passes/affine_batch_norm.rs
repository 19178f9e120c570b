//! A BatchNorm that nothing took up is one multiplication and one addition per channel.
//!
//! ```text
//! x -> BatchNorm (-> Activation) -> y   =>   x -> ScaleShift -> y        y = f(x·factor + offset)
//! ```
//!
//! with factor = γ/σ and offset = β - μ·γ/σ: two parameters a channel in place of four, and no division left. It is
//! how networks that normalize before they activate (DenseNet, pre-activation ResNet) run.

use crate::ir::{Graph, NodeId};
use crate::ops::{Activation, Op, ScaleShift};
use crate::rewrite::{Outcome, Patch, Rule};
use crate::tensor::Tensor;

/// The rule.
#[derive(Debug)]
pub struct AffineBatchNorm;

impl Rule for AffineBatchNorm {
    fn name(&self) -> &'static str {
        "affine_batch_norm"
    }

    fn summary(&self) -> &'static str {
        "turn a BatchNorm that nothing took up into a scale and a shift, with the activation behind it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::BatchNorm(op) = &node.op else { return Outcome::NoMatch };
        let Some((factors, offsets)) = super::batch_norm_affine(graph, node, op) else {
            return Outcome::Declined("its statistics are computed, not constant".to_owned());
        };
        let channels = [factors.len()];
        let (Ok(factors), Ok(offsets)) = (Tensor::new(&channels, factors), Tensor::new(&channels, offsets)) else {
            return Outcome::Declined("its parameters differ in length".to_owned());
        };
        let output = node.outputs[0];
        let reader = graph.only_reader(output).map(|reader| (reader, graph.node(reader)));
        let (activation, absorbed, output) = match reader {
            Some((reader, behind)) => match &behind.op {
                Op::Activation(op) => (op.function, vec![reader], behind.outputs[0]),
                _ => (Activation::Identity, Vec::new(), output),
            },
            None => (Activation::Identity, Vec::new(), output),
        };
        let mut patch = Patch::new("factor = γ/σ, offset = β - μ·γ/σ");
        let factors = patch.constant(format!("{}.factor", node.name), factors);
        let offsets = patch.constant(format!("{}.offset", node.name), offsets);
        let inputs = vec![node.inputs[0].into(), factors, offsets];
        patch.replace(graph, id, &absorbed, ScaleShift { activation }, inputs, vec![output]);
        Outcome::Rewrite(patch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::ActivationOp;

    #[test]
    fn takes_the_activation_along() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.batch_norm("bn", net.x);
        let y = net.add("relu", ActivationOp { function: Activation::Relu }, &[y]);
        net.finish(&[y]).rewrite(&[&AffineBatchNorm]).is("graph test
               input %x f32(N,3,8,8)
               const %bn.factor f32(3)
               const %bn.offset f32(3)
               %relu f32(N,3,8,8) = ScaleShift[activation=Relu](%x, %bn.factor, %bn.offset)  @bn
               output %relu");
    }

    #[test]
    fn leaves_an_activation_whose_input_is_asked_for() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.batch_norm("bn", net.x);
        let z = net.add("relu", ActivationOp { function: Activation::Relu }, &[y]);
        net.finish(&[y, z]).rewrite(&[&AffineBatchNorm]).is("graph test
               input %x f32(N,3,8,8)
               const %bn.factor f32(3)
               const %bn.offset f32(3)
               %bn f32(N,3,8,8) = ScaleShift(%x, %bn.factor, %bn.offset)  @bn
               %relu f32(N,3,8,8) = Relu(%bn)  @relu
               output %bn
               output %relu");
    }
}

//! An activation behind an operator with an epilogue costs nothing there: the number is still in a register.
//!
//! ```text
//! x -> Conv -> Relu -> y        =>   x -> Conv[epilogue=Relu] -> y
//! a, b -> Add -> Relu -> y      =>   a, b -> Add[activation=Relu] -> y
//! ```
//!
//! Of integers a Relu may be taken in if it keeps their scale: max(round(x/s), 0) = round(max(x, 0)/s). Another
//! activation, or another scale, would see the number before it was rounded.

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
        let quant = graph.fact(x).quant.clone();
        let keeps_scale = quant == graph.fact(node.outputs[0]).quant;
        if quant.is_some() && !(keeps_scale && activation.function == Activation::Relu) {
            let reason = format!("`{}` is rounded to integers before it", graph.value(x).name);
            return Outcome::Declined(reason);
        }
        *last = activation.function;
        let mut patch = Patch::new("applied to each element before it is stored");
        let inputs = lead.inputs.iter().map(|&v| Source::Value(v)).collect();
        match quant {
            None => patch.replace(graph, producer, &[id], op, inputs, node.outputs.clone()),
            quant => patch.replace_in_int8(graph, producer, &[id], op, inputs, node.outputs.clone(), quant),
        }
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
    use crate::passes::{FuseQuantized, FuseQuantizedElementwise};
    use crate::tensor::QuantParams;

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
    fn integers_are_rectified_in_their_own_scale_only() {
        let fused = |relu: ActivationOp, scale: f32| {
            let mut net = Net::new(&[3, 4, 4]);
            let x = net.pair("x8", net.x, &QuantParams::per_tensor(0.01));
            let y = net.quantized_conv("conv", x, 4);
            let y = net.pair("y8", y, &QuantParams::per_tensor(0.05));
            let z = net.add("relu", relu, &[y]);
            let z = net.pair("z8", z, &QuantParams::per_tensor(scale));
            net.finish(&[z]).rewrite(&[&FuseQuantized, &FuseQuantizedElementwise, &FuseActivation])
        };
        fused(RELU, 0.05).holds(&["Quantize", "Conv", "Dequantize"]);
        let reason = "`y8.q` is rounded to integers before it";
        fused(RELU, 0.04).declined("relu", reason);
        fused(ActivationOp { function: Activation::Silu }, 0.05).declined("relu", reason);
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

//! A sum of two branches is part of the one that is computed last.
//!
//! ```text
//! x -> Conv -> Add -> y               =>   x -> Conv[epilogue=residual](…, skip) -> y
//! skip ---------^                          skip ---------------^
//!
//! x -> Conv[Relu] -> Add[Relu] -> y   =>   x -> Conv[epilogue=Relu+residual+Relu](…, skip) -> y
//! ```
//!
//! If both branches end with a linear operator, the later one in topological order takes the other's result: that is
//! there by then. There can be no cycle, because the Add is the only reader of what the fused operator makes, so the
//! other branch does not depend on it.

use super::linear::{Linear, activation_of, only_read_by};
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Activation, BinaryFunction, Op};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FuseResidual;

impl Rule for FuseResidual {
    fn name(&self) -> &'static str {
        "fuse_residual"
    }

    fn summary(&self) -> &'static str {
        "fuse the Add of another tensor into the Conv, ConvTranspose or Gemm before it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        if !matches!(&node.op, Op::Binary(op) if op.function == BinaryFunction::Add) {
            return Outcome::NoMatch;
        }
        let [a, b] = node.inputs[..] else { return Outcome::NoMatch };
        let mut branches: Vec<(Linear<'_>, ValueId)> =
            [(a, b), (b, a)].into_iter().filter_map(|(own, skip)| Some((Linear::making(graph, own)?, skip))).collect();
        if branches.is_empty() {
            return Outcome::NoMatch;
        }
        if a == b {
            return Outcome::Declined("it adds a tensor to itself".to_owned());
        }
        let order = graph.topological_order().unwrap_or_default();
        branches.sort_by_key(|(linear, _)| std::cmp::Reverse(order.iter().position(|n| *n == linear.id)));
        let mut refusals = Vec::new();
        for (linear, skip) in branches {
            match fuse(graph, id, linear, skip) {
                Ok(patch) => return Outcome::Rewrite(patch),
                Err(reason) => refusals.push(reason),
            }
        }
        Outcome::Declined(refusals.join("; "))
    }
}

fn fuse(graph: &Graph, id: NodeId, linear: Linear<'_>, skip: ValueId) -> Result<Patch, String> {
    let (node, y) = (graph.node(id), linear.output());
    let name = &linear.node.name;
    only_read_by(graph, y, id)?;
    if linear.epilogue.residual {
        return Err(format!("`{name}` adds a residual already"));
    }
    let (own, other) = (graph.fact(y), graph.fact(skip));
    if own.shape != other.shape {
        return Err(format!("`{name}` makes {own}, what is added is {other}: a residual has the same shape"));
    }
    let mut op = linear.node.op.clone();
    if let Some(epilogue) = op.as_operator_mut().epilogue_mut() {
        epilogue.residual = true;
        epilogue.pre = std::mem::replace(&mut epilogue.post, activation_of(&node.op));
    }
    let mut detail = format!("`{}` is there before `{name}` is", graph.value(skip).name);
    if linear.epilogue.post != Activation::Identity {
        detail.push_str(", and is added behind the activation");
    }
    let mut patch = Patch::new(detail);
    let inputs = linear.node.inputs.iter().chain([&skip]).map(|&v| Source::Value(v)).collect();
    patch.replace(graph, linear.id, &[id], op, inputs, node.outputs.clone());
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::Binary;

    fn add() -> Binary {
        Binary::new(BinaryFunction::Add)
    }

    #[test]
    fn the_input_is_added_in_either_order() {
        for swapped in [false, true] {
            let mut net = Net::new(&[4, 8, 8]);
            let y = net.padded_conv("conv", net.x, 4, 3);
            let y = net.add("add", add(), &if swapped { [net.x, y] } else { [y, net.x] });
            net.finish(&[y]).rewrite(&[&FuseResidual]).is("graph test
                   input %x f32(N,4,8,8)
                   const %conv.w f32(4,4,3,3)
                   %add f32(N,4,8,8) = Conv[kernel=3x3 padding=1x1 epilogue=residual](%x, %conv.w, %x)  @conv
                   output %add");
        }
    }

    #[test]
    fn the_later_of_two_takes_the_other() {
        for swapped in [false, true] {
            let mut net = Net::new(&[4, 8, 8]);
            let short = net.conv("short", net.x, 5, 1);
            let one = net.padded_conv("one", net.x, 5, 3);
            let two = net.padded_conv("two", one, 5, 3);
            let y = net.add("add", add(), &if swapped { [short, two] } else { [two, short] });
            let done = net.finish(&[y]).rewrite(&[&FuseResidual]);
            done.holds(&["Conv", "Conv", "Conv"]);
            let two = done.graph.node(done.graph.find_node("two").unwrap());
            assert_eq!(done.graph.value(two.inputs[2]).name, "short");
        }
    }

    #[test]
    fn activations_stay_before_and_behind_the_sum() {
        let mut net = Net::new(&[4, 8, 8]);
        let y = net.padded_conv("conv", net.x, 4, 3);
        net.epilogue(y).post = Activation::Sigmoid;
        let sum = Binary { function: BinaryFunction::Add, activation: Activation::Relu };
        let y = net.add("add", sum, &[net.x, y]);
        let done = net.finish(&[y]).rewrite(&[&FuseResidual]);
        assert!(done.graph.to_string().contains("epilogue=Sigmoid+residual+Relu"), "{}", done.graph);
    }

    #[test]
    fn says_why_it_does_not() {
        let mut net = Net::new(&[4, 8, 8]);
        let y = net.padded_conv("conv", net.x, 4, 3);
        let z = net.add("add", add(), &[y, y]);
        net.finish(&[z]).rewrite(&[&FuseResidual]).declined("add", "it adds a tensor to itself");

        let mut net = Net::new(&[4, 8, 8]);
        let y = net.padded_conv("conv", net.x, 4, 3);
        let z = net.add("add", add(), &[y, net.x]);
        net.finish(&[z, y]).rewrite(&[&FuseResidual]).declined("add", "`conv` is an output of the network");

        let mut net = Net::new(&[1, 8, 8]);
        let y = net.padded_conv("conv", net.x, 4, 3);
        let z = net.add("add", add(), &[y, net.x]);
        let reason = "`conv` makes f32(N,4,8,8), what is added is f32(N,1,8,8): a residual has the same shape";
        net.finish(&[z]).rewrite(&[&FuseResidual]).declined("add", reason);

        // The second sum of a chain: the convolution has its residual by then, and is read by nobody else.
        let mut net = Net::new(&[4, 8, 8]);
        let y = net.padded_conv("conv", net.x, 4, 3);
        let y = net.add("add", add(), &[y, net.x]);
        let y = net.add("more", add(), &[y, net.x]);
        net.finish(&[y]).rewrite(&[&FuseResidual]).declined("more", "`conv` adds a residual already");
    }
}

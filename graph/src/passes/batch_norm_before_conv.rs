//! A BatchNorm in front of a linear operator can be part of it, too.
//!
//! ```text
//! x -> BatchNorm -> Conv -> y   =>   x -> Conv' -> y        f = γ/σ,  o = β - μ·f
//!
//! Σ w[k,c,r]·(f[c]·x[c] + o[c])  =  Σ (w[k,c,r]·f[c])·x[c]  +  Σ w[k,c,r]·o[c]
//! ```
//!
//! The last sum is a constant, and becomes bias, only where every window lies inside the picture. In the padding the
//! convolution sees 0, but x' = 0 there would have to be f·x + o = 0. So padding is fine only if every o is 0.

use super::linear::only_read_by;
use crate::ir::{Graph, Node, NodeId};
use crate::ops::{BatchNorm, Op, Padding, Window};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::{Tensor, TensorError};

/// The rule.
#[derive(Debug)]
pub struct BatchNormBeforeConv;

impl Rule for BatchNormBeforeConv {
    fn name(&self) -> &'static str {
        "batch_norm_before_conv"
    }

    fn summary(&self) -> &'static str {
        "fold a BatchNorm into the Conv or Gemm behind it, where padding allows"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::BatchNorm(op) = &node.op else { return Outcome::NoMatch };
        let y = node.outputs[0];
        let Some((next, _)) = graph.readers(y).find(|(_, n)| n.inputs[0] == y && is_candidate(n)) else {
            return Outcome::NoMatch;
        };
        fold(graph, id, op, next).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn is_candidate(node: &Node) -> bool {
    matches!(&node.op, Op::Conv(_)) || matches!(&node.op, Op::Gemm(op) if !op.trans_a)
}

fn fold(graph: &Graph, id: NodeId, op: &BatchNorm, next: NodeId) -> Result<Patch, String> {
    let (node, reader) = (graph.node(id), graph.node(next));
    only_read_by(graph, node.outputs[0], next)?;
    if reader.inputs[1..].contains(&node.outputs[0]) {
        return Err(format!("`{}` reads it as more than its input", reader.name));
    }
    let (factors, offsets) =
        super::batch_norm_affine(graph, node, op).ok_or("its statistics are computed, not constant")?;
    let weights = graph.constant(reader.inputs[1]).ok_or("the weights behind it are computed, not constant")?;
    if graph.fact(node.inputs[0]).rank() != 2 && matches!(reader.op, Op::Gemm(_)) {
        return Err("the dense layer's features are not the axis that is normalized".to_owned());
    }
    if let Op::Conv(conv) = &reader.op
        && pads(&conv.window)
        && offsets.iter().any(|o| *o != 0.0)
    {
        return Err(format!("`{}` pads with 0, which the BatchNorm would have made β - μ·γ/σ", reader.name));
    }
    let bias_index = reader.op.as_operator().epilogue().and_then(|e| e.bias_index(2));
    let bias = match bias_index.map(|i| graph.constant(reader.inputs[i])) {
        None => None,
        Some(None) => return Err("the bias behind it is computed, not constant".to_owned()),
        Some(Some(bias)) => Some(bias),
    };
    let (weights, bias) = folded(&reader.op, weights, bias, &factors, &offsets).map_err(|e| e.to_string())?;
    let mut patch = Patch::new("w' = w·γ/σ, b' = b + Σ w·(β - μ·γ/σ)");
    let weights = patch.constant(format!("{}.weights*{}", reader.name, node.name), weights);
    let bias = patch.constant(format!("{}.bias*{}", reader.name, node.name), bias);
    let mut inputs = vec![Source::Value(node.inputs[0]), weights, bias];
    inputs.extend(reader.inputs[2 + usize::from(bias_index.is_some())..].iter().map(|&v| Source::Value(v)));
    let mut op = reader.op.clone();
    if let Some(epilogue) = op.as_operator_mut().epilogue_mut() {
        epilogue.bias = true;
    }
    patch.replace(graph, next, &[id], op, inputs, reader.outputs.clone());
    Ok(patch)
}

fn pads(window: &Window) -> bool {
    match &window.padding {
        Padding::Explicit { begin, end } => begin.iter().chain(end).any(|p| *p != 0),
        Padding::SameUpper | Padding::SameLower => window.kernel.iter().any(|k| *k != 1),
    }
}

/// Weights times the factor of the input channel they meet, and the bias they make of the offsets.
fn folded(
    op: &Op,
    weights: &Tensor,
    bias: Option<&Tensor>,
    factors: &[f32],
    offsets: &[f32],
) -> Result<(Tensor, Tensor), TensorError> {
    let shape = weights.shape();
    let inner: usize = shape[2..].iter().product();
    // For each weight: the output it belongs to, the input channel it meets.
    let meets = |i: usize| match op {
        Op::Gemm(op) if op.trans_b => (i / shape[1], i % shape[1]),
        Op::Gemm(_) => (i % shape[1], i / shape[1]),
        op => {
            let groups = if let Op::Conv(conv) = op { conv.groups } else { 1 };
            let filter = i / (inner * shape[1]);
            (filter, filter / (shape[0] / groups) * shape[1] + i / inner % shape[1])
        }
    };
    let (outputs, alpha) = match op {
        Op::Gemm(op) => (shape[usize::from(!op.trans_b)], f64::from(op.alpha)),
        _ => (shape[0], 1.0),
    };
    let mut sums = bias.map_or_else(|| vec![0.0; outputs], |b| b.to_f32().into_iter().map(f64::from).collect());
    let mut values = weights.to_f32();
    for (i, w) in values.iter_mut().enumerate() {
        let (output, channel) = meets(i);
        sums[output] += alpha * f64::from(*w) * f64::from(offsets[channel]);
        *w *= factors[channel];
    }
    let bias: Vec<f32> = sums.into_iter().map(|s| s as f32).collect();
    Ok((Tensor::new(shape, values)?.cast(weights.dtype()), Tensor::new(&[outputs], bias)?))
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Conv, Epilogue, Gemm};

    #[test]
    fn folds_where_nothing_is_padded() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.batch_norm("bn", net.x);
        let y = net.conv("conv", y, 4, 3);
        net.finish(&[y]).rewrite(&[&BatchNormBeforeConv]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.weights*bn f32(4,3,3,3)
               const %conv.bias*bn f32(4)
               %conv f32(N,4,6,6) = Conv[kernel=3x3 epilogue=bias](%x, %conv.weights*bn, %conv.bias*bn)  @conv
               output %conv");
    }

    #[test]
    fn folds_into_groups_and_dense_layers() {
        let mut net = Net::new(&[6, 5, 5]);
        let y = net.batch_norm("bn", net.x);
        let (w, b) = (net.random("w", &[4, 3, 2, 2]), net.random("b", &[4]));
        let epilogue = Epilogue { bias: true, ..Epilogue::default() };
        let y = net.add("conv", Conv { window: Window::of(&[2, 2]), groups: 2, epilogue }, &[y, w, b]);
        net.finish(&[y]).rewrite(&[&BatchNormBeforeConv]).holds(&["Conv"]);
        for trans_b in [false, true] {
            let mut net = Net::new(&[7]);
            let w = net.random("w", if trans_b { &[5, 7] } else { &[7, 5] });
            let y = net.batch_norm("bn", net.x);
            let op = Gemm { trans_a: false, trans_b, alpha: 0.5, epilogue: Epilogue::default() };
            let y = net.add("fc", op, &[y, w]);
            net.finish(&[y]).rewrite(&[&BatchNormBeforeConv]).holds(&["Gemm"]);
        }
    }

    #[test]
    fn padding_must_not_matter() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.batch_norm("bn", net.x);
        let y = net.padded_conv("conv", y, 4, 3);
        let reason = "`conv` pads with 0, which the BatchNorm would have made β - μ·γ/σ";
        net.finish(&[y]).rewrite(&[&BatchNormBeforeConv]).declined("bn", reason);

        let mut net = Net::new(&[3, 8, 8]);
        let y = net.batch_norm("bn", net.x);
        for name in ["bn.shift", "bn.mean"] {
            net.set(name, Tensor::new(&[3], vec![0f32; 3]).unwrap());
        }
        let y = net.padded_conv("conv", y, 4, 3);
        net.finish(&[y]).rewrite(&[&BatchNormBeforeConv]).holds(&["Conv"]);
    }

    #[test]
    fn others_may_need_what_it_makes() {
        let mut net = Net::new(&[3, 8, 8]);
        let bn = net.batch_norm("bn", net.x);
        let (one, two) = (net.conv("one", bn, 4, 3), net.conv("two", bn, 4, 3));
        net.finish(&[one, two]).rewrite(&[&BatchNormBeforeConv]).declined("bn", "`bn` is read by `two`, too");
    }
}

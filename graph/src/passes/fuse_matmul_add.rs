//! A MatMul by a constant matrix is a dense layer, and a constant added to its features is the bias.
//!
//! ```text
//! x (…,K) -> MatMul(w (K,N)) [-> Add(b (N))] -> y   =>   x -> Gemm[trans_b, bias](wᵀ (N,K), b) -> y
//! ```
//!
//! Weights may be dequantized integers; those are turned, and dequantized again. As a Gemm it can take up activations and residuals, and its weights lie as the kernels read them.

use super::linear::{activation_of, only_read_by, per_channel};
use super::quantized::Dequantized;
use crate::ir::{Graph, NodeId};
use crate::ops::{BinaryFunction, Dequantize, Epilogue, Gemm, Op, transposed};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::{QuantParams, Tensor};

/// The rule.
#[derive(Debug)]
pub struct FuseMatMulAdd;

impl Rule for FuseMatMulAdd {
    fn name(&self) -> &'static str {
        "fuse_matmul_add"
    }

    fn summary(&self) -> &'static str {
        "turn a MatMul by a constant (and the Add of a constant behind it) into a Gemm"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        match graph.node(id).op {
            Op::MatMul(_) => fuse(graph, id).map_or_else(Outcome::Declined, Outcome::Rewrite),
            _ => Outcome::NoMatch,
        }
    }
}

fn fuse(graph: &Graph, id: NodeId) -> Result<Patch, String> {
    let node = graph.node(id);
    let (a, b, y) = (node.inputs[0], node.inputs[1], node.outputs[0]);
    let quantized = Dequantized::from(graph, b);
    let weights = graph.constant(quantized.map_or(b, |made| made.q)).ok_or_else(|| {
        format!("both operands are computed (`{}` and `{}`)", graph.value(a).name, graph.value(b).name)
    })?;
    if weights.rank() != 2 || graph.fact(a).rank() < 2 {
        return Err("it is no product of rows by one matrix".to_owned());
    }
    let rows = transposed(weights).map_err(|e| e.to_string())?;
    let mut patch = Patch::new("y = x·w + b is a dense layer");
    let mut rows = patch.constant(format!("{}.weights", node.name), rows);
    if let Some(made) = quantized {
        // Scales of columns are scales of rows now.
        let params = QuantParams { axis: made.params.axis.map(|axis| 1 - axis), ..made.params.clone() };
        rows = patch.insert(format!("{}.dequantize", node.name), Dequantize { params, to: made.to }, vec![rows]);
    }
    let mut inputs = vec![Source::Value(a), rows];
    let Some((add, bias)) = bias(graph, id) else {
        patch.replace(graph, id, &[], Gemm::dense(Epilogue::default()), inputs, vec![y]);
        return Ok(patch);
    };
    let bias = Tensor::new(&[bias.len()], bias).map_err(|e| e.to_string())?;
    inputs.push(patch.constant(format!("{}.bias", node.name), bias));
    let reader = graph.node(add);
    let epilogue = Epilogue { bias: true, post: activation_of(&reader.op), ..Epilogue::default() };
    patch.replace(graph, id, &[add], Gemm::dense(epilogue), inputs, reader.outputs.clone());
    Ok(patch)
}

/// The Add behind it, if it adds one constant a feature and nothing else reads the product.
fn bias(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<f32>)> {
    let y = graph.node(id).outputs[0];
    let (add, reader) = graph.readers(y).next()?;
    only_read_by(graph, y, add).ok()?;
    if !matches!(&reader.op, Op::Binary(op) if op.function == BinaryFunction::Add) {
        return None;
    }
    let other = reader.inputs.iter().copied().find(|v| *v != y)?;
    Some((add, per_channel(graph, other, y, graph.fact(y).rank() - 1)?))
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Binary, MatMul};

    #[test]
    fn becomes_a_dense_layer_with_bias() {
        for swapped in [false, true] {
            let mut net = Net::new(&[5, 7]);
            let (w, b) = (net.random("w", &[7, 4]), net.random("b", &[4]));
            let y = net.add("matmul", MatMul, &[net.x, w]);
            let y = net.add("add", Binary::new(BinaryFunction::Add), &if swapped { [b, y] } else { [y, b] });
            net.finish(&[y]).rewrite(&[&FuseMatMulAdd]).is("graph test
                   input %x f32(N,5,7)
                   const %matmul.weights f32(4,7)
                   const %matmul.bias f32(4)
                   %add f32(N,5,4) = Gemm[trans_b=1 epilogue=bias](%x, %matmul.weights, %matmul.bias)  @matmul
                   output %add");
        }
    }

    #[test]
    fn becomes_a_dense_layer_without() {
        let mut net = Net::new(&[7]);
        let (w, b) = (net.random("w", &[7, 4]), net.random("b", &[3, 1, 4]));
        let y = net.add("matmul", MatMul, &[net.x, w]);
        let z = net.add("add", Binary::new(BinaryFunction::Add), &[y, b]);
        net.finish(&[y]).rewrite(&[&FuseMatMulAdd]).holds(&["Gemm", "Add"]);
        let _ = z;
    }

    #[test]
    fn needs_one_constant_matrix() {
        let mut net = Net::new(&[7, 7]);
        let y = net.add("matmul", MatMul, &[net.x, net.x]);
        let reason = "both operands are computed (`x` and `x`)";
        net.finish(&[y]).rewrite(&[&FuseMatMulAdd]).declined("matmul", reason);
        let mut net = Net::new(&[7, 7]);
        let w = net.random("w", &[2, 7, 7]);
        let x = net.random("row", &[2, 7, 7]);
        let y = net.add("matmul", MatMul, &[x, w]);
        net.finish(&[y]).rewrite(&[&FuseMatMulAdd]).declined("matmul", "it is no product of rows by one matrix");
    }
}

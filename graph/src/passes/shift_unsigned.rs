//! 8-bit integers around 128 are 8-bit integers around 0, less 128.
//!
//! ```text
//! x -> Quantize[u8 z=128] -> Reshape -> Dequantize[u8 z=128] -> y   =>   x -> Quantize[i8] -> Reshape -> Dequantize[i8] -> y
//! constant q (u8) -> Dequantize[u8 z=128] -> y                      =>   constant q - 128 (i8) -> Dequantize[i8] -> y
//! ```
//!
//! q_u8 = clamp(round(x/s) + 128, 0, 255) = clamp(round(x/s), -128, 127) + 128.

use crate::ir::{Graph, NodeId};
use crate::ops::{Dequantize, Op, Quantize};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::{DType, QuantParams, Tensor};

/// The rule.
#[derive(Debug)]
pub struct ShiftUnsigned;

impl Rule for ShiftUnsigned {
    fn name(&self) -> &'static str {
        "shift_unsigned"
    }

    fn summary(&self) -> &'static str {
        "make u8 with zero point 128 i8 with zero point 0"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let (params, shifted) = match &node.op {
            Op::Quantize(op) => (&op.params, quantized(graph, id, &op.params)),
            Op::Dequantize(op) if graph.constant(node.inputs[0]).is_some() => (&op.params, constant(graph, id, op)),
            _ => return Outcome::NoMatch,
        };
        if params.dtype != DType::U8 || params.zero_points.iter().any(|z| *z != 128) {
            return Outcome::NoMatch;
        }
        shifted.map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn around_zero(params: &QuantParams) -> QuantParams {
    QuantParams { zero_points: vec![0; params.scales.len()], dtype: DType::I8, ..params.clone() }
}

fn patch() -> Patch {
    Patch::new("u8 around 128 is i8 around 0, less 128")
}

/// Integers that the file holds.
fn constant(graph: &Graph, id: NodeId, op: &Dequantize) -> Result<Patch, String> {
    let (mut patch, node) = (patch(), graph.node(id));
    let value = graph.value(node.inputs[0]);
    let bytes = value.constant.as_ref().map_or(Ok(&[][..]), |t| t.as_slice::<u8>()).map_err(|e| e.to_string())?;
    let shifted = bytes.iter().map(|&q| (i16::from(q) - 128) as i8).collect();
    let shape = graph.fact(node.inputs[0]).shape.as_concrete().unwrap_or_default();
    let shifted = Tensor::new(&shape, shifted).map_err(|e| e.to_string())?;
    let shifted = patch.constant(format!("{}-128", value.name), shifted);
    let op = Dequantize { params: around_zero(&op.params), to: op.to };
    patch.replace(graph, id, &[], op, vec![shifted], node.outputs.clone());
    Ok(patch)
}

/// Integers that a Quantize makes, wherever they are moved before they are real again.
fn quantized(graph: &Graph, id: NodeId, params: &QuantParams) -> Result<Patch, String> {
    let (mut patch, node) = (patch(), graph.node(id));
    let quantize = Quantize { params: around_zero(params) };
    patch.replace(graph, id, &[], quantize, vec![node.inputs[0].into()], node.outputs.clone());
    let mut integers = node.outputs.clone();
    while let Some(q) = integers.pop() {
        let name = &graph.value(q).name;
        if graph.outputs.contains(&q) {
            return Err(format!("`{name}` is an output of the network"));
        }
        for (reader, node) in graph.readers(q) {
            let op = match &node.op {
                Op::Dequantize(op) => Op::from(Dequantize { params: around_zero(params), to: op.to }),
                op if op.as_operator().only_moves() => {
                    integers.extend(&node.outputs);
                    op.clone()
                }
                _ => return Err(format!("`{name}` is read by `{}`, too", node.name)),
            };
            let inputs = node.inputs.iter().map(|&v| Source::Value(v)).collect();
            patch.replace(graph, reader, &[], op, inputs, node.outputs.clone());
        }
    }
    Ok(patch)
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Binary, BinaryFunction, Flatten};

    fn around_128() -> QuantParams {
        QuantParams { zero_points: vec![128], dtype: DType::U8, ..QuantParams::per_tensor(0.01) }
    }

    #[test]
    fn shifts_a_value_wherever_it_is_moved() {
        let mut net = Net::new(&[2, 4, 4]);
        let q = net.add("q", Quantize { params: around_128() }, &[net.x]);
        let rows = net.add("rows", Flatten { axis: 1 }, &[q]);
        let dequantize = Dequantize { params: around_128(), to: DType::F32 };
        let (a, b) = (net.add("a", dequantize.clone(), &[q]), net.add("b", dequantize, &[rows]));
        net.finish(&[a, b]).rewrite(&[&ShiftUnsigned]).is("graph test
               input %x f32(N,2,4,4)
               %q i8(N,2,4,4) = Quantize[type=i8 scale=1e-2](%x)  @q
               %rows i8(N,32) = Flatten[axis=1](%q)  @rows
               %a f32(N,2,4,4) = Dequantize[type=i8 scale=1e-2](%q)  @a
               %b f32(N,32) = Dequantize[type=i8 scale=1e-2](%rows)  @b
               output %a
               output %b");
    }

    #[test]
    fn shifts_weights() {
        let mut net = Net::new(&[3]);
        let q = net.graph.add_constant("q", Tensor::new(&[3], vec![0u8, 128, 255]).unwrap());
        let w = net.add("w", Dequantize { params: around_128(), to: DType::F32 }, &[q]);
        let y = net.add("y", Binary::new(BinaryFunction::Mul), &[net.x, w]);
        let done = net.finish(&[y]).rewrite(&[&ShiftUnsigned]);
        let shifted = done.graph.constant(done.graph.find_value("q-128").unwrap()).unwrap();
        assert_eq!(shifted.as_slice::<i8>().unwrap(), [-128, 0, 127]);
    }

    #[test]
    fn an_output_stays_as_it_is() {
        let mut net = Net::new(&[2, 4, 4]);
        let q = net.add("q", Quantize { params: around_128() }, &[net.x]);
        net.finish(&[q]).rewrite(&[&ShiftUnsigned]).declined("q", "`q` is an output of the network");
    }
}

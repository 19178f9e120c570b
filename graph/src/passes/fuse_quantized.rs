//! A product between Dequantize and Quantize is a product of integers.
//!
//! ```text
//! q_x -> Dequantize[s_x] -> Conv[bias, activation] -> Quantize[s_y] -> q_y
//! q_w -> Dequantize[s_w] ---^
//!
//!   =>   q_x, q_w -> Conv (int8) -> q_y        q_y = round( f( s_x·s_w[k]·Σ q_x·q_w + b[k] ) / s_y )
//! ```
//!
//! s_x·q_x · s_w·q_w = s_x·s_w·(q_x·q_w), and the sum of integers is exact. A residual that is dequantized is read as
//! its integers, too; without a Quantize behind it the product's result is real.

use super::linear::Linear;
use super::quantized::{Dequantized, quantized_by};
use crate::ir::{Fact, Graph, NodeId, ValueId};
use crate::ops::{Op, transposed};
use crate::rewrite::{Outcome, Patch, Rule, Source};
use crate::tensor::{DType, QuantParams, Tensor};

/// The rule.
#[derive(Debug)]
pub struct FuseQuantized;

impl Rule for FuseQuantized {
    fn name(&self) -> &'static str {
        "fuse_quantized"
    }

    fn summary(&self) -> &'static str {
        "make a Conv, ConvTranspose or Gemm between Dequantize and Quantize an INT8 one"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let Some(linear) = Linear::at(graph, id) else { return Outcome::NoMatch };
        let operand = |index: usize| Dequantized::from(graph, linear.node.inputs[index]);
        let name = |index: usize| &graph.value(linear.node.inputs[index]).name;
        match (operand(0), operand(1)) {
            (None, None) => Outcome::NoMatch,
            (None, Some(_)) => Outcome::Declined(format!("its weights are quantized, its input `{}` is not", name(0))),
            (Some(_), None) => Outcome::Declined(format!("its input is quantized, its weights `{}` are not", name(1))),
            (Some(x), Some(w)) => fuse(graph, linear, x, w).map_or_else(Outcome::Declined, Outcome::Rewrite),
        }
    }
}

fn fuse(graph: &Graph, linear: Linear<'_>, x: Dequantized<'_>, w: Dequantized<'_>) -> Result<Patch, String> {
    let (id, node) = (linear.id, linear.node);
    x.activation()?;
    let mut op = node.op.clone();
    let (weights, params) = weights(graph, &mut op, w)?;
    linear.bias()?;
    let mut absorbed: Vec<NodeId> = [x, w].iter().filter_map(|d| d.absorbed_by(id)).collect();
    let mut operands: Vec<ValueId> = node.inputs.clone();
    operands[0] = x.q;
    if let Some(index) = linear.epilogue.residual_index(2)
        && let Some(residual) = Dequantized::from(graph, operands[index])
        && residual.activation().is_ok()
    {
        operands[index] = residual.q;
        absorbed.extend(residual.absorbed_by(id).filter(|_| residual.id != x.id));
    }
    let of_weights = Fact { quant: Some(params.clone()), ..Fact::of(DType::I8, weights.shape()) };
    let facts: Vec<&Fact> =
        operands.iter().enumerate().map(|(i, &v)| if i == 1 { &of_weights } else { graph.fact(v) }).collect();
    op.infer(&facts).map_err(|error| error.to_string())?;

    let mut patch = Patch::new("s_x·q_x · s_w·q_w = s_x·s_w·(q_x·q_w), summed exactly");
    let mut inputs: Vec<Source> = operands.into_iter().map(Source::Value).collect();
    inputs[1] = patch.quantized_constant(format!("{}.weights", node.name), weights, params);
    let (output, quant) = match quantized_by(graph, linear.output()) {
        None => (linear.output(), None),
        Some((quantize, q, params)) => {
            absorbed.push(quantize);
            (q, Some(params.clone()))
        }
    };
    patch.replace_in_int8(graph, id, &absorbed, op, inputs, vec![output], quant);
    Ok(patch)
}

/// The weights in the form that INT8 takes them, and their scales; brings `op` into the form that goes with it.
fn weights(graph: &Graph, op: &mut Op, w: Dequantized<'_>) -> Result<(Tensor, QuantParams), String> {
    let name = &graph.value(w.q).name;
    let Some(tensor) = graph.constant(w.q) else { return Err(format!("its weights `{name}` are computed")) };
    if let Some(zero_point) = w.params.zero_points.iter().find(|z| **z != 0) {
        let dtype = w.params.dtype;
        return Err(format!(
            "its weights `{name}` are {dtype} with zero point {zero_point}; INT8 weights are i8 around 0"
        ));
    }
    let values = tensor.as_slice::<i8>().map_err(|_| format!("its weights `{name}` are {}, not i8", tensor.dtype()))?;
    let channels = match op {
        Op::ConvTranspose(_) => 1,
        Op::Gemm(op) if op.trans_a || op.alpha != 1.0 => {
            return Err("it transposes its input, or scales its product".to_owned());
        }
        Op::Gemm(op) if !op.trans_b => 1,
        _ => 0,
    };
    if let Some(axis) = w.params.axis.filter(|axis| *axis != channels) {
        return Err(format!("its weights `{name}` have scales along axis {axis}; output channels are axis {channels}"));
    }
    // Weights that limpid quantizes end at -127, which the limit on depth is made for.
    let terms = values.len() / tensor.shape().get(channels).copied().unwrap_or(1).max(1);
    if values.contains(&i8::MIN) && terms.saturating_mul(128 * 128) > i32::MAX as usize {
        return Err(format!("its weights `{name}` hold -128, with which {terms} products may exceed 32 bits"));
    }
    let Op::Gemm(gemm) = op else { return Ok((tensor.clone(), w.params.clone())) };
    if gemm.trans_b {
        return Ok((tensor.clone(), w.params.clone()));
    }
    gemm.trans_b = true;
    let rows = transposed(tensor).map_err(|e| e.to_string())?;
    Ok((rows, QuantParams { axis: w.params.axis.map(|_| 0), ..w.params.clone() }))
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Conv, Epilogue, Gemm, Window};

    fn scale(scale: f32) -> QuantParams {
        QuantParams::per_tensor(scale)
    }

    #[test]
    fn a_convolution_between_pairs_becomes_int8() {
        let mut net = Net::new(&[3, 4, 4]);
        let x = net.pair("x8", net.x, &scale(0.01));
        let y = net.quantized_conv("conv", x, 4);
        let y = net.pair("y8", y, &scale(0.05));
        let done = net.finish(&[y]).rewrite(&[&FuseQuantized]);
        done.is("graph test
               input %x f32(N,3,4,4)
               const %conv.weights i8(4,3,1,1)
               %x8.q i8(N,3,4,4) = Quantize[type=i8 scale=1e-2](%x)  @x8.q
               %y8.q i8(N,4,4,4) = Conv[kernel=1x1](%x8.q, %conv.weights)  @conv int8
               %y8 f32(N,4,4,4) = Dequantize[type=i8 scale=5e-2](%y8.q)  @y8
               output %y8");
        let conv = done.graph.node(done.graph.find_node("conv").unwrap());
        assert_eq!(done.graph.fact(conv.outputs[0]).exact_scale(), Some(0.05));
        let scales = &done.graph.fact(conv.inputs[1]).quant.as_ref().unwrap().scales;
        assert_eq!(scales.len(), 4);
    }

    #[test]
    fn a_residual_is_read_as_integers_and_a_shared_result_stays_real() {
        let mut net = Net::new(&[4, 4, 4]);
        let x = net.pair("x8", net.x, &scale(0.01));
        let y = net.quantized_conv("conv", x, 4);
        net.epilogue(y).residual = true;
        let (id, _) = net.graph.producer(y).unwrap();
        net.graph.node_mut(id).inputs.push(x);
        let z = net.pair("z8", y, &scale(0.05));
        let done = net.finish(&[y, z]).rewrite(&[&FuseQuantized]);
        done.holds(&["Quantize", "Conv", "Quantize", "Dequantize"]);
        let conv = done.graph.node(done.graph.find_node("conv").unwrap());
        assert_eq!(conv.inputs[0], conv.inputs[2]);
        assert_eq!(done.graph.fact(conv.outputs[0]).dtype, DType::F32);
    }

    #[test]
    fn a_result_in_half_precision_stays_in_it() {
        let mut net = Net::new(&[3, 4, 4]);
        let y = net.pair("x8", net.x, &scale(0.01));
        let y = net.quantized_conv("conv", y, 4);
        let y16 = net.graph.value_mut(y);
        y16.fact.dtype = DType::F16;
        let done = net.finish(&[y]).rewrite(&[&FuseQuantized]);
        let conv = done.graph.node(done.graph.find_node("conv").unwrap());
        assert_eq!(done.graph.fact(conv.outputs[0]).dtype, DType::F16);
    }

    #[test]
    fn dense_weights_are_turned_so_that_a_feature_is_a_row() {
        let mut net = Net::new(&[6]);
        let x = net.pair("x8", net.x, &scale(0.01));
        let w = net.quantized_weights("w", &[6, 3], 1);
        let y = net.add("fc", Gemm { trans_b: false, ..Gemm::dense(Epilogue::default()) }, &[x, w]);
        let done = net.finish(&[y]).rewrite(&[&FuseQuantized]);
        assert!(done.graph.to_string().contains("const %fc.weights i8(3,6)"), "{}", done.graph);
        assert!(done.graph.to_string().contains("Gemm[trans_b=1](%x8.q, %fc.weights)  @fc int8"), "{}", done.graph);
    }

    #[test]
    fn says_why_it_does_not() {
        let declined = |params: QuantParams, axis: Option<usize>, reason: &str| {
            let mut net = Net::new(&[3, 4, 4]);
            let x = net.pair("x8", net.x, &params);
            let y = match axis {
                None => net.conv("conv", x, 3, 1),
                Some(axis) => {
                    let w = net.quantized_weights("w", &[3, 3, 1, 1], axis);
                    let op = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() };
                    net.add("conv", op, &[x, w])
                }
            };
            net.finish(&[y]).rewrite(&[&FuseQuantized]).declined("conv", reason);
        };
        declined(scale(0.01), None, "its input is quantized, its weights `conv.w` are not");
        declined(scale(0.01), Some(1), "its weights `w.q` have scales along axis 1; output channels are axis 0");
        let unsigned = QuantParams { zero_points: vec![3], dtype: DType::U8, ..scale(0.01) };
        declined(unsigned, Some(0), "`x8.q` is u8 with zero point 3; INT8 arithmetic is i8 around 0");
        let sliced = QuantParams::per_axis(vec![0.01; 3], 1);
        declined(sliced, Some(0), "`x8.q` has scales along axis 1; an INT8 activation has one");

        let mut net = Net::new(&[3, 4, 4]);
        let y = net.quantized_conv("conv", net.x, 3);
        let reason = "its weights are quantized, its input `x` is not";
        net.finish(&[y]).rewrite(&[&FuseQuantized]).declined("conv", reason);
    }
}

//! y = (x - μ) / √(σ² + ε) · scale + bias, with μ and σ² (divided by n, not n-1) of x itself:
//! of each channel's plane (`InstanceNormalization`), or of the trailing axes (`LayerNormalization`).
//! <https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__LayerNormalization.html>

use super::lanes::Lanes;
use super::{Cost, Eval, OpError, Operator, Spec, axis};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Over each plane of each channel. Inputs: x (N,C,spatial…), scale (C), bias (C).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceNormalization {
    /// ε
    pub epsilon: f32,
}

/// Over the trailing axes. Inputs: x, scale (of the trailing axes' shape), bias (the same) if there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNormalization {
    /// The first of the axes.
    pub axis: usize,
    /// ε
    pub epsilon: f32,
}

/// One lane of zero mean and variance one.
fn standardize(lane: &[f32], epsilon: f32, out: &mut [f32]) {
    let count = lane.len() as f64;
    let mean = lane.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = lane.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    for (y, &v) in out.iter_mut().zip(lane) {
        *y = ((f64::from(v) - mean) * scale) as f32;
    }
}

/// Mean, variance, difference, product, scale and bias.
fn cost(inputs: &[Spec], outputs: &[Spec]) -> Cost {
    Cost { flops: 7 * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
}

fn check_epsilon(node: &NodeView<'_>) -> Result<f32, ImportError> {
    let epsilon = node.float("epsilon")?.unwrap_or(1e-5);
    if epsilon.is_finite() && epsilon >= 0.0 {
        return Ok(epsilon);
    }
    Err(node.bad_attribute("epsilon", "finite and not negative", epsilon))
}

impl InstanceNormalization {
    /// Reads ONNX's `InstanceNormalization`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let inputs = [node.input(0)?, node.input(1)?, node.input(2)?];
        build.add(node, InstanceNormalization { epsilon: check_epsilon(node)? }.into(), &inputs)
    }
}

impl LayerNormalization {
    /// Reads ONNX's `LayerNormalization`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let mut inputs = vec![node.input(0)?, node.input(1)?];
        inputs.extend(node.optional_input(2));
        let axis = axis::attribute(node, "axis", -1, build.graph().fact(inputs[0]).rank())?;
        if node.wants_output(1) || node.wants_output(2) {
            let text = "the mean and deviation, its second and third output, only serve training";
            return Err(node.error(OpError::Tensor(text.to_owned())));
        }
        build.add(node, LayerNormalization { axis, epsilon: check_epsilon(node)? }.into(), &inputs)
    }
}

impl Operator for InstanceNormalization {
    fn name(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("epsilon", self.epsilon.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x, scale, bias] = OpError::exactly(inputs)?;
        if !x.dtype.is_float() {
            return Err(OpError::Type { what: "x", expected: "f32 or f16", got: x.dtype });
        }
        let Some(channels) = x.shape.get(1).filter(|_| x.rank() > 2) else {
            return Err(OpError::shape("x", "of rank 3 at least (N,C,spatial…)", &x.shape));
        };
        let expected = Shape::new([channels.clone()]);
        for (what, parameter) in [("the scale", scale), ("the bias", bias)] {
            if parameter.shape != expected {
                return Err(OpError::shape(what, expected, &parameter.shape));
            }
        }
        Ok(vec![Fact::new(x.dtype, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let (scale, bias) = (eval.inputs[1].as_slice::<f32>()?, eval.inputs[2].as_slice::<f32>()?);
        let axes: Vec<usize> = (2..x.rank()).collect();
        let y = Lanes::along(x, &axes)?.map(|plane, lane, out| {
            standardize(lane, self.epsilon, out);
            let (scale, bias) = (scale[plane % scale.len()], bias[plane % bias.len()]);
            out.iter_mut().for_each(|v| *v = *v * scale + bias);
        })?;
        Ok(vec![y])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        cost(inputs, outputs)
    }
}

impl Operator for LayerNormalization {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("epsilon", self.epsilon.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        OpError::between(inputs, 2, 3)?;
        let x = inputs[0];
        if !x.dtype.is_float() {
            return Err(OpError::Type { what: "x", expected: "f32 or f16", got: x.dtype });
        }
        let Some(trailing) = x.shape.get(self.axis..).filter(|t| !t.is_empty()) else {
            return Err(OpError::shape("x", format!("of rank {} at least", self.axis + 1), &x.shape));
        };
        let expected = Shape::new(trailing.iter().cloned());
        for (what, parameter) in ["the scale", "the bias"].into_iter().zip(&inputs[1..]) {
            if parameter.shape != expected {
                return Err(OpError::shape(what, expected, &parameter.shape));
            }
        }
        Ok(vec![Fact::new(x.dtype, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let scale = eval.inputs[1].as_slice::<f32>()?;
        let bias = eval.inputs.get(2).map(|b| b.as_slice::<f32>()).transpose()?;
        let axes: Vec<usize> = (self.axis..x.rank()).collect();
        let y = Lanes::along(x, &axes)?.map(|_, lane, out| {
            standardize(lane, self.epsilon, out);
            out.iter_mut().zip(scale).for_each(|(v, s)| *v *= s);
            if let Some(bias) = bias {
                out.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
        })?;
        Ok(vec![y])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        cost(inputs, outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};
    use crate::tensor::{DType, Tolerance};

    fn close(got: &Tensor, want: &[f32]) {
        let checked = Tolerance::elementwise(DType::F32).check(&got.to_f32(), want);
        assert!(checked.is_ok(), "{checked:?}");
    }

    /// Of 1 and 3: mean 2, variance 1.
    #[test]
    fn planes_of_channels() {
        let x = tensor(&[1, 2, 2], &[1.0, 3.0, 5.0, 5.0]);
        let op = InstanceNormalization { epsilon: 0.0 };
        let (scale, bias) = (tensor(&[2], &[2.0, 1.0]), tensor(&[2], &[0.5, 7.0]));
        let y = evaluate(op, &[x.clone(), scale.clone(), bias.clone()]).unwrap().to_f32();
        assert_eq!(y[..2], [-1.5, 2.5]);
        // A constant plane has no deviation to divide by.
        let y = evaluate(InstanceNormalization { epsilon: 3.0 }, &[x.clone(), scale, bias]).unwrap();
        close(&y, &[-0.5, 1.5, 7.0, 7.0]);
        let short = tensor(&[1], &[1.0]);
        assert!(evaluate(InstanceNormalization { epsilon: 0.0 }, &[x, short.clone(), short]).is_err());
    }

    #[test]
    fn trailing_axes() {
        let x = tensor(&[2, 1, 2], &[1.0, 3.0, -2.0, 2.0]);
        let (scale, bias) = (tensor(&[2], &[1.0, 10.0]), tensor(&[2], &[0.0, 1.0]));
        let last = LayerNormalization { axis: 2, epsilon: 0.0 };
        close(&evaluate(last.clone(), &[x.clone(), scale.clone(), bias]).unwrap(), &[-1.0, 11.0, -1.0, 11.0]);
        close(&evaluate(last.clone(), &[x.clone(), scale.clone()]).unwrap(), &[-1.0, 10.0, -1.0, 10.0]);
        assert!(evaluate(LayerNormalization { axis: 1, epsilon: 0.0 }, &[x.clone(), scale]).is_err());
        let both = tensor(&[1, 2], &[1.0, 1.0]);
        close(&evaluate(LayerNormalization { axis: 1, epsilon: 0.0 }, &[x, both]).unwrap(), &[-1.0, 1.0, -1.0, 1.0]);
    }
}

//! From reals to 8-bit integers and back.
//!
//! ```text
//! Quantize     q = clamp(round_half_even(x / scale) + zero_point)       x real, or integers of another scale
//! Dequantize   y = scale · (q - zero_point)
//! ```
//!
//! Symmetric i8 is quantized as [`exact`] defines it, by multiplying with the inverse of the scale.
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>, <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>

use super::{Cost, Eval, OpError, Operator, Spec, exact};
use crate::ir::Fact;
use crate::tensor::{DType, QuantParams, Tensor};
use serde::{Deserialize, Serialize};

/// Stores reals as 8-bit integers, or integers of one scale as integers of another. Input: x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantize {
    /// How the output's integers stand for reals.
    pub params: QuantParams,
}

/// Makes integers reals again. Input: q, of i8 or u8, or of i32 with a scale that is a product of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dequantize {
    /// How the input's integers stand for reals.
    pub params: QuantParams,
    /// F32 or F16.
    pub to: DType,
}

impl Operator for Quantize {
    fn name(&self) -> &'static str {
        "Quantize"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        attributes(&self.params)
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if !x.dtype.is_float() && x.quant.is_none() {
            OpError::real("x", x)?;
        }
        check_axis(&self.params, x)?;
        let quant = Some(self.params.clone());
        Ok(vec![Fact { dtype: self.params.dtype, shape: x.shape.clone(), quant }])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, spec, params) = (&eval.inputs[0], &eval.specs[0], &self.params);
        let exact_i8 = |p: &QuantParams| p.dtype == DType::I8 && p.is_symmetric() && p.axis.is_none();
        if exact_i8(params) {
            let to = params.scales[0];
            let from = spec.quant.as_ref().filter(|from| exact_i8(from)).map(|from| from.scales[0]);
            let q = match from {
                Some(from) if x.dtype() == DType::I8 => exact::requantize_all(x.as_slice::<i8>()?, from, to),
                _ => exact::quantize_all(&real(x, spec), to),
            };
            return Ok(vec![Tensor::new(&spec.shape, q)?]);
        }
        let slices = Slices::new(params, &spec.shape);
        let (low, high) = if params.dtype == DType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
        let q = real(x, spec).into_iter().enumerate().map(|(i, x)| {
            let (scale, zero_point) = slices.at(i);
            let q = (x / scale).round_ties_even() + zero_point as f32;
            // ONNX leaves NaN open; as in the exact arithmetic it becomes the zero point.
            if q.is_nan() { zero_point as f32 } else { q.clamp(low, high) }
        });
        Ok(vec![match params.dtype {
            DType::U8 => Tensor::new(&spec.shape, q.map(|q| q as u8).collect())?,
            _ => Tensor::new(&spec.shape, q.map(|q| q as i8).collect())?,
        }])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl Operator for Dequantize {
    fn name(&self) -> &'static str {
        "Dequantize"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        attributes(&self.params)
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if !matches!(x.dtype, DType::I8 | DType::U8 | DType::I32) {
            return Err(OpError::Type { what: "x", expected: "i8, u8 or i32", got: x.dtype });
        }
        check_axis(&self.params, x)?;
        Ok(vec![Fact::new(self.to, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, spec) = (&eval.inputs[0], &eval.specs[0]);
        Ok(vec![Tensor::new(&spec.shape, dequantized(x, &self.params))?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

/// What a tensor stands for: its reals, or the reals of its integers.
pub(super) fn real(x: &Tensor, spec: &Spec) -> Vec<f32> {
    match &spec.quant {
        Some(params) if !x.dtype().is_float() => dequantized(x, params),
        _ => x.to_f32(),
    }
}

fn dequantized(x: &Tensor, params: &QuantParams) -> Vec<f32> {
    let slices = Slices::new(params, x.shape());
    let real = |(i, q): (usize, i64)| {
        let (scale, zero_point) = slices.at(i);
        (q - i64::from(zero_point)) as f32 * scale
    };
    x.to_i64().into_iter().enumerate().map(real).collect()
}

/// Which scale an element has.
struct Slices<'a> {
    params: &'a QuantParams,
    /// Elements between neighbours along the axis.
    inner: usize,
}

impl<'a> Slices<'a> {
    fn new(params: &'a QuantParams, shape: &[usize]) -> Self {
        let inner = params.axis.map_or(1, |axis| shape.iter().skip(axis + 1).product());
        Self { params, inner }
    }

    fn at(&self, element: usize) -> (f32, i32) {
        let QuantParams { scales, zero_points, axis, .. } = self.params;
        let slice = axis.map_or(0, |_| element / self.inner % scales.len());
        (scales[slice], zero_points[slice])
    }
}

fn check_axis(params: &QuantParams, x: &Fact) -> Result<(), OpError> {
    let slices = match params.axis {
        None => Some(1),
        Some(axis) => x.shape.get(axis).and_then(|dim| dim.as_usize()),
    };
    if slices == Some(params.scales.len()) && params.zero_points.len() == params.scales.len() {
        return Ok(());
    }
    let (count, axis) = (params.scales.len(), params.axis.unwrap_or(0));
    Err(OpError::shape("x", format!("of {count} slices along axis {axis}, one for each scale"), &x.shape))
}

fn attributes(params: &QuantParams) -> Vec<(&'static str, String)> {
    let mut out = vec![("type", params.dtype.to_string())];
    match params.axis {
        Some(axis) => out.push(("axis", axis.to_string())),
        None => out.push(("scale", format!("{:e}", params.scales.first().copied().unwrap_or(1.0)))),
    }
    if !params.is_symmetric() {
        out.push(("zero_point", params.zero_points.first().copied().unwrap_or(0).to_string()));
    }
    out
}

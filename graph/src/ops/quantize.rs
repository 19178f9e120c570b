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
        if x.quant.is_none() {
            OpError::real("x", x)?;
        }
        if !matches!(self.params.dtype, DType::I8 | DType::U8) {
            return Err(OpError::Type { what: "the output", expected: "i8 or u8", got: self.params.dtype });
        }
        check_params(&self.params, x)?;
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
        let (low, high) = limits(params.dtype);
        let q = real(x, spec).into_iter().enumerate().map(|(i, x)| {
            let (scale, zero_point) = slices.at(i);
            let q = (x / scale).round_ties_even() + zero_point as f32;
            // ONNX leaves NaN open; as in the exact arithmetic it becomes the zero point.
            if q.is_nan() { zero_point as f32 } else { q.clamp(low as f32, high as f32) }
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
        if !matches!(x.dtype, DType::I8 | DType::U8 | DType::I32) || x.dtype != self.params.dtype {
            return Err(OpError::Type { what: "x", expected: "the i8, u8 or i32 of its zero point", got: x.dtype });
        }
        if x.quant.as_ref().is_some_and(|own| *own != self.params) {
            let (expected, got) = ("x's own scale and zero point".to_owned(), attributes(&self.params));
            return Err(OpError::Attribute { name: "params", expected, got: format!("{got:?}") });
        }
        check_params(&self.params, x)?;
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

/// The least and the largest integer of a type.
fn limits(dtype: DType) -> (i32, i32) {
    match dtype {
        DType::I8 => (-128, 127),
        DType::U8 => (0, 255),
        _ => (i32::MIN, i32::MAX),
    }
}

/// What a tensor stands for: its reals, or the reals of its integers.
fn real(x: &Tensor, spec: &Spec) -> Vec<f32> {
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

/// Scales must be positive and finite, zero points within the type, and both as many as there are slices.
fn check_params(params: &QuantParams, x: &Fact) -> Result<(), OpError> {
    for &scale in &params.scales {
        exact::check_scale(scale).map_err(|source| OpError::Scale { what: "x", source })?;
    }
    let (low, high) = limits(params.dtype);
    if let Some(outside) = params.zero_points.iter().find(|z| !(low..=high).contains(*z)) {
        let expected = format!("{low} to {high}, as {} holds", params.dtype);
        return Err(OpError::Attribute { name: "zero_point", expected, got: outside.to_string() });
    }
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

#[cfg(test)]
mod tests {
    use super::super::evaluate::{evaluate, tensor};
    use super::*;
    use crate::tensor::Shape;

    fn params(dtype: DType, scale: f32, zero_point: i32) -> QuantParams {
        QuantParams { scales: vec![scale], zero_points: vec![zero_point], axis: None, dtype }
    }

    fn quantize<T: crate::tensor::Element>(params: QuantParams, shape: &[usize], values: &[f32]) -> Vec<T> {
        let y = evaluate(Quantize { params }, &[tensor(shape, values)]).unwrap();
        y.as_slice::<T>().unwrap().to_vec()
    }

    const NAN: f32 = f32::NAN;
    const INFINITY: f32 = f32::INFINITY;

    #[test]
    fn symmetric_i8_rounds_half_to_even_and_saturates() {
        let x = [0.25, 0.75, 1.25, -0.25, -0.75, 63.4, 63.75, 1e30, -64.0, -64.3, -INFINITY, INFINITY, NAN];
        let q: Vec<i8> = quantize(params(DType::I8, 0.5, 0), &[13], &x);
        assert_eq!(q, [0, 2, 2, 0, -2, 127, 127, 127, -128, -128, -128, 127, 0]);
    }

    #[test]
    fn u8_is_moved_by_its_zero_point_after_rounding() {
        // ONNX rounds x / scale to even first: 0.5 and 1.5 with zero point 3 are 3 and 5.
        let x = [0.25, 0.75, -1.4, -1.6, -1e30, 126.0, 130.0, NAN];
        let q: Vec<u8> = quantize(params(DType::U8, 0.5, 3), &[8], &x);
        assert_eq!(q, [3, 5, 0, 0, 0, 255, 255, 3]);
        let q: Vec<i8> = quantize(params(DType::I8, 0.5, -100), &[3], &[-20.0, 0.0, 1000.0]);
        assert_eq!(q, [-128, -100, 127]);
    }

    #[test]
    fn each_slice_has_its_own_scale_and_zero_point() {
        let params = QuantParams { scales: vec![0.5, 2.0], zero_points: vec![0, 10], axis: Some(1), dtype: DType::U8 };
        let q: Vec<u8> = quantize(params.clone(), &[2, 2, 2], &[1.0, 2.0, 4.0, 6.0, 3.0, -1.0, -8.0, 0.0]);
        assert_eq!(q, [2, 4, 12, 13, 6, 0, 6, 10]);
        let q = Tensor::new(&[2, 2, 2], q).unwrap();
        let y = evaluate(Dequantize { params, to: DType::F32 }, &[q]).unwrap();
        assert_eq!(y.to_f32(), [1.0, 2.0, 4.0, 6.0, 3.0, 0.0, -8.0, 0.0]);
    }

    #[test]
    fn dequantized_integers_are_one_rounding_from_exact() {
        let dequantize =
            |params: QuantParams, q: Tensor| evaluate(Dequantize { params, to: DType::F32 }, &[q]).unwrap().to_f32();
        let q = Tensor::new(&[3], vec![i8::MIN, 3, i8::MAX]).unwrap();
        assert_eq!(dequantize(params(DType::I8, 0.1, 0), q), [-128.0 * 0.1f32, 3.0 * 0.1, 127.0 * 0.1]);
        let q = Tensor::new(&[3], vec![0u8, 128, 255]).unwrap();
        assert_eq!(dequantize(params(DType::U8, 0.1, 128), q), [-128.0 * 0.1f32, 0.0, 127.0 * 0.1]);
        let q = Tensor::new(&[2], vec![i32::MAX, -70_000]).unwrap();
        assert_eq!(dequantize(params(DType::I32, 0.5, 0), q), [2f32.powi(30), -35_000.0]);
    }

    #[test]
    fn integers_of_one_scale_become_integers_of_another() {
        let run = |from: QuantParams, to: QuantParams, q: Tensor| {
            let (op, shape) = (Quantize { params: to.clone() }, q.shape().to_vec());
            let fact = Fact { quant: Some(from.clone()), ..Fact::of(q.dtype(), &shape) };
            let made = op.infer(&[&fact]).unwrap().swap_remove(0);
            assert_eq!((made.dtype, made.quant.as_ref()), (to.dtype, Some(&to)));
            let spec = |dtype, quant| Spec { dtype, shape: shape.clone(), quant: Some(quant) };
            let (specs, outputs) = ([spec(q.dtype(), from)], [spec(to.dtype, to.clone())]);
            op.reference(&Eval { inputs: &[q], specs: &specs, outputs: &outputs }).unwrap().swap_remove(0)
        };
        let q = Tensor::new(&[4], vec![1i8, 3, -128, 100]).unwrap();
        let y = run(params(DType::I8, 0.5, 0), params(DType::I8, 1.0, 0), q);
        assert_eq!(y.as_slice::<i8>().unwrap(), [0, 2, -64, 50]);
        let q = Tensor::new(&[3], vec![0u8, 10, 255]).unwrap();
        let y = run(params(DType::U8, 0.5, 10), params(DType::I8, 0.5, 0), q);
        assert_eq!(y.as_slice::<i8>().unwrap(), [-10, 0, 127]);
    }

    #[test]
    fn parameters_that_are_none_are_refused() {
        let (x, q) = (Fact::of(DType::F32, &[2, 3]), Fact::of(DType::I8, &[2, 3]));
        let refused = |params: QuantParams, text: &str| {
            let error = Quantize { params: params.clone() }.infer(&[&x]).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            if params.dtype == DType::I8 {
                let error = Dequantize { params, to: DType::F32 }.infer(&[&q]).unwrap_err().to_string();
                assert!(error.contains(text), "{error}");
            }
        };
        for (scale, text) in [(0.0, "is zero"), (-1.0, "is negative"), (NAN, "is NaN"), (INFINITY, "is infinite")] {
            refused(params(DType::I8, scale, 0), text);
        }
        refused(params(DType::I8, 1e-40, 0), "is subnormal");
        refused(params(DType::I8, 0.5, 128), "must be -128 to 127, as i8 holds, got 128");
        refused(params(DType::U8, 0.5, -1), "must be 0 to 255, as u8 holds, got -1");
        refused(params(DType::I32, 0.5, 0), "expected i8 or u8");
        refused(QuantParams::per_axis(vec![0.5; 2], 1), "of 2 slices along axis 1");
        refused(QuantParams::per_axis(vec![0.5; 2], 7), "of 2 slices along axis 7");
        refused(QuantParams { zero_points: vec![0, 0], ..params(DType::I8, 0.5, 0) }, "one for each scale");
        refused(QuantParams { scales: vec![], zero_points: vec![], ..params(DType::I8, 0.5, 0) }, "of 0 slices");
    }

    #[test]
    fn types_that_do_not_fit_are_refused() {
        let op = Dequantize { params: params(DType::U8, 0.5, 3), to: DType::F32 };
        let error = op.infer(&[&Fact::of(DType::I8, &[3])]).unwrap_err().to_string();
        assert!(error.contains("x has element type i8"), "{error}");
        let op = Dequantize { params: params(DType::I8, 0.25, 0), to: DType::F32 };
        let error = op.infer(&[&Fact::int8(0.5, Shape::of(&[3]))]).unwrap_err().to_string();
        assert!(error.contains("must be x's own scale and zero point"), "{error}");
        let op = Quantize { params: params(DType::I8, 0.25, 0) };
        let error = op.infer(&[&Fact::of(DType::I8, &[3])]).unwrap_err().to_string();
        assert!(error.contains("x has element type i8; expected f32 or f16"), "{error}");
    }
}

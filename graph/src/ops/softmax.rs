//! Softmax: y_i = e^(x_i - m) / Σ_j e^(x_j - m) along an axis, with m = max_j x_j so that nothing overflows.
//! LogSoftmax: its logarithm, x_i - m - ln Σ_j e^(x_j - m).
//! <https://onnx.ai/onnx/operators/onnx__Softmax.html>, <https://onnx.ai/onnx/operators/onnx__LogSoftmax.html>

use super::lanes::Lanes;
use super::{Cost, Eval, OpError, Operator, Reshape, Spec, axis};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A normalised exponential along one axis. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// The axis.
    pub axis: usize,
    /// True for LogSoftmax.
    pub log: bool,
}

impl Softmax {
    /// Reads ONNX's `Softmax` and `LogSoftmax`.
    ///
    /// Before opset 13 x is taken as a matrix, axes before `axis` its rows and all others its columns;
    /// where that differs, a Reshape before and one behind say so.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let log = node.op_type() == "LogSoftmax";
        let shape = build.graph().fact(x).shape.clone();
        let as_matrix = node.opset() < 13;
        let axis = axis::attribute(node, "axis", if as_matrix { 1 } else { -1 }, shape.rank())?;
        if !as_matrix || shape[axis + 1..].iter().all(|d| d.as_const() == Some(1)) {
            return build.add(node, Softmax { axis, log }.into(), &[x]);
        }
        let product = |dims: &[Dim]| dims.iter().fold(Dim::from(1), |all, d| all * d.clone());
        let matrix = Shape::new([product(&shape[..axis]), product(&shape[axis..])]);
        let rows = build.add_part(node, "rows", Reshape::to(&matrix).into(), &[x])?;
        let y = build.add_part(node, "softmax", Softmax { axis: 1, log }.into(), &rows)?;
        build.add(node, Reshape::to(&shape).into(), &y)
    }

    fn apply(&self, lane: &[f32], out: &mut [f32]) {
        let largest = lane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = lane.iter().map(|&v| f64::from((v - largest).exp())).sum();
        let (scale, offset) = ((1.0 / sum) as f32, sum.ln() as f32);
        for (y, &v) in out.iter_mut().zip(lane) {
            *y = if self.log { v - largest - offset } else { (v - largest).exp() * scale };
        }
    }
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if !x.dtype.is_float() {
            return Err(OpError::Type { what: "x", expected: "f32 or f16", got: x.dtype });
        }
        if self.axis >= x.rank() {
            return Err(OpError::shape("x", format!("of rank {} at least", self.axis + 1), &x.shape));
        }
        Ok(vec![Fact::new(x.dtype, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let lanes = Lanes::along(&eval.inputs[0], &[self.axis])?;
        Ok(vec![lanes.map(|_, lane, out| self.apply(lane, out))?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        // Largest, difference, exponential, sum, quotient.
        Cost { flops: 5 * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};
    use crate::tensor::{DType, Tolerance};
    use proptest::prelude::*;

    fn close(got: &Tensor, want: &[f32]) {
        let checked = Tolerance::elementwise(DType::F32).check(&got.to_f32(), want);
        assert!(checked.is_ok(), "{checked:?}");
    }

    #[test]
    fn values_by_hand() {
        let x = tensor(&[1, 3], &[0.0, 1.0, 2.0]);
        close(&evaluate(Softmax { axis: 1, log: false }, &[&x]).unwrap(), &[0.090_030_57, 0.244_728_48, 0.665_240_94]);
        close(&evaluate(Softmax { axis: 1, log: true }, &[&x]).unwrap(), &[-2.407_606, -1.407_605_9, -0.407_605_9]);
        close(&evaluate(Softmax { axis: 0, log: false }, &[&x]).unwrap(), &[1.0; 3]);
        assert!(evaluate(Softmax { axis: 2, log: false }, &[x]).is_err());
    }

    #[test]
    fn large_numbers_do_not_overflow_and_nan_spreads() {
        let x = tensor(&[3, 2], &[1000.0, 1001.0, f32::NEG_INFINITY, 0.0, f32::NAN, 0.0]);
        let y = evaluate(Softmax { axis: 1, log: false }, &[&x]).unwrap().to_f32();
        close(&tensor(&[4], &y[..4]), &[0.268_941_43, 0.731_058_6, 0.0, 1.0]);
        assert!(y[4].is_nan() && y[5].is_nan());
        let log = evaluate(Softmax { axis: 1, log: true }, &[x]).unwrap().to_f32();
        assert_eq!(log[2..4], [f32::NEG_INFINITY, 0.0]);
    }

    proptest! {
        /// Each lane sums to 1, and a lane raised by a number stays as it is.
        #[test]
        fn laws(values in proptest::collection::vec(-20f32..20.0, 24), axis in 0usize..3, raise in -50f32..50.0) {
            let x = tensor(&[2, 3, 4], &values);
            let op = Softmax { axis, log: false };
            let y = evaluate(op.clone(), &[&x]).unwrap();
            let sums = Lanes::along(&y, &[axis]).unwrap().fold(|lane: &[f32]| lane.iter().sum::<f32>()).unwrap();
            prop_assert!(Tolerance::elementwise(DType::F32).check(&sums, &vec![1.0; sums.len()]).is_ok());
            let raised: Vec<f32> = values.iter().map(|v| v + raise).collect();
            let again = evaluate(op, &[tensor(&[2, 3, 4], &raised)]).unwrap();
            // The sum v + raise is rounded at up to 70, the exponential carries that into the relative error.
            let tolerance = Tolerance { relative: 70.0 * f32::EPSILON, absolute: f32::EPSILON };
            prop_assert!(tolerance.check(&again.to_f32(), &y.to_f32()).is_ok());
            let log = evaluate(Softmax { axis, log: true }, &[x]).unwrap().to_f32();
            let exponentials: Vec<f32> = log.iter().map(|v| v.exp()).collect();
            prop_assert!(tolerance.check(&exponentials, &y.to_f32()).is_ok());
        }
    }
}

//! Some axes summed up, averaged, or otherwise brought down to one number.
//! <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> and its neighbours.

use super::lanes::Lanes;
use super::{Cost, Eval, Identity, OpError, Operator, Spec, axis};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// What many numbers become one by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReduceFunction {
    /// Σ x / n
    Mean,
    /// Σ x
    Sum,
    /// the largest; NaN if there is one
    Max,
    /// the smallest; NaN if there is one
    Min,
    /// Π x
    Prod,
    /// Σ |x|
    L1,
    /// √Σ x²
    L2,
    /// Σ x²
    SumSquare,
    /// ln Σ e^x
    LogSumExp,
}

impl ReduceFunction {
    /// Of reals. Sums are kept in f64, so the order of adding does not show.
    fn of_reals(self, lane: &[f32]) -> f32 {
        let sum = |f: fn(f64) -> f64| lane.iter().map(|&v| f(f64::from(v))).sum::<f64>();
        let largest = || lane.iter().copied().fold(f32::NEG_INFINITY, |a, b| if a.is_nan() || a > b { a } else { b });
        match self {
            ReduceFunction::Mean => (sum(|v| v) / lane.len() as f64) as f32,
            ReduceFunction::Sum => sum(|v| v) as f32,
            ReduceFunction::Max => largest(),
            ReduceFunction::Min => {
                lane.iter().copied().fold(f32::INFINITY, |a, b| if a.is_nan() || a < b { a } else { b })
            }
            ReduceFunction::Prod => lane.iter().map(|&v| f64::from(v)).product::<f64>() as f32,
            ReduceFunction::L1 => sum(f64::abs) as f32,
            ReduceFunction::L2 => sum(|v| v * v).sqrt() as f32,
            ReduceFunction::SumSquare => sum(|v| v * v) as f32,
            ReduceFunction::LogSumExp => {
                // Less the largest, so that nothing overflows; an infinite one is the answer itself.
                let m = largest();
                if m.is_infinite() {
                    return m;
                }
                let sum: f64 = lane.iter().map(|&v| (f64::from(v) - f64::from(m)).exp()).sum();
                (f64::from(m) + sum.ln()) as f32
            }
        }
    }

    /// Of integers, wrapping; `None` for those functions that leave them.
    fn of_integers(self, lane: &[i64]) -> Option<i64> {
        let values = lane.iter().copied();
        Some(match self {
            ReduceFunction::Sum => values.fold(0, i64::wrapping_add),
            ReduceFunction::Prod => values.fold(1, i64::wrapping_mul),
            ReduceFunction::Max => values.max().unwrap_or(i64::MIN),
            ReduceFunction::Min => values.min().unwrap_or(i64::MAX),
            ReduceFunction::L1 => values.fold(0, |sum, v| sum.wrapping_add(v.wrapping_abs())),
            ReduceFunction::SumSquare => values.fold(0, |sum, v| sum.wrapping_add(v.wrapping_mul(v))),
            ReduceFunction::Mean | ReduceFunction::L2 | ReduceFunction::LogSumExp => return None,
        })
    }

    /// The operator's name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            ReduceFunction::Mean => "ReduceMean",
            ReduceFunction::Sum => "ReduceSum",
            ReduceFunction::Max => "ReduceMax",
            ReduceFunction::Min => "ReduceMin",
            ReduceFunction::Prod => "ReduceProd",
            ReduceFunction::L1 => "ReduceL1",
            ReduceFunction::L2 => "ReduceL2",
            ReduceFunction::SumSquare => "ReduceSumSquare",
            ReduceFunction::LogSumExp => "ReduceLogSumExp",
        }
    }
}

/// A reduction over some axes. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reduce {
    /// By what.
    pub function: ReduceFunction,
    /// The axes, ascending.
    pub axes: Vec<usize>,
    /// True if each reduced axis stays with extent 1.
    pub keep_dims: bool,
}

impl Reduce {
    /// Reads any of the ONNX operators listed for it: axes by attribute before opset 18 (13 for the sum), by input
    /// since. Without axes all are reduced, or none if `noop_with_empty_axes` says so.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let rank = build.graph().fact(x).rank();
        let function = match node.op_type() {
            "ReduceMean" => ReduceFunction::Mean,
            "ReduceSum" => ReduceFunction::Sum,
            "ReduceMax" => ReduceFunction::Max,
            "ReduceMin" => ReduceFunction::Min,
            "ReduceProd" => ReduceFunction::Prod,
            "ReduceL1" => ReduceFunction::L1,
            "ReduceL2" => ReduceFunction::L2,
            "ReduceSumSquare" => ReduceFunction::SumSquare,
            _ => ReduceFunction::LogSumExp,
        };
        let axes = match axis::integers(node, build, 1, "axes")?.filter(|axes| !axes.is_empty()) {
            Some(axes) => axis::resolve_all(node, "axes", &axes, rank)?,
            None if node.flag("noop_with_empty_axes")? => return build.add(node, Identity.into(), &[x]),
            None => (0..rank).collect(),
        };
        let keep_dims = node.int("keepdims")?.unwrap_or(1) != 0;
        build.add(node, Reduce { function, axes, keep_dims }.into(), &[x])
    }
}

/// The extents once `axes` are reduced.
pub(super) fn reduced(shape: &[Dim], axes: &[usize], keep_dims: bool) -> Shape {
    let dims = shape.iter().enumerate().filter(|(a, _)| keep_dims || !axes.contains(a));
    Shape::new(dims.map(|(a, d)| if axes.contains(&a) { Dim::from(1) } else { d.clone() }))
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = vec![("axes", axis::list(&self.axes))];
        if !self.keep_dims {
            out.push(("keep_dims", "false".to_owned()));
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::unquantized("x", x)?;
        let integer = matches!(x.dtype, DType::I8 | DType::U8 | DType::I32 | DType::I64);
        if !(x.dtype.is_float() || integer && self.function.of_integers(&[]).is_some()) {
            return Err(OpError::Type { what: "x", expected: "f32 or f16", got: x.dtype });
        }
        if let Some(axis) = self.axes.iter().find(|a| **a >= x.rank()) {
            return Err(OpError::shape("x", format!("of rank {} at least", axis + 1), &x.shape));
        }
        Ok(vec![Fact::new(x.dtype, reduced(&x.shape, &self.axes, self.keep_dims))])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let shape = &eval.outputs[0].shape;
        if x.dtype().is_float() {
            let y = Lanes::along(x, &self.axes)?.fold(|lane: &[f32]| self.function.of_reals(lane))?;
            return Ok(vec![Tensor::new(shape, y)?]);
        }
        let wide = Lanes::along(&x.cast(DType::I64), &self.axes)?;
        let y = wide.fold(|lane: &[i64]| self.function.of_integers(lane).unwrap_or_default())?;
        Ok(vec![Tensor::new(shape, y)?.cast(x.dtype())])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: inputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate, tensor};

    fn of(function: ReduceFunction, axes: &[usize], x: &Tensor) -> Tensor {
        evaluate(Reduce { function, axes: axes.to_vec(), keep_dims: false }, &[x]).unwrap()
    }

    #[test]
    fn functions_by_hand() {
        let x = tensor(&[2, 2], &[3.0, -4.0, 1.0, 2.0]);
        let expect = |function, want: [f32; 2]| assert_eq!(of(function, &[1], &x).to_f32(), want, "{function:?}");
        expect(ReduceFunction::Mean, [-0.5, 1.5]);
        expect(ReduceFunction::Sum, [-1.0, 3.0]);
        expect(ReduceFunction::Max, [3.0, 2.0]);
        expect(ReduceFunction::Min, [-4.0, 1.0]);
        expect(ReduceFunction::Prod, [-12.0, 2.0]);
        expect(ReduceFunction::L1, [7.0, 3.0]);
        expect(ReduceFunction::L2, [5.0, 5f32.sqrt()]);
        expect(ReduceFunction::SumSquare, [25.0, 5.0]);
        expect(ReduceFunction::LogSumExp, [3.000_911_5, 2.313_261_7]);
    }

    #[test]
    fn axes_in_the_middle_and_all_of_them() {
        let x = counting(&[2, 3, 2]);
        assert_eq!(of(ReduceFunction::Sum, &[1], &x), tensor(&[2, 2], &[9.0, 12.0, 27.0, 30.0]));
        assert_eq!(of(ReduceFunction::Sum, &[0, 2], &x), tensor(&[3], &[18.0, 26.0, 34.0]));
        assert_eq!(of(ReduceFunction::Mean, &[0, 1, 2], &x), Tensor::scalar(6.5f32));
        assert_eq!(of(ReduceFunction::Max, &[], &x), x);
        let kept = Reduce { function: ReduceFunction::Mean, axes: vec![1, 2], keep_dims: true };
        assert_eq!(evaluate(kept, &[x]), Ok(tensor(&[2, 1, 1], &[3.5, 9.5])));
    }

    #[test]
    fn nothing_to_reduce_gives_the_neutral_element() {
        let empty = tensor(&[2, 0], &[]);
        assert_eq!(of(ReduceFunction::Sum, &[1], &empty).to_f32(), [0.0, 0.0]);
        assert_eq!(of(ReduceFunction::Prod, &[1], &empty).to_f32(), [1.0, 1.0]);
        assert_eq!(of(ReduceFunction::Max, &[1], &empty).to_f32(), [f32::NEG_INFINITY; 2]);
        assert_eq!(of(ReduceFunction::LogSumExp, &[1], &empty).to_f32(), [f32::NEG_INFINITY; 2]);
    }

    #[test]
    fn nan_is_the_largest_and_the_smallest() {
        for values in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [1.0, 2.0, f32::NAN]] {
            for function in [ReduceFunction::Max, ReduceFunction::Min, ReduceFunction::LogSumExp] {
                assert!(of(function, &[0], &tensor(&[3], &values)).to_f32()[0].is_nan(), "{function:?} {values:?}");
            }
        }
    }

    #[test]
    fn integers_are_exact() {
        let x = Tensor::new(&[3], vec![1i64 << 53, 1, -1]).unwrap();
        assert_eq!(of(ReduceFunction::Sum, &[0], &x), Tensor::scalar(1i64 << 53));
        assert_eq!(of(ReduceFunction::Max, &[0], &x), Tensor::scalar(1i64 << 53));
        let mean = Reduce { function: ReduceFunction::Mean, axes: vec![0], keep_dims: false };
        assert!(evaluate(mean, &[x]).is_err());
    }
}

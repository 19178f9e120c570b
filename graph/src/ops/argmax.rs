//! y = the index of the largest element along an axis.
//! <https://onnx.ai/onnx/operators/onnx__ArgMax.html>

use super::lanes::Lanes;
use super::{Cost, Eval, OpError, Operator, Spec, axis, reduce};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Where the largest is. Input: x; output: i64. A NaN counts as the largest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgMax {
    /// The axis.
    pub axis: usize,
    /// True if it stays with extent 1.
    pub keep_dims: bool,
    /// Of several equal ones: true for the last, false for the first.
    pub select_last: bool,
}

impl ArgMax {
    /// Reads ONNX's `ArgMax`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let axis = axis::attribute(node, "axis", 0, build.graph().fact(x).rank())?;
        let keep_dims = node.int("keepdims")?.unwrap_or(1) != 0;
        let select_last = node.flag("select_last_index")?;
        build.add(node, ArgMax { axis, keep_dims, select_last }.into(), &[x])
    }

    fn index<T: PartialOrd + Copy>(&self, lane: &[T]) -> i64 {
        // A NaN is the one value that does not equal itself.
        let nan = |v: T| v.partial_cmp(&v).is_none();
        let mut best = 0;
        for (i, &v) in lane.iter().enumerate().skip(1) {
            let equal = v == lane[best] || nan(v) && nan(lane[best]);
            let larger = v > lane[best] || nan(v) && !nan(lane[best]);
            if larger || self.select_last && equal {
                best = i;
            }
        }
        best as i64
    }
}

impl Operator for ArgMax {
    fn name(&self) -> &'static str {
        "ArgMax"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = vec![("axis", self.axis.to_string())];
        if !self.keep_dims {
            out.push(("keep_dims", "false".to_owned()));
        }
        if self.select_last {
            out.push(("select_last", "true".to_owned()));
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if x.dtype == DType::Bool {
            return Err(OpError::Type { what: "x", expected: "numbers", got: x.dtype });
        }
        if x.shape.get(self.axis).is_none_or(|d| d.as_const() == Some(0)) {
            return Err(OpError::shape("x", format!("not empty along axis {}", self.axis), &x.shape));
        }
        Ok(vec![Fact::new(DType::I64, reduce::reduced(&x.shape, &[self.axis], self.keep_dims))])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let indices = if x.dtype().is_float() {
            Lanes::along(x, &[self.axis])?.fold(|lane: &[f32]| self.index(lane))?
        } else {
            Lanes::along(&x.cast(DType::I64), &[self.axis])?.fold(|lane: &[i64]| self.index(lane))?
        };
        Ok(vec![Tensor::new(&eval.outputs[0].shape, indices)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: inputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};

    fn of(select_last: bool, axis: usize, x: &Tensor) -> Vec<i64> {
        evaluate(ArgMax { axis, keep_dims: false, select_last }, &[x]).unwrap().to_i64()
    }

    #[test]
    fn ties_and_nan() {
        let x = tensor(&[2, 3], &[1.0, 5.0, 5.0, f32::NAN, 7.0, f32::NAN]);
        assert_eq!(of(false, 1, &x), [1, 0]);
        assert_eq!(of(true, 1, &x), [2, 2]);
        assert_eq!(of(false, 0, &x), [1, 1, 1]);
    }

    #[test]
    fn shapes_and_types() {
        let kept = ArgMax { axis: 0, keep_dims: true, select_last: false };
        let big = Tensor::new(&[2, 1], vec![1i64 << 53, (1 << 53) + 1]).unwrap();
        let y = evaluate(kept.clone(), &[big]).unwrap();
        assert_eq!((y.shape(), y.to_i64()), (&[1, 1][..], vec![1]));
        assert!(evaluate(kept.clone(), &[tensor(&[0, 2], &[])]).is_err());
        assert!(evaluate(kept, &[Tensor::scalar(1f32)]).is_err());
    }
}

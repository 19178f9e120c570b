//! Values that come from the file or from a formula: `Constant`, `ConstantOfShape`, `Range`.
//! <https://onnx.ai/onnx/operators/onnx__Constant.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html>, <https://onnx.ai/onnx/operators/onnx__Range.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Reads ONNX's `Constant`, which becomes a constant of the graph rather than a node.
pub(super) fn constant_from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
    let vector = |len: usize| vec![len];
    let tensor = if let Some(tensor) = node.tensor("value")? {
        tensor
    } else if let Some(value) = node.float("value_float")? {
        Tensor::scalar(value)
    } else if let Some(value) = node.int("value_int")? {
        Tensor::scalar(value)
    } else if let Some(values) = node.floats("value_floats")? {
        Tensor::new(&vector(values.len()), values).map_err(|e| node.error(e.into()))?
    } else if let Some(values) = node.ints("value_ints")? {
        Tensor::new(&vector(values.len()), values).map_err(|e| node.error(e.into()))?
    } else {
        let expected = "given, or value_float, value_floats, value_int or value_ints";
        return Err(node.bad_attribute("value", expected, "text, a sparse tensor or nothing"));
    };
    Ok(vec![build.constant(node, tensor)])
}

/// One value everywhere. No inputs: the shape, an input in ONNX, is settled at import, symbols kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstantOfShape {
    /// The shape.
    pub shape: Vec<Dim>,
    /// The element type.
    pub dtype: DType,
    /// The value; of integers, a whole number.
    pub value: f32,
}

impl ConstantOfShape {
    /// Reads ONNX's `ConstantOfShape`; without a value it is 0 as f32.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let shape = build.extents_input(node, node.input(0)?, "input")?;
        let value = node.tensor("value")?.unwrap_or_else(|| Tensor::scalar(0f32));
        let real = match value.to_f32()[..] {
            [one] => one,
            _ => return Err(node.bad_attribute("value", "one element", format!("{:?}", value.shape()))),
        };
        if !value.dtype().is_float() && value.to_i64() != [real as i64] {
            return Err(node.bad_attribute("value", "exact as f32", format!("{:?}", value.to_i64())));
        }
        build.add(node, ConstantOfShape { shape, dtype: value.dtype(), value: real }.into(), &[])
    }
}

impl Operator for ConstantOfShape {
    fn name(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("shape", axis::list(&self.shape)), ("value", self.value.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        OpError::exactly::<0>(inputs)?;
        let shape = Shape::new(self.shape.clone());
        if shape.iter().any(|d| d.as_const().is_some_and(|d| d < 0)) {
            return Err(OpError::shape("the shape", "without negative extents", &shape));
        }
        Ok(vec![Fact::new(self.dtype, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let shape = &eval.outputs[0].shape;
        let len = movement::volume(shape, DType::F32)?;
        let filled = Tensor::new(shape, vec![self.value; len])?;
        Ok(vec![if self.dtype.is_float() { filled } else { filled.cast(self.dtype) }])
    }

    fn cost(&self, _inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(&[], outputs) }
    }

    fn shape_arithmetic(&self, _inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let shape: Option<Vec<usize>> = self.shape.iter().map(Dim::as_usize).collect();
        let shape = shape?;
        let len = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|n| *n <= ShapeValue::LARGEST)?;
        let whole = self.value.fract() == 0.0;
        whole.then(|| ShapeValue {
            shape,
            elements: vec![Dim::from(self.value as i64); len],
            real: self.dtype.is_float(),
        })
    }
}

/// start, start + step, start + 2·step, … as integers. No inputs: all is settled at import, symbols kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first number.
    pub start: i64,
    /// The distance from one to the next.
    pub step: i64,
    /// How many there are.
    pub count: Dim,
    /// The integer type.
    pub dtype: DType,
}

impl Range {
    /// Reads ONNX's `Range`; one of reals must be known throughout and becomes a constant.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let [start, limit, step] = [node.input(0)?, node.input(1)?, node.input(2)?];
        let dtype = build.graph().fact(start).dtype;
        if dtype.is_float() {
            let [start, limit, step] = [(start, "start"), (limit, "limit"), (step, "delta")]
                .map(|(v, what)| build.constant_input(node, v, what));
            let tensor = Self::reals(&start?, &limit?, &step?).map_err(|e| node.error(e))?;
            return Ok(vec![build.constant(node, tensor.cast(dtype))]);
        }
        let one = |value: ValueId, what: &'static str| {
            let extents = build.extents_input(node, value, what)?;
            extents.into_iter().next().ok_or_else(|| node.bad_attribute(what, "one number", "none"))
        };
        let (start, limit, step) = (one(start, "start")?, one(limit, "limit")?, one(step, "delta")?);
        let known = |dim: &Dim, what: &'static str| {
            dim.as_const().ok_or_else(|| node.error(OpError::Symbolic { what, dim: dim.clone() }))
        };
        let (first, step) = (known(&start, "the start of a range")?, known(&step, "the step of a range")?);
        if step == 0 || step.checked_abs().is_none() {
            return Err(node.bad_attribute("delta", "other than 0", step));
        }
        let span = if step > 0 { limit - start } else { start - limit };
        let count = span.ceil_div(step.abs());
        let count = if count.as_const().is_some_and(|c| c < 0) { Dim::default() } else { count };
        build.add(node, Range { start: first, step, count, dtype }.into(), &[])
    }

    fn reals(start: &Tensor, limit: &Tensor, step: &Tensor) -> Result<Tensor, OpError> {
        let (start, limit, step) = (start.to_f32(), limit.to_f32(), step.to_f32());
        let (&[start], &[limit], &[step]) = (&start[..], &limit[..], &step[..]) else {
            return Err(OpError::Tensor("start, limit and delta must be one number each".to_owned()));
        };
        let count = ((f64::from(limit) - f64::from(start)) / f64::from(step)).ceil();
        let longest = f64::from(i32::MAX);
        if count.is_nan() || count > longest {
            let got = format!("{start}, {limit} and {step}");
            return Err(OpError::Attribute { name: "limit", expected: "a count below 2^31".to_owned(), got });
        }
        let values: Vec<f32> = (0..count as usize).map(|i| start + i as f32 * step).collect();
        Ok(Tensor::new(&[values.len()], values)?)
    }
}

impl Operator for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("start", self.start.to_string()), ("step", self.step.to_string()), ("count", self.count.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        OpError::exactly::<0>(inputs)?;
        Ok(vec![Fact::new(self.dtype, Shape::new([self.count.clone()]))])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let shape = &eval.outputs[0].shape;
        let count = movement::volume(shape, DType::I64)? as i64;
        let values = (0..count).map(|i| self.start.wrapping_add(i.wrapping_mul(self.step))).collect::<Vec<i64>>();
        Ok(vec![Tensor::new(shape, values)?.cast(self.dtype)])
    }

    fn cost(&self, _inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(&[], outputs) }
    }

    fn shape_arithmetic(&self, _inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let count = self.count.as_const().filter(|c| usize::try_from(*c).is_ok_and(|c| c <= ShapeValue::LARGEST))?;
        let number = |i: i64| Dim::from(self.start.wrapping_add(i.wrapping_mul(self.step)));
        Some(ShapeValue::vector((0..count).map(number).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::evaluate;
    use crate::tensor::Symbol;

    const NONE: &[Tensor] = &[];

    #[test]
    fn filled_with_one_value() {
        let shape = |dims: &[i64]| dims.iter().map(|&d| Dim::from(d)).collect();
        let op = ConstantOfShape { shape: shape(&[2, 1]), dtype: DType::I64, value: -1.0 };
        assert_eq!(evaluate(op, NONE), Ok(Tensor::new(&[2, 1], vec![-1i64; 2]).unwrap()));
        let op = ConstantOfShape { shape: shape(&[]), dtype: DType::F32, value: 0.5 };
        assert_eq!(evaluate(op, NONE), Ok(Tensor::scalar(0.5f32)));
        let op = ConstantOfShape { shape: shape(&[0, 3]), dtype: DType::Bool, value: 1.0 };
        assert_eq!(evaluate(op, NONE).unwrap().dtype(), DType::Bool);
        let op = ConstantOfShape { shape: shape(&[-1]), dtype: DType::F32, value: 0.0 };
        assert!(evaluate(op, NONE).is_err());
    }

    #[test]
    fn numbers_in_a_row() {
        let range = |start, step, count: i64| Range { start, step, count: Dim::from(count), dtype: DType::I64 };
        assert_eq!(evaluate(range(3, -2, 3), NONE).unwrap().to_i64(), [3, 1, -1]);
        assert!(evaluate(range(0, 1, 0), NONE).unwrap().is_empty());
        let told = range(1, 2, 3).shape_arithmetic(&[]).unwrap();
        assert_eq!(told.as_consts(), Some(vec![1, 3, 5]));
        let open = Range { count: Dim::symbol(Symbol::new("T")), ..range(0, 1, 0) };
        assert_eq!(open.infer(&[]).unwrap()[0].to_string(), "i64(T)");
        assert_eq!(open.shape_arithmetic(&[]), None);
    }

    #[test]
    fn reals_in_a_row() {
        let range = |start: f32, limit: f32, step: f32| {
            Range::reals(&Tensor::scalar(start), &Tensor::scalar(limit), &Tensor::scalar(step)).map(|t| t.to_f32())
        };
        assert_eq!(range(0.0, 1.0, 0.25), Ok(vec![0.0, 0.25, 0.5, 0.75]));
        assert_eq!(range(1.0, 0.0, 0.25), Ok(vec![]));
        assert!(range(0.0, 1.0, 0.0).is_err());
        assert!(range(0.0, f32::NAN, 1.0).is_err());
        assert!(range(0.0, f32::INFINITY, 1.0).is_err());
    }
}

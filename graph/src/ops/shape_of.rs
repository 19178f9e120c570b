//! The extents of a tensor as a tensor: `Shape` as a vector, `Size` as their product.
//! <https://onnx.ai/onnx/operators/onnx__Shape.html>, <https://onnx.ai/onnx/operators/onnx__Size.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Some neighbouring extents of x, as i64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeOf {
    /// The first axis told.
    pub start: usize,
    /// The axis before which to stop; `start` at least.
    pub end: usize,
}

/// The number of x's elements, as an i64 of rank 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size;

impl ShapeOf {
    /// Reads ONNX's `Shape`; since opset 15 it may tell a part, bounds beyond the rank cut off.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let dims = build.graph().fact(x).shape.to_vec();
        let bound = |given: i64| {
            let rank = dims.len() as i64;
            let counted = if given < 0 { given.saturating_add(rank) } else { given };
            counted.clamp(0, rank) as usize
        };
        let start = bound(node.int("start")?.unwrap_or(0));
        let end = bound(node.int("end")?.unwrap_or(i64::MAX)).max(start);
        let outputs = build.add(node, ShapeOf { start, end }.into(), &[x])?;
        build.set_shape_value(outputs[0], ShapeValue::vector(dims[start..end].to_vec()));
        Ok(outputs)
    }
}

impl Size {
    /// Reads ONNX's `Size`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let volume = build.graph().fact(x).shape.volume();
        let outputs = build.add(node, Size.into(), &[x])?;
        build.set_shape_value(outputs[0], ShapeValue::scalar(volume));
        Ok(outputs)
    }
}

impl Operator for ShapeOf {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("start", self.start.to_string()), ("end", self.end.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if self.start > self.end || self.end > x.rank() {
            return Err(OpError::shape("x", format!("of rank {} at least", self.end), &x.shape));
        }
        Ok(vec![Fact::new(DType::I64, Shape::of(&[self.end - self.start]))])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let extents: Vec<i64> = eval.inputs[0].shape()[self.start..self.end].iter().map(|&d| d as i64).collect();
        Ok(vec![Tensor::new(&[extents.len()], extents)?])
    }

    fn cost(&self, _inputs: &[Spec], outputs: &[Spec]) -> Cost {
        // The elements of x are not looked at.
        Cost { flops: 0, bytes: Cost::traffic(&[], outputs) }
    }
}

impl Operator for Size {
    fn name(&self) -> &'static str {
        "Size"
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        OpError::exactly::<1>(inputs)?;
        Ok(vec![Fact::new(DType::I64, Shape::default())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![Tensor::scalar(eval.inputs[0].len() as i64)])
    }

    fn cost(&self, _inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(&[], outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};

    #[test]
    fn extents_and_their_product() {
        let x = counting(&[2, 3, 4]);
        assert_eq!(evaluate(ShapeOf { start: 0, end: 3 }, &[&x]).unwrap().to_i64(), [2, 3, 4]);
        assert_eq!(evaluate(ShapeOf { start: 1, end: 2 }, &[&x]).unwrap().to_i64(), [3]);
        assert!(evaluate(ShapeOf { start: 2, end: 2 }, &[&x]).unwrap().is_empty());
        assert!(evaluate(ShapeOf { start: 0, end: 4 }, &[&x]).is_err());
        assert_eq!(evaluate(Size, &[x]), Ok(Tensor::scalar(24i64)));
        assert_eq!(evaluate(Size, &[Tensor::scalar(0f32)]), Ok(Tensor::scalar(1i64)));
        assert_eq!(evaluate(Size, &[counting(&[3, 0])]), Ok(Tensor::scalar(0i64)));
    }
}

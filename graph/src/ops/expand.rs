//! A tensor repeated: `Expand` broadcasts it to a shape, `Tile` lays copies side by side.
//! <https://onnx.ai/onnx/operators/onnx__Expand.html>, <https://onnx.ai/onnx/operators/onnx__Tile.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, broadcast, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor, row_major_strides};
use serde::{Deserialize, Serialize};

/// A broadcast of x with a shape. Input: x; the shape, an input in ONNX, is settled at import, symbols kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expand {
    /// Extents, aligned with x's at the last axis; 1 leaves x's as it is.
    pub shape: Vec<Dim>,
}

impl Expand {
    /// Reads ONNX's `Expand`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let shape = build.extents_input(node, node.input(1)?, "shape")?;
        build.add(node, Expand { shape }.into(), &[x])
    }
}

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "Expand"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("shape", axis::list(&self.shape))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let shape = Shape::new(self.shape.clone());
        if shape.iter().any(|d| d.as_const().is_some_and(|d| d < 0)) {
            return Err(OpError::shape("the shape", "without negative extents", &shape));
        }
        Ok(vec![movement::moved(x, broadcast::infer(&[&x.shape, &shape])?)?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let shape = &eval.outputs[0].shape;
        movement::volume(shape, x.dtype())?;
        let strides = row_major_strides(x.shape());
        let new = shape.len() - x.rank();
        let offsets = |axis: usize| match axis.checked_sub(new) {
            Some(own) if x.shape()[own] != 1 => movement::along(strides[own], 0..shape[axis]),
            _ => vec![Some(0); shape[axis]],
        };
        let offsets: Vec<_> = (0..shape.len()).map(offsets).collect();
        Ok(vec![movement::gather(x, &offsets, 0.0)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let x = inputs.first().copied().flatten()?;
        match *self.shape.as_slice() {
            [] => Some(x.clone()),
            [ref len] if x.elements.len() == 1 && x.shape.len() <= 1 => {
                let len = len.as_usize().filter(|len| *len <= ShapeValue::LARGEST)?;
                let elements = vec![x.elements[0].clone(); len];
                Some(ShapeValue { real: x.real, ..ShapeValue::vector(elements) })
            }
            [ref len] if x.shape.len() == 1 && (len.as_usize()? == 1 || len.as_usize()? == x.elements.len()) => {
                Some(x.clone())
            }
            _ => None,
        }
    }
}

/// Copies of x side by side. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// How many, one number an axis.
    pub repeats: Vec<usize>,
}

impl Tile {
    /// Reads ONNX's `Tile` (opset 6 and later).
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let given = build.ints_input(node, node.input(1)?, "repeats")?;
        let repeats: Option<Vec<usize>> = given.iter().map(|&r| usize::try_from(r).ok()).collect();
        let repeats =
            repeats.ok_or_else(|| node.bad_attribute("repeats", "no negative numbers", format!("{given:?}")))?;
        build.add(node, Tile { repeats }.into(), &[x])
    }
}

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("repeats", axis::list(&self.repeats))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if x.rank() != self.repeats.len() {
            return Err(OpError::shape("x", format!("of rank {}", self.repeats.len()), &x.shape));
        }
        let dims = x.shape.iter().zip(&self.repeats).map(|(d, &r)| d.clone() * Dim::from(r));
        Ok(vec![movement::moved(x, Shape::new(dims))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        movement::volume(&eval.outputs[0].shape, x.dtype())?;
        let strides = row_major_strides(x.shape());
        let offsets = |axis: usize| {
            let extent = x.shape()[axis];
            movement::along(strides[axis], (0..extent * self.repeats[axis]).map(|i| i % extent))
        };
        let offsets: Vec<_> = (0..x.rank()).map(offsets).collect();
        Ok(vec![movement::gather(x, &offsets, 0.0)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate, tensor};

    fn expand(dims: &[i64]) -> Expand {
        Expand { shape: dims.iter().map(|&d| Dim::from(d)).collect() }
    }

    #[test]
    fn both_sides_may_stretch() {
        let x = counting(&[2, 1]);
        let y = evaluate(expand(&[2, 1, 3]), &[&x]).unwrap();
        assert_eq!(y.shape(), [2, 2, 3]);
        assert_eq!(y.to_f32(), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(evaluate(expand(&[1]), &[&x]), Ok(x.clone()));
        assert!(evaluate(expand(&[3, 1]), &[&x]).is_err());
        assert_eq!(evaluate(expand(&[2, 0]), &[x]).unwrap().shape(), [2, 0]);
        assert_eq!(evaluate(expand(&[2]), &[Tensor::scalar(4i64)]), Ok(Tensor::new(&[2], vec![4i64; 2]).unwrap()));
    }

    #[test]
    fn tiles_by_hand() {
        let y = evaluate(Tile { repeats: vec![2, 2] }, &[counting(&[1, 2])]).unwrap();
        assert_eq!(y, tensor(&[2, 4], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
        assert_eq!(evaluate(Tile { repeats: vec![0] }, &[counting(&[3])]).unwrap().len(), 0);
        assert_eq!(evaluate(Tile { repeats: vec![3] }, &[counting(&[0])]).unwrap().len(), 0);
        assert!(evaluate(Tile { repeats: vec![1] }, &[counting(&[1, 2])]).is_err());
    }
}

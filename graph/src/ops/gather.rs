//! y[…, j…, …] = x[…, indices[j…], …]: slices along an axis, picked by number.
//! <https://onnx.ai/onnx/operators/onnx__Gather.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A choice along one axis. Inputs: x, indices (integers of any rank; negative ones count from the end).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gather {
    /// The axis of x that the indices are along.
    pub axis: usize,
}

impl Gather {
    /// Reads ONNX's `Gather`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let (x, indices) = (node.input(0)?, node.input(1)?);
        let axis = axis::attribute(node, "axis", 0, build.graph().fact(x).rank())?;
        build.add(node, Gather { axis }.into(), &[x, indices])
    }
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x, indices] = OpError::exactly(inputs)?;
        if self.axis >= x.rank() {
            return Err(OpError::shape("x", format!("of rank {} at least", self.axis + 1), &x.shape));
        }
        if !matches!(indices.dtype, DType::I32 | DType::I64) {
            return Err(OpError::Type { what: "indices", expected: "i64 or i32", got: indices.dtype });
        }
        let (before, behind) = (&x.shape[..self.axis], &x.shape[self.axis + 1..]);
        let dims = before.iter().chain(indices.shape.iter()).chain(behind).cloned();
        Ok(vec![movement::moved(x, Shape::new(dims))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let extent = x.shape()[self.axis];
        let inner: usize = x.shape()[self.axis + 1..].iter().product();
        let outer: usize = x.shape()[..self.axis].iter().product();
        let picked: Option<Vec<usize>> =
            eval.inputs[1].to_i64().into_iter().map(|i| axis::resolve(i, extent)).collect();
        let picked = picked.ok_or_else(|| {
            let indices = eval.inputs[1].to_i64();
            let bad = indices.into_iter().find(|&i| axis::resolve(i, extent).is_none()).unwrap_or_default();
            OpError::Tensor(format!("index {bad} lies outside an axis of extent {extent}"))
        })?;
        let offsets =
            [movement::along(extent * inner, 0..outer), movement::along(inner, picked), movement::along(1, 0..inner)];
        Ok(vec![movement::gather(x, &offsets, 0.0)?.reshape(&eval.outputs[0].shape)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        // Of x only what is picked is read.
        Cost { flops: 0, bytes: 2 * Cost::traffic(&[], outputs) + Cost::traffic(&inputs[1..], &[]) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let &[Some(x), Some(indices)] = inputs else { return None };
        if x.shape.len() != 1 {
            return None;
        }
        let pick = |index: &i64| axis::resolve(*index, x.elements.len()).map(|i| x.elements[i].clone());
        let elements: Option<Vec<Dim>> = indices.as_consts()?.iter().map(pick).collect();
        Some(ShapeValue { shape: indices.shape.clone(), elements: elements?, real: x.real })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate, tensor};

    fn indices(shape: &[usize], values: &[i64]) -> Tensor {
        Tensor::new(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn the_indices_shape_takes_the_axis_place() {
        let x = counting(&[2, 3]);
        let y = evaluate(Gather { axis: 1 }, &[x.clone(), indices(&[2, 2], &[0, -1, 2, 1])]).unwrap();
        assert_eq!(y, tensor(&[2, 2, 2], &[1.0, 3.0, 3.0, 2.0, 4.0, 6.0, 6.0, 5.0]));
        let row = evaluate(Gather { axis: 0 }, &[x.clone(), indices(&[], &[1])]).unwrap();
        assert_eq!(row, tensor(&[3], &[4.0, 5.0, 6.0]));
        let narrow = Tensor::new(&[1], vec![-2i32]).unwrap();
        assert_eq!(evaluate(Gather { axis: 0 }, &[x.clone(), narrow]).unwrap().to_f32(), [1.0, 2.0, 3.0]);
        assert_eq!(evaluate(Gather { axis: 0 }, &[x, indices(&[0], &[])]).unwrap().shape(), [0, 3]);
    }

    #[test]
    fn indices_outside_are_named() {
        for bad in [3, -4, i64::MIN] {
            let error = evaluate(Gather { axis: 1 }, &[counting(&[2, 3]), indices(&[1], &[bad])]).unwrap_err();
            assert!(error.to_string().contains(&format!("index {bad}")), "{error}");
        }
    }
}

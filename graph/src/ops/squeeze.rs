//! Axes of extent 1 taken out and put in; the elements stay as they are.
//! <https://onnx.ai/onnx/operators/onnx__Squeeze.html>, <https://onnx.ai/onnx/operators/onnx__Unsqueeze.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Takes axes out. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Squeeze {
    /// The axes of x that go, ascending; each of extent 1.
    pub axes: Vec<usize>,
}

/// Puts axes in. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsqueeze {
    /// The axes of the output that are new, ascending.
    pub axes: Vec<usize>,
}

impl Squeeze {
    /// Reads ONNX's `Squeeze`: axes by attribute before opset 13, by input since; without them, all of extent 1.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let shape = &build.graph().fact(x).shape;
        let axes = match axis::integers(node, build, 1, "axes")? {
            Some(axes) => axis::resolve_all(node, "axes", &axes, shape.rank())?,
            None => match shape.iter().find(|d| d.as_const().is_none()) {
                // Whether a symbol is 1 only its value tells.
                Some(dim) => {
                    return Err(node.error(OpError::Symbolic { what: "an extent to squeeze", dim: dim.clone() }));
                }
                None => (0..shape.rank()).filter(|&a| shape[a].as_const() == Some(1)).collect(),
            },
        };
        build.add(node, Squeeze { axes }.into(), &[x])
    }
}

impl Unsqueeze {
    /// Reads ONNX's `Unsqueeze`: axes by attribute before opset 13, by input since.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let axes =
            axis::integers(node, build, 1, "axes")?.ok_or_else(|| node.bad_attribute("axes", "given", "nothing"))?;
        let rank = build.graph().fact(x).rank() + axes.len();
        let axes = axis::resolve_all(node, "axes", &axes, rank)?;
        build.add(node, Unsqueeze { axes }.into(), &[x])
    }
}

/// The extents without those of `axes`.
fn without<T: Clone>(shape: &[T], axes: &[usize]) -> Vec<T> {
    (0..shape.len()).filter(|a| !axes.contains(a)).map(|a| shape[a].clone()).collect()
}

/// The extents with `one` at each of `axes`, which count in the result and ascend.
fn with<T>(mut shape: Vec<T>, axes: &[usize], one: impl Fn() -> T) -> Option<Vec<T>> {
    for &axis in axes {
        if axis > shape.len() {
            return None;
        }
        shape.insert(axis, one());
    }
    Some(shape)
}

impl Operator for Squeeze {
    fn name(&self) -> &'static str {
        "Squeeze"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axes", axis::list(&self.axes))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if let Some(axis) = self.axes.iter().find(|&&a| x.shape.get(a) != Some(&Dim::from(1))) {
            return Err(OpError::shape("x", format!("of extent 1 along axis {axis}"), &x.shape));
        }
        Ok(vec![movement::moved(x, Shape::new(without(&x.shape, &self.axes)))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![eval.inputs[0].reshape(&eval.outputs[0].shape)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let x = inputs.first().copied().flatten()?;
        x.reshaped(without(&x.shape, &self.axes))
    }
}

impl Operator for Unsqueeze {
    fn name(&self) -> &'static str {
        "Unsqueeze"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axes", axis::list(&self.axes))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let dims = with(x.shape.to_vec(), &self.axes, || Dim::from(1)).ok_or_else(|| {
            let expected = format!("of a rank that has room for axes {}", axis::list(&self.axes));
            OpError::shape("x", expected, &x.shape)
        })?;
        Ok(vec![movement::moved(x, Shape::new(dims))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![eval.inputs[0].reshape(&eval.outputs[0].shape)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let x = inputs.first().copied().flatten()?;
        x.reshaped(with(x.shape.clone(), &self.axes, || 1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};
    use crate::tensor::Symbol;

    #[test]
    fn axes_go_and_come_back() {
        let x = counting(&[1, 2, 1, 3]);
        let squeezed = evaluate(Squeeze { axes: vec![0, 2] }, &[&x]).unwrap();
        assert_eq!(squeezed.shape(), [2, 3]);
        assert_eq!(evaluate(Unsqueeze { axes: vec![0, 2] }, &[squeezed]), Ok(x.clone()));
        assert!(evaluate(Squeeze { axes: vec![1] }, &[&x]).is_err());
        assert!(evaluate(Squeeze { axes: vec![4] }, &[&x]).is_err());
        assert!(evaluate(Unsqueeze { axes: vec![6] }, &[x]).is_err());
        assert_eq!(evaluate(Unsqueeze { axes: vec![0, 1] }, &[Tensor::scalar(1f32)]).unwrap().shape(), [1, 1]);
        assert_eq!(evaluate(Squeeze { axes: vec![0] }, &[counting(&[1])]).unwrap().rank(), 0);
    }

    #[test]
    fn an_extent_is_a_vector_of_one_and_back() {
        let n = ShapeValue::scalar(Dim::symbol(Symbol::new("N")));
        let vector = Unsqueeze { axes: vec![0] }.shape_arithmetic(&[Some(&n)]).unwrap();
        assert_eq!(vector, ShapeValue::vector(n.elements.clone()));
        assert_eq!(Squeeze { axes: vec![0] }.shape_arithmetic(&[Some(&vector)]), Some(n));
    }
}

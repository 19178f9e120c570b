//! The same elements, in the same order, under another shape.
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A new shape. Input: x. The target, an input in ONNX, is settled at import, symbols kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reshape {
    /// One extent an axis; one of them may be -1: whatever is left. 0 takes x's extent of the same axis.
    pub target: Vec<Dim>,
    /// 0 means an extent of 0 instead.
    pub allow_zero: bool,
}

impl Reshape {
    /// To this shape, which must hold as many elements as x does.
    pub fn to(shape: &Shape) -> Self {
        Self { target: shape.to_vec(), allow_zero: true }
    }

    /// Reads ONNX's `Reshape`; its target was an attribute before opset 5.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let target = match node.optional_input(1) {
            Some(shape) => build.extents_input(node, shape, "shape")?,
            None => node
                .ints("shape")?
                .ok_or_else(|| node.bad_attribute("shape", "given", "nothing"))?
                .into_iter()
                .map(Dim::from)
                .collect(),
        };
        build.add(node, Reshape { target, allow_zero: node.flag("allowzero")? }.into(), &[x])
    }

    /// The output's shape: 0 and -1 replaced.
    fn resolve(&self, x: &Shape) -> Result<Shape, OpError> {
        let wrong = |expected: &str| OpError::Attribute {
            name: "shape",
            expected: expected.to_owned(),
            got: Shape::new(self.target.clone()).to_string(),
        };
        let mut dims = self.target.clone();
        let mut open = None;
        for (index, dim) in dims.iter_mut().enumerate() {
            match dim.as_const() {
                Some(0) if !self.allow_zero => {
                    *dim = x.get(index).cloned().ok_or_else(|| wrong("without 0 beyond the input's rank"))?;
                }
                Some(-1) if open.replace(index).is_some() => return Err(wrong("of at most one -1")),
                Some(-1) => {}
                Some(negative) if negative < 0 => return Err(wrong("of extents, or -1")),
                _ => {}
            }
        }
        // Extents on both sides cancel first: what is left may be divided even where the whole may not.
        let mut left: Vec<Dim> = x.to_vec();
        let mut divisor = Dim::from(1);
        for dim in dims.iter().enumerate().filter(|(i, _)| Some(*i) != open).map(|(_, d)| d) {
            match left.iter().position(|own| own == dim && own.as_const() != Some(0)) {
                Some(same) => drop(left.swap_remove(same)),
                None => divisor = divisor * dim.clone(),
            }
        }
        let left = left.into_iter().fold(Dim::from(1), |product, d| product * d);
        let mismatch = || OpError::Shape {
            what: "the target",
            expected: format!("a shape of as many elements as {x}, which is {}", x.volume()),
            got: Shape::new(self.target.clone()).to_string(),
        };
        match open {
            Some(index) => dims[index] = left.exact_div(&divisor).ok_or_else(mismatch)?,
            None if left != divisor => return Err(mismatch()),
            None => {}
        }
        Ok(Shape::new(dims))
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("target", axis::list(&self.target))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        Ok(vec![movement::moved(x, self.resolve(&x.shape)?)?])
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
        let &[Some(x)] = inputs else { return None };
        let shape = self.resolve(&Shape::of(&x.shape)).ok()?.as_concrete()?;
        x.reshaped(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};
    use crate::tensor::{DType, Symbol};

    fn symbol(name: &str) -> Dim {
        Dim::symbol(Symbol::new(name))
    }

    fn shape(op: &Reshape, x: &[Dim]) -> Result<Vec<Dim>, OpError> {
        let fact = Fact::new(DType::F32, Shape::new(x.iter().cloned()));
        Ok(op.infer(&[&fact])?[0].shape.to_vec())
    }

    fn target(dims: &[i64]) -> Reshape {
        Reshape { target: dims.iter().map(|&d| Dim::from(d)).collect(), allow_zero: false }
    }

    #[test]
    fn zero_copies_and_minus_one_is_what_is_left() {
        let x = counting(&[2, 3, 4]);
        assert_eq!(evaluate(target(&[0, -1]), &[&x]).unwrap().shape(), [2, 12]);
        assert_eq!(evaluate(target(&[-1]), &[&x]).unwrap().to_f32(), x.to_f32());
        assert_eq!(evaluate(target(&[4, 0, 2, 1]), &[x]).unwrap().shape(), [4, 3, 2, 1]);
        assert_eq!(evaluate(target(&[]), &[counting(&[1, 1])]).unwrap().rank(), 0);
        assert_eq!(evaluate(target(&[1, -1]), &[Tensor::scalar(3f32)]).unwrap().shape(), [1, 1]);
    }

    #[test]
    fn empty_tensors_need_their_zeros_spelled_out() {
        let empty = Tensor::zeros(DType::F32, &[0, 3]);
        let spelled = Reshape { target: vec![Dim::from(3), Dim::from(0)], allow_zero: true };
        assert_eq!(evaluate(spelled, &[&empty]).unwrap().shape(), [3, 0]);
        assert_eq!(evaluate(target(&[0, 0]), &[&empty]).unwrap().shape(), [0, 3]);
        // Any extent would do for the -1.
        assert!(evaluate(target(&[0, -1]), &[empty]).is_err());
    }

    #[test]
    fn a_symbolic_batch_is_carried_through() {
        let x = [symbol("N"), Dim::from(8), Dim::from(7), Dim::from(7)];
        assert_eq!(shape(&target(&[0, -1]), &x), Ok(vec![symbol("N"), Dim::from(392)]));
        assert_eq!(shape(&target(&[-1, 392]), &x), Ok(vec![symbol("N"), Dim::from(392)]));
        assert_eq!(shape(&target(&[-1, 49]), &x), Ok(vec![symbol("N") * Dim::from(8), Dim::from(49)]));
        let op = Reshape { target: vec![symbol("N"), Dim::from(-1)], allow_zero: false };
        assert_eq!(shape(&op, &x), Ok(vec![symbol("N"), Dim::from(392)]));
        assert!(shape(&target(&[2, 196]), &x).is_err());
    }

    #[test]
    fn extents_that_are_sums_cancel_before_anything_is_divided() {
        let height = symbol("H").floor_div(2) + Dim::from(1);
        let x = [symbol("N"), Dim::from(6), height.clone(), symbol("W")];
        let op = Reshape { target: vec![symbol("N"), Dim::from(-1), height.clone(), symbol("W")], allow_zero: false };
        assert_eq!(shape(&op, &x).unwrap()[1], Dim::from(6));
        assert_eq!(shape(&target(&[0, 0, -1]), &x).unwrap()[2], height * symbol("W"));
    }
}

//! y[i_{p₀}, i_{p₁}, …] = x[i₀, i₁, …]: axes in another order.
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{QuantParams, Shape, Tensor, row_major_strides};
use serde::{Deserialize, Serialize};

/// A permutation of axes. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transpose {
    /// For each output axis, the input axis it is.
    pub perm: Vec<usize>,
}

impl Transpose {
    /// Reads ONNX's `Transpose`; without `perm` the axes are reversed.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let rank = build.graph().fact(x).rank();
        let perm = match node.ints("perm")? {
            Some(perm) => axis::in_order(node, "perm", &perm, rank)?,
            None => (0..rank).rev().collect(),
        };
        build.add(node, Transpose { perm }.into(), &[x])
    }

    /// `x` with its axes in the order of `perm`.
    pub(super) fn permute(x: &Tensor, perm: &[usize]) -> Result<Tensor, OpError> {
        let strides = row_major_strides(x.shape());
        let offsets: Vec<_> = perm.iter().map(|&p| movement::along(strides[p], 0..x.shape()[p])).collect();
        movement::gather(x, &offsets, 0.0)
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("perm", axis::list(&self.perm))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let is_permutation = (0..x.rank()).all(|a| self.perm.contains(&a));
        if self.perm.len() != x.rank() || !is_permutation {
            let expected = format!("a permutation of {} axes", x.rank());
            return Err(OpError::Attribute { name: "perm", expected, got: axis::list(&self.perm) });
        }
        let shape = Shape::new(self.perm.iter().map(|&p| x.shape[p].clone()));
        let follow = |q: &QuantParams| {
            let axis = q.axis.and_then(|a| self.perm.iter().position(|&p| p == a));
            QuantParams { axis, ..q.clone() }
        };
        Ok(vec![Fact { dtype: x.dtype, shape, quant: x.quant.as_ref().map(follow) }])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![Self::permute(&eval.inputs[0], &self.perm)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        // Of a vector it does nothing; extents are not held in matrices for long.
        inputs.first().copied().flatten().filter(|v| v.shape.len() <= 1).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate, tensor};
    use crate::tensor::DType;
    use proptest::prelude::*;

    #[test]
    fn rows_become_columns() {
        let y = evaluate(Transpose { perm: vec![1, 0] }, &[counting(&[2, 3])]).unwrap();
        assert_eq!(y, tensor(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        assert!(evaluate(Transpose { perm: vec![0, 0] }, &[counting(&[2, 3])]).is_err());
        assert!(evaluate(Transpose { perm: vec![0] }, &[counting(&[2, 3])]).is_err());
        assert_eq!(evaluate(Transpose { perm: vec![] }, &[Tensor::scalar(2i64)]), Ok(Tensor::scalar(2i64)));
        assert_eq!(evaluate(Transpose { perm: vec![1, 0] }, &[counting(&[0, 3])]).unwrap().shape(), [3, 0]);
    }

    #[test]
    fn scales_follow_their_axis() {
        let mut x = Fact::of(DType::I8, &[4, 2, 3]);
        x.quant = Some(QuantParams::per_axis(vec![1.0; 4], 0));
        let y = Transpose { perm: vec![2, 0, 1] }.infer(&[&x]).unwrap();
        assert_eq!(y[0].quant.as_ref().unwrap().axis, Some(1));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_identity(
            shape in proptest::collection::vec(1usize..5, 1..5),
            seed in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let perm: Vec<usize> = seed.into_iter().filter(|&a| a < shape.len()).collect();
            let back: Vec<usize> = (0..perm.len()).map(|a| perm.iter().position(|&p| p == a).unwrap()).collect();
            let x = counting(&shape);
            let there = evaluate(Transpose { perm: perm.clone() }, &[&x]).unwrap();
            let moved: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            prop_assert_eq!(there.shape(), moved);
            prop_assert_eq!(evaluate(Transpose { perm: back }, &[there]).unwrap(), x);
        }
    }
}

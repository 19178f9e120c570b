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

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        // Of a vector it does nothing; extents are not held in matrices for long.
        inputs.first().copied().flatten().filter(|v| v.shape.len() <= 1).cloned()
    }
}

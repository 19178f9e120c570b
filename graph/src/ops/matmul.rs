//! y = A·B as NumPy has it: matrices in the last two dims, the others broadcast; a vector is a row on the left
//! and a column on the right, and the dim it lacks is missing in y, too.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>
//!
//! Inputs: a (…,M,K), b (…,K,N). With a constant `b` a rule turns it into a [`Gemm`](super::Gemm), which fuses further.

use super::{Cost, Eval, OpError, Operator, Spec};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor, broadcast_shapes};
use serde::{Deserialize, Serialize};

/// A product of two tensors, such as the scores of attention.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatMul;

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [a, b] = OpError::exactly(inputs)?;
        OpError::real("a", a)?;
        OpError::real("b", b)?;
        let (Some(left), Some(right)) = (Self::as_matrices(&a.shape, true), Self::as_matrices(&b.shape, false)) else {
            return Err(OpError::shape(
                "a and b",
                "of rank 1 or more",
                if a.rank() == 0 { &a.shape } else { &b.shape },
            ));
        };
        let ((a_batch, [m, k]), (b_batch, [b_k, n])) = (left, right);
        if k != b_k {
            return Err(OpError::shape("b", format!("of {k} rows"), &b.shape));
        }
        let batch = broadcast_shapes(&[&a_batch, &b_batch])
            .ok_or_else(|| OpError::shape("b", format!("broadcastable with {}", a.shape), &b.shape))?;
        let mut dims = batch.dims().to_vec();
        dims.extend((a.rank() > 1).then_some(m));
        dims.extend((b.rank() > 1).then_some(n));
        Ok(vec![Fact::new(a.dtype, Shape::new(dims))])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let _ = eval;
        todo!("batched gemm")
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let k = inputs[0].shape.last().copied().unwrap_or(1);
        Cost { flops: 2 * (outputs[0].len() * k) as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl MatMul {
    /// The batch dims and the two of the matrix; `None` for rank 0. A vector is a row on the left, else a column.
    fn as_matrices(shape: &Shape, left: bool) -> Option<(Shape, [Dim; 2])> {
        match shape.dims() {
            [] => None,
            [only] if left => Some((Shape::default(), [Dim::from(1), only.clone()])),
            [only] => Some((Shape::default(), [only.clone(), Dim::from(1)])),
            [batch @ .., rows, columns] => Some((Shape::new(batch.iter().cloned()), [rows.clone(), columns.clone()])),
        }
    }

    /// Reads ONNX's `MatMul`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let inputs = [node.input(0)?, node.input(1)?];
        build.add(node, MatMul.into(), &inputs)
    }
}

//! y = A·B as NumPy has it: matrices in the last two dims, the others broadcast; a vector is a row on the left
//! and a column on the right, and the dim it lacks is missing in y, too.
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>
//!
//! Inputs: a (…,M,K), b (…,K,N). With a constant `b` a rule turns it into a [`Gemm`](super::Gemm), which fuses further.

use super::product::{Left, Product, Right, View};
use super::{Cost, Eval, OpError, Operator, Spec, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor, broadcast_shapes, row_major_strides};
use rayon::prelude::*;
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
        let (a, b) = (eval.inputs[0].as_slice::<f32>()?, eval.inputs[1].as_slice::<f32>()?);
        let (a_shape, b_shape, shape) = (&eval.specs[0].shape, &eval.specs[1].shape, &eval.outputs[0].shape);
        let m = if a_shape.len() > 1 { a_shape[a_shape.len() - 2] } else { 1 };
        let n = if b_shape.len() > 1 { b_shape[b_shape.len() - 1] } else { 1 };
        let k = a_shape.last().copied().unwrap_or(1);
        let batch = &shape[..shape.len() - usize::from(a_shape.len() > 1) - usize::from(b_shape.len() > 1)];
        let a_matrices = matrices(&a_shape[..a_shape.len().saturating_sub(2)], batch);
        let b_matrices = matrices(&b_shape[..b_shape.len().saturating_sub(2)], batch);
        let mut y = vec![0f32; movement::volume(shape, DType::F32)?];
        if !y.is_empty() {
            let product = Product::new();
            y.par_chunks_mut(m * n).zip(a_matrices).zip(b_matrices).try_for_each(|((y, i), j)| {
                let left = Left::Plain(View::dense(&a[i * m * k..][..m * k], m, k));
                let right = Right::Dense(View::dense(&b[j * k * n..][..k * n], k, n));
                product.multiply(&left, right, 1.0, y)
            })?;
        }
        Ok(vec![Tensor::new(shape, y)?])
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

/// Which of an operand's matrices each matrix of the broadcast `batch` is made of.
fn matrices(own: &[usize], batch: &[usize]) -> Vec<usize> {
    let offset = batch.len() - own.len();
    let strides = row_major_strides(own);
    let mut out = vec![0];
    for (axis, &extent) in batch.iter().enumerate() {
        let stride = axis.checked_sub(offset).filter(|a| own[*a] > 1).map_or(0, |a| strides[a]);
        out = out.into_iter().flat_map(|first| (0..extent).map(move |i| first + i * stride)).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;

    #[test]
    fn vectors_lose_the_dim_they_lack() {
        let (row, square) = (tensor(&[2], &[1.0, 10.0]), counting(&[2, 2]));
        assert_eq!(evaluate(MatMul, &[row.clone(), square.clone()]).unwrap(), tensor(&[2], &[31.0, 42.0]));
        assert_eq!(evaluate(MatMul, &[square, row.clone()]).unwrap(), tensor(&[2], &[21.0, 43.0]));
        assert_eq!(evaluate(MatMul, &[row.clone(), row]).unwrap(), tensor(&[], &[101.0]));
    }

    #[test]
    fn batches_broadcast_against_each_other() {
        let (a, b) = (counting(&[2, 1, 1, 1]), counting(&[3, 1, 1]));
        let y = evaluate(MatMul, &[a, b]).unwrap();
        assert_eq!(y, tensor(&[2, 3, 1, 1], &[1.0, 2.0, 3.0, 2.0, 4.0, 6.0]));
        let y = evaluate(MatMul, &[counting(&[2]), counting(&[2, 2, 1])]).unwrap();
        assert_eq!(y, tensor(&[2, 1], &[5.0, 11.0]));
    }

    #[test]
    fn mismatches_are_named() {
        let message = evaluate(MatMul, &[counting(&[2, 3]), counting(&[2, 3])]).unwrap_err().to_string();
        assert_eq!(message, "b must be of 3 rows, got (2,3)");
        let message = evaluate(MatMul, &[counting(&[2, 1, 3]), counting(&[3, 3, 1])]).unwrap_err().to_string();
        assert_eq!(message, "b must be broadcastable with (2,1,3), got (3,3,1)");
    }
}

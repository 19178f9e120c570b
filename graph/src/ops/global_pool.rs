//! y[n,c] = max or mean of x[n,c,·] over all spatial axes, which stay with extent 1.
//! <https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html>, <https://onnx.ai/onnx/operators/onnx__GlobalMaxPool.html>
//!
//! Input: x (N,C,spatial…).

use super::{Cost, Eval, OpError, Operator, PoolKind, Spec, exact};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A pool over everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalPool {
    /// Largest or mean.
    pub kind: PoolKind,
}

impl Operator for GlobalPool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "GlobalMaxPool",
            PoolKind::Average => "GlobalAveragePool",
        }
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::real_or_int8("x", x)?;
        if x.rank() < 3 {
            return Err(OpError::shape("x", "of rank 3 or more", &x.shape));
        }
        let mut y = x.clone();
        y.shape.dims_mut()[2..].fill(Dim::from(1));
        Ok(vec![y])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, output) = (&eval.inputs[0], &eval.outputs[0]);
        let plane = eval.specs[0].shape[2..].iter().product::<usize>().max(1);
        let Some(scale) = eval.specs[0].exact_scale() else {
            let y: Vec<f32> = x.as_slice::<f32>()?.par_chunks(plane).map(|plane| self.pool(plane)).collect();
            return Ok(vec![Tensor::new(&output.shape, y)?]);
        };
        let planes = x.as_slice::<i8>()?.par_chunks(plane);
        Ok(vec![match self.kind {
            PoolKind::Max => {
                let largest = |plane: &[i8]| plane.iter().copied().fold(i8::MIN, i8::max);
                exact::integers(planes.map(largest).collect(), scale, output)?
            }
            PoolKind::Average => {
                exact::check_sum(plane, exact::LARGEST_INTEGER)?;
                let sum = |plane: &[i8]| plane.iter().map(|&q| i32::from(q)).sum::<i32>() as f32;
                exact::reals_as(planes.map(|p| sum(p) * (scale / plane as f32)).collect(), output)?
            }
        }])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: inputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl GlobalPool {
    /// Summed in f64: a picture has many pixels, and an oracle should not depend on their order.
    fn pool(&self, plane: &[f32]) -> f32 {
        match self.kind {
            PoolKind::Max => plane.iter().copied().fold(f32::NEG_INFINITY, PoolKind::larger),
            PoolKind::Average => (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len() as f64) as f32,
        }
    }

    /// Reads ONNX's `GlobalMaxPool` and `GlobalAveragePool`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let kind = if node.op_type() == "GlobalMaxPool" { PoolKind::Max } else { PoolKind::Average };
        build.add(node, GlobalPool { kind }.into(), &[x])
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;

    #[test]
    fn pools_each_plane_to_one_number() {
        let x = counting(&[1, 2, 2, 2]);
        let mean = evaluate(GlobalPool { kind: PoolKind::Average }, std::slice::from_ref(&x)).unwrap();
        assert_eq!(mean, tensor(&[1, 2, 1, 1], &[2.5, 6.5]));
        let largest = evaluate(GlobalPool { kind: PoolKind::Max }, &[x]).unwrap();
        assert_eq!(largest, tensor(&[1, 2, 1, 1], &[4.0, 8.0]));
    }

    #[test]
    fn a_mean_of_many_does_not_drift() {
        // Summed in f32, any number of ones stops at 2^24.
        let x = tensor(&[1, 1, (1 << 24) + 2], &vec![1.0; (1 << 24) + 2]);
        assert_eq!(evaluate(GlobalPool { kind: PoolKind::Average }, &[x]).unwrap().to_f32(), [1.0]);
    }
}

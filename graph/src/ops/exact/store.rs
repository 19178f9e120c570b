//! How results of the exact INT8 path leave an operator: as integers of the output's scale, or real.

use super::{dequantize, quantize, requantize_all};
use crate::ops::{OpError, Spec};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// 1 / the output's scale, rounded once; `None` if the output is real.
///
/// # Errors
/// If the output is neither real nor of the exact INT8 path.
pub(in crate::ops) fn inverse_scale(output: &Spec) -> Result<Option<f32>, OpError> {
    match output.exact_scale() {
        Some(scale) => Ok(Some(1.0 / scale)),
        None if output.dtype.is_float() => Ok(None),
        None => {
            Err(OpError::Type { what: "the output", expected: "f32, f16, or i8 with one scale", got: output.dtype })
        }
    }
}

/// Reals, stored as `output` says. The interpreter rounds reals to f16 where that is asked for.
pub(in crate::ops) fn reals_as(reals: Vec<f32>, output: &Spec) -> Result<Tensor, OpError> {
    Ok(match inverse_scale(output)? {
        None => Tensor::new(&output.shape, reals)?,
        Some(inverse) => {
            let integers = reals.par_iter().with_min_len(1 << 13).map(|&x| quantize(x, inverse));
            Tensor::new(&output.shape, integers.collect::<Vec<i8>>())?
        }
    })
}

/// Integers of scale `from`, stored as `output` says.
pub(in crate::ops) fn integers(integers: Vec<i8>, from: f32, output: &Spec) -> Result<Tensor, OpError> {
    inverse_scale(output)?;
    Ok(match output.exact_scale() {
        Some(to) if to == from => Tensor::new(&output.shape, integers)?,
        Some(to) => Tensor::new(&output.shape, requantize_all(&integers, from, to))?,
        None => Tensor::new(&output.shape, dequantize(&integers, from))?,
    })
}

use crate::tensor::{DType, QuantParams, Shape};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of a value before anything runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// The element type it is stored as.
    pub dtype: DType,
    /// Its logical shape; for pictures (N,C,H,W).
    pub shape: Shape,
    /// For `I8`/`U8` values that stand for real numbers: how.
    pub quant: Option<QuantParams>,
}

impl Fact {
    /// A fact without quantization.
    pub fn new(dtype: DType, shape: Shape) -> Self {
        Self { dtype, shape, quant: None }
    }

    /// A fact of known extents.
    pub fn of(dtype: DType, dims: &[usize]) -> Self {
        Self::new(dtype, Shape::of(dims))
    }

    /// Integers of the exact INT8 path, `real = scale · q`.
    pub fn int8(scale: f32, shape: Shape) -> Self {
        Self { dtype: DType::I8, shape, quant: Some(QuantParams::per_tensor(scale)) }
    }

    /// The scale of a value on the exact INT8 path; see [`QuantParams::exact_scale`].
    pub fn exact_scale(&self) -> Option<f32> {
        self.quant.as_ref().filter(|_| self.dtype == DType::I8).and_then(QuantParams::exact_scale)
    }

    /// The rank of the shape.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

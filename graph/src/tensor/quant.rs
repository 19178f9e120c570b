use super::DType;
use serde::{Deserialize, Serialize};

/// How the integers of a quantized tensor stand for real numbers: `real = scale · (q - zero_point)`.
///
/// Per tensor when `axis` is `None` (one scale), else per slice along `axis` (one scale a slice).
/// limpid's own quantization is symmetric (`zero_points` all 0); imported Q/DQ may not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantParams {
    /// Positive and finite; one, or one per slice along `axis`.
    pub scales: Vec<f32>,
    /// Same length as `scales`.
    pub zero_points: Vec<i32>,
    /// The logical axis that scales vary along.
    pub axis: Option<usize>,
    /// `I8` or `U8`; `I32` for a bias, whose scale is the product of its operands' scales.
    pub dtype: DType,
}

impl QuantParams {
    /// Symmetric, one scale for the whole tensor.
    pub fn per_tensor(scale: f32) -> Self {
        Self { scales: vec![scale], zero_points: vec![0], axis: None, dtype: DType::I8 }
    }

    /// Symmetric, one scale for each slice along `axis`.
    pub fn per_axis(scales: Vec<f32>, axis: usize) -> Self {
        let zero_points = vec![0; scales.len()];
        Self { scales, zero_points, axis: Some(axis), dtype: DType::I8 }
    }

    /// The scale of an activation on the exact INT8 path, i8 with zero point 0 and one scale for the whole tensor;
    /// `None` for any other quantization.
    pub fn exact_scale(&self) -> Option<f32> {
        let exact = self.dtype == DType::I8 && self.axis.is_none() && self.is_symmetric();
        self.scales.first().copied().filter(|_| exact && self.scales.len() == 1)
    }

    /// True if every zero point is 0, as the exact INT8 path needs.
    pub fn is_symmetric(&self) -> bool {
        self.zero_points.iter().all(|&z| z == 0)
    }
}

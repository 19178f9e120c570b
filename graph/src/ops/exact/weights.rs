//! Weights as 8-bit integers, one scale per output channel.

use crate::tensor::{Tensor, TensorError};

/// Why weights cannot be quantized.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum WeightError {
    /// No such axis.
    #[error("weights of shape {shape:?} have no axis {axis}")]
    Axis {
        /// The weights' shape.
        shape: Vec<usize>,
        /// The axis asked for.
        axis: usize,
    },
    /// A NaN or an infinity.
    #[error("channel {channel} of the weights holds {value}, which no scale represents")]
    NotFinite {
        /// Index along the axis.
        channel: usize,
        /// The number.
        value: f32,
    },
    /// Not a tensor of f32 or f16.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Quantizes weights with one scale per slice along `axis`, the output channels: (i8 tensor, scales).
///
/// ```text
/// scale[k] = max|w[k]| / 127        q = clamp(round_half_even(w / scale[k]), -127, 127)
/// ```
///
/// Both divisions round once, in f32. -128 is not used, so that a weight and its negative have the same
/// precision. A channel of zeros has scale 1. A scale is never below f32's smallest normal number.
/// Accepts f32 and f16.
pub fn quantize_weights(weights: &Tensor, axis: usize) -> Result<(Tensor, Vec<f32>), WeightError> {
    let shape = weights.shape();
    let Some(&channels) = shape.get(axis) else {
        return Err(WeightError::Axis { shape: shape.to_vec(), axis });
    };
    if !weights.dtype().is_float() {
        return Err(TensorError::Type { actual: weights.dtype(), asked: crate::tensor::DType::F32 }.into());
    }
    let values = weights.to_f32();
    let inner: usize = shape[axis + 1..].iter().product();
    let channel_of = |index: usize| index / inner % channels;

    let mut largest = vec![0.0f32; channels];
    for (index, &value) in values.iter().enumerate() {
        let channel = channel_of(index);
        if !value.is_finite() {
            return Err(WeightError::NotFinite { channel, value });
        }
        largest[channel] = largest[channel].max(value.abs());
    }
    let scale = |max: f32| if max == 0.0 { 1.0 } else { (max / 127.0).max(f32::MIN_POSITIVE) };
    let scales: Vec<f32> = largest.into_iter().map(scale).collect();
    let quantized = |(index, value): (usize, &f32)| {
        let steps = (value / scales[channel_of(index)]).round_ties_even();
        (steps as i32).clamp(-127, 127) as i8
    };
    let integers: Vec<i8> = values.iter().enumerate().map(quantized).collect();
    Ok((Tensor::new(shape, integers)?, scales))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::new(shape, values.to_vec()).unwrap()
    }

    #[test]
    fn each_channel_has_its_scale() {
        let w = weights(&[2, 3], &[1.27, -0.635, 0.0, 0.0, 0.0, 0.0]);
        let (q, scales) = quantize_weights(&w, 0).unwrap();
        assert_eq!(scales, [1.27 / 127.0, 1.0]);
        assert_eq!(q.as_slice::<i8>().unwrap()[0], 127);
        assert_eq!(q.as_slice::<i8>().unwrap()[3..], [0, 0, 0]);
        // Along the other axis: columns (1.27, 0), (-0.635, 0), (0, 0).
        let (q, scales) = quantize_weights(&w, 1).unwrap();
        assert_eq!(scales, [1.27 / 127.0, 0.635 / 127.0, 1.0]);
        assert_eq!(q.as_slice::<i8>().unwrap(), [127, -127, 0, 0, 0, 0]);
        assert_eq!(q.shape(), [2, 3]);
    }

    #[test]
    fn what_cannot_be_weights_is_refused() {
        let w = weights(&[2, 2], &[1.0, 2.0, f32::NAN, 0.0]);
        assert!(matches!(quantize_weights(&w, 0), Err(WeightError::NotFinite { channel: 1, .. })));
        assert_eq!(quantize_weights(&w, 2), Err(WeightError::Axis { shape: vec![2, 2], axis: 2 }));
        let integers = Tensor::new(&[1], vec![3i64]).unwrap();
        assert!(matches!(quantize_weights(&integers, 0), Err(WeightError::Tensor(_))));
        let none = weights(&[0, 3], &[]);
        assert_eq!(quantize_weights(&none, 0).unwrap().1, Vec::<f32>::new());
    }

    #[test]
    fn subnormal_weights_stay_finite() {
        let tiny = f32::from_bits(5);
        let (q, scales) = quantize_weights(&weights(&[1, 2], &[tiny, -tiny]), 0).unwrap();
        assert_eq!(scales, [f32::MIN_POSITIVE]);
        assert_eq!(q.as_slice::<i8>().unwrap(), [0, 0]);
    }

    proptest! {
        #[test]
        fn errors_are_half_a_step_and_minus_128_is_unused(
            values in prop::collection::vec(-3f32..3.0, 24),
            axis in 0usize..3,
        ) {
            let (q, scales) = quantize_weights(&weights(&[2, 3, 4], &values), axis).unwrap();
            let channel = |i: usize| [i / 12, i / 4 % 3, i % 4][axis];
            for (i, (&q, &w)) in q.as_slice::<i8>().unwrap().iter().zip(&values).enumerate() {
                let scale = f64::from(scales[channel(i)]);
                prop_assert!(q >= -127);
                let error = (f64::from(q) * scale - f64::from(w)).abs();
                prop_assert!(error <= scale * (0.5 + 127.0 * 2f64.powi(-23)), "{error} {scale}");
            }
            let extreme = q.as_slice::<i8>().unwrap().iter().map(|q| q.abs()).max();
            prop_assert_eq!(extreme, Some(127));
        }
    }
}

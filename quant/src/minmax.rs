//! The largest magnitude seen: nothing saturates, and one outlier costs everyone resolution.
//!
//! TensorRT's `MinMaxCalibration`.

use crate::histogram::Histogram;

/// The largest finite |x|; 0 if there were only zeros.
pub fn threshold(histogram: &Histogram) -> f32 {
    histogram.largest()
}

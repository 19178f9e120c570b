//! The magnitude that a given share of all numbers does not exceed.
//!
//! McKinstry et al., "Discovering Low-Precision Networks Close to Full-Precision Networks for Efficient
//! Embedded Inference", 2018 (arXiv:1809.04191) use 99.99 %. Zeros count as numbers.

use crate::calibrator::Percent;
use crate::histogram::Histogram;

/// The upper edge of the first fine bin by which the share is reached, at most the largest magnitude.
///
/// `None` if zeros alone make up the share, as they may after a ReLU, or if there is nothing but zeros.
pub fn threshold(histogram: &Histogram, percent: Percent) -> Option<f32> {
    let (width, counts) = histogram.fine_bins()?;
    // A part in 10^12 less, or a product rounded up (99.9 % of 1000) would ask for one number more.
    let share = percent.get() / 100.0 * histogram.finite() as f64 * (1.0 - 1e-12);
    let mut below = histogram.zeros();
    if below as f64 >= share {
        return None;
    }
    for (bin, count) in counts.iter().enumerate() {
        below += count;
        if below as f64 >= share {
            return Some((((bin + 1) as f64 * width) as f32).min(histogram.largest()));
        }
    }
    Some(histogram.largest())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], percent: f64) -> Option<f32> {
        let mut histogram = Histogram::default();
        histogram.observe(values);
        threshold(&histogram, Percent::new(percent).unwrap())
    }

    #[test]
    fn the_share_is_met() {
        let values: Vec<f32> = (1..=1000).map(|i| i as f32).collect();
        let width = 1024.0 / crate::histogram::FINE_BINS as f32;
        for percent in [0.1, 25.0, 50.0, 99.9] {
            let expected = percent as f32 * 10.0 + width;
            assert_eq!(of(&values, percent), Some(expected), "{percent} %");
        }
        assert_eq!(of(&values, 100.0), Some(1000.0));
    }

    #[test]
    fn zeros_count() {
        let mut values = vec![0.0; 90];
        values.extend((1..=10).map(|i| i as f32));
        assert_eq!(of(&values, 90.0), None);
        let width = 16.0 / crate::histogram::FINE_BINS as f32;
        assert_eq!(of(&values, 91.0), Some(1.0 + width));
        assert_eq!(of(&[0.0, 0.0], 99.0), None);
    }
}

//! The threshold that changes numbers the least: minimal mean squared quantization error.
//!
//! Within a bin numbers are taken as uniformly distributed, and the squared error is integrated over the bin.
//! With s the scale, t = |x|/s and n the level t is rounded to (127 at most, where it saturates), the error
//! is (t - n)², and its integral from 0 has a closed form:
//!
//! ```text
//! E(t) = ∫ (u - n(u))² du  =  n/12 + (t - n)³/3        n = min(round t, 127)
//! ```
//!
//! because every whole level contributes ∫ v² dv over [-1/2, 1/2] = 1/12. Zeros are exact and cost nothing.
//! Signs are not told apart, so the level -128 that negative numbers also have is left out of account.

use crate::calibrator::LEVELS;
use crate::histogram::Histogram;
use rayon::prelude::*;

/// Candidates start at this many bins, as the entropy calibrator's do.
const FIRST: usize = 128;

/// The mean squared error of each candidate threshold, in the tensor's unit squared, thresholds ascending.
///
/// Candidates are the edges of the [`crate::histogram::BINS`] bins; errors are summed over the fine bins. The
/// mean is over all finite numbers, zeros included. Empty if there were only zeros.
pub fn curve(histogram: &Histogram) -> Vec<(f32, f64)> {
    let (Some(bins), Some((width, counts))) = (histogram.bins(), histogram.fine_bins()) else {
        return Vec::new();
    };
    let candidate = |kept: usize| {
        let threshold = ((kept as f64 * bins.width) as f32).min(f32::MAX);
        let error = squared_error(width, counts, f64::from(threshold / LEVELS));
        (threshold, error / histogram.finite() as f64)
    };
    (FIRST..=bins.used).into_par_iter().map(candidate).collect()
}

/// The sum of squared errors of the numbers in bins of `width` when quantized with `scale`.
pub fn squared_error(width: f64, counts: &[u64], scale: f64) -> f64 {
    let per_bin = scale.powi(3) / width;
    let step = width / scale;
    let (mut sum, mut before) = (0.0, 0.0);
    for (bin, &count) in counts.iter().enumerate() {
        let up_to = integral((bin + 1) as f64 * step);
        sum += count as f64 * (up_to - before);
        before = up_to;
    }
    sum * per_bin
}

/// The integral of the squared error from 0 to t, all in units of the scale.
fn integral(t: f64) -> f64 {
    // Cutting to an integer is one instruction where `round` is a call; it saturates, and 127 is the most anyway.
    let level = f64::from(((t + 0.5) as i32).min(LEVELS as i32));
    let beyond = t - level;
    level / 12.0 + beyond * beyond * beyond / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bin's numbers, quantized one by one.
    fn by_sampling(width: f64, counts: &[u64], scale: f64) -> f64 {
        const POINTS: u32 = 1000;
        let error = |x: f64| (x - (x / scale).round().min(127.0) * scale).powi(2);
        let bin = |k: usize| -> f64 {
            let points = (0..POINTS).map(|p| error((k as f64 + (f64::from(p) + 0.5) / f64::from(POINTS)) * width));
            points.sum::<f64>() / f64::from(POINTS)
        };
        counts.iter().enumerate().map(|(k, &c)| c as f64 * bin(k)).sum()
    }

    #[test]
    fn the_closed_form_is_the_integral() {
        let counts: Vec<u64> = (0..400).map(|k| (k * 7919) % 13).collect();
        for scale in [0.013, 0.2, 1.0, 2.5, 3.2] {
            let (exact, sampled) = (squared_error(0.5, &counts, scale), by_sampling(0.5, &counts, scale));
            assert!((exact / sampled - 1.0).abs() < 1e-3, "scale {scale}: {exact} {sampled}");
        }
    }

    #[test]
    fn uniform_numbers_keep_their_range() {
        let mut histogram = Histogram::default();
        histogram.observe(&(1..=200_000).map(|i| i as f32 / 200_000.0).collect::<Vec<_>>());
        let curve = curve(&histogram);
        let best = curve.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!(best.0 > 0.98, "{best:?}");
        // The classical figure: a uniform error within a step has variance scale²/12.
        let scale = f64::from(best.0) / 127.0;
        assert!((best.1 / (scale * scale / 12.0) - 1.0).abs() < 0.02, "{best:?}");
    }
}

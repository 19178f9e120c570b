//! What quantization at a threshold does to a tensor: the numbers of a table, the points of a plot.

use crate::calibrate::Calibration;
use crate::calibrator::Threshold;
use crate::histogram::{BINS, Histogram};
use crate::mse;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One tensor's line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Finite numbers seen.
    pub seen: u64,
    /// Zeros among them.
    pub zeros: u64,
    /// NaNs, not among them.
    pub nan: u64,
    /// Infinities, not among them.
    pub infinite: u64,
    /// The lowest finite number, or 0 if none is negative.
    pub lowest: f32,
    /// The highest finite number, or 0 if none is positive.
    pub highest: f32,
    /// The share of the finite numbers whose magnitude is beyond the threshold, to within a fine bin.
    pub saturated: f64,
    /// Signal to quantization noise, 10·log10(Σx² / Σ(x - x̂)²), in dB; `None` if all was zero.
    pub sqnr_db: Option<f64>,
    /// The bin, of [`BINS`], that the threshold ends in.
    pub bin: usize,
}

impl Summary {
    /// Describes `histogram` quantized with `threshold`.
    ///
    /// Errors are integrated over fine bins in which numbers are taken as uniformly distributed; see
    /// [`mse::squared_error`].
    pub fn new(histogram: &Histogram, threshold: &Threshold) -> Self {
        let mut summary = Self {
            seen: histogram.finite(),
            zeros: histogram.zeros(),
            nan: histogram.nan(),
            infinite: histogram.infinite(),
            lowest: histogram.lowest(),
            highest: histogram.highest(),
            saturated: 0.0,
            sqnr_db: None,
            bin: 0,
        };
        if let (Some((width, counts)), Some(bins)) = (histogram.fine_bins(), histogram.bins()) {
            let value = f64::from(threshold.value);
            // The bin that the threshold lies in is not counted: its numbers round to 127 anyway.
            let first_beyond = (value / width) as usize + 1;
            let beyond: u64 = counts.iter().skip(first_beyond).sum();
            summary.saturated = beyond as f64 / summary.seen as f64;
            let noise = mse::squared_error(width, counts, f64::from(threshold.scale()));
            summary.sqnr_db = Some(10.0 * (power(width, counts) / noise).log10());
            summary.bin = ((value / bins.width) as usize).min(BINS - 1);
        }
        summary
    }

    /// The largest finite magnitude.
    pub fn largest(&self) -> f32 {
        self.highest.max(-self.lowest)
    }
}

/// The sum of squares of the numbers in bins of `width`, uniformly distributed within each.
fn power(width: f64, counts: &[u64]) -> f64 {
    let square = |k: f64| k * k + k + 1.0 / 3.0;
    let sum: f64 = counts.iter().enumerate().map(|(k, &count)| count as f64 * square(k as f64)).sum();
    sum * width * width
}

/// The table as CSV, one tensor a line, in the order of names.
pub fn table_csv(calibration: &Calibration) -> String {
    let mut text = "name,largest,threshold,scale,bin,saturated,sqnr_db,seen,zeros,nan,infinite,notes\n".to_owned();
    for (name, value) in &calibration.values {
        let s = &value.summary;
        let sqnr = s.sqnr_db.map_or_else(String::new, |db| format!("{db:.2}"));
        let notes: Vec<String> = value.threshold.notes.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{},{},{},{},{},{:e},{sqnr},{},{},{},{},{}",
            quoted(name),
            s.largest(),
            value.threshold.value,
            value.scale,
            s.bin,
            s.saturated,
            s.seen,
            s.zeros,
            s.nan,
            s.infinite,
            quoted(&notes.join("; ")),
        );
    }
    text
}

/// A tensor's curve as CSV: threshold, and what the calibrator minimizes. `None` if it does not search.
pub fn curve_csv(threshold: &Threshold) -> Option<String> {
    let mut text = "threshold,cost\n".to_owned();
    for (threshold, cost) in threshold.curve.as_ref()? {
        let _ = writeln!(text, "{threshold},{cost:e}");
    }
    Some(text)
}

/// A CSV field (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrator::Calibrator;
    use crate::exact;

    /// Numbers without structure in (-1, 1)³, denser near 0.
    fn numbers(count: u32) -> Vec<f32> {
        (0..count).map(|i| (i.wrapping_mul(2_654_435_761) as f32 / 2f32.powi(31) - 1.0).powi(3) * 4.0).collect()
    }

    #[test]
    fn the_summary_is_what_quantizing_does() {
        let values = numbers(200_000);
        let mut histogram = Histogram::default();
        histogram.observe(&values);
        let thresholds = ["entropy", "percentile:99", "mse", "minmax"].map(|c| c.parse::<Calibrator>().unwrap());
        for threshold in thresholds.map(|c| c.threshold(&histogram).unwrap()) {
            let summary = Summary::new(&histogram, &threshold);
            let scale = threshold.scale();
            let back = exact::dequantize(&exact::quantize_all(&values, scale), scale);
            let square = |x: f64| x * x;
            let signal: f64 = values.iter().map(|&x| square(x.into())).sum();
            // The level -128 is left out of account by the summary, so it is here.
            let clamped = back.iter().map(|b| b.max(-127.0 * scale));
            let noise: f64 = values.iter().zip(clamped).map(|(&x, b)| square(f64::from(x) - f64::from(b))).sum();
            let db = 10.0 * (signal / noise).log10();
            assert!((summary.sqnr_db.unwrap() - db).abs() < 0.05, "{summary:?} {db}");
            let beyond = values.iter().filter(|x| x.abs() > threshold.value).count() as f64 / values.len() as f64;
            assert!((summary.saturated - beyond).abs() < 1e-3, "{summary:?} {beyond}");
        }
    }

    #[test]
    fn zeros_have_no_ratio() {
        let mut histogram = Histogram::default();
        histogram.observe(&[0.0; 5]);
        let summary = Summary::new(&histogram, &Calibrator::Entropy.threshold(&histogram).unwrap());
        assert_eq!((summary.sqnr_db, summary.saturated, summary.seen, summary.zeros), (None, 0.0, 5, 5));
    }

    #[test]
    fn fields_are_quoted_where_they_must() {
        assert_eq!(quoted("a b:c"), "a b:c");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}

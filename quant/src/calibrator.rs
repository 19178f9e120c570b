//! The choice between calibrators, and what each of them answers.

use crate::histogram::Histogram;
use crate::{entropy, minmax, mse, percentile};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The largest quantized magnitude; with it, `scale = threshold / 127`.
pub const LEVELS: f32 = 127.0;

/// The threshold of a tensor that is zero everywhere: every scale represents it exactly, this one is not 0.
pub const ALL_ZERO_THRESHOLD: f32 = 1.0;

/// How the magnitude is found beyond which activations saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Calibrator {
    /// Least Kullback-Leibler divergence, see [`entropy`].
    #[default]
    Entropy,
    /// The magnitude that this share of all numbers does not exceed, see [`percentile`].
    Percentile(Percent),
    /// Least squared error, see [`mse`].
    Mse,
    /// The largest magnitude: nothing saturates, see [`minmax`].
    MinMax,
}

/// A percentage above 0 and up to 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Percent(f64);

impl Percent {
    /// `None` outside of (0, 100].
    pub fn new(percent: f64) -> Option<Self> {
        (percent > 0.0 && percent <= 100.0).then_some(Self(percent))
    }

    /// The number, in (0, 100].
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Default for Percent {
    fn default() -> Self {
        Self(99.99)
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> f64 {
        percent.0
    }
}

impl TryFrom<f64> for Percent {
    type Error = String;
    fn try_from(percent: f64) -> Result<Self, String> {
        Self::new(percent).ok_or_else(|| format!("{percent} is no percentage above 0 and up to 100"))
    }
}

/// What a calibrator found for one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The magnitude that becomes 127; positive and finite.
    pub value: f32,
    /// Every candidate with what it would have cost: nats for entropy, mean squared error for mse.
    /// `None` for calibrators that do not search.
    pub curve: Option<Vec<(f32, f64)>>,
    /// What a reader should know before trusting it.
    pub notes: Vec<Note>,
}

/// Something out of the ordinary about a tensor's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Note {
    /// Every finite number was 0.
    AllZero,
    /// The percentile asked for is 0, which is no threshold; the largest magnitude is taken instead.
    PercentileIsZero,
    /// NaNs and infinities were seen; they were left out.
    NotFinite {
        /// How many NaNs.
        nan: u64,
        /// How many infinities.
        infinite: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::AllZero => write!(f, "all zero; threshold {ALL_ZERO_THRESHOLD} by definition"),
            Note::PercentileIsZero => f.write_str("the percentile is 0; the largest magnitude is taken instead"),
            Note::NotFinite { nan, infinite } => write!(f, "{nan} NaN and {infinite} infinite numbers left out"),
        }
    }
}

/// Why there is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// Nothing was seen.
    #[error("no number was seen")]
    Empty,
    /// Nothing finite was seen.
    #[error("none of its numbers is finite: {nan} NaN, {infinite} infinite")]
    NothingFinite {
        /// How many NaNs.
        nan: u64,
        /// How many infinities.
        infinite: u64,
    },
}

impl Calibrator {
    /// The threshold of a tensor whose numbers `histogram` has counted.
    pub fn threshold(self, histogram: &Histogram) -> Result<Threshold, ThresholdError> {
        let (nan, infinite) = (histogram.nan(), histogram.infinite());
        let notes = if nan + infinite > 0 { vec![Note::NotFinite { nan, infinite }] } else { Vec::new() };
        let Some(bins) = histogram.bins() else {
            return match (histogram.zeros(), nan + infinite) {
                (0, 0) => Err(ThresholdError::Empty),
                (0, _) => Err(ThresholdError::NothingFinite { nan, infinite }),
                _ => Ok(Threshold::plain(ALL_ZERO_THRESHOLD, notes).with(Note::AllZero)),
            };
        };
        Ok(match self {
            Calibrator::Entropy => Threshold::least(entropy::curve(&bins), entropy::TIE, notes),
            Calibrator::Mse => Threshold::least(mse::curve(histogram), 0.0, notes),
            Calibrator::MinMax => Threshold::plain(minmax::threshold(histogram), notes),
            Calibrator::Percentile(percent) => match percentile::threshold(histogram, percent) {
                Some(value) => Threshold::plain(value, notes),
                None => Threshold::plain(minmax::threshold(histogram), notes).with(Note::PercentileIsZero),
            },
        })
    }

    /// The name on the command line, without parameters.
    pub const fn name(self) -> &'static str {
        match self {
            Calibrator::Entropy => "entropy",
            Calibrator::Percentile(_) => "percentile",
            Calibrator::Mse => "mse",
            Calibrator::MinMax => "minmax",
        }
    }
}

impl Threshold {
    /// The scale of the quantized tensor; never below the smallest normal number, so that 1/scale is finite.
    pub fn scale(&self) -> f32 {
        (self.value / LEVELS).max(f32::MIN_POSITIVE)
    }

    fn plain(value: f32, notes: Vec<Note>) -> Self {
        Self { value, curve: None, notes }
    }

    fn with(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// The candidate that costs least. Of those within `tie` of it the largest: it saturates fewer numbers.
    ///
    /// There always is one, as the last candidate keeps every bin.
    fn least(curve: Vec<(f32, f64)>, tie: f64, notes: Vec<Note>) -> Self {
        let least = curve.iter().fold(f64::INFINITY, |least, &(_, cost)| least.min(cost));
        let value = curve.iter().rev().find(|(_, cost)| *cost <= least + tie).map_or(ALL_ZERO_THRESHOLD, |c| c.0);
        Self { value, curve: Some(curve), notes }
    }
}

impl fmt::Display for Calibrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Calibrator::Percentile(percent) => write!(f, "percentile:{}", percent.get()),
            other => f.pad(other.name()),
        }
    }
}

/// The text names no calibrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no calibrator; use entropy, percentile, percentile:P with 0 < P <= 100, mse or minmax")]
pub struct UnknownCalibrator(String);

impl FromStr for Calibrator {
    type Err = UnknownCalibrator;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let percent = text.strip_prefix("percentile:").map(|p| p.parse().ok().and_then(Percent::new));
        match (text, percent) {
            (_, Some(Some(percent))) => Ok(Calibrator::Percentile(percent)),
            ("entropy", _) => Ok(Calibrator::Entropy),
            ("percentile", _) => Ok(Calibrator::Percentile(Percent::default())),
            ("mse", _) => Ok(Calibrator::Mse),
            ("minmax", _) => Ok(Calibrator::MinMax),
            _ => Err(UnknownCalibrator(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 5] = ["entropy", "percentile:99.99", "percentile:50", "mse", "minmax"];

    fn histogram(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.observe(values);
        histogram
    }

    #[test]
    fn names_are_read_back() {
        for name in ALL {
            assert_eq!(name.parse::<Calibrator>().unwrap().to_string(), name);
        }
        assert_eq!("percentile".parse::<Calibrator>().unwrap().to_string(), "percentile:99.99");
        for wrong in ["", "Entropy", "percentile:", "percentile:0", "percentile:101", "percentile:NaN", "kl"] {
            assert_eq!(wrong.parse::<Calibrator>(), Err(UnknownCalibrator(wrong.to_owned())));
        }
    }

    #[test]
    fn zeros_have_a_threshold_and_nothing_has_none() {
        for calibrator in ALL.map(|name| name.parse::<Calibrator>().unwrap()) {
            let zeros = calibrator.threshold(&histogram(&[0.0, -0.0])).unwrap();
            assert_eq!((zeros.value, zeros.notes), (1.0, vec![Note::AllZero]), "{calibrator}");
            assert_eq!(calibrator.threshold(&histogram(&[])), Err(ThresholdError::Empty));
            let error = calibrator.threshold(&histogram(&[f32::NAN, f32::INFINITY]));
            assert_eq!(error, Err(ThresholdError::NothingFinite { nan: 1, infinite: 1 }));
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out_and_told() {
        for calibrator in ALL.map(|name| name.parse::<Calibrator>().unwrap()) {
            let clean = calibrator.threshold(&histogram(&[1.0, 2.0, 3.0])).unwrap();
            let dirty = calibrator.threshold(&histogram(&[1.0, f32::NAN, 2.0, f32::NEG_INFINITY, 3.0])).unwrap();
            assert_eq!(dirty.value, clean.value, "{calibrator}");
            assert_eq!(dirty.notes, [Note::NotFinite { nan: 1, infinite: 1 }]);
        }
    }

    #[test]
    fn the_smallest_numbers_have_a_usable_scale() {
        for calibrator in ALL.map(|name| name.parse::<Calibrator>().unwrap()) {
            let threshold = calibrator.threshold(&histogram(&[f32::from_bits(3); 9])).unwrap();
            assert!((1.0 / threshold.scale()).is_finite(), "{calibrator}");
            let threshold = calibrator.threshold(&histogram(&[f32::MAX; 9])).unwrap();
            assert!(threshold.value.is_finite() && threshold.scale() > 0.0, "{calibrator}");
        }
    }
}

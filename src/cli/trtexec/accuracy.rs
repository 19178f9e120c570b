//! `--loadRefOutputs`: how far outputs are from those that were expected.

use super::log::Log;
use super::options::{Accuracy, InferenceOptions};
use std::io;

impl Accuracy {
    fn name(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::LInf => "LInf",
            Self::Cosine => "CosineSimilarity",
        }
    }

    /// The loss of `got` against `expected`, as many and at least one; 0 is none. NaN where only one of two is NaN counts
    /// as infinitely far.
    fn loss(self, got: &[f32], expected: &[f32], inference: &InferenceOptions) -> f64 {
        let pairs = || got.iter().zip(expected).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let error = |(a, b): (f64, f64)| match (a.is_nan(), b.is_nan()) {
            (true, true) => 0.0,
            (false, false) if a == b => 0.0,
            (false, false) => (a - b).abs(),
            _ => f64::INFINITY,
        };
        let count = got.len() as f64;
        match self {
            Self::L0 => {
                let (absolute, relative) = (inference.absolute_tolerance, inference.relative_tolerance);
                pairs().filter(|&(a, b)| error((a, b)) > absolute + relative * b.abs()).count() as f64 / count
            }
            Self::L1 => pairs().map(error).sum::<f64>() / count,
            Self::L2 => pairs().map(|pair| error(pair).powi(2)).sum::<f64>() / count,
            Self::LInf => pairs().map(error).fold(0.0, f64::max),
            Self::Cosine => {
                let dot = |f: fn((f64, f64)) -> f64| pairs().map(f).sum::<f64>();
                let (ab, aa, bb) = (dot(|(a, b)| a * b), dot(|(a, _)| a * a), dot(|(_, b)| b * b));
                // Of two zero vectors neither points anywhere else than the other.
                if aa == 0.0 && bb == 0.0 { 0.0 } else { 1.0 - ab / (aa.sqrt() * bb.sqrt()) }
            }
        }
    }
}

/// Tells the loss of an output; false if it reaches the threshold.
pub(super) fn judge(
    name: &str,
    got: &[f32],
    expected: &[f32],
    inference: &InferenceOptions,
    log: &Log,
) -> io::Result<bool> {
    let loss = inference.accuracy.loss(got, expected, inference);
    let algorithm = inference.accuracy.name();
    let threshold = inference.accuracy_threshold.unwrap_or(f64::INFINITY);
    // NaN is below no threshold.
    let passed = loss < threshold;
    let verdict = if passed { String::new() } else { format!(" [FAIL: >= threshold {threshold}]") };
    log.info(format_args!("Accuracy loss for tensor {name} ({algorithm}): {loss:.6}{verdict}"))?;
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(accuracy: Accuracy, got: &[f32], expected: &[f32]) -> f64 {
        accuracy.loss(got, expected, &InferenceOptions::default())
    }

    #[test]
    fn losses_are_those_of_trtexec() {
        let (got, expected) = ([1.0, 2.0, 3.5, 4.0], [1.0, 2.0, 3.0, 5.0]);
        assert_eq!(loss(Accuracy::L0, &got, &expected), 0.5);
        assert_eq!(loss(Accuracy::L1, &got, &expected), 0.375);
        assert_eq!(loss(Accuracy::L2, &got, &expected), 0.3125);
        assert_eq!(loss(Accuracy::LInf, &got, &expected), 1.0);
        let cosine = loss(Accuracy::Cosine, &[1.0, 0.0], &[1.0, 1.0]);
        assert!((cosine - (1.0 - 0.5f64.sqrt())).abs() < 1e-12);
        for accuracy in [Accuracy::L0, Accuracy::L1, Accuracy::L2, Accuracy::LInf] {
            assert_eq!(loss(accuracy, &expected, &expected), 0.0);
        }
        assert_eq!(loss(Accuracy::Cosine, &[0.0; 3], &[0.0; 3]), 0.0);
    }

    #[test]
    fn what_is_no_number_is_infinitely_far() {
        assert_eq!(loss(Accuracy::L0, &[f32::NAN, 1.0], &[1.0, 1.0]), 0.5);
        assert_eq!(loss(Accuracy::LInf, &[f32::NAN], &[f32::NAN]), 0.0);
        assert_eq!(loss(Accuracy::L1, &[1.0], &[f32::NAN]), f64::INFINITY);
        assert_eq!(loss(Accuracy::LInf, &[f32::INFINITY], &[f32::INFINITY]), 0.0);
        let log = Log::new(false);
        let inference = InferenceOptions { accuracy_threshold: Some(0.5), ..InferenceOptions::default() };
        assert!(judge("y", &[1.0], &[1.0], &inference, &log).expect("output"));
        assert!(!judge("y", &[f32::NAN, f32::NAN], &[1.0, 1.0], &inference, &log).expect("output"));
        let cosine = InferenceOptions { accuracy: Accuracy::Cosine, ..inference };
        assert!(!judge("y", &[f32::NAN], &[1.0], &cosine, &log).expect("output"));
    }
}

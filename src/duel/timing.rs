use serde::{Deserialize, Serialize};

/// How long something takes, µs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The middle of all samples; of several pieces of work, the sum of their medians. Where a tool tells no median, the
    /// mean stands in for it.
    pub median_us: f64,
    /// How far the middle half of the samples reaches, as a share of the median; `None` where a tool tells no samples.
    pub spread: Option<f64>,
    /// Samples; `None` where a tool does not tell.
    pub samples: Option<usize>,
}

impl Timing {
    /// Of samples in µs, in any order; `None` if there are none, or one is no number.
    pub fn of(samples_us: &[f64]) -> Option<Self> {
        let mut sorted = samples_us.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median_us = quantile(&sorted, 0.5).filter(|_| sorted.iter().all(|sample| sample.is_finite()))?;
        let reach = quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?;
        let spread = if median_us > 0.0 { reach / median_us } else { 0.0 };
        Some(Self { median_us, spread: Some(spread), samples: Some(sorted.len()) })
    }

    /// A median that a tool told, µs.
    pub fn told(median_us: f64, samples: Option<usize>) -> Self {
        Self { median_us, spread: None, samples }
    }

    /// Work done one after another: medians add up; the spread is that of parts which are slow together, which is the most
    /// it can be; samples are the fewest of any part. `None` if there is nothing to add.
    pub fn sum(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|a, b| {
            let median_us = a.median_us + b.median_us;
            let reach = |part: Self| part.spread.map(|spread| spread * part.median_us);
            let share = |reach: f64| if median_us > 0.0 { reach / median_us } else { 0.0 };
            let spread = reach(a).zip(reach(b)).map(|(a, b)| share(a + b));
            let samples = a.samples.zip(b.samples).map(|(a, b)| a.min(b));
            Self { median_us, spread, samples }
        })
    }
}

/// The quantile `q` of sorted values, between neighbours interpolated; `None` of nothing.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_half_says_how_steady_samples_are() {
        let timing = Timing::of(&[30.0, 10.0, 20.0, 50.0, 40.0]).expect("samples");
        assert_eq!(timing, Timing { median_us: 30.0, spread: Some(20.0 / 30.0), samples: Some(5) });
        assert_eq!(Timing::of(&[7.0]), Some(Timing { median_us: 7.0, spread: Some(0.0), samples: Some(1) }));
        assert_eq!(Timing::of(&[1.0, 2.0]).map(|t| t.median_us), Some(1.5));
        assert_eq!((Timing::of(&[]), Timing::of(&[1.0, f64::NAN])), (None, None));
        assert_eq!(Timing::of(&[0.0, 0.0]).and_then(|t| t.spread), Some(0.0));
    }

    #[test]
    fn parts_add_up() {
        let part = |median_us, spread, samples| Timing { median_us, spread, samples };
        let sum = Timing::sum([part(10.0, Some(0.1), Some(5)), part(30.0, Some(0.3), Some(3))]);
        assert_eq!(sum, Some(part(40.0, Some(0.25), Some(3))));
        let told = Timing::sum([part(10.0, Some(0.1), Some(5)), Timing::told(30.0, None)]);
        assert_eq!(told, Some(part(40.0, None, None)), "what is not known of a part is not known of the whole");
        assert_eq!(Timing::sum([]), None);
    }
}

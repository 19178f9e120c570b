//! Timings, sorted.

use std::fmt;

/// Durations of one piece of work, µs, in ascending order; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Of these durations in µs, in any order. `None` if there is none, or one that is no number.
    pub fn new(mut microseconds: Vec<f64>) -> Option<Self> {
        microseconds.sort_by(f64::total_cmp);
        (!microseconds.is_empty() && microseconds.iter().all(|us| us.is_finite())).then_some(Self(microseconds))
    }

    /// All of them, ascending, µs.
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// The shortest, µs.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// The longest, µs.
    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The middle one, or the mean of the two middle ones, µs.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The mean, µs.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The duration that the share `q` of all does not exceed, between neighbours interpolated linearly: 0.9 is p90.
    /// Below 0 counts as 0, above 1 as 1.
    pub fn quantile(&self, q: f64) -> f64 {
        let place = q.clamp(0.0, 1.0) * (self.0.len() - 1) as f64;
        let (below, above) = (self.0[place.floor() as usize], self.0[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    /// How far the middle half reaches, as a share of the median: the noise of the measurement.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        if median > 0.0 { (self.quantile(0.75) - self.quantile(0.25)) / median } else { 0.0 }
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} µs (min {:.2}, p90 {:.2}, spread {:.1} %, {} samples)",
            self.median(),
            self.min(),
            self.quantile(0.9),
            self.spread() * 100.0,
            self.0.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let samples = Samples::new(vec![40.0, 10.0, 30.0, 20.0]).expect("four");
        assert_eq!(samples.sorted(), [10.0, 20.0, 30.0, 40.0]);
        assert_eq!((samples.min(), samples.median(), samples.max(), samples.mean()), (10.0, 25.0, 40.0, 25.0));
        assert!((samples.quantile(0.9) - 37.0).abs() < 1e-12);
        assert_eq!((samples.quantile(-1.0), samples.quantile(2.0)), (10.0, 40.0));
        assert!((samples.spread() - 15.0 / 25.0).abs() < 1e-12);
    }

    #[test]
    fn one_sample_is_every_quantile() {
        let samples = Samples::new(vec![7.0]).expect("one");
        assert_eq!((samples.min(), samples.median(), samples.quantile(0.9), samples.spread()), (7.0, 7.0, 7.0, 0.0));
    }

    #[test]
    fn nothing_and_nan_are_no_samples() {
        assert_eq!(Samples::new(vec![]), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
    }
}

//! How many times as fast: a ratio of medians, with what chance alone could have made of it.
//!
//! The interval is Efron's percentile bootstrap: samples are drawn with replacement from those that were measured, as
//! many as there are, the ratio is taken, and that again and again; the middle 95 % of these ratios are the interval.
//! Efron and Tibshirani, *An introduction to the bootstrap*, 1993, chapters 13 and 16. The numbers drawn depend on a seed
//! alone, so the same samples give the same interval.

use super::timing::quantile;
use serde::{Deserialize, Serialize};

/// Ratios drawn: enough for two digits of either end.
const DRAWS: usize = 2000;

/// The share of the ratios drawn that the interval holds.
pub const CONFIDENCE: f64 = 0.95;

/// One median over another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Of all samples.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How sure the interval is: [`CONFIDENCE`].
    pub confidence: f64,
}

impl Ratio {
    /// The median of `over` divided by that of `under`, samples of either drawn by themselves. `None` without samples, with
    /// one that is no number, or where `under` takes no time.
    pub fn of(over: &[f64], under: &[f64], seed: u64) -> Option<Self> {
        Self::drawn([over, under], seed, |random| {
            let mut draw = |samples: &[f64]| (0..samples.len()).map(|_| samples[random.below(samples.len())]).collect();
            [draw(over), draw(under)]
        })
    }

    /// As [`Ratio::of`], of measurements that took turns, A B A B: what was measured side by side is drawn together, so
    /// that a clock which fell while both were measured counts for neither.
    pub fn of_pairs(pairs: &[(f64, f64)], seed: u64) -> Option<Self> {
        let (over, under): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        Self::drawn([&over, &under], seed, |random| {
            let drawn = (0..pairs.len()).map(|_| pairs[random.below(pairs.len())]);
            let (over, under): (Vec<f64>, Vec<f64>) = drawn.unzip();
            [over, under]
        })
    }

    fn drawn(samples: [&[f64]; 2], seed: u64, mut draw: impl FnMut(&mut Random) -> [Vec<f64>; 2]) -> Option<Self> {
        if samples.iter().any(|side| side.is_empty() || side.iter().any(|sample| !sample.is_finite())) {
            return None;
        }
        let value = ratio(samples.map(<[f64]>::to_vec))?;
        let mut random = Random(seed);
        let mut ratios: Vec<f64> = (0..DRAWS).filter_map(|_| ratio(draw(&mut random))).collect();
        ratios.sort_by(f64::total_cmp);
        let outside = (1.0 - CONFIDENCE) / 2.0;
        let (low, high) = (quantile(&ratios, outside)?, quantile(&ratios, 1.0 - outside)?);
        Some(Self { value, low, high, confidence: CONFIDENCE })
    }

    /// Whether chance alone may have made the difference: 1 lies inside the interval.
    pub fn is_undecided(&self) -> bool {
        self.low <= 1.0 && 1.0 <= self.high
    }
}

fn ratio(sides: [Vec<f64>; 2]) -> Option<f64> {
    let median = |mut samples: Vec<f64>| {
        samples.sort_by(f64::total_cmp);
        quantile(&samples, 0.5)
    };
    let [over, under] = sides.map(median);
    over.zip(under).filter(|(_, under)| *under > 0.0).map(|(over, under)| over / under)
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): short, and good enough to draw samples with.
struct Random(u64);

impl Random {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper half of a product with a 64-bit number is below the bound; its bias is bound / 2⁶⁴.
        ((u128::from(z) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(median: f64, seed: u64, count: usize) -> Vec<f64> {
        let mut random = Random(seed);
        (0..count).map(|_| median * (0.9 + 0.2 * random.below(1000) as f64 / 999.0)).collect()
    }

    #[test]
    fn the_same_samples_and_seed_give_the_same_interval() {
        let (a, b) = (noisy(20.0, 1, 100), noisy(10.0, 2, 100));
        assert_eq!(Ratio::of(&a, &b, 7), Ratio::of(&a, &b, 7));
        assert_ne!(Ratio::of(&a, &b, 7), Ratio::of(&a, &b, 8));
    }

    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say() {
        let holds = |round: u64| {
            let ratio = Ratio::of(&noisy(30.0, 2 * round, 41), &noisy(20.0, 2 * round + 1, 41), 0).expect("samples");
            ratio.low <= 1.5 && 1.5 <= ratio.high
        };
        let held = (1000..1100).filter(|&round| holds(round)).count();
        // 95 are expected, and four standard deviations are 9; the bootstrap of a median is a little wide.
        assert!(held >= 86, "{held} of 100");
    }

    #[test]
    fn more_samples_narrow_the_interval_and_equals_stay_undecided() {
        let width = |count| Ratio::of(&noisy(10.0, 3, count), &noisy(10.0, 4, count), 0).map(|r| r.high - r.low);
        assert!(width(1000) < width(30), "{:?} {:?}", width(1000), width(30));
        assert!(Ratio::of(&noisy(10.0, 3, 99), &noisy(10.0, 4, 99), 0).expect("samples").is_undecided());
        assert!(!Ratio::of(&noisy(20.0, 3, 99), &noisy(10.0, 4, 99), 0).expect("samples").is_undecided());
    }

    #[test]
    fn a_drift_that_both_share_does_not_widen_the_interval_of_pairs() {
        let drifting: Vec<(f64, f64)> = (0..100).map(|i| 10.0 + f64::from(i)).map(|us| (2.0 * us, us)).collect();
        let (over, under): (Vec<f64>, Vec<f64>) = drifting.iter().copied().unzip();
        let (pairs, apart) = (Ratio::of_pairs(&drifting, 1), Ratio::of(&over, &under, 1));
        let (pairs, apart) = (pairs.expect("samples"), apart.expect("samples"));
        assert_eq!((pairs.value, apart.value), (2.0, 2.0));
        assert!(pairs.high - pairs.low < 1e-12 && apart.high - apart.low > 0.3, "{pairs:?} {apart:?}");
    }

    #[test]
    fn without_samples_there_is_no_ratio() {
        assert_eq!(Ratio::of(&[], &[1.0], 0), None);
        assert_eq!(Ratio::of(&[1.0], &[f64::NAN], 0), None);
        assert_eq!(Ratio::of(&[1.0], &[0.0], 0), None, "nothing takes no time");
        assert_eq!(Ratio::of_pairs(&[], 0), None);
        let one = Ratio::of(&[3.0], &[2.0], 0).expect("samples");
        assert_eq!((one.value, one.low, one.high), (1.5, 1.5, 1.5));
    }
}

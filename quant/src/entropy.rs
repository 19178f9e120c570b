//! The threshold that loses the least information.
//!
//! Szymon Migacz, "8-bit Inference with TensorRT", GTC 2017; TensorRT's `EntropyCalibration2`. A candidate
//! keeps the first i of the 2048 bins of |x|. Two distributions over those i bins are compared:
//!
//! ```text
//! P  what saturates to the threshold:  c[0] … c[i-2]   c[i-1] + outliers          (the reference)
//! Q  what 128 levels can tell apart:   each level's count, spread evenly over those of its bins
//!                                      that are not empty; outliers left out      (the candidate)
//!
//! KL(P‖Q) = Σ P ln(P/Q)      threshold = (i + 1/2) · width of a bin, for the i of least divergence
//! ```
//!
//! Few bins mean fine levels but many outliers; many bins the reverse. What the slides leave open is settled
//! so:
//! - **The first bin.** Its count is replaced by its neighbour's, and zeros are not counted at all: numbers
//!   near 0 are represented well by every scale, and after a ReLU would drown all others. NVIDIA's
//!   `pytorch-quantization` does the same.
//! - **Spikes.** A single value that occurs over and over, such as what a constant background becomes behind a
//!   convolution, is represented as well by every scale, too. But Q would spread it over its level, the wider the
//!   level the worse, and a spike of a few percent would pull the threshold down to where levels are one bin wide. So
//!   a bin that holds more than [`SPIKE_SHARE`] of all counts and more than [`SPIKE_HEIGHT`] times the median of its
//!   neighbours ([`SPIKE_REACH`] on either side, empty ones left out) counts as that median. Smooth distributions
//!   have no such bins, and are treated as on the slides.
//! - **Levels.** Bin j belongs to level ⌊128·j/i⌋, so that levels differ by at most one bin.
//! - **Smoothing.** Where outliers fall on a last bin that was empty, Q would be 0 and the divergence infinite.
//!   Q then holds [`SMOOTHING`] of a count there, as in Apache MXNet: unlikely, not impossible. Without it a
//!   single outlier would force the range out to itself.
//! - **Nothing kept.** A candidate whose bins are all empty keeps no information and is no candidate.
//! - **Ties.** Divergences within [`TIE`] are equal; the largest threshold wins, as it saturates the least.
//! - **The half bin** is the slides' (and TensorRT's: its caches hold 255·2048.5/2048/127 for pictures in 0…255).

use crate::histogram::Bins;

/// The quantized magnitudes a candidate's bins are joined to.
const LEVELS: usize = 128;

/// What Q holds, in counts, in an empty bin that outliers are put into.
pub const SMOOTHING: f64 = 1e-4;

/// Divergences that differ less, in nats, are equal: far above rounding (1e-12), far below meaning.
pub const TIE: f64 = 1e-9;

/// See "Spikes" above.
pub const SPIKE_SHARE: f64 = 1.0 / 512.0;
/// See "Spikes" above.
pub const SPIKE_HEIGHT: u64 = 4;
/// See "Spikes" above.
pub const SPIKE_REACH: usize = 16;

/// The divergence of each candidate threshold, in nats, thresholds ascending.
///
/// Written out, a candidate costs a sum over all its bins. But Q is constant within a level, so running sums
/// of c and c·ln c leave 128 logarithms each:
///
/// ```text
/// N·KL = Σ c ln c  -  Σ_levels S ln(S/n)  -  outliers · ln q[i-1]  +  N ln(M/N)
/// ```
///
/// with S a level's count, n its bins that are not empty, N all counts and M those of Q.
pub fn curve(bins: &Bins) -> Vec<(f32, f64)> {
    let mut counts = bins.counts[..bins.used].to_vec();
    if let [first, second, ..] = &mut counts[..] {
        *first = *second;
    }
    let counts = without_spikes(&counts);
    let sums = Sums::of(&counts);
    (LEVELS..=counts.len())
        .filter_map(|kept| {
            let threshold = (kept as f64 + 0.5) * bins.width;
            // Half a bin above f32's largest number is still that number.
            Some(((threshold as f32).min(f32::MAX), sums.divergence(&counts, kept)?))
        })
        .collect()
}

/// The counts with spikes cut down to their neighbours.
fn without_spikes(counts: &[u64]) -> Vec<u64> {
    let all: u64 = counts.iter().sum();
    let cut = |(bin, &count): (usize, &u64)| {
        if count as f64 <= all as f64 * SPIKE_SHARE {
            return count;
        }
        let around = bin.saturating_sub(SPIKE_REACH)..(bin + SPIKE_REACH + 1).min(counts.len());
        let mut neighbours: Vec<u64> = around.filter(|&j| j != bin && counts[j] > 0).map(|j| counts[j]).collect();
        neighbours.sort_unstable();
        match neighbours.get(neighbours.len() / 2) {
            Some(&median) if count > SPIKE_HEIGHT * median => median,
            _ => count,
        }
    };
    counts.iter().enumerate().map(cut).collect()
}

/// Sums over the first i bins, for each i from 0 up.
struct Sums {
    counts: Vec<u64>,
    occupied: Vec<u64>,
    count_log_counts: Vec<f64>,
}

impl Sums {
    fn of(counts: &[u64]) -> Self {
        let mut sums = Self { counts: vec![0], occupied: vec![0], count_log_counts: vec![0.0] };
        let (mut all, mut occupied, mut logs) = (0, 0, 0.0);
        for &count in counts {
            all += count;
            occupied += u64::from(count > 0);
            logs += x_log_x(count);
            sums.counts.push(all);
            sums.occupied.push(occupied);
            sums.count_log_counts.push(logs);
        }
        sums
    }

    /// KL(P‖Q) of the candidate that keeps the first `kept` bins; `None` if those are empty.
    fn divergence(&self, counts: &[u64], kept: usize) -> Option<f64> {
        let all = *self.counts.last()?;
        let inside = self.counts[kept];
        if inside == 0 {
            return None;
        }
        let outliers = all - inside;
        let last = counts[kept - 1];

        let reference = self.count_log_counts[kept - 1] + x_log_x(last + outliers);
        let mut candidate = 0.0;
        let mut of_last_bin = 0.0;
        for level in 0..LEVELS {
            // The first bin of a level is the first j with 128·j/i >= level.
            let (begin, end) = ((level * kept).div_ceil(LEVELS), ((level + 1) * kept).div_ceil(LEVELS));
            let count = self.counts[end] - self.counts[begin];
            if count > 0 {
                let each = count as f64 / (self.occupied[end] - self.occupied[begin]) as f64;
                of_last_bin = each.ln();
                candidate += count as f64 * of_last_bin;
            }
        }
        let mut candidates_all = inside as f64;
        if last == 0 && outliers > 0 {
            of_last_bin = SMOOTHING.ln();
            candidates_all += SMOOTHING;
        }
        let all = all as f64;
        let nats = (reference - candidate - outliers as f64 * of_last_bin) / all + (candidates_all / all).ln();
        // A divergence is never negative; rounding may make it so by a hair.
        Some(nats.max(0.0))
    }
}

fn x_log_x(count: u64) -> f64 {
    if count == 0 { 0.0 } else { count as f64 * (count as f64).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, term by term.
    fn by_definition(counts: &[u64], kept: usize) -> Option<f64> {
        let mut counts = counts.to_vec();
        counts[0] = counts[1];
        let c: Vec<f64> = without_spikes(&counts).iter().map(|&c| c as f64).collect();
        let outliers: f64 = c[kept..].iter().sum();
        let mut p = c[..kept].to_vec();
        p[kept - 1] += outliers;
        let mut q = vec![0.0; kept];
        for level in 0..LEVELS {
            let members: Vec<usize> = (0..kept).filter(|j| j * LEVELS / kept == level && c[*j] > 0.0).collect();
            let count: f64 = members.iter().map(|&j| c[j]).sum();
            members.iter().for_each(|&j| q[j] = count / members.len() as f64);
        }
        if q.iter().sum::<f64>() == 0.0 {
            return None;
        }
        if q[kept - 1] == 0.0 && p[kept - 1] > 0.0 {
            q[kept - 1] = SMOOTHING;
        }
        let (all_p, all_q): (f64, f64) = (p.iter().sum(), q.iter().sum());
        let terms = p.iter().zip(&q).filter(|(p, _)| **p > 0.0);
        Some(terms.map(|(p, q)| p / all_p * ((p / all_p) / (q / all_q)).ln()).sum())
    }

    proptest! {
        #[test]
        fn running_sums_give_the_definition(
            counts in prop::collection::vec(prop_oneof![Just(0u64), 0u64..4, 0u64..1_000_000], 300),
            kept in 128usize..=300,
        ) {
            let bins = Bins { width: 1.0, counts, used: 300 };
            let threshold = kept as f32 + 0.5;
            let found = curve(&bins).into_iter().find(|c| c.0 == threshold).map(|c| c.1);
            match (found, by_definition(&bins.counts, kept)) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-10, "{a} {b}"),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    /// A half-normal distribution over 1200 of 2048 bins, as whole counts.
    fn smooth() -> Vec<u64> {
        (0..1200).map(|j| (1e5 * (-0.5 * (f64::from(j) / 300.0).powi(2)).exp()) as u64).collect()
    }

    fn best(counts: Vec<u64>) -> f32 {
        let used = counts.len();
        let curve = curve(&Bins { width: 1.0, counts, used });
        curve.iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("candidates").0
    }

    #[test]
    fn a_value_that_occurs_over_and_over_does_not_move_the_threshold() {
        let all: u64 = smooth().iter().sum();
        let alone = best(smooth());
        for spike in [150, 400, 800] {
            let mut counts = smooth();
            counts[spike] += all / 2;
            assert_eq!(best(counts), alone, "half of all numbers in bin {spike}");
        }
    }

    #[test]
    fn smooth_distributions_have_no_spikes() {
        let steep: Vec<u64> = (0..200).map(|j| (1e9 * 0.9f64.powi(j)) as u64).collect();
        for counts in [smooth(), steep, vec![7; 300], vec![0, 0, 0, 12345, 0, 0], vec![]] {
            assert_eq!(without_spikes(&counts), counts);
        }
    }

    #[test]
    fn as_many_bins_as_levels_lose_nothing() {
        let bins = Bins { width: 1.0, counts: (1..=128).collect(), used: 128 };
        assert_eq!(curve(&bins), [(128.5, 0.0)]);
    }
}

//! How often each magnitude was seen: the one thing every calibrator looks at.
//!
//! A histogram is a pure function of the *multiset* of numbers it has seen. Batches may come in any order,
//! be cut in any way and be counted on any number of threads: the state is the same, bit for bit. Two choices
//! make it so. Counts are integers, and a bin's width is a power of two that follows from the largest
//! magnitude alone, so that a wider bin is exactly a run of narrower ones:
//!
//! ```text
//! width w    | 3 | 1 | 4 | 1 | 5 | 9 | 2 | 6 |          a magnitude of 8w or more comes:
//! width 2w   |   4   |   5   |  14   |   8   |   0   |   0   |   0   |   0   |
//! ```
//!
//! The state is finer ([`FINE_BINS`]) than the [`BINS`] bins a calibrator sees. Whole fine bins are joined so
//! that those bins span little more than the range that was seen, as TensorRT's do: see [`Histogram::bins`].

use rayon::prelude::*;

/// Bins of |x| a calibrator sees (Migacz, "8-bit Inference with TensorRT", GTC 2017).
pub const BINS: usize = 2048;

/// Bins of |x| that are kept; a power of two times [`BINS`].
pub const FINE_BINS: usize = BINS << 3;

/// Numbers one thread counts at a time: enough to be worth a second histogram.
const CHUNK: usize = 1 << 18;

/// Counts of |x| in [`FINE_BINS`] bins of equal width, and of what does not go into bins.
///
/// Zeros (of either sign) are counted apart from the bins. Quantization maps 0 to 0 whatever the scale, and
/// after a ReLU they would outweigh all else; each calibrator says what it does with them. NaN and infinities
/// are counted apart too: they say nothing of a scale, and a report must name them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// log2 of the width of a bin; `None` until a finite number other than 0 was seen.
    exponent: Option<i32>,
    /// Bin k counts k·width <= |x| < (k+1)·width. Empty as long as there is no exponent.
    counts: Vec<u64>,
    zeros: u64,
    nan: u64,
    infinite: u64,
    lowest: f32,
    highest: f32,
}

/// The [`BINS`] bins of |x| that calibrators search.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// Width of a bin, in the tensor's unit.
    pub width: f64,
    /// Bin k counts k·width <= |x| < (k+1)·width; zeros are not among them.
    pub counts: Vec<u64>,
    /// Bins up to and with the last that is not empty; the largest |x| lies in bin `used - 1`.
    pub used: usize,
}

impl Histogram {
    /// Counts numbers, on all threads where there are many.
    pub fn observe(&mut self, values: &[f32]) {
        if values.len() <= CHUNK {
            self.count(values);
            return;
        }
        let part = |chunk: &[f32]| {
            let mut part = Self::default();
            part.count(chunk);
            part
        };
        let all = values.par_chunks(CHUNK).map(part).reduce(Self::default, |mut a, b| {
            a.merge(&b);
            a
        });
        self.merge(&all);
    }

    /// Adds what another histogram has seen.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.nan += other.nan;
        self.infinite += other.infinite;
        self.widen(other.lowest, other.highest);
        if let (Some(mine), Some(theirs)) = (self.exponent, other.exponent) {
            join(&other.counts, mine - theirs, &mut self.counts);
        }
    }

    fn count(&mut self, values: &[f32]) {
        let (mut lowest, mut highest) = (0.0f32, 0.0f32);
        for &v in values.iter().filter(|v| v.is_finite()) {
            // Comparisons instead of min and max: a -0 must not replace a +0, or the order would show.
            lowest = if v < lowest { v } else { lowest };
            highest = if v > highest { v } else { highest };
        }
        self.widen(lowest, highest);
        // Scaling by a power of two is exact in f64 for every f32, subnormal ones too.
        let per_width = self.exponent.map_or(0.0, |e| power_of_two(-e));
        for v in values {
            if v.is_nan() {
                self.nan += 1;
            } else if v.is_infinite() {
                self.infinite += 1;
            } else if *v == 0.0 {
                self.zeros += 1;
            } else {
                self.counts[(f64::from(v.abs()) * per_width) as usize] += 1;
            }
        }
    }

    /// Makes the bins reach over the extremes: joins neighbours until they do.
    fn widen(&mut self, lowest: f32, highest: f32) {
        self.lowest = if lowest < self.lowest { lowest } else { self.lowest };
        self.highest = if highest > self.highest { highest } else { self.highest };
        let largest = self.largest();
        if largest == 0.0 {
            return;
        }
        // The smallest power of two above the largest magnitude, cut in FINE_BINS.
        let exponent = floor_log2(largest) + 1 - FINE_BINS.ilog2() as i32;
        match self.exponent {
            None => self.counts = vec![0; FINE_BINS],
            Some(old) if old < exponent => {
                let mut joined = vec![0; FINE_BINS];
                join(&self.counts, exponent - old, &mut joined);
                self.counts = joined;
            }
            Some(_) => return,
        }
        self.exponent = Some(exponent);
    }

    /// The largest finite |x|; 0 if there is none.
    pub fn largest(&self) -> f32 {
        self.highest.max(-self.lowest)
    }

    /// The lowest finite x, or 0 if none is negative.
    pub fn lowest(&self) -> f32 {
        self.lowest
    }

    /// The highest finite x, or 0 if none is positive.
    pub fn highest(&self) -> f32 {
        self.highest
    }

    /// How many zeros were seen.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// How many NaNs were seen.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many infinities were seen.
    pub fn infinite(&self) -> u64 {
        self.infinite
    }

    /// How many finite numbers were seen, zeros included.
    pub fn finite(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// The finest bins there are: width of one, and counts. `None` if nothing but zeros was seen.
    pub fn fine_bins(&self) -> Option<(f64, &[u64])> {
        Some((power_of_two(self.exponent?), &self.counts))
    }

    /// The bins calibrators search: as few fine bins joined to one as let [`BINS`] reach over what was seen.
    ///
    /// The range spans half to all of the fine bins, so 5 to 8 become one, and 1639 to 2048 bins are in use.
    /// TensorRT fits 2048 bins to the range exactly, for which it runs all data twice. `None` if there were
    /// only zeros.
    pub fn bins(&self) -> Option<Bins> {
        let (width, fine) = self.fine_bins()?;
        let reach = fine.iter().rposition(|&c| c > 0)? + 1;
        let joined = reach.div_ceil(BINS);
        let mut counts: Vec<u64> = fine[..reach].chunks(joined).map(|run| run.iter().sum()).collect();
        let used = counts.len();
        counts.resize(BINS, 0);
        Some(Bins { width: width * joined as f64, counts, used })
    }
}

/// Adds counts to bins that are 2^`doublings` times as wide.
fn join(counts: &[u64], doublings: i32, into: &mut [u64]) {
    for (k, count) in counts.iter().enumerate() {
        // A shift past the index's bits has joined everything to the first bin.
        into[k.checked_shr(doublings as u32).unwrap_or(0)] += count;
    }
}

/// The exponent of the largest power of two that is not above `x`, a positive number.
fn floor_log2(x: f32) -> i32 {
    // As f64 a subnormal f32 is normal, so the exponent can be read off.
    ((f64::from(x).to_bits() >> 52) as i32) - 1023
}

/// 2^exponent, exactly, for the exponents of f32's normal and subnormal numbers and well beyond.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests;

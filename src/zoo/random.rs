//! Random numbers that are the same on every machine.
//!
//! A stream is addressed by position, not drawn from in turn, so weights can be made on all cores at once and do
//! not depend on what else a network holds. Only integer arithmetic and single correctly rounded operations
//! (add, multiply, divide, square root) are used: `ln` and `cos`, which the usual recipes for normal numbers
//! need, differ in the last bit between systems, and a file's checksum should not.

use rayon::prelude::*;

/// The step of SplitMix64: 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// An endless row of random numbers, named by a seed and a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream of `label` (a tensor's name) under `seed`.
    pub fn new(seed: u64, label: &str) -> Self {
        // FNV-1a spreads the label over 64 bits; the mixer makes neighbouring seeds unrelated.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { key: mix(mix(seed.wrapping_add(STEP)) ^ hash) }
    }

    /// 64 random bits: output `index` of SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number
    /// generators*, OOPSLA 2014) started at this stream's key.
    pub fn bits(self, index: u64) -> u64 {
        mix(self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(STEP)))
    }

    /// Uniform in [0, 1), in steps of 2⁻⁵³.
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, variance 1, nearly normal: the sum of eight 16-bit uniform numbers (Irwin–Hall). Its excess
    /// kurtosis is -0.15 and nothing lies beyond ±4.9, both of which pass for normal among weights.
    pub fn normal(self, index: u64) -> f64 {
        let halves = |word: u64| (word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48);
        let sum = halves(self.bits(2 * index)) + halves(self.bits(2 * index + 1));
        // One of the eight has mean (2¹⁶-1)/2 and variance (2³²-1)/12.
        const MEAN: f64 = 4.0 * 65535.0;
        const VARIANCE: f64 = 8.0 * 4_294_967_295.0 / 12.0;
        (sum as f64 - MEAN) / VARIANCE.sqrt()
    }

    /// `count` normal numbers of this mean and standard deviation.
    pub fn normals(self, count: usize, mean: f64, deviation: f64) -> Vec<f32> {
        (0..count as u64).into_par_iter().map(|i| (mean + deviation * self.normal(i)) as f32).collect()
    }

    /// `count` numbers uniform in [low, high).
    pub fn uniforms(self, count: usize, low: f64, high: f64) -> Vec<f32> {
        (0..count as u64).into_par_iter().map(|i| (low + (high - low) * self.uniform(i)) as f32).collect()
    }
}

/// SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_splitmix64() {
        // The first outputs of the published generator for seed 1234567.
        let stream = Stream { key: 1_234_567 };
        let bits: Vec<u64> = (0..5).map(|i| stream.bits(i)).collect();
        assert_eq!(
            bits,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
        const COUNT: usize = 200_000;
        let sample: Vec<f64> = Stream::new(0, "w").normals(COUNT, 0.0, 1.0).into_iter().map(f64::from).collect();
        let moment = |power: i32| sample.iter().map(|v| v.powi(power)).sum::<f64>() / COUNT as f64;
        // Four standard errors: σ/√n, with σ = 1, √2, √15 and about √90 for these powers.
        let error = 4.0 / (COUNT as f64).sqrt();
        assert!(moment(1).abs() < error);
        assert!((moment(2) - 1.0).abs() < error * 2f64.sqrt());
        assert!(moment(3).abs() < error * 15f64.sqrt());
        assert!((moment(4) - 2.85).abs() < error * 90f64.sqrt());
    }

    #[test]
    fn streams_differ_by_seed_and_by_label() {
        let streams = [Stream::new(0, "a"), Stream::new(0, "b"), Stream::new(1, "a"), Stream::new(1, "b")];
        for (i, a) in streams.iter().enumerate() {
            for b in &streams[i + 1..] {
                assert_ne!(a.bits(0), b.bits(0));
            }
        }
    }
}

//! What the values in each channel are like, worked out layer by layer without running the network.
//!
//! A trained BatchNormalization divides by what its convolution really puts out. An untrained network has to, too:
//! were its running variances arbitrary, each layer would be off by a factor, and fifty layers on nothing finite
//! would be left. So the builder carries each channel's mean and variance along, for an input of independent
//! standard normal pixels, taking channels and positions as independent, which random weights make them on average
//! (Poole et al., *Exponential expressivity in deep neural networks through transient chaos*, NeurIPS 2016).

/// How much of the mean a running mean takes out.
///
/// Training would take out all of it. But a random network centred like that amplifies every disturbance by
/// √(π/(π-1)) = 1.21 per layer (Yang et al., *A mean field theory of batch normalization*, ICLR 2019), which
/// trained ones do not: after 18 layers FP16's rounding would look thirty times worse than it is. With nothing taken out,
/// disturbances stay in step with the signal, but the network forgets its input: each ReLU adds to what all
/// pictures have in common. A twentieth keeps both effects small.
pub const CENTRING: f64 = 0.05;

/// Mean and variance of each channel, over pictures and positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// The numbers are of a normal value whose ReLU this is. Maximum and ReLU may change places, and the maximum
    /// of normal values is the one that is known.
    rectified: bool,
}

/// The weights of a convolution and how often each is used.
pub struct Taps<'a> {
    /// Row-major (outputs, inputs of a group, taps).
    pub weights: &'a [f32],
    /// Inputs of a group.
    pub inputs: usize,
    /// Number of groups.
    pub groups: usize,
    /// For each tap, at what share of the output positions it lies inside the picture and not in the padding.
    pub coverage: &'a [f64],
}

impl Taps<'_> {
    fn per_output(&self) -> usize {
        self.inputs * self.coverage.len()
    }
}

impl Moments {
    /// Standard normal channels.
    pub fn standard(channels: usize) -> Self {
        Self::new(vec![0.0; channels], vec![1.0; channels])
    }

    fn new(mean: Vec<f64>, variance: Vec<f64>) -> Self {
        Self { mean, variance, rectified: false }
    }

    fn map(&self, f: impl Fn(f64, f64) -> (f64, f64)) -> Self {
        let (mean, variance) = self.mean.iter().zip(&self.variance).map(|(&m, &v)| f(m, v)).unzip();
        Self { mean, variance, rectified: self.rectified }
    }

    /// Mean of each channel.
    pub fn means(&self) -> Vec<f64> {
        self.settled().mean
    }

    /// Mean and variance themselves, a ReLU carried out.
    fn settled(&self) -> Self {
        if !self.rectified {
            return self.clone();
        }
        let rectified = self.map(|m, v| {
            let s = v.sqrt();
            if s == 0.0 {
                return (m.max(0.0), 0.0);
            }
            let (density, share) = (normal_density(m / s), normal_share(m / s));
            let mean = m * share + s * density;
            (mean, ((m * m + v) * share + m * s * density - mean * mean).max(0.0))
        });
        Self::new(rectified.mean, rectified.variance)
    }

    /// After a convolution.
    pub fn conv(&self, taps: &Taps<'_>) -> Self {
        let x = self.settled();
        let outputs = taps.weights.len() / taps.per_output();
        let mut out = Self::default();
        for (output, weights) in taps.weights.chunks_exact(taps.per_output()).enumerate() {
            let first = output / (outputs / taps.groups) * taps.inputs;
            // What each tap contributes where it is inside: a mean, the same in all pictures, and a variance.
            let mut means = vec![0.0; taps.coverage.len()];
            let mut variance = 0.0;
            for (channel, weights) in weights.chunks_exact(taps.coverage.len()).enumerate() {
                let (m, v) = (x.mean[first + channel], x.variance[first + channel]);
                for ((tap_mean, &w), &coverage) in means.iter_mut().zip(weights).zip(taps.coverage) {
                    let w = f64::from(w);
                    *tap_mean += w * m;
                    variance += w * w * v * coverage;
                }
            }
            // A tap that is outside at some positions makes the mean vary over the picture.
            let border = means.iter().zip(taps.coverage).map(|(m, c)| m * m * c * (1.0 - c)).sum::<f64>();
            out.mean.push(means.iter().zip(taps.coverage).map(|(m, c)| m * c).sum());
            out.variance.push(variance + border);
        }
        out
    }

    /// The mean square to expect of each channel after a convolution and [`CENTRING`], whichever signs its weights
    /// have; the running variance of a BatchNormalization that follows.
    ///
    /// The inputs count with their average, not each with its own: a depthwise filter on a channel that its
    /// ReLU has all but silenced would be scaled up until it is mostly rounding errors.
    pub fn power_after_conv(&self, taps: &Taps<'_>) -> Vec<f64> {
        let x = self.settled();
        let left = (1.0 - CENTRING) * (1.0 - CENTRING);
        let average = x.mean.iter().zip(&x.variance).map(|(m, v)| v + left * m * m).sum::<f64>() / x.mean.len() as f64;
        let squares = |weights: &[f32]| {
            weights.iter().zip(taps.coverage.iter().cycle()).map(|(&w, c)| f64::from(w) * f64::from(w) * c).sum::<f64>()
        };
        taps.weights.chunks_exact(taps.per_output()).map(|weights| average * squares(weights)).collect()
    }

    /// After y = x·scale + shift, channel by channel.
    pub fn affine(&self, scale: &[f64], shift: &[f64]) -> Self {
        let x = self.settled();
        let mean = x.mean.iter().zip(scale).zip(shift).map(|((m, a), b)| m * a + b).collect();
        Self::new(mean, x.variance.iter().zip(scale).map(|(v, a)| v * a * a).collect())
    }

    /// After max(x, 0), with x taken as normal.
    pub fn relu(&self) -> Self {
        Self { rectified: true, ..self.settled() }
    }

    /// After the maximum over a window: mean and variance of the largest of 4 or 9 independent normal numbers
    /// (Teichroew, *Tables of expected values of order statistics*, Annals of Mathematical Statistics 27, 1956).
    pub fn max_pool(&self, window: usize) -> Self {
        let (shift, shrink) = if window <= 4 { (1.0294, 0.4917) } else { (1.4850, 0.3574) };
        self.map(|m, v| (m + shift * v.sqrt(), v * shrink))
    }

    /// After the mean over all positions. Those of a deep feature map are far from independent, because their
    /// receptive fields overlap; they are counted as at most 16.
    pub fn average_pool(&self, positions: usize) -> Self {
        self.settled().map(|m, v| (m, v / positions.clamp(1, 16) as f64))
    }

    /// After adding what is independent of it.
    pub fn add(&self, other: &Self) -> Self {
        let (x, y) = (self.settled(), other.settled());
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x + y).collect();
        Self::new(sum(&x.mean, &y.mean), sum(&x.variance, &y.variance))
    }

    /// Channels one after another.
    pub fn concat(&self, other: &Self) -> Self {
        let (x, y) = (self.settled(), other.settled());
        Self::new([x.mean, y.mean].concat(), [x.variance, y.variance].concat())
    }
}

/// Density of the standard normal distribution.
fn normal_density(x: f64) -> f64 {
    const ONE_OVER_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    ONE_OVER_SQRT_TAU * exp_of_negative(-0.5 * x * x)
}

/// Share of the standard normal distribution below `x`: Abramowitz and Stegun 26.2.17, error below 7.5e-8.
fn normal_share(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
    let t = 1.0 / (1.0 + 0.2316419 * x.abs());
    let above = normal_density(x) * COEFFICIENTS.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    if x >= 0.0 { 1.0 - above } else { above }
}

/// e^x for x <= 0 from sums and products alone, so that it has the same bits everywhere: the series of
/// e^(x/1024), squared ten times.
fn exp_of_negative(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let t = x / 1024.0;
    let series = (1..=16).rev().fold(1.0, |sum, n| 1.0 + sum * t / f64::from(n));
    (0..10).fold(series, |e, _| e * e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::random::Stream;

    #[test]
    fn exponential_and_normal_share_match_their_definitions() {
        for step in 0..1400 {
            let x = -f64::from(step) / 2.0;
            assert!((exp_of_negative(x) - x.exp()).abs() <= 1e-11 * x.exp(), "exp({x})");
        }
        // Φ from tables.
        for (x, share) in [(0.0, 0.5), (1.0, 0.841344746), (-1.0, 0.158655254), (2.5, 0.993790335), (-8.0, 0.0)] {
            assert!((normal_share(x) - share).abs() < 1e-7, "Φ({x})");
        }
    }

    /// Mean and variance of a sample.
    fn sampled(sample: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let count = sample.clone().count() as f64;
        let mean = sample.clone().sum::<f64>() / count;
        (mean, sample.map(|v| (v - mean).powi(2)).sum::<f64>() / count)
    }

    #[test]
    fn relu_and_max_agree_with_samples() {
        let random = Stream::new(3, "sample");
        for (mean, variance) in [(0.0, 1.0), (0.7, 4.0), (-1.2, 0.5)] {
            let x = Moments::new(vec![mean], vec![variance]);
            // Truly normal (Box–Muller): the tails decide a maximum.
            let normal = |i: u64| {
                let (radius, angle) = (1.0 - random.uniform(2 * i), random.uniform(2 * i + 1));
                (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
            };
            let draw = |i: u64| mean + variance.sqrt() * normal(i);
            let near = |got: (f64, f64), want: &Moments| {
                let want = want.settled();
                // 100,000 samples of a nearly normal distribution: a per cent of the spread is a safe bound.
                let spread = variance.sqrt();
                assert!((got.0 - want.mean[0]).abs() < 0.01 * spread, "{got:?} {want:?}");
                assert!((got.1 - want.variance[0]).abs() < 0.02 * variance, "{got:?} {want:?}");
            };
            near(sampled((0..100_000).map(|i| draw(i).max(0.0))), &x.relu());
            let largest = |i: u64, n: u64| (0..n).map(|j| draw(i * n + j)).fold(f64::NEG_INFINITY, f64::max);
            near(sampled((0..100_000).map(|i| largest(i, 4))), &x.max_pool(4));
            near(sampled((0..100_000).map(|i| largest(i, 9))), &x.max_pool(9));
            near(sampled((0..100_000).map(|i| largest(i, 9).max(0.0))), &x.relu().max_pool(9));
        }
    }

    #[test]
    fn convolution_sums_means_and_variances_of_its_group() {
        let x = Moments::new(vec![1.0, 2.0], vec![0.5, 3.0]);
        // Two groups of one channel, two taps, the second inside at half of the positions.
        let taps = Taps { weights: &[1.0, -2.0, 3.0, 4.0], inputs: 1, groups: 2, coverage: &[1.0, 0.5] };
        let y = x.conv(&taps);
        assert_eq!(y.mean, [1.0 - 2.0 * 0.5, 2.0 * (3.0 + 4.0 * 0.5)]);
        let border = [(2.0 * 1.0f64).powi(2) * 0.25, (4.0 * 2.0f64).powi(2) * 0.25];
        assert_eq!(y.variance, [0.5 * (1.0 + 4.0 * 0.5) + border[0], 3.0 * (9.0 + 16.0 * 0.5) + border[1]]);
    }

    #[test]
    fn expected_power_is_the_average_over_the_signs_of_the_weights() {
        let x = Moments::new(vec![1.0, -3.0], vec![0.5, 2.0]);
        let magnitudes = [1.0f32, 2.0, 0.5, 3.0];
        let coverage = [1.0, 1.0];
        let mut sum = 0.0;
        for signs in 0..16 {
            let signed = |i: usize| if signs >> i & 1 == 1 { -magnitudes[i] } else { magnitudes[i] };
            let weights: Vec<f32> = (0..4).map(signed).collect();
            // Both channels at their average power.
            let level = Moments::new(vec![5f64.sqrt(); 2], vec![1.25; 2]);
            let y = level.conv(&Taps { weights: &weights, inputs: 2, groups: 1, coverage: &coverage });
            sum += y.variance[0] + (1.0 - CENTRING).powi(2) * y.mean[0].powi(2);
        }
        let taps = Taps { weights: &magnitudes, inputs: 2, groups: 1, coverage: &coverage };
        assert!((x.power_after_conv(&taps)[0] / (sum / 16.0) - 1.0).abs() < 1e-12);
    }
}

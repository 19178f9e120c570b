use limpid_graph::tensor::{DType, Tensor};

/// A tensor of random numbers, the same for the same seed on every machine.
///
/// Reals are uniform with mean 0 and variance 1, bytes cover their whole range, and wider integers and booleans
/// are 0 or 1, since they are indices and masks as often as numbers.
pub fn random(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed;
    let values = (0..shape.iter().product()).map(|_| {
        let bits = split_mix(&mut state);
        match dtype {
            // 24 bits make every value exact in f32; a width of 2·√3 gives variance 1.
            DType::F32 | DType::F16 => ((bits >> 40) as f32 / (1 << 24) as f32 - 0.5) * 12f32.sqrt(),
            DType::I8 => f32::from((bits >> 56) as u8) - 128.0,
            DType::U8 => f32::from((bits >> 56) as u8),
            DType::I32 | DType::I64 | DType::Bool => (bits >> 63) as f32,
        }
    });
    let wide = Tensor::new::<f32>(shape, values.collect());
    wide.map(|t| t.cast(dtype)).unwrap_or_else(|_| Tensor::zeros(dtype, shape))
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        assert_eq!(random(DType::F32, &[4, 5], 1), random(DType::F32, &[4, 5], 1));
        assert_ne!(random(DType::F32, &[4, 5], 1), random(DType::F32, &[4, 5], 2));
        // The reference sequence of SplitMix64 from seed 1234567.
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn reals_have_mean_0_and_variance_1() {
        let values = random(DType::F32, &[100_000], 7).to_f32();
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 1e5;
        // Four standard errors of 100,000 samples.
        assert!(mean.abs() < 0.013 && (variance - 1.0).abs() < 0.012, "{mean} {variance}");
    }

    #[test]
    fn integers_stay_in_their_range() {
        assert!(random(DType::I64, &[100], 3).to_i64().iter().all(|v| (0..2).contains(v)));
        let bytes = random(DType::I8, &[10_000], 3).to_i64();
        assert_eq!((bytes.iter().min(), bytes.iter().max()), (Some(&-128), Some(&127)));
    }
}

use super::*;
use crate::ops::Activation;
use proptest::prelude::*;

/// fma(a, b, c) rounded once, from a sum that f64 may not hold exactly: round to odd keeps the lost bits' sign.
fn fma_by_odd_rounding(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let sum = product + c;
    // Knuth's two-sum: `lost` is exactly what rounding the sum to f64 dropped.
    let back = sum - product;
    let lost = (product - (sum - back)) + (c - back);
    if lost == 0.0 || sum.to_bits() & 1 == 1 {
        return sum as f32;
    }
    let away = (lost > 0.0) == (sum > 0.0);
    f64::from_bits(if away { sum.to_bits() + 1 } else { sum.to_bits() - 1 }) as f32
}

fn steps(bias: bool, pre: Activation, residual: bool, post: Activation) -> Epilogue {
    Epilogue { bias, pre, residual, post }
}

proptest! {
    #[test]
    fn the_epilogue_is_its_five_lines(
        accumulator in any::<i32>(),
        (scale_x, scale_w, scale_r, scale_y) in (1e-4f32..1.0, 1e-5f32..0.1, 1e-3f32..1.0, 1e-3f32..1.0),
        bias in -10f32..10.0,
        residual in any::<i8>(),
    ) {
        let requantize = Requantize::new(
            steps(true, Activation::Relu, true, Activation::Clip { min: -1.0, max: 6.0 }),
            scale_x, &[scale_w], Some(&[bias]), Some(scale_r), Some(scale_y),
        ).unwrap();
        let x = fma_by_odd_rounding(accumulator as f32, scale_x * scale_w, bias);
        let x = x.max(0.0);
        let x = fma_by_odd_rounding(f32::from(residual), scale_r, x);
        let x = x.clamp(-1.0, 6.0);
        prop_assert_eq!(requantize.real(0, accumulator, f32::from(residual)), x);
        let q = f64::from(x * (1.0 / scale_y)).round_ties_even().clamp(-128.0, 127.0);
        prop_assert_eq!(requantize.integer(0, accumulator, f32::from(residual)), Some(q as i8));
    }

    #[test]
    fn quantizing_errs_by_half_a_step(x in -100f32..100.0, scale in 0.8f32..10.0) {
        let q = quantize_all(&[x], scale);
        let error = (f64::from(x) - f64::from(scale) * f64::from(q[0])).abs();
        // Half a step, and the rounding of x·(1/scale), which is at most 128.
        prop_assert!(error <= f64::from(scale) * (0.5 + 128.0 * 2f64.powi(-23)), "{error}");
    }

    #[test]
    fn equal_scales_leave_integers_alone(q in any::<i8>(), scale in 1e-30f32..1e30) {
        prop_assert_eq!(requantize_all(&[q], scale, scale), vec![q]);
        prop_assert_eq!(quantize_all(&dequantize(&[q], scale), scale), vec![q]);
    }
}

#[test]
fn halves_go_to_even_and_ends_saturate() {
    assert_eq!(quantize_all(&[0.5, 1.5, 2.5, -0.5, -1.5, -2.5], 1.0), [0, 2, 2, 0, -2, -2]);
    assert_eq!(quantize_all(&[126.5, 127.4, 127.5, 1e30, f32::INFINITY], 1.0), [126, 127, 127, 127, 127]);
    assert_eq!(quantize_all(&[-127.5, -128.4, -128.6, -1e30, f32::NEG_INFINITY], 1.0), [-128; 5]);
    assert_eq!(quantize_all(&[f32::NAN, -0.0], 1.0), [0, 0]);
    // -128 is kept by a change of scale; it does not fit under a smaller one.
    assert_eq!(requantize_all(&[-128, 127, 3], 1.0, 2.0), [-64, 64, 2]);
    assert_eq!(requantize_all(&[-128, 127, 3], 2.0, 1.0), [-128, 127, 6]);
}

#[test]
fn accumulators_round_to_even_beyond_24_bits() {
    let plain = Requantize::new(Epilogue::default(), 1.0, &[1.0], None, None, None).unwrap();
    assert_eq!(plain.real(0, (1 << 24) + 1, 0.0), 16_777_216.0);
    assert_eq!(plain.real(0, (1 << 24) + 3, 0.0), 16_777_220.0);
    assert_eq!(plain.integer(0, 5, 0.0), None, "the output stays real");
}

#[test]
fn the_residual_has_its_own_scale_or_is_real() {
    let adding = steps(false, Activation::Identity, true, Activation::Relu);
    let quantized = Requantize::new(adding, 0.5, &[0.5, 2.0], None, Some(0.1), Some(0.25)).unwrap();
    assert_eq!(quantized.real(0, 8, 10.0), 10f32.mul_add(0.1, 2.0));
    assert_eq!(quantized.integer(1, 8, 10.0), Some(36));
    assert_eq!(quantized.integer(1, -80, 10.0), Some(0));
    let real = Requantize::new(adding, 0.5, &[0.5], None, Some(1.0), Some(0.25)).unwrap();
    assert_eq!(real.real(0, 8, 0.3), 2.3);
}

#[test]
fn sums_of_the_longest_product_fit() {
    assert_eq!(MAX_TERMS, 132_104);
    assert!((MAX_TERMS as i64) * 128 * 127 <= i64::from(i32::MAX));
    assert!((MAX_TERMS as i64 + 1) * 128 * 127 > i64::from(i32::MAX));
}

#[test]
fn what_does_not_fit_is_refused() {
    let with = |input, weights: &[f32], bias: Option<&[f32]>, residual, output| {
        let steps = steps(bias.is_some(), Activation::Identity, false, Activation::Identity);
        Requantize::new(steps, input, weights, bias, residual, output).unwrap_err().to_string()
    };
    assert_eq!(with(0.0, &[1.0], None, None, None), "the scale of the input is zero");
    assert_eq!(with(1.0, &[1.0, f32::NAN], None, None, None), "the scale of the weights is NaN");
    assert_eq!(with(1.0, &[1.0], None, None, Some(f32::INFINITY)), "the scale of the output is infinite");
    assert_eq!(with(-2.0, &[1.0], None, None, None), "the scale of the input is negative (-2e0)");
    assert!(with(1e-40, &[1.0], None, None, None).starts_with("the scale of the input is subnormal"));
    assert_eq!(with(1.0, &[1.0], Some(&[1.0, 2.0]), None, None), "the epilogue needs a bias of 1 channel(s), got 2");
    assert!(with(1.0, &[1.0], None, Some(1.0), None).contains("disagree"));
}

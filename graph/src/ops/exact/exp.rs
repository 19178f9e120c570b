//! e^x from additions, multiplications and fused multiply-adds only, so that a CPU and a GPU agree to the bit.
//!
//! Libraries' `exp` differ in their last bits from one machine to the next. This one does not: every operation
//! in it is correctly rounded by IEEE 754 wherever it runs. The method and the polynomial are those of Cephes'
//! `expf` (S. Moshier, <https://www.netlib.org/cephes/>):
//!
//! ```text
//! n = round(x / ln 2)        r = x - n·ln 2, |r| <= ln 2 / 2        e^x = 2^n · e^r
//! e^r = 1 + r + r²·P(r)      P of degree 5
//! ```
//!
//! The CUDA twin, line by line:
//!
//! ```text
//! x = x < -104.0f ? -104.0f : x;  x = x > 89.0f ? 89.0f : x;            // NaN passes through
//! const float whole = rintf(__fmul_rn(x, 1.44269504f));
//! const float r = __fmaf_rn(whole, 2.12194440e-4f, __fmaf_rn(whole, -0.693359375f, x));
//! float p = 1.9875691500e-4f;
//! p = __fmaf_rn(p, r, 1.3981999507e-3f);  p = __fmaf_rn(p, r, 8.3334519073e-3f);
//! p = __fmaf_rn(p, r, 4.1665795894e-2f);  p = __fmaf_rn(p, r, 1.6666665459e-1f);
//! p = __fmaf_rn(p, r, 5.0000001201e-1f);
//! p = __fadd_rn(__fmaf_rn(__fmul_rn(r, r), p, r), 1.0f);
//! const int n = __float2int_rn(whole), half = n >> 1;
//! return __fmul_rn(__fmul_rn(p, __int_as_float((half + 127) << 23)), __int_as_float((n - half + 127) << 23));
//! ```

#![allow(clippy::excessive_precision, reason = "constants as published; the CUDA twin has the same digits")]

use std::f32::consts::LOG2_E;

/// ln 2 in two parts; the first has few bits, so that its multiples are exact.
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// P, highest power first.
const P: [f32; 6] = [
    1.987_569_15e-4,
    1.398_199_950_7e-3,
    8.333_451_907_3e-3,
    4.166_579_589_4e-2,
    1.666_666_545_9e-1,
    5.000_000_120_1e-1,
];

/// e^x, within 1.02 units in the last place (and of the subnormal step below f32's normal numbers).
///
/// 0 below ln 2^-150, +inf above ln 2^128. NaN stays NaN.
pub fn exp(x: f32) -> f32 {
    // Beyond these the result is 0 or infinite anyway, and n stays where 2^(n/2) is a normal number.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let whole = (x * LOG2_E).round_ties_even();
    let r = whole.mul_add(-LN_2_LOW, whole.mul_add(-LN_2_HIGH, x));
    let p = P[1..].iter().fold(P[0], |p, &c| p.mul_add(r, c));
    let p = (r * r).mul_add(p, r) + 1.0;
    // In two halves: 2^n itself may be too large or too small, and the second product rounds just once.
    let n = whole as i32;
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n - half)
}

/// 2^n for n in [-126, 127].
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// |exp(x) - e^x| in units of the last place of e^x (of the subnormal step below f32's normal numbers).
    fn ulps(x: f32) -> f64 {
        let exact = f64::from(x).exp();
        let place = 2f64.powi((exact.log2().floor() as i32 - 23).max(-149));
        (f64::from(exp(x)) - exact).abs() / place
    }

    /// The worst of all |x| in [1e-4, 104] is 1.0104, at x = -5.877884.
    const BOUND: f64 = 1.02;

    #[test]
    fn is_close_everywhere() {
        // A prime stride walks through all exponents and signs, and through mantissas without a pattern.
        let mut worst = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(10_007) {
            let x = f32::from_bits(bits);
            if x.is_finite() && (-103.9..88.72).contains(&x) {
                let error = ulps(x);
                worst = if error > worst.0 { (error, x) } else { worst };
            }
        }
        assert!(worst.0 < BOUND, "{worst:?}");
    }

    #[test]
    fn is_close_where_sigmoids_bend() {
        for i in -2_000_000i32..2_000_000 {
            let x = i as f32 * 1e-5;
            assert!(ulps(x) < BOUND, "{x}");
        }
    }

    #[test]
    fn ends_where_f32_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(88.722_83).is_finite(), "the last argument below ln 2^128");
        assert_eq!(exp(88.722_84), f32::INFINITY);
        assert_eq!(exp(-103.9), f32::from_bits(1));
        assert_eq!(exp(-104.0), 0.0);
        assert_eq!(exp(f32::MAX), f32::INFINITY);
        assert_eq!(exp(f32::MIN), 0.0);
        assert_eq!(exp(f32::MIN_POSITIVE), 1.0);
    }
}

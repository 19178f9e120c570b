//! The activations of INT8 epilogues, each a fixed chain of correctly rounded operations.

use super::exp;
use crate::ops::Activation;

/// `f(x)` with the operations, and in the order, that every INT8 kernel uses.
///
/// It differs from [`Activation::apply`], which FP32 uses, by last bits where that one calls a library.
///
/// ```text
/// Relu, Clip     comparisons; NaN stays NaN          LeakyRelu     x >= 0 ? x : alpha·x
/// HardSigmoid    clip(fma(alpha, x, beta), 0, 1)     HardSwish     x · clip(fma(x, 1/6, 1/2), 0, 1)
/// Sigmoid        1 / (1 + exp(-x))                   Silu          x / (1 + exp(-x))
/// ```
pub fn activate(function: Activation, x: f32) -> f32 {
    match function {
        Activation::Identity => x,
        Activation::Relu => clip(x, 0.0, f32::INFINITY),
        Activation::LeakyRelu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                alpha * x
            }
        }
        Activation::Clip { min, max } => clip(x, min, max),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { alpha, beta } => clip(alpha.mul_add(x, beta), 0.0, 1.0),
        Activation::HardSwish => x * clip(x.mul_add(1.0 / 6.0, 0.5), 0.0, 1.0),
        Activation::Silu => silu(x),
        Activation::Tanh => tanh(x),
    }
}

/// 1 / (1 + e^-x).
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x / (1 + e^-x).
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// tanh(x), after Cephes' `tanhf` (S. Moshier): a polynomial near 0, where the quotient would cancel.
///
/// ```text
/// |x| <  0.625:  x + x·x²·T(x²)           |x| >= 0.625:  ±(1 - 2 / (e^(2|x|) + 1))
/// ```
///
/// In CUDA, with z = __fmul_rn(x, x): Horner's rule in `__fmaf_rn` for T, then `__fmaf_rn(__fmul_rn(x, z), t, x)`;
/// else `copysignf(__fsub_rn(1.0f, __fdiv_rn(2.0f, __fadd_rn(exp(2|x|), 1.0f))), x)`.
pub fn tanh(x: f32) -> f32 {
    /// T, highest power first.
    #[allow(clippy::excessive_precision, reason = "constants as published; the CUDA twin has the same digits")]
    const T: [f32; 5] =
        [-5.704_988_727_45e-3, 2.063_908_879_54e-2, -5.373_971_555_31e-2, 1.333_144_220_36e-1, -3.333_328_194_22e-1];
    if x.abs() < 0.625 {
        let z = x * x;
        let t = T[1..].iter().fold(T[0], |t, &c| t.mul_add(z, c));
        (x * z).mul_add(t, x)
    } else {
        (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x)
    }
}

/// ONNX's Clip: `max` where the bounds cross. NaN stays NaN.
fn clip(x: f32, min: f32, max: f32) -> f32 {
    let raised = if x < min { min } else { x };
    if raised > max { max } else { raised }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 9] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Clip { min: 0.0, max: 6.0 },
        Activation::Sigmoid,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Silu,
        Activation::Tanh,
    ];

    #[test]
    fn are_the_functions_they_stand_for() {
        for function in ALL {
            for i in -300_000i32..300_000 {
                let x = i as f32 * 1e-4;
                let (exact, library) = (activate(function, x), function.apply(x));
                // A few roundings of each side, of numbers no larger than the result, x/6 or 1.
                let bound = 4.0 * f32::EPSILON * library.abs().max(1e-30);
                assert!((exact - library).abs() <= bound.max(1e-7), "{function}({x}): {exact} {library}");
            }
        }
    }

    #[test]
    fn tanh_is_close_to_its_last_places() {
        let mut worst = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(10_007) {
            let x = f32::from_bits(bits);
            if x.is_finite() && x.abs() > 1e-30 {
                let exact = f64::from(x).tanh();
                let place = 2f64.powi(exact.abs().log2().floor() as i32 - 23);
                let error = (f64::from(tanh(x)) - exact).abs() / place;
                worst = if error > worst.0 { (error, x) } else { worst };
            }
        }
        assert!(worst.0 < 2.0, "{worst:?}");
    }

    #[test]
    fn ends_are_defined() {
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((silu(200.0), silu(-200.0)), (200.0, 0.0));
        for function in ALL {
            assert!(activate(function, f32::NAN).is_nan(), "{function}");
            assert_eq!(function.apply(0.0), activate(function, 0.0), "{function}");
        }
    }
}

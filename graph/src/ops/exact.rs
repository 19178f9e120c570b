//! INT8 arithmetic, defined to the bit.
//!
//! The CPU reference and every kernel, whatever its tiles, splits or instructions, compute exactly this. It can
//! be so because nothing here depends on an order of summation: sums are integers, and what follows is a fixed
//! chain of correctly rounded f32 operations on one number at a time.
//!
//! **Numbers.** An activation is `scale·q`, q in [-128, 127], one scale a tensor; a weight is `scale[k]·q`, q in
//! [-127, 127], one scale an output channel, `scale[k] = max|w[k]| / 127`. Zero points are 0.
//!
//! **Sums.** `acc = Σ q_x·q_w` in i32. 2^31 / (128·127) = 132104 terms cannot overflow ([`MAX_TERMS`]).
//!
//! **The epilogue** of output channel k ([`Requantize`]), every line one rounding to nearest even per operation:
//!
//! ```text
//! x = fma(f32(acc), scale_x·scale_w[k], bias[k])     the product of scales is rounded once, at build time
//! x = pre(x)                                         with a residual only
//! x = fma(f32(r), scale_r, x)                        r: an INT8 residual's integer, or a real with scale_r = 1
//! x = post(x)
//! q = clamp(round_half_even(x · inv_scale_y), -128, 127)       inv_scale_y = 1/scale_y, rounded once
//! ```
//!
//! An absent bias is 0. An output that stays real is the x before the last line. `f32(acc)` rounds to nearest
//! even beyond 2^24. A NaN becomes 0. [`activate`] defines `pre` and `post`.
//!
//! **In CUDA**, with `-fmad=false` or these intrinsics, and without `-ftz`, `-use_fast_math`: `__int2float_rn`,
//! `__fmaf_rn`, `__fmul_rn`, `__fdiv_rn`; the last line is `__float2int_rn(__fmul_rn(x, inv_scale_y))`, which
//! saturates and makes NaN 0, and a clamp of integers (`cvt.pack.sat.s8.s32` does two).
//!
//! **Other operators** follow from the same pieces. An addition of two tensors is the third line on
//! `x = f32(a)·scale_a`. Moving integers (concat, max pool, nearest resize) from one scale to another is
//! [`requantize()`]. Averages sum in i32 and are a convolution's epilogue with scale `scale_x / count`.

mod activation;
mod exp;
mod finish;
mod operands;
mod product;
mod requantize;
mod resample;
mod store;
mod weights;

pub use activation::{activate, sigmoid, silu, tanh};
pub use exp::exp;
pub(super) use finish::Finish;
pub(super) use operands::{LARGEST_INTEGER, check_product, check_sum, result};
pub(super) use product::{EXACT_IN_F32, multiply, reals};
pub use requantize::{
    EpilogueError, MAX_TERMS, Requantize, ScaleError, check_scale, dequantize, quantize, quantize_all, requantize,
    requantize_all, rescale,
};
pub(super) use resample::{Line, blended, resample};
use store::inverse_scale;
pub(super) use store::{integers, reals_as};
pub use weights::{WeightError, quantize_weights};

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over the results' bits for every 10007th f32, NaNs left out.
    fn fingerprint(function: impl Fn(f32) -> f32) -> u64 {
        let sweep = (0..=u32::MAX).step_by(10_007).map(f32::from_bits).filter(|x| !x.is_nan());
        let results = sweep.map(function).filter(|y| !y.is_nan());
        results.fold(0xcbf2_9ce4_8422_2325, |hash, y| (hash ^ u64::from(y.to_bits())).wrapping_mul(0x0100_0000_01b3))
    }

    #[test]
    fn bits_are_those_of_a_twin_in_c() {
        // From the lines in `exp.rs` and `activation.rs` written in C++ with fmaf and rintf, compiled by g++ with
        // -ffp-contract=off. A GPU's twin must give the same.
        assert_eq!(fingerprint(exp), 0x5fcf_8829_261b_a43a);
        assert_eq!(fingerprint(tanh), 0xa909_33e0_cdd4_b245);
        assert_eq!(fingerprint(sigmoid), 0x9260_3f79_1084_362f);
        assert_eq!(fingerprint(silu), 0x7d1a_68e2_36db_cd0b);
        assert_eq!([exp(1.0), exp(10.5), exp(-87.5)].map(f32::to_bits), [0x402d_f854, 0x470d_db81, 0x006c_b2bc]);
    }
}

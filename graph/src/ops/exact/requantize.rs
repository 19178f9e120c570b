//! From integers to reals and back.

use super::activate;
use crate::ops::Epilogue;

/// Products of 8-bit integers that an i32 holds whatever they are: 128·127·132104 < 2^31.
pub const MAX_TERMS: usize = (i32::MAX / (128 * 127)) as usize;

/// Why a scale cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ScaleError {
    /// 0 or -0.
    #[error("is zero")]
    Zero,
    /// Below 0.
    #[error("is negative ({0:e})")]
    Negative(f32),
    /// Not a number.
    #[error("is NaN")]
    Nan,
    /// Infinite.
    #[error("is infinite")]
    Infinite,
    /// Positive, but so small that its inverse is not finite or not precise.
    #[error("is subnormal ({0:e}); its inverse has no precise f32")]
    Subnormal(f32),
}

/// A scale must be positive, finite and a normal number.
pub fn check_scale(scale: f32) -> Result<f32, ScaleError> {
    match scale {
        s if s.is_nan() => Err(ScaleError::Nan),
        s if s.is_infinite() => Err(ScaleError::Infinite),
        0.0 => Err(ScaleError::Zero),
        s if s < 0.0 => Err(ScaleError::Negative(s)),
        s if s < f32::MIN_POSITIVE => Err(ScaleError::Subnormal(s)),
        s => Ok(s),
    }
}

/// The integer that stands for `x`: `clamp(round_half_even(x · inv_scale), -128, 127)`; 0 for a NaN.
pub fn quantize(x: f32, inv_scale: f32) -> i8 {
    // The conversion to i32 saturates and makes NaN 0, as `cvt.rni.s32.f32` does.
    ((x * inv_scale).round_ties_even() as i32).clamp(-128, 127) as i8
}

/// [`quantize`] for many, with the inverse taken once.
pub fn quantize_all(values: &[f32], scale: f32) -> Vec<i8> {
    let inv_scale = 1.0 / scale;
    values.iter().map(|&x| quantize(x, inv_scale)).collect()
}

/// The reals that integers stand for: `scale · f32(q)`, rounded once.
pub fn dequantize(values: &[i8], scale: f32) -> Vec<f32> {
    values.iter().map(|&q| f32::from(q) * scale).collect()
}

/// The factor that takes integers from one scale to another, rounded once; exactly 1 between equal scales.
pub fn rescale(from: f32, to: f32) -> f32 {
    from / to
}

/// The integer under another scale: `clamp(round_half_even(f32(q) · factor), -128, 127)`, factor from [`rescale`].
pub fn requantize(q: i8, factor: f32) -> i8 {
    quantize(f32::from(q), factor)
}

/// [`requantize`] for many: what concat, pooling and resizing do between different scales.
pub fn requantize_all(values: &[i8], from: f32, to: f32) -> Vec<i8> {
    let factor = rescale(from, to);
    values.iter().map(|&q| requantize(q, factor)).collect()
}

/// The epilogue of an INT8 product: from accumulators to the output's integers or reals. See [`super`].
#[derive(Clone, Debug, PartialEq)]
pub struct Requantize {
    /// `scale_x · scale_w[k]`, one per output channel.
    pub scales: Vec<f32>,
    /// One per output channel; zeros if there is none.
    pub bias: Vec<f32>,
    /// Which steps there are, and their activations.
    pub steps: Epilogue,
    /// The residual's scale; 1 for a residual of reals.
    pub residual_scale: f32,
    /// 1 / the output's scale; `None` if the output stays real.
    pub inv_output_scale: Option<f32>,
}

/// What does not fit in an epilogue.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EpilogueError {
    /// A scale that is none.
    #[error("the scale of the {what} {source}")]
    Scale {
        /// Whose scale.
        what: &'static str,
        /// What is wrong with it.
        source: ScaleError,
    },
    /// Not one bias a channel, or a bias where the steps have none.
    #[error("the epilogue needs a bias of {expected} channel(s), got {got}")]
    Bias {
        /// Channels, or 0 if the steps have no bias.
        expected: usize,
        /// Numbers that came.
        got: usize,
    },
    /// The residual's scale and the steps disagree.
    #[error("the epilogue's steps and the residual's scale disagree on whether there is a residual")]
    Residual,
}

impl Requantize {
    /// Folds scales together.
    ///
    /// `input` is the activation's scale, `weights` has one per output channel. `residual` is the residual's
    /// scale, 1 if it holds reals. `output` is `None` if the output stays real.
    pub fn new(
        steps: Epilogue,
        input: f32,
        weights: &[f32],
        bias: Option<&[f32]>,
        residual: Option<f32>,
        output: Option<f32>,
    ) -> Result<Self, EpilogueError> {
        let check = |what, scale| check_scale(scale).map_err(|source| EpilogueError::Scale { what, source });
        check("input", input)?;
        for &scale in weights {
            check("weights", scale)?;
        }
        let expected = if steps.bias { weights.len() } else { 0 };
        let got = bias.map_or(0, <[f32]>::len);
        if got != expected || bias.is_some() != steps.bias {
            return Err(EpilogueError::Bias { expected, got });
        }
        if residual.is_some() != steps.residual {
            return Err(EpilogueError::Residual);
        }
        Ok(Self {
            scales: weights.iter().map(|w| input * w).collect(),
            bias: bias.map_or_else(|| vec![0.0; weights.len()], <[f32]>::to_vec),
            steps,
            residual_scale: residual.map_or(Ok(1.0), |scale| check("residual", scale))?,
            inv_output_scale: output.map(|scale| check("output", scale)).transpose()?.map(|scale| 1.0 / scale),
        })
    }

    /// The real output of channel `channel`. `residual` is the residual's integer as f32, or its real; ignored
    /// if the steps have none.
    pub fn real(&self, channel: usize, accumulator: i32, residual: f32) -> f32 {
        let mut x = (accumulator as f32).mul_add(self.scales[channel], self.bias[channel]);
        if self.steps.residual {
            x = residual.mul_add(self.residual_scale, activate(self.steps.pre, x));
        }
        activate(self.steps.post, x)
    }

    /// The output's integer, or `None` if the output stays real.
    pub fn integer(&self, channel: usize, accumulator: i32, residual: f32) -> Option<i8> {
        Some(quantize(self.real(channel, accumulator, residual), self.inv_output_scale?))
    }
}

#[cfg(test)]
mod tests;

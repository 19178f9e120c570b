//! What integers stand for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a tensor's integers stand for: `real = scale · q`. 1 for tensors of reals, whose numbers are themselves.
///
/// [`Scale::ONE`] is the scale of whatever was never quantized, plain integers included; it is not the same as
/// `Scale::new(1.0)`, under which quantized integers happen to stand for themselves. The two mean the same number and
/// differ in how reals become i8: plain integers by ONNX's Cast, toward zero; quantized ones to the nearest, ties to
/// even.
///
/// Kept as bits, so that sites can be compared and hashed. A kernel gets it as a parameter, never compiled in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scale(Option<u32>);

impl Scale {
    /// Of numbers that stand for themselves.
    pub const ONE: Self = Self(None);

    /// Of integers that are multiplied by this, a positive normal number.
    pub const fn new(scale: f32) -> Self {
        Self(Some(scale.to_bits()))
    }

    /// The factor.
    pub const fn get(self) -> f32 {
        match self.0 {
            Some(bits) => f32::from_bits(bits),
            None => 1.0,
        }
    }

    /// `1 / scale`, rounded once: what reals are multiplied by to be integers.
    pub const fn inverse(self) -> f32 {
        1.0 / self.get()
    }

    /// True of quantized integers, false of reals and plain integers.
    pub const fn is_quantized(self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e}", self.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_a_scale_of_one() {
        let one = Scale::new(1.0);
        assert_eq!((one.get(), one.inverse(), one.is_quantized()), (1.0, 1.0, true));
        assert_eq!((Scale::ONE.get(), Scale::ONE.inverse(), Scale::ONE.is_quantized()), (1.0, 1.0, false));
        assert_ne!(Scale::ONE, one);
    }
}

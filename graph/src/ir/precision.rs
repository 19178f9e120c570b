use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a node multiplies in. What its values are stored in follows from their facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precision {
    /// IEEE single throughout.
    #[default]
    Fp32,
    /// Stored as FP32; tensor cores multiply with 10 bits of mantissa and add in FP32.
    Tf32,
    /// Stored and multiplied as FP16, added in FP32.
    Fp16,
    /// Stored as 8-bit integers, added exactly in 32 bits.
    Int8,
}

impl Precision {
    /// All of them, the exact first.
    pub const ALL: [Precision; 4] = [Precision::Fp32, Precision::Tf32, Precision::Fp16, Precision::Int8];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Tf32 => "tf32",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no precision.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no precision; use one of fp32, tf32, fp16, int8")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}

use serde::{Deserialize, Serialize};
use std::fmt;

/// The type of one element of a tensor.
///
/// ONNX knows more; import widens or narrows them to these (f64 to f32, small integers to i64)
/// because no kernel here computes in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// Signed 8-bit; a quantized activation or weight.
    I8,
    /// Unsigned 8-bit; a picture, or an asymmetric quantized activation.
    U8,
    /// Signed 32-bit; an INT8 accumulator or bias.
    I32,
    /// Signed 64-bit; shapes and indices.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
        }
    }

    /// True for the types that hold real numbers: F32 and F16.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F16)
    }

    /// The name used on the command line, in prints and in engine files.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

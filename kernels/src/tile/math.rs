//! How products are formed.

use crate::target::Arch;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// A way to form products: the `PRECISION` of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Math {
    /// s8 on tensor cores, summed up in s32.
    Int8,
    /// f16 on tensor cores.
    Fp16,
    /// f32 rounded to TF32 on tensor cores.
    Tf32,
    /// f32, one multiply-add after the other.
    Fp32,
}

impl Math {
    /// The type in `fragment.cuh` or `simt.cuh`.
    pub const fn name(self) -> &'static str {
        match self {
            Math::Int8 => "Int8",
            Math::Fp16 => "Fp16",
            Math::Tf32 => "Tf32",
            Math::Fp32 => "Fp32",
        }
    }

    /// What its operands are stored as.
    pub const fn dtype(self) -> DType {
        match self {
            Math::Int8 => DType::I8,
            Math::Fp16 => DType::F16,
            Math::Tf32 | Math::Fp32 => DType::F32,
        }
    }

    /// The precision whose peak limits it.
    pub const fn precision(self) -> Precision {
        match self {
            Math::Int8 => Precision::Int8,
            Math::Fp16 => Precision::Fp16,
            Math::Tf32 => Precision::Tf32,
            Math::Fp32 => Precision::Fp32,
        }
    }

    /// Elements of a 16-byte vector.
    pub const fn width(self) -> u32 {
        crate::site::vector_width(self.dtype())
    }

    /// Whether the right operand may have K along its rows: `ldmatrix` transposes pairs of bytes, not single ones.
    pub const fn takes_k_by_n(self) -> bool {
        !matches!(self, Math::Int8)
    }

    /// The tensor-core way for a precision, or why there is none.
    pub fn tensor_cores(precision: Precision, arch: Arch) -> Result<Self, String> {
        match precision {
            Precision::Int8 => Ok(Math::Int8),
            Precision::Fp16 => Ok(Math::Fp16),
            Precision::Tf32 if arch.has_async_copy() => Ok(Math::Tf32),
            Precision::Tf32 => Err(format!("needs sm_80 for TF32, the target is {arch}")),
            Precision::Fp32 => Err("multiplies int8, fp16 or tf32, the site asks for fp32".to_owned()),
        }
    }

    /// The plain way for a precision, or why there is none. It stands in for TF32 where the chip has none: it is
    /// more exact.
    pub fn plain(precision: Precision, arch: Arch) -> Result<Self, String> {
        match precision {
            Precision::Fp32 => Ok(Math::Fp32),
            Precision::Tf32 if !arch.has_async_copy() => Ok(Math::Fp32),
            other => Err(format!("multiplies fp32, the site asks for {other}")),
        }
    }

    /// The tensor-core ways an architecture has.
    pub fn all_tensor_cores(arch: Arch) -> Vec<Self> {
        let precisions = [Precision::Int8, Precision::Fp16, Precision::Tf32];
        precisions.into_iter().filter_map(|p| Self::tensor_cores(p, arch).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precisions_without_a_way_say_so() {
        assert!(Math::tensor_cores(Precision::Tf32, Arch(75)).is_err_and(|reason| reason.contains("sm_80")));
        assert_eq!(Math::plain(Precision::Tf32, Arch(75)), Ok(Math::Fp32));
        assert!(Math::plain(Precision::Tf32, Arch(90)).is_err());
        assert!(Math::tensor_cores(Precision::Fp32, Arch(90)).is_err());
        assert!(Math::plain(Precision::Int8, Arch(90)).is_err());
    }
}

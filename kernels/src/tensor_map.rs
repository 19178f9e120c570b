//! Tensors in global memory as the tensor copies of sm_90 see them (`cp.async.bulk.tensor`): numbers only, so that a
//! plan can hold them. `device/` has the driver encode them, the emulator reads them as they are.
//!
//! Source: CUDA driver API, "Tensor Map Object Management"; PTX ISA, "Tensors".

use crate::launch::Role;
use limpid_graph::tensor::DType;
use serde::{Deserialize, Serialize};

/// How the 16-byte pieces of a row are scattered over the banks of shared memory: bits 4 and up of the address are
/// exclusive-ored with bits 7 and up. `wgmma`'s descriptors know the same patterns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Swizzle {
    /// Rows lie as they are.
    #[default]
    None,
    /// Rows of 32 bytes; the pattern has 256.
    B32,
    /// Rows of 64 bytes; the pattern has 512.
    B64,
    /// Rows of 128 bytes; the pattern has 1024.
    B128,
}

impl Swizzle {
    /// Bytes the innermost extent of a box has.
    pub fn span(self) -> Option<u64> {
        match self {
            Swizzle::None => None,
            Swizzle::B32 => Some(32),
            Swizzle::B64 => Some(64),
            Swizzle::B128 => Some(128),
        }
    }
}

/// What one copy takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TensorAccess {
    /// A box: elements traversed in each dimension, innermost first.
    Tiled {
        /// As many as the tensor has dimensions.
        extents: Vec<u32>,
    },
    /// Pixels of an image (C, W, H, N; or C, W, N; or C, W, H, D, N), one after another through a bounding box.
    Im2col {
        /// The box's first corner, relative to pixel 0: minus the padding. One for each spatial dimension, W first.
        lower: Vec<i32>,
        /// The box's last corner, relative to the last pixel: padding - dilation·(kernel - 1).
        upper: Vec<i32>,
        /// Channels of each pixel.
        channels: u32,
        /// Pixels of one copy.
        pixels: u32,
    },
}

/// A tensor and how copies take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMap {
    /// Whose memory.
    pub role: Role,
    /// Bytes from there to element 0.
    pub offset: u64,
    /// Element type.
    pub dtype: DType,
    /// Extents, innermost first; 1 to 5 of them. What lies outside is read as zero and never written.
    pub dims: Vec<u64>,
    /// Bytes from one index to the next, of all dimensions but the innermost, which is dense.
    pub strides: Vec<u64>,
    /// What one copy takes.
    pub access: TensorAccess,
    /// Of each dimension every this many-th element is taken: a convolution's stride. 1 to 8, of the innermost 1.
    pub element_strides: Vec<u32>,
    /// How rows are scattered.
    pub swizzle: Swizzle,
}

impl TensorMap {
    /// Bytes of the kernel's parameter.
    pub const BYTES: usize = 128;

    /// A box of a dense-rowed tensor, every element of it.
    pub fn tiled(role: Role, dtype: DType, dims: &[u64], strides: &[u64], extents: &[u32], swizzle: Swizzle) -> Self {
        Self {
            role,
            offset: 0,
            dtype,
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            access: TensorAccess::Tiled { extents: extents.to_vec() },
            element_strides: vec![1; dims.len()],
            swizzle,
        }
    }

    /// Bytes that one copy brings, zeros for what lies outside included.
    pub fn copy_bytes(&self) -> u64 {
        let elements = match &self.access {
            TensorAccess::Tiled { extents } => extents
                .iter()
                .zip(&self.element_strides)
                .map(|(&n, &step)| u64::from(n.div_ceil(step.max(1))))
                .product(),
            TensorAccess::Im2col { channels, pixels, .. } => u64::from(*channels) * u64::from(*pixels),
        };
        elements * self.dtype.size() as u64
    }

    /// Holds it to the driver's rules (`cuTensorMapEncodeTiled`, `cuTensorMapEncodeIm2col`), which answers only
    /// "invalid value".
    ///
    /// # Errors
    /// The first rule that is broken, and by what.
    pub fn check(&self) -> Result<(), String> {
        let rank = self.dims.len();
        let size = self.dtype.size() as u64;
        let within = |what: &str, value: i64, least: i64, most: i64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("{what} is {value}; {least} to {most} may be"))
        };
        let count = |what: &str, got: usize, wanted: usize| {
            if got == wanted { Ok(()) } else { Err(format!("{got} {what} for {rank} dimensions; {wanted} are needed")) }
        };
        within("the number of dimensions", rank as i64, 1, 5)?;
        count("strides", self.strides.len(), rank - 1)?;
        count("element strides", self.element_strides.len(), rank)?;
        if !self.offset.is_multiple_of(16) {
            return Err(format!("the tensor begins at byte {}, no multiple of 16", self.offset));
        }
        for &extent in &self.dims {
            within("an extent", extent.min(1 << 40) as i64, 1, u32::MAX.into())?;
        }
        if let Some(stride) = self.strides.iter().find(|s| !s.is_multiple_of(16) || **s >= 1 << 40) {
            return Err(format!("a stride is {stride} bytes; multiples of 16 below 2^40 may be"));
        }
        for &step in &self.element_strides {
            within("an element stride", step.into(), 1, 8)?;
        }
        if self.element_strides[0] != 1 {
            return Err(format!("the innermost element stride is {}; it must be 1", self.element_strides[0]));
        }
        let row = match &self.access {
            TensorAccess::Tiled { extents } => {
                count("extents of the box", extents.len(), rank)?;
                for &extent in extents {
                    within("an extent of the box", extent.into(), 1, 256)?;
                }
                u64::from(extents[0]) * size
            }
            TensorAccess::Im2col { lower, upper, channels, pixels } => {
                within("the number of dimensions of an im2col tensor", rank as i64, 3, 5)?;
                count("lower corners", lower.len(), rank - 2)?;
                count("upper corners", upper.len(), rank - 2)?;
                let most = [1 << 15, 1 << 7, 1 << 4][rank - 3];
                for &corner in lower.iter().chain(upper) {
                    within("a corner", corner.into(), -most, most - 1)?;
                }
                within("the number of channels", (*channels).into(), 1, 256)?;
                within("the number of pixels", (*pixels).into(), 1, 1024)?;
                u64::from(*channels) * size
            }
        };
        if !row.is_multiple_of(16) {
            return Err(format!("a row of the box has {row} bytes, no multiple of 16"));
        }
        // The driver takes shorter rows, too, but copies of them end in illegal addresses on an H200.
        match self.swizzle.span() {
            Some(span) if row != span => Err(format!("a row of the box has {row} bytes; this swizzle takes {span}")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> TensorMap {
        TensorMap::tiled(Role::Input(0), DType::F16, &[72, 100], &[144], &[64, 128], Swizzle::B128)
    }

    #[test]
    fn copies_have_sizes() {
        assert_eq!(map().copy_bytes(), 64 * 128 * 2);
        assert_eq!(TensorMap { element_strides: vec![1, 2], ..map() }.copy_bytes(), 64 * 64 * 2);
    }

    #[test]
    fn rules_are_named() {
        assert_eq!(map().check(), Ok(()));
        let broken = |change: fn(&mut TensorMap)| {
            let mut map = map();
            change(&mut map);
            map.check().expect_err("it breaks a rule")
        };
        assert!(broken(|m| m.strides[0] = 136).contains("136 bytes; multiples of 16"));
        assert!(broken(|m| m.swizzle = Swizzle::B64).contains("128 bytes; this swizzle takes 64"));
        let narrow = TensorAccess::Tiled { extents: vec![32, 128] };
        let narrow = TensorMap { access: narrow, ..map() }.check().expect_err("64 of 128 bytes");
        assert!(narrow.contains("64 bytes; this swizzle takes 128"));
        assert!(broken(|m| m.element_strides = vec![2, 1]).contains("innermost element stride is 2; it must be 1"));
        assert!(broken(|m| m.element_strides = vec![1]).contains("1 element strides for 2 dimensions"));
        assert!(broken(|m| m.dims = vec![]).contains("dimensions is 0"));
        assert!(broken(|m| m.access = TensorAccess::Tiled { extents: vec![64, 257] }).contains("is 257; 1 to 256"));
        let im2col = TensorAccess::Im2col { lower: vec![-1], upper: vec![1], channels: 64, pixels: 128 };
        let mut two = map();
        two.access = im2col;
        assert!(two.check().expect_err("a row of pixels is no image").contains("is 2; 3 to 5"));
    }
}

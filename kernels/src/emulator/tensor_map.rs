//! A tensor map as `runtime/tensor_copy.cpp` reads it: its `struct Map`, little-endian, in 128 bytes.

use super::EmulatorError;
use crate::tensor_map::{Swizzle, TensorAccess, TensorMap};

/// Says that this is one.
const MARK: u32 = 0x4c50_4d54;

pub(super) fn describe(map: &TensorMap) -> Result<Vec<u8>, EmulatorError> {
    map.check().map_err(|reason| EmulatorError::TensorMap { role: map.role, reason })?;
    // The address, which the runtime fills in.
    let mut bytes = vec![0; 8];
    let padded = |count: usize, have: usize| std::iter::repeat_n((), count - have);
    map.strides.iter().for_each(|stride| bytes.extend(stride.to_le_bytes()));
    padded(4, map.strides.len()).for_each(|()| bytes.extend([0; 8]));
    map.dims.iter().for_each(|&extent| bytes.extend((extent as u32).to_le_bytes()));
    padded(5, map.dims.len()).for_each(|()| bytes.extend([0; 4]));
    let (extents, corners, im2col) = match &map.access {
        TensorAccess::Tiled { extents } => (extents.clone(), [vec![], vec![]], false),
        TensorAccess::Im2col { lower, upper, channels, pixels } => {
            (vec![*channels, *pixels], [lower.clone(), upper.clone()], true)
        }
    };
    extents.iter().for_each(|&extent| bytes.extend((extent as u16).to_le_bytes()));
    padded(5, extents.len()).for_each(|()| bytes.extend([0; 2]));
    for corner in &corners {
        corner.iter().for_each(|&offset| bytes.extend((offset as i16).to_le_bytes()));
        padded(3, corner.len()).for_each(|()| bytes.extend([0; 2]));
    }
    bytes.extend(map.element_strides.iter().map(|&step| step as u8));
    padded(5, map.element_strides.len()).for_each(|()| bytes.push(0));
    let swizzle = match map.swizzle {
        Swizzle::None => 0,
        Swizzle::B32 => 1,
        Swizzle::B64 => 2,
        Swizzle::B128 => 3,
    };
    bytes.extend([map.dims.len() as u8, map.dtype.size() as u8, swizzle, u8::from(im2col)]);
    // The mark is aligned to 4 bytes.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(MARK.to_le_bytes());
    bytes.resize(TensorMap::BYTES, 0);
    Ok(bytes)
}

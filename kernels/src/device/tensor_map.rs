//! Tensor maps as the hardware reads them, by the driver.

use super::buffer::DevicePtr;
use super::driver::check;
use super::error::DeviceError;
use crate::tensor_map::{Swizzle, TensorAccess, TensorMap};
use cudarc::driver::sys;
use limpid_graph::tensor::DType;
use std::ffi::c_void;

/// The 128 bytes of a kernel's parameter for the tensor that begins `map.offset` bytes behind `base`.
///
/// # Errors
/// [`DeviceError::TensorMap`] if there can be no such map; the driver's.
pub fn encode(map: &TensorMap, base: DevicePtr) -> Result<Vec<u8>, DeviceError> {
    map.check().map_err(|reason| DeviceError::TensorMap { role: map.role, reason })?;
    let mut encoded = sys::CUtensorMap { opaque: [0; 16] };
    let address = base.offset(map.offset as usize).address() as *mut c_void;
    let rank = map.dims.len() as u32;
    // Read only if there is a second dimension, but never null.
    let strides = if map.strides.is_empty() { &[0][..] } else { &map.strides };
    let interleave = sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE;
    let promotion = sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
    let fill = sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
    match &map.access {
        TensorAccess::Tiled { extents } => {
            // SAFETY: libcuda is loaded, since `base` came from it; every array has one entry a dimension, strides one
            // less (`TensorMap::check`); the driver reads them and writes 128 bytes.
            let code = unsafe {
                sys::cuTensorMapEncodeTiled(
                    &mut encoded,
                    data_type(map.dtype),
                    rank,
                    address,
                    map.dims.as_ptr(),
                    strides.as_ptr(),
                    extents.as_ptr(),
                    map.element_strides.as_ptr(),
                    interleave,
                    swizzle(map.swizzle),
                    promotion,
                    fill,
                )
            };
            check("cuTensorMapEncodeTiled", code)?;
        }
        TensorAccess::Im2col { lower, upper, channels, pixels } => {
            // SAFETY: as above; the corners have one entry for each spatial dimension.
            let code = unsafe {
                sys::cuTensorMapEncodeIm2col(
                    &mut encoded,
                    data_type(map.dtype),
                    rank,
                    address,
                    map.dims.as_ptr(),
                    strides.as_ptr(),
                    lower.as_ptr(),
                    upper.as_ptr(),
                    *channels,
                    *pixels,
                    map.element_strides.as_ptr(),
                    interleave,
                    swizzle(map.swizzle),
                    promotion,
                    fill,
                )
            };
            check("cuTensorMapEncodeIm2col", code)?;
        }
    }
    Ok(bytemuck::cast_slice(&encoded.opaque).to_vec())
}

fn data_type(dtype: DType) -> sys::CUtensorMapDataType {
    use sys::CUtensorMapDataType as T;
    match dtype {
        DType::F32 => T::CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        DType::F16 => T::CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
        DType::I8 | DType::U8 | DType::Bool => T::CU_TENSOR_MAP_DATA_TYPE_UINT8,
        DType::I32 => T::CU_TENSOR_MAP_DATA_TYPE_INT32,
        DType::I64 => T::CU_TENSOR_MAP_DATA_TYPE_INT64,
    }
}

fn swizzle(swizzle: Swizzle) -> sys::CUtensorMapSwizzle {
    use sys::CUtensorMapSwizzle as S;
    match swizzle {
        Swizzle::None => S::CU_TENSOR_MAP_SWIZZLE_NONE,
        Swizzle::B32 => S::CU_TENSOR_MAP_SWIZZLE_32B,
        Swizzle::B64 => S::CU_TENSOR_MAP_SWIZZLE_64B,
        Swizzle::B128 => S::CU_TENSOR_MAP_SWIZZLE_128B,
    }
}

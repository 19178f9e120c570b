//! The way into libcuda: present, initialised, new enough; and its result codes as errors.

use super::error::DeviceError;
use super::library;
use super::version::CudaVersion;
use cudarc::driver::{result::DriverError, sys};
use std::ffi::CStr;

/// The oldest driver that has every function called here; the youngest of them are `cuLaunchKernelEx` (11.8) and
/// `cuGraphInstantiateWithFlags` (11.4). cudarc looks functions up when they are called and panics without them.
const OLDEST: CudaVersion = CudaVersion { major: 12, minor: 0 };

/// Loads and initialises the driver. Cheap after the first time.
///
/// # Errors
/// [`DeviceError::NoDriver`], [`DeviceError::DriverTooOld`]. That there is no GPU is no error here.
pub fn ready() -> Result<CudaVersion, DeviceError> {
    library::driver()?;
    let mut encoded = 0;
    // SAFETY: libcuda is loaded; this function may be called before cuInit, and the pointer leads to an int.
    check("cuDriverGetVersion", unsafe { sys::cuDriverGetVersion(&mut encoded) })?;
    let version = CudaVersion::from_driver(encoded);
    // SAFETY: libcuda is loaded; cuInit may be called any number of times.
    match unsafe { sys::cuInit(0) } {
        // Initialised, with nothing to run on: `Device::count` says 0.
        sys::CUresult::CUDA_SUCCESS | sys::CUresult::CUDA_ERROR_NO_DEVICE => {}
        sys::CUresult::CUDA_ERROR_STUB_LIBRARY => {
            let reason = "the libcuda found is the toolkit's stub, which is only for linking".to_owned();
            return Err(DeviceError::NoDriver { reason });
        }
        other => check("cuInit", other)?,
    }
    if version < OLDEST {
        return Err(DeviceError::DriverTooOld { found: version, needed: OLDEST });
    }
    Ok(version)
}

/// A driver function's result code as an error that names the function.
pub fn check(call: &'static str, code: sys::CUresult) -> Result<(), DeviceError> {
    match code {
        sys::CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(failure(call, code)),
    }
}

/// As [`check`], in `Drop`, where an error cannot be returned. After a kernel went wrong every call fails, and
/// the first failure was reported to the caller, so this is only worth a line in the log.
pub fn check_on_drop(call: &'static str, code: sys::CUresult) {
    if let Err(error) = check(call, code) {
        tracing::debug!("while releasing: {error}");
    }
}

fn failure(call: &'static str, code: sys::CUresult) -> DeviceError {
    let text = |text: Result<&CStr, DriverError>| text.map(|text| text.to_string_lossy().into_owned());
    let error = DriverError(code);
    DeviceError::Cuda {
        call,
        code: code as u32,
        name: text(error.error_name()).unwrap_or_else(|_| format!("{code:?}")),
        message: text(error.error_string()).unwrap_or_else(|_| "the driver has no words for it".to_owned()),
    }
}

//! Cubins on the GPU, and the kernels in them.

use super::aligned::AlignedBytes;
use super::context::Device;
use super::cubin::Cubin;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use cudarc::driver::sys;
use cudarc::driver::sys::CUfunction_attribute::{
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CString, c_int};
use std::fmt;
use std::ptr;

/// Shared memory, static and dynamic together, that a block may use without asking.
const SHARED_WITHOUT_ASKING: u32 = 48 * 1024;

/// Percent of what a multiprocessor divides between shared memory and first-level cache that a kernel with shared memory
/// asks to have as such: all. Left to itself, the driver divides for each kernel as it thinks best, and a
/// multiprocessor divides anew only when it is idle: a grid that may start early ([`Launch::dependent`]) could not where
/// the division changes.
///
/// [`Launch::dependent`]: crate::launch::Launch::dependent
const SHARED_PERCENT: c_int = 100;

/// A cubin that the driver has loaded. It belongs to the device, which unloads it when it closes.
pub(super) struct LoadedModule {
    raw: sys::CUmodule,
    functions: HashMap<String, LoadedFunction>,
}

// SAFETY: the raw module is a handle, not memory of this process.
unsafe impl Send for LoadedModule {}

struct LoadedFunction {
    raw: sys::CUfunction,
    /// Dynamic shared memory that the driver was asked to allow, bytes.
    allowed: u32,
    /// Whether the driver was told of [`SHARED_PERCENT`].
    divided: bool,
}

impl LoadedFunction {
    /// The device is bound.
    fn set(&self, attribute: sys::CUfunction_attribute, value: c_int) -> Result<(), DeviceError> {
        // SAFETY: the function belongs to a loaded module; the driver checks the value.
        check("cuFuncSetAttribute", unsafe { sys::cuFuncSetAttribute(self.raw, attribute, value) })
    }
}

impl LoadedModule {
    /// Hands the image to the driver. The device is bound.
    pub fn load(device: &Device, cubin: &Cubin, entry: &str) -> Result<Self, DeviceError> {
        let refused = |reason: String| DeviceError::Image {
            entry: entry.to_owned(),
            arch: device.target().arch,
            driver: device.driver_version(),
            reason,
        };
        if let Some(reason) = cubin.malformed() {
            return Err(refused(reason.to_owned()));
        }
        // An image from the middle of a file has any alignment; the driver reads it as an ELF header.
        let (image, _) = AlignedBytes::pack([cubin.image.as_slice()]);
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current; the image is a whole ELF file, which the driver copies.
        match unsafe { sys::cuModuleLoadData(&mut raw, image.bytes().as_ptr().cast()) } {
            sys::CUresult::CUDA_ERROR_INVALID_IMAGE => Err(refused("it is no image for this driver".to_owned())),
            sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU => Err(refused("it is for another GPU".to_owned())),
            code => check("cuModuleLoadData", code).map(|()| Self { raw, functions: HashMap::new() }),
        }
    }

    fn function(&mut self, entry: &str) -> Result<&mut LoadedFunction, DeviceError> {
        let gap = match self.functions.entry(entry.to_owned()) {
            Entry::Occupied(there) => return Ok(there.into_mut()),
            Entry::Vacant(gap) => gap,
        };
        let name = CString::new(entry)
            .map_err(|_| DeviceError::ZeroByte { what: "a kernel's name", text: entry.to_owned() })?;
        let mut raw = ptr::null_mut();
        // SAFETY: the module is loaded, the name is zero-terminated, the pointer leads to a CUfunction.
        check("cuModuleGetFunction", unsafe { sys::cuModuleGetFunction(&mut raw, self.raw, name.as_ptr()) })?;
        Ok(gap.insert(LoadedFunction { raw, allowed: 0, divided: false }))
    }

    /// The device is bound, and closing.
    pub fn unload(self) {
        // SAFETY: loaded in `load`, unloaded here and nowhere else; functions and graphs that used it held the device.
        check_on_drop("cuModuleUnload", unsafe { sys::cuModuleUnload(self.raw) });
    }
}

/// A kernel, ready to be launched.
#[derive(Clone)]
pub struct Function {
    device: Device,
    entry: String,
    raw: sys::CUfunction,
}

// SAFETY: the raw function is a handle that lives as long as the device, and may be used from any thread.
unsafe impl Send for Function {}
// SAFETY: as above; its one setting, the shared memory it may use, is changed under the device's lock.
unsafe impl Sync for Function {}

impl Function {
    /// The kernel `entry` of a cubin, allowed to use `shared_bytes` of dynamic shared memory.
    ///
    /// # Errors
    /// [`DeviceError::Image`] if the driver does not load the cubin, [`DeviceError::Dimensions`] if a block of this
    /// GPU has less shared memory, or the driver's.
    pub fn new(device: &Device, cubin: &Cubin, entry: &str, shared_bytes: u32) -> Result<Self, DeviceError> {
        let limit = device.target().shared_per_block;
        let wanted = shared_bytes.saturating_add(cubin.resources.shared_bytes.unwrap_or(0));
        if wanted > limit {
            return Err(DeviceError::Dimensions {
                entry: entry.to_owned(),
                what: "its shared memory in bytes",
                found: u64::from(wanted),
                allowed: format!("at most {limit} on {}", device.name()),
            });
        }
        let raw = device.with_module(cubin, entry, |module| {
            let function = module.function(entry)?;
            // The setting is the kernel's, not the launch's: it only ever grows, so that launches prepared before
            // stay valid.
            if wanted > SHARED_WITHOUT_ASKING && shared_bytes > function.allowed {
                function.set(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes as c_int)?;
                function.allowed = shared_bytes;
            }
            if wanted > 0 && !function.divided {
                function.set(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, SHARED_PERCENT)?;
                function.divided = true;
            }
            Ok(function.raw)
        })?;
        Ok(Self { device: device.clone(), entry: entry.to_owned(), raw })
    }

    /// Its name.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// The GPU it is loaded on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Blocks of `threads` threads and `shared_bytes` of dynamic shared memory that one multiprocessor holds at a time.
    ///
    /// # Errors
    /// The driver's.
    pub fn blocks_per_multiprocessor(&self, threads: u32, shared_bytes: u32) -> Result<u32, DeviceError> {
        self.device.bind()?;
        let mut blocks = 0;
        let threads = c_int::try_from(threads).unwrap_or(c_int::MAX);
        // SAFETY: the function is loaded, and the pointer leads to an int.
        let code = unsafe {
            sys::cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut blocks, self.raw, threads, shared_bytes as usize)
        };
        check("cuOccupancyMaxActiveBlocksPerMultiprocessor", code)?;
        Ok(u32::try_from(blocks).unwrap_or(0))
    }

    /// Its handle; the caller binds the device.
    pub(super) fn raw(&self) -> sys::CUfunction {
        self.raw
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({} on {:?})", self.entry, self.device)
    }
}

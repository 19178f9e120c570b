//! A GPU, opened.

use super::attributes::Attributes;
use super::clocks::{ClockMeter, Clocks};
use super::cubin::Cubin;
use super::driver::{self, check, check_on_drop};
use super::error::DeviceError;
use super::module::LoadedModule;
use super::version::CudaVersion;
use crate::target::{Arch, Target};
use cudarc::driver::{result, sys};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CStr;
use std::fmt;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The oldest architecture the kernels are written for: Turing, the first with `mma` m16n8k8.
const OLDEST: Arch = Arch(75);

/// A GPU with its primary context, which libraries in the same process share. A clone is the same GPU; the last
/// one closes it. Every object made on it holds a clone, so it outlives them all.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    ordinal: usize,
    handle: sys::CUdevice,
    context: sys::CUcontext,
    driver: CudaVersion,
    target: Target,
    clocks: OnceLock<Option<ClockMeter>>,
    modules: Mutex<HashMap<blake3::Hash, LoadedModule>>,
}

// SAFETY: the raw context is a handle, not memory of this process; the driver's functions that take it may be
// called from any thread.
unsafe impl Send for Inner {}
// SAFETY: as above; the driver serialises calls on one context itself.
unsafe impl Sync for Inner {}

/// Memory of a GPU, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Not taken by any program.
    pub free: usize,
    /// All of it.
    pub total: usize,
}

impl Device {
    /// GPUs that the driver lets this process see.
    ///
    /// # Errors
    /// [`DeviceError::NoDriver`], [`DeviceError::DriverTooOld`]; a driver that sees no GPU is `Ok(0)`.
    pub fn count() -> Result<usize, DeviceError> {
        driver::ready()?;
        let mut count = 0;
        // SAFETY: the driver is initialised or has no GPU to initialise, and the pointer leads to an int.
        match unsafe { sys::cuDeviceGetCount(&mut count) } {
            // What a driver answers that found no GPU when it was initialised.
            sys::CUresult::CUDA_ERROR_NO_DEVICE | sys::CUresult::CUDA_ERROR_NOT_INITIALIZED => Ok(0),
            code => check("cuDeviceGetCount", code).map(|()| usize::try_from(count).unwrap_or(0)),
        }
    }

    /// Opens the GPU of this number, counted from 0 in the order of `CUDA_VISIBLE_DEVICES`.
    ///
    /// # Errors
    /// [`DeviceError::NoDriver`], [`DeviceError::DriverTooOld`], [`DeviceError::NoDevice`],
    /// [`DeviceError::DeviceTooOld`], or the driver's refusal.
    pub fn open(ordinal: usize) -> Result<Self, DeviceError> {
        let driver = driver::ready()?;
        let count = Self::count()?;
        let number = i32::try_from(ordinal).ok().filter(|_| ordinal < count);
        let number = number.ok_or(DeviceError::NoDevice { ordinal, count })?;
        let mut handle = 0;
        // SAFETY: the driver is initialised, the number is below the count, the pointer leads to a CUdevice.
        check("cuDeviceGet", unsafe { sys::cuDeviceGet(&mut handle, number) })?;

        let name = device_name(handle)?;
        let attributes = Attributes::read(handle)?;
        if attributes.arch() < OLDEST {
            return Err(DeviceError::DeviceTooOld { name, arch: attributes.arch() });
        }
        let mut context = ptr::null_mut();
        // SAFETY: `handle` came from cuDeviceGet; `Inner::drop` releases what is retained here, once.
        check("cuDevicePrimaryCtxRetain", unsafe { sys::cuDevicePrimaryCtxRetain(&mut context, handle) })?;
        let target = attributes.target(&name);
        let (clocks, modules) = (OnceLock::new(), Mutex::default());
        let device = Self(Arc::new(Inner { ordinal, handle, context, driver, target, clocks, modules }));
        device.bind()?;
        Ok(device)
    }

    /// Its number.
    pub fn ordinal(&self) -> usize {
        self.0.ordinal
    }

    /// Its name: "NVIDIA H200".
    pub fn name(&self) -> &str {
        &self.0.target.name
    }

    /// Its architecture and sizes.
    pub fn target(&self) -> Target {
        self.0.target.clone()
    }

    /// The newest CUDA its driver speaks.
    pub fn driver_version(&self) -> CudaVersion {
        self.0.driver
    }

    /// Its memory, now.
    ///
    /// # Errors
    /// The driver's, after a kernel went wrong.
    pub fn memory(&self) -> Result<MemoryInfo, DeviceError> {
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: a context is current, and both pointers lead to a usize.
        check("cuMemGetInfo", unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) })?;
        Ok(MemoryInfo { free, total })
    }

    /// The clocks it runs at now; `None` where NVML, the library behind nvidia-smi, is absent or does not tell.
    pub fn clocks(&self) -> Option<Clocks> {
        self.0.clocks.get_or_init(|| ClockMeter::open(&pci_bus_id(self.0.handle)?)).as_ref()?.read()
    }

    /// Waits for everything that was enqueued on any stream.
    ///
    /// # Errors
    /// That of the first kernel that went wrong.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.bind()?;
        // SAFETY: a context is current.
        check("cuCtxSynchronize", unsafe { sys::cuCtxSynchronize() })
    }

    /// Makes its context current on the calling thread, for libraries that take the one that is.
    ///
    /// # Errors
    /// The driver's.
    pub fn make_current(&self) -> Result<(), DeviceError> {
        self.bind()
    }

    /// Every call that needs a context does this first, so that users need not know which thread they are on; it costs
    /// some tens of nanoseconds.
    pub(super) fn bind(&self) -> Result<(), DeviceError> {
        self.0.bind()
    }

    /// Runs `work` with the module of a cubin, loading it if this is the first time. Modules stay loaded as long as
    /// the device is open: graphs and launches in flight may refer to them.
    pub(super) fn with_module<T>(
        &self,
        cubin: &Cubin,
        entry: &str,
        work: impl FnOnce(&mut LoadedModule) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        self.bind()?;
        let mut modules = self.0.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.entry(cubin.hash()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(gap) => gap.insert(LoadedModule::load(self, cubin, entry)?),
        };
        work(module)
    }
}

impl Inner {
    fn bind(&self) -> Result<(), DeviceError> {
        // SAFETY: the context is retained until `self` is dropped.
        check("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.context) })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.bind().is_ok() {
            for (_, module) in self.modules.get_mut().unwrap_or_else(PoisonError::into_inner).drain() {
                module.unload();
            }
        }
        // SAFETY: retained in `Device::open`, released here and nowhere else; everything made in the context held
        // a `Device` and is gone.
        check_on_drop("cuDevicePrimaryCtxRelease", unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.handle) });
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({}: {}, {})", self.0.ordinal, self.0.target.name, self.0.target.arch)
    }
}

fn device_name(handle: sys::CUdevice) -> Result<String, DeviceError> {
    match result::device::get_name(handle) {
        Ok(name) => Ok(name),
        Err(error) => check("cuDeviceGetName", error.0).map(|()| String::new()),
    }
}

/// The name by which NVML knows the GPU: "0000:3B:00.0".
fn pci_bus_id(handle: sys::CUdevice) -> Option<String> {
    let mut text = [0u8; 32];
    // SAFETY: `handle` came from cuDeviceGet; the buffer has the length given, and the driver zero-terminates.
    let code = unsafe { sys::cuDeviceGetPCIBusId(text.as_mut_ptr().cast(), text.len() as i32, handle) };
    check("cuDeviceGetPCIBusId", code).ok()?;
    Some(CStr::from_bytes_until_nul(&text).ok()?.to_string_lossy().into_owned())
}

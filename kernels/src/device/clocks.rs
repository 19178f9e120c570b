//! The clocks a GPU runs at, from NVML, the library behind nvidia-smi. A timing without its clock is half a number.
//! Source: NVML API reference, <https://docs.nvidia.com/deploy/nvml-api/>.

use libloading::Library;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

/// Clocks at one moment, MHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Of the multiprocessors.
    pub multiprocessor_mhz: u32,
    /// Of the memory.
    pub memory_mhz: u32,
}

/// NVML, opened for one GPU.
pub(super) struct ClockMeter {
    library: Library,
    device: *mut c_void,
}

// SAFETY: the handle is not memory of this process, and NVML's functions may be called from any thread.
unsafe impl Send for ClockMeter {}
// SAFETY: as above.
unsafe impl Sync for ClockMeter {}

/// `nvmlReturn_t`; 0 is success. A plain integer, since newer libraries have more codes.
type Code = c_int;
/// `nvmlClockType_t`.
const CLOCK_SM: c_uint = 1;
const CLOCK_MEMORY: c_uint = 2;

impl ClockMeter {
    /// For the GPU at this PCI address; `None` if NVML is not there or does not know the GPU.
    pub fn open(pci_bus_id: &str) -> Option<Self> {
        let name = if cfg!(windows) { "nvml.dll" } else { "libnvidia-ml.so.1" };
        // SAFETY: loading NVML runs its initialisers, which have no preconditions.
        let library = unsafe { Library::new(name) }.ok()?;
        let pci_bus_id = CString::new(pci_bus_id).ok()?;
        let mut device = std::ptr::null_mut();
        // SAFETY: names and signatures are those of nvml.h; the string is zero-terminated; the pointer leads to an
        // nvmlDevice_t, which is a pointer. Initialising more than once is allowed and counted.
        unsafe {
            let init = library.get::<unsafe extern "C" fn() -> Code>(b"nvmlInit_v2\0").ok()?;
            type ByPciBusId = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> Code;
            let by_pci_bus_id = library.get::<ByPciBusId>(b"nvmlDeviceGetHandleByPciBusId_v2\0").ok()?;
            if init() != 0 || by_pci_bus_id(pci_bus_id.as_ptr(), &mut device) != 0 {
                return None;
            }
        }
        Some(Self { library, device })
    }

    /// The clocks now.
    pub fn read(&self) -> Option<Clocks> {
        Some(Clocks { multiprocessor_mhz: self.clock(CLOCK_SM)?, memory_mhz: self.clock(CLOCK_MEMORY)? })
    }

    fn clock(&self, kind: c_uint) -> Option<u32> {
        let mut mhz = 0;
        // SAFETY: name and signature are those of nvml.h; the handle came from NVML, the pointer leads to an unsigned.
        let code = unsafe {
            type GetClock = unsafe extern "C" fn(*mut c_void, c_uint, *mut c_uint) -> Code;
            self.library.get::<GetClock>(b"nvmlDeviceGetClockInfo\0").ok()?(self.device, kind, &mut mhz)
        };
        (code == 0).then_some(mhz)
    }
}

impl Drop for ClockMeter {
    fn drop(&mut self) {
        // SAFETY: name and signature are those of nvml.h; this undoes the one nvmlInit of `open`.
        if let Ok(shutdown) = unsafe { self.library.get::<unsafe extern "C" fn() -> Code>(b"nvmlShutdown\0") } {
            // SAFETY: as above.
            unsafe { shutdown() };
        }
    }
}

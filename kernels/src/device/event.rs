//! Marks in a stream: to wait for, and to measure between.

use super::context::Device;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use super::stream::Stream;
use cudarc::driver::sys;
use std::ptr;
use std::sync::OnceLock;

/// An event: recorded on a stream, it happens when the GPU gets there.
#[derive(Debug)]
pub struct Event {
    device: Device,
    raw: sys::CUevent,
}

// SAFETY: the raw event is a handle, not memory of this process, and may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event that notes the time, to a resolution of about 0.5 µs.
    ///
    /// # Errors
    /// The driver's.
    pub fn timing(device: &Device) -> Result<Self, DeviceError> {
        Self::create(device, sys::CUevent_flags::CU_EVENT_DEFAULT as u32)
    }

    /// As [`Event::timing`]; a thread that waits for it sleeps instead of asking again and again, and wakes some
    /// microseconds later.
    ///
    /// # Errors
    /// The driver's.
    pub fn timing_asleep(device: &Device) -> Result<Self, DeviceError> {
        Self::create(device, sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC as u32)
    }

    /// An event that is only waited for; the GPU gets past it faster.
    ///
    /// # Errors
    /// The driver's.
    pub fn ordering(device: &Device) -> Result<Self, DeviceError> {
        Self::create(device, sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32)
    }

    fn create(device: &Device, flags: u32) -> Result<Self, DeviceError> {
        device.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current, and the pointer leads to a CUevent.
        check("cuEventCreate", unsafe { sys::cuEventCreate(&mut raw, flags) })?;
        Ok(Self { device: device.clone(), raw })
    }

    /// Puts the event behind what is enqueued on the stream. Recorded again, it forgets the time before.
    ///
    /// # Errors
    /// The driver's.
    pub fn record(&self, stream: &Stream) -> Result<(), DeviceError> {
        self.device.bind()?;
        // SAFETY: event and stream exist.
        check("cuEventRecord", unsafe { sys::cuEventRecord(self.raw, stream.raw()) })
    }

    /// Waits until it has happened; at once if it was never recorded.
    ///
    /// # Errors
    /// That of a kernel that went wrong.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.device.bind()?;
        // SAFETY: the event exists.
        check("cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.raw) })
    }

    /// Milliseconds from `self` to `later`. Both were made by [`Event::timing`] and have happened.
    ///
    /// # Errors
    /// The driver's, if one was not recorded or has not happened yet.
    pub fn elapsed_ms(&self, later: &Event) -> Result<f32, DeviceError> {
        self.device.bind()?;
        let mut milliseconds = 0.0;
        // SAFETY: both events exist, and the pointer leads to a float.
        let code = unsafe { elapsed_time()?(&mut milliseconds, self.raw, later.raw) };
        check("cuEventElapsedTime", code)?;
        Ok(milliseconds)
    }

    /// Its handle; the caller binds the device.
    pub(super) fn raw(&self) -> sys::CUevent {
        self.raw
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: created in `create`, destroyed here and nowhere else; the driver allows pending events.
            check_on_drop("cuEventDestroy", unsafe { sys::cuEventDestroy_v2(self.raw) });
        }
    }
}

type ElapsedTime = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> sys::CUresult;

/// `cuEventElapsedTime` itself. cudarc's bindings for CUDA 13 only know its successor `_v2`, which drivers before
/// 12.8 do not have; every driver has this one, and the two answer the same for events that have happened.
fn elapsed_time() -> Result<ElapsedTime, DeviceError> {
    static FUNCTION: OnceLock<Option<ElapsedTime>> = OnceLock::new();
    // SAFETY: an event exists, so libcuda is loaded, for good; name and signature are those of cuda.h.
    let look_up = || unsafe { sys::culib().get::<ElapsedTime>(b"cuEventElapsedTime\0").ok().map(|f| *f) };
    FUNCTION
        .get_or_init(look_up)
        .ok_or_else(|| DeviceError::NoDriver { reason: "libcuda lacks cuEventElapsedTime".to_owned() })
}

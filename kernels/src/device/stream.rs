//! A queue of work on a GPU: what is enqueued on one stream runs in order, streams run beside each other.

use super::context::Device;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use super::event::Event;
use cudarc::driver::sys;
use std::ffi::c_void;
use std::fmt;
use std::ptr;

/// A stream. One made here is its own: it never waits for the legacy default stream.
pub struct Stream {
    device: Device,
    raw: sys::CUstream,
    owned: bool,
}

// SAFETY: the raw stream is a handle, not memory of this process, and may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above; the driver serialises what threads enqueue at once.
unsafe impl Sync for Stream {}

impl Stream {
    /// A new stream.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(device: &Device) -> Result<Self, DeviceError> {
        device.bind()?;
        let mut raw = ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: a context is current, and the pointer leads to a CUstream.
        check("cuStreamCreate", unsafe { sys::cuStreamCreate(&mut raw, flags) })?;
        Ok(Self { device: device.clone(), raw, owned: true })
    }

    /// The legacy default stream, which is there from the start: what is enqueued on it waits for all streams but those
    /// made by [`Stream::new`], and they for it ("CUDA Driver API, stream synchronization behavior"). Nothing can be
    /// recorded on it, but graphs can be launched.
    pub fn legacy_default(device: &Device) -> Self {
        // CU_STREAM_LEGACY of cuda.h.
        Self { device: device.clone(), raw: ptr::without_provenance_mut(1), owned: false }
    }

    /// A stream that somebody else made and will destroy: PyTorch's, the runtime API's.
    ///
    /// # Safety
    /// `raw` is a `CUstream` (or `cudaStream_t`, which is the same) of the primary context of `device`, and exists as
    /// long as what is returned here.
    pub unsafe fn from_raw(device: &Device, raw: *mut c_void) -> Self {
        Self { device: device.clone(), raw: raw.cast(), owned: false }
    }

    /// The GPU it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits until all that was enqueued has run.
    ///
    /// # Errors
    /// That of a kernel that went wrong, on this or, since the context is shared, another stream.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.device.bind()?;
        // SAFETY: the stream exists until `self` is dropped.
        check("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(self.raw) })
    }

    /// True if all that was enqueued has run.
    ///
    /// # Errors
    /// As [`Stream::synchronize`].
    pub fn is_idle(&self) -> Result<bool, DeviceError> {
        self.device.bind()?;
        // SAFETY: the stream exists until `self` is dropped.
        match unsafe { sys::cuStreamQuery(self.raw) } {
            sys::CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            code => check("cuStreamQuery", code).map(|()| true),
        }
    }

    /// Lets what is enqueued from now on wait for an event, recorded on whichever stream. The caller does not wait.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait(&self, event: &Event) -> Result<(), DeviceError> {
        self.device.bind()?;
        // SAFETY: stream and event exist; an event that was never recorded is no wait at all.
        check("cuStreamWaitEvent", unsafe { sys::cuStreamWaitEvent(self.raw, event.raw(), 0) })
    }

    /// Its `CUstream` (or `cudaStream_t`, which is the same), for libraries that enqueue work of their own. It is good for
    /// as long as the stream exists.
    pub fn handle(&self) -> *mut c_void {
        self.raw.cast()
    }

    /// As [`Stream::handle`], typed; the caller binds the device.
    pub(super) fn raw(&self) -> sys::CUstream {
        self.raw
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.owned && self.device.bind().is_ok() {
            // SAFETY: created in `new`, destroyed here and nowhere else. Work still enqueued runs to its end.
            check_on_drop("cuStreamDestroy", unsafe { sys::cuStreamDestroy_v2(self.raw) });
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:p} on {:?})", self.raw, self.device)
    }
}

//! Host memory that the GPU copies from and to.

use super::buffer::within;
use super::context::Device;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use super::event::Event;
use super::stream::Stream;
use cudarc::driver::sys;
use std::ffi::c_void;
use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};

/// Bytes in host memory, page-locked or pageable. Whoever asks for the bytes waits until the last copy between them and
/// a [`super::DeviceBuffer`] has happened.
///
/// Of page-locked (pinned) memory the GPU copies by itself, at the bus's full speed, while the CPU goes on. Pageable
/// memory, which is what `malloc` gives, goes through a small pinned buffer of the driver's, piece by piece, and the
/// CPU is busy with it: "CUDA Driver API, API synchronization behavior".
pub struct HostBuffer {
    device: Device,
    start: NonNull<u8>,
    len: usize,
    last_transfer: Event,
    kind: Kind,
}

/// Who owns the memory.
enum Kind {
    /// The driver, which gets it back.
    Pinned,
    /// This vector; eight bytes are the largest alignment that a tensor's elements have.
    Pageable { _words: Vec<u64> },
}

// SAFETY: the bytes are owned, and borrowed as any Vec's would be.
unsafe impl Send for HostBuffer {}
// SAFETY: as above; starting a transfer takes `&mut self`.
unsafe impl Sync for HostBuffer {}

impl HostBuffer {
    /// `len` zero bytes, page-locked. Cached, not write-combined: answers are read from pinned memory too, and the CPU
    /// reads write-combined memory some twenty times slower.
    ///
    /// # Errors
    /// The driver's, if the system has no memory to lock.
    pub fn pinned(device: &Device, len: usize) -> Result<Self, DeviceError> {
        let last_transfer = Event::ordering(device)?;
        let mut start: *mut c_void = ptr::null_mut();
        const CACHED: u32 = 0;
        // SAFETY: a context is current since the event was made, and the pointer leads to a pointer.
        check("cuMemHostAlloc", unsafe { sys::cuMemHostAlloc(&mut start, len.max(1), CACHED) })?;
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(|| DeviceError::Cuda {
            call: "cuMemHostAlloc",
            code: 0,
            name: "CUDA_SUCCESS".to_owned(),
            message: "the driver allocated nothing".to_owned(),
        })?;
        // SAFETY: the driver gave at least `len` bytes; from here on they are initialised.
        unsafe { start.write_bytes(0, len.max(1)) };
        Ok(Self { device: device.clone(), start, len, last_transfer, kind: Kind::Pinned })
    }

    /// `len` zero bytes of ordinary memory.
    ///
    /// # Errors
    /// The driver's, for the mark that says when a copy has happened.
    pub fn pageable(device: &Device, len: usize) -> Result<Self, DeviceError> {
        let last_transfer = Event::ordering(device)?;
        let mut words = vec![0u64; len.div_ceil(8).max(1)];
        // From here on the vector is touched through this pointer only; moving a vector leaves its elements in place.
        let start = NonNull::from(words.as_mut_slice()).cast::<u8>();
        Ok(Self { device: device.clone(), start, len, last_transfer, kind: Kind::Pageable { _words: words } })
    }

    /// Its size, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, once the last copy has happened.
    ///
    /// # Errors
    /// That of a kernel that went wrong before it.
    pub fn bytes(&self) -> Result<&[u8], DeviceError> {
        self.last_transfer.synchronize()?;
        // SAFETY: `len` initialised bytes, owned by `self`; no copy is under way, and a new one needs `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) })
    }

    /// The bytes to write, once the last copy has happened.
    ///
    /// # Errors
    /// As [`HostBuffer::bytes`].
    pub fn bytes_mut(&mut self) -> Result<&mut [u8], DeviceError> {
        self.last_transfer.synchronize()?;
        // SAFETY: as in `bytes`, and `self` is borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) })
    }

    /// Waits for the last copy; until the buffer is taken back there can be no other.
    ///
    /// # Errors
    /// As [`HostBuffer::bytes`].
    pub fn settle(self) -> Result<SettledBuffer, DeviceError> {
        self.last_transfer.synchronize()?;
        Ok(SettledBuffer(self))
    }

    /// Lets `enqueue` start a copy of `range` on the stream, behind any earlier copy of this buffer.
    pub(super) fn during_transfer(
        &mut self,
        range: Range<usize>,
        stream: &Stream,
        enqueue: impl FnOnce(*mut c_void) -> Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        within("a copy of host memory", range.start, range.len(), self.len)?;
        if range.is_empty() {
            return Ok(());
        }
        // The event marks only the last copy, so copies on several streams must follow one another.
        stream.wait(&self.last_transfer)?;
        // SAFETY: the range lies inside the buffer.
        let outcome = enqueue(unsafe { self.start.add(range.start) }.as_ptr().cast());
        // Recorded in any case: after an error it is not known whether the copy was begun.
        let recorded = self.last_transfer.record(stream);
        if recorded.is_err() {
            // Without its mark the copy could outlive a borrow; only waiting for it is left.
            stream.synchronize()?;
        }
        outcome.and(recorded)
    }
}

impl Drop for HostBuffer {
    fn drop(&mut self) {
        if let Err(error) = self.last_transfer.synchronize() {
            tracing::debug!("while releasing host memory: {error}");
        }
        if matches!(self.kind, Kind::Pinned) && self.device.bind().is_ok() {
            // SAFETY: allocated in `pinned`, freed here and nowhere else, and no copy is under way.
            check_on_drop("cuMemFreeHost", unsafe { sys::cuMemFreeHost(self.start.as_ptr().cast()) });
        }
    }
}

impl fmt::Debug for HostBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self.kind, Kind::Pinned) { "pinned" } else { "pageable" };
        write!(f, "HostBuffer({} bytes, {kind}, on {:?})", self.len, self.device)
    }
}

/// A host buffer that no copy is under way of: its bytes can be had without waiting, so it can stand behind a tensor.
#[derive(Debug)]
pub struct SettledBuffer(HostBuffer);

impl SettledBuffer {
    /// The buffer, for further copies.
    pub fn into_buffer(self) -> HostBuffer {
        self.0
    }
}

impl AsRef<[u8]> for SettledBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as in `HostBuffer::bytes`: `settle` waited, and the buffer in here is lent to no copy.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.len) }
    }
}

//! Device memory.

use super::context::Device;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use super::host::HostBuffer;
use super::stream::Stream;
use cudarc::driver::sys;
use std::fmt;
use std::ops::Range;

/// An address in device memory; the default is null. It is good for as long as the buffer it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DevicePtr(u64);

impl DevicePtr {
    /// The address `bytes` further on.
    pub fn offset(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }

    pub(super) fn from_address(address: u64) -> Self {
        Self(address)
    }

    /// The address as kernels get it.
    pub fn address(self) -> u64 {
        self.0
    }
}

/// Bytes of device memory, aligned to at least 256. Kernels read and write them through [`DeviceBuffer::ptr`], so
/// everything here takes `&self`: who may write when is a matter of streams, not of borrows.
pub struct DeviceBuffer {
    device: Device,
    address: sys::CUdeviceptr,
    len: usize,
}

impl DeviceBuffer {
    /// `len` bytes, contents undefined.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`], which says how much is free.
    pub fn alloc(device: &Device, len: usize) -> Result<Self, DeviceError> {
        device.bind()?;
        let mut address = 0;
        // The driver refuses to allocate nothing; a byte gives an empty tensor an address of its own.
        // SAFETY: a context is current, and the pointer leads to a CUdeviceptr.
        match unsafe { sys::cuMemAlloc_v2(&mut address, len.max(1)) } {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let memory = device.memory()?;
                Err(DeviceError::OutOfMemory { wanted: len, free: memory.free, total: memory.total })
            }
            code => check("cuMemAlloc", code).map(|()| Self { device: device.clone(), address, len }),
        }
    }

    /// A buffer with these contents.
    ///
    /// # Errors
    /// As [`DeviceBuffer::alloc`] and [`DeviceBuffer::copy_from_host`].
    pub fn from_slice<T: bytemuck::NoUninit>(stream: &Stream, contents: &[T]) -> Result<Self, DeviceError> {
        let bytes = bytemuck::cast_slice(contents);
        let buffer = Self::alloc(stream.device(), bytes.len())?;
        buffer.copy_from_host(0, bytes, stream)?;
        Ok(buffer)
    }

    /// Its size, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its first byte's address.
    pub fn ptr(&self) -> DevicePtr {
        DevicePtr(self.address)
    }

    /// Copies `bytes` to `offset`, after what is enqueued on the stream, and waits until they are there.
    ///
    /// # Errors
    /// [`DeviceError::OutOfBounds`], or that of a kernel that went wrong before.
    pub fn copy_from_host(&self, offset: usize, bytes: &[u8], stream: &Stream) -> Result<(), DeviceError> {
        within("a copy to the GPU", offset, bytes.len(), self.len)?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        let to = self.address + offset as u64;
        // SAFETY: the range lies inside this buffer, `bytes` outlives the synchronisation below.
        let code = unsafe { sys::cuMemcpyHtoDAsync_v2(to, bytes.as_ptr().cast(), bytes.len(), stream.raw()) };
        // Synchronised in any case: a copy that was begun must not outlive the borrow of `bytes`.
        let waited = stream.synchronize();
        check("cuMemcpyHtoDAsync", code).and(waited)
    }

    /// Copies bytes from `offset` on into `bytes`, after what is enqueued on the stream, and waits for them.
    ///
    /// # Errors
    /// [`DeviceError::OutOfBounds`], or that of a kernel that went wrong before.
    pub fn copy_to_host(&self, offset: usize, bytes: &mut [u8], stream: &Stream) -> Result<(), DeviceError> {
        within("a copy from the GPU", offset, bytes.len(), self.len)?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.device.bind()?;
        let from = self.address + offset as u64;
        // SAFETY: the range lies inside this buffer, `bytes` stays borrowed until the synchronisation below.
        let code = unsafe { sys::cuMemcpyDtoHAsync_v2(bytes.as_mut_ptr().cast(), from, bytes.len(), stream.raw()) };
        let waited = stream.synchronize();
        check("cuMemcpyDtoHAsync", code).and(waited)
    }

    /// All of it, as elements.
    ///
    /// # Errors
    /// [`DeviceError::Elements`] if its size is no multiple of theirs, else as [`DeviceBuffer::copy_to_host`].
    pub fn to_vec<T: bytemuck::Pod>(&self, stream: &Stream) -> Result<Vec<T>, DeviceError> {
        let size = size_of::<T>().max(1);
        if !self.len.is_multiple_of(size) {
            return Err(DeviceError::Elements { len: self.len, size });
        }
        let mut elements = vec![T::zeroed(); self.len / size];
        self.copy_to_host(0, bytemuck::cast_slice_mut(&mut elements), stream)?;
        Ok(elements)
    }

    /// Enqueues a copy of `range` of a host buffer to `offset`. From pinned memory the GPU copies while the CPU
    /// goes on.
    ///
    /// # Errors
    /// [`DeviceError::OutOfBounds`], or the driver's.
    pub fn enqueue_copy_from(
        &self,
        offset: usize,
        host: &mut HostBuffer,
        range: Range<usize>,
        stream: &Stream,
    ) -> Result<(), DeviceError> {
        within("a copy to the GPU", offset, range.len(), self.len)?;
        let (to, bytes) = (self.address + offset as u64, range.len());
        host.during_transfer(range, stream, |pointer| {
            // SAFETY: both ranges lie inside their buffers, and the host's is lent to no one until it has happened.
            let code = unsafe { sys::cuMemcpyHtoDAsync_v2(to, pointer.cast_const(), bytes, stream.raw()) };
            check("cuMemcpyHtoDAsync", code)
        })
    }

    /// Enqueues a copy from `offset` on into `range` of a host buffer.
    ///
    /// # Errors
    /// [`DeviceError::OutOfBounds`], or the driver's.
    pub fn enqueue_copy_to(
        &self,
        offset: usize,
        host: &mut HostBuffer,
        range: Range<usize>,
        stream: &Stream,
    ) -> Result<(), DeviceError> {
        within("a copy from the GPU", offset, range.len(), self.len)?;
        let (from, bytes) = (self.address + offset as u64, range.len());
        host.during_transfer(range, stream, |pointer| {
            // SAFETY: both ranges lie inside their buffers, and the host's is lent to no one until it has happened.
            let code = unsafe { sys::cuMemcpyDtoHAsync_v2(pointer, from, bytes, stream.raw()) };
            check("cuMemcpyDtoHAsync", code)
        })
    }

    /// Enqueues a copy of `count` bytes between device buffers.
    ///
    /// # Errors
    /// [`DeviceError::OutOfBounds`], or the driver's.
    pub fn enqueue_copy_within_device(
        &self,
        offset: usize,
        from: &DeviceBuffer,
        from_offset: usize,
        count: usize,
        stream: &Stream,
    ) -> Result<(), DeviceError> {
        within("a copy on the GPU", offset, count, self.len)?;
        within("a copy on the GPU", from_offset, count, from.len)?;
        if count == 0 {
            return Ok(());
        }
        self.device.bind()?;
        let (to, from) = (self.address + offset as u64, from.address + from_offset as u64);
        // SAFETY: both ranges lie inside their buffers; freeing device memory waits for work that uses it.
        check("cuMemcpyDtoDAsync", unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, count, stream.raw()) })
    }

    /// Enqueues a fill of all bytes. `0xFF` poisons: it is NaN as f16 and f32 and -1 as an integer, so whatever a
    /// kernel failed to write shows.
    ///
    /// # Errors
    /// The driver's.
    pub fn enqueue_fill(&self, byte: u8, stream: &Stream) -> Result<(), DeviceError> {
        if self.len == 0 {
            return Ok(());
        }
        self.device.bind()?;
        // SAFETY: the range is this buffer.
        check("cuMemsetD8Async", unsafe { sys::cuMemsetD8Async(self.address, byte, self.len, stream.raw()) })
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `alloc`, freed here and nowhere else.
            check_on_drop("cuMemFree", unsafe { sys::cuMemFree_v2(self.address) });
        }
    }
}

impl fmt::Debug for DeviceBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceBuffer({:#x}, {} bytes on {:?})", self.address, self.len, self.device)
    }
}

/// `offset..offset + count` lies inside `len` bytes.
pub(super) fn within(what: &'static str, offset: usize, count: usize, len: usize) -> Result<(), DeviceError> {
    match offset.checked_add(count) {
        Some(end) if end <= len => Ok(()),
        _ => Err(DeviceError::OutOfBounds { what, offset, count, len }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_at_the_end() {
        assert!(within("a copy", 0, 16, 16).is_ok());
        assert!(within("a copy", 16, 0, 16).is_ok());
        assert!(within("a copy", 1, 16, 16).is_err());
        assert!(within("a copy", 17, 0, 16).is_err());
        let error = within("a copy", usize::MAX, 2, 16).expect_err("it overflows");
        assert!(error.to_string().starts_with("a copy reaches bytes"), "{error}");
    }

    #[test]
    fn pointers_move_by_bytes() {
        assert_eq!(DevicePtr(0x1000).offset(256).address(), 0x1100);
    }
}

//! Device memory that belongs to somebody else.

use super::buffer::{DeviceBuffer, DevicePtr};
use std::marker::PhantomData;

/// A stretch of device memory, borrowed: of a [`DeviceBuffer`], or of whatever a caller allocated by other means.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSlice<'a> {
    start: DevicePtr,
    len: usize,
    owner: PhantomData<&'a DeviceBuffer>,
}

impl DeviceSlice<'_> {
    /// `len` bytes from `address` on, as `cuMemAlloc`, `cudaMalloc` or `torch.Tensor.data_ptr` gave it.
    ///
    /// # Safety
    /// The bytes are memory of the device that the slice is used on, aligned to 16, and stay allocated until the work
    /// they were enqueued for has run; no other work touches them meanwhile, unless streams and events put it in order.
    pub unsafe fn from_raw(address: u64, len: usize) -> Self {
        Self { start: DevicePtr::from_address(address), len, owner: PhantomData }
    }

    /// Its first byte's address.
    pub fn ptr(&self) -> DevicePtr {
        self.start
    }

    /// Its size, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl DeviceBuffer {
    /// All of it, lent. Work enqueued with it may run after the loan: freeing device memory waits for that.
    pub fn as_slice(&self) -> DeviceSlice<'_> {
        DeviceSlice { start: self.ptr(), len: self.len(), owner: PhantomData }
    }
}

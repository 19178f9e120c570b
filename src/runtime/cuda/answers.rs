//! Outputs handed out in the memory that the GPU wrote them to.
//!
//! A segmentation network answers with hundreds of megabytes; copying them into fresh memory takes the CPU ten times
//! as long as the bus took to bring them. So a large output is a tensor on the pinned buffer itself, and the session goes
//! on with another buffer; the buffer comes back when the tensor and its clones are dropped.

use super::set::PortBuffers;
use crate::runtime::{RunError, copy};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{Device, DeviceError, HostBuffer, SettledBuffer};
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers of one output that may be lent at once. Page-locked memory is lost to the rest of the system, so whoever
/// keeps more outputs than this gets the others as copies.
const MOST_LENT: usize = 2;

/// The spare buffers of one output.
#[derive(Debug, Default)]
pub(super) struct Pool(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    spare: Vec<HostBuffer>,
    lent: usize,
}

impl Pool {
    /// The output that the last query left in the host's buffer; waits for it.
    pub fn take(&self, device: &Device, port: &mut PortBuffers) -> Result<Tensor, RunError> {
        let (dtype, shape) = (port.port.dtype, &port.port.shape);
        let replacement = if port.host.len() < copy::LARGE { None } else { self.spare(device, port.host.len())? };
        let Some(replacement) = replacement else {
            return Ok(copy::tensor(dtype, shape, port.host.bytes()?)?);
        };
        let buffer = std::mem::replace(&mut port.host, replacement);
        let loan = Loan { buffer: Some(buffer.settle()?), shelf: Arc::clone(&self.0) };
        Ok(Tensor::shared(dtype, shape, loan, 0)?)
    }

    /// A buffer to go on with; `None` if enough are lent.
    fn spare(&self, device: &Device, len: usize) -> Result<Option<HostBuffer>, DeviceError> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.lent >= MOST_LENT {
            return Ok(None);
        }
        let buffer = match shelf.spare.pop() {
            Some(buffer) => buffer,
            None => HostBuffer::pinned(device, len)?,
        };
        shelf.lent += 1;
        Ok(Some(buffer))
    }
}

/// A buffer behind a tensor.
struct Loan {
    /// There until the loan is dropped.
    buffer: Option<SettledBuffer>,
    shelf: Arc<Mutex<Shelf>>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], SettledBuffer::as_ref)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.lent -= 1;
        shelf.spare.extend(self.buffer.take().map(SettledBuffer::into_buffer));
    }
}

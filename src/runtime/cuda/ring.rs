//! Inputs that rotate while a network is timed.

use limpid_kernels::device::{DeviceBuffer, DeviceError, Stream};

/// At most so many; only inputs of some kilobytes would need more to leave the cache.
const MOST_SLOTS: usize = 256;

/// Copies of an input, together twice as large as the second-level cache, each of which is the next run's input. A graph
/// has its addresses baked in, so the next input is copied over the graph's own: which is also how an input comes in
/// real use, written just now, through the cache.
pub(super) struct Ring {
    copies: DeviceBuffer,
    slots: usize,
}

impl Ring {
    /// A ring for what `input` holds.
    pub fn new(input: &DeviceBuffer, cache_bytes: u64, stream: &Stream) -> Result<Self, DeviceError> {
        let slots = slots(input.len(), cache_bytes);
        let copies = DeviceBuffer::alloc(stream.device(), slots * input.len())?;
        for slot in 0..slots {
            copies.enqueue_copy_within_device(slot * input.len(), input, 0, input.len(), stream)?;
        }
        Ok(Self { copies, slots })
    }

    /// Enqueues the copy of the input of run `number` over the graph's own.
    pub fn refresh(&self, input: &DeviceBuffer, number: u32, stream: &Stream) -> Result<(), DeviceError> {
        let slot = number as usize % self.slots;
        input.enqueue_copy_within_device(0, &self.copies, slot * input.len(), input.len(), stream)
    }
}

fn slots(bytes: usize, cache_bytes: u64) -> usize {
    ((2 * cache_bytes).div_ceil(bytes.max(1) as u64)).clamp(2, MOST_SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_leaves_the_cache_and_has_at_least_two_slots() {
        assert_eq!(slots(600_000, 60_000_000), 200);
        assert_eq!(slots(77_000_000, 60_000_000), 2);
        assert_eq!(slots(3_000, 60_000_000), MOST_SLOTS);
        assert_eq!(slots(0, 60_000_000), MOST_SLOTS);
    }
}

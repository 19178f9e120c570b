//! Weights on a GPU, uploaded once for all sessions.

use crate::plan::{ConstantForm, Plan};
use crate::runtime::RunError;
use limpid_graph::ir::{Graph, ValueId};
use limpid_kernels::device::{Device, DeviceBuffer, DevicePtr, Stream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Constants start at multiples of this inside their block, bytes: what `cuMemAlloc` gives.
const ALIGNMENT: usize = 256;

/// Where a constant lies: a block of device memory and bytes from its start.
type Place = (Weak<DeviceBuffer>, usize);

/// The constants of one engine on one GPU. Plans for several extents, and several sessions, want the same constants
/// mostly in the same forms; each form lies on the GPU once, as long as a session uses it.
#[derive(Debug)]
pub struct Constants {
    device: Device,
    places: Mutex<HashMap<(ValueId, ConstantForm), Place>>,
}

/// The constants of one plan; as long as this is kept, they stay.
#[derive(Debug)]
pub(super) struct Resident {
    /// Bytes from the start of the plan's constants, and where on the GPU what begins there lies; ascending.
    addresses: Vec<(u64, DevicePtr)>,
    _blocks: Vec<Arc<DeviceBuffer>>,
}

impl Constants {
    /// None yet.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), places: Mutex::default() }
    }

    /// Sees to it that the plan's constants are on the GPU. Those that are not come in one new block.
    pub(super) fn bring(&self, stream: &Stream, graph: &Graph, plan: &Plan) -> Result<Resident, RunError> {
        // Held while uploading, so that sessions opened at once do not upload twice.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::with_capacity(plan.constants.len());
        let (mut missing, mut bytes) = (Vec::new(), 0usize);
        for slot in &plan.constants {
            match places.get(&(slot.value, slot.form)).and_then(|(block, offset)| Some((block.upgrade()?, *offset))) {
                Some(place) => found.push((slot.offset, place)),
                None => {
                    missing.push((slot, bytes));
                    bytes = (bytes + slot.size as usize).next_multiple_of(ALIGNMENT);
                }
            }
        }
        if !missing.is_empty() {
            let block = Arc::new(DeviceBuffer::alloc(&self.device, bytes)?);
            for (slot, offset) in missing {
                block.copy_from_host(offset, &slot.bytes(graph)?, stream)?;
                places.insert((slot.value, slot.form), (Arc::downgrade(&block), offset));
                found.push((slot.offset, (Arc::clone(&block), offset)));
            }
        }
        found.sort_by_key(|(offset, _)| *offset);
        let addresses = found.iter().map(|(offset, (block, at))| (*offset, block.ptr().offset(*at))).collect();
        let mut blocks: Vec<Arc<DeviceBuffer>> = found.into_iter().map(|(_, (block, _))| block).collect();
        blocks.sort_by_key(|block| block.ptr());
        blocks.dedup_by_key(|block| block.ptr());
        Ok(Resident { addresses, _blocks: blocks })
    }
}

impl Resident {
    /// The address of what a plan has `offset` bytes from the start of its constants. Places inside a constant count
    /// from its start.
    pub(super) fn at(&self, offset: u64) -> DevicePtr {
        match self.addresses.partition_point(|(start, _)| *start <= offset).checked_sub(1) {
            Some(index) => {
                let (start, address) = self.addresses[index];
                address.offset((offset - start) as usize)
            }
            // A plan names only offsets of its own constants.
            None => DevicePtr::default(),
        }
    }
}

//! One set of input and output buffers, on both sides of the bus.

use super::loaded::{Inference, Loaded, Places};
use crate::plan::Port;
use crate::runtime::RunError;
use limpid_kernels::device::{Device, DeviceBuffer, DeviceError, DevicePtr, Event, HostBuffer, Stream};

/// An input or output of the network.
pub(super) struct PortBuffers {
    pub port: Port,
    pub device: DeviceBuffer,
    pub host: HostBuffer,
}

impl PortBuffers {
    fn all(device: &Device, ports: &[Port], pinned: bool) -> Result<Vec<Self>, DeviceError> {
        let make = |port: &Port| {
            let bytes = port.bytes();
            let host = if pinned { HostBuffer::pinned(device, bytes) } else { HostBuffer::pageable(device, bytes) }?;
            Ok(Self { port: port.clone(), device: DeviceBuffer::alloc(device, bytes)?, host })
        };
        ports.iter().map(make).collect()
    }
}

/// Buffers of one query, the inference between them, and what says that each is free again.
pub(super) struct Set {
    pub inputs: Vec<PortBuffers>,
    pub outputs: Vec<PortBuffers>,
    pub inference: Inference,
    copied_in: Event,
    computed: Event,
    copied_out: Event,
}

/// The streams of a query's three parts; all the same where parts do not overlap.
pub(super) struct Streams<'a> {
    pub input: &'a Stream,
    pub compute: &'a Stream,
    pub output: &'a Stream,
    /// They differ, so that events must keep the parts in order.
    pub overlap: bool,
}

impl Set {
    pub fn new(loaded: &Loaded, arena: DevicePtr, pinned: bool) -> Result<Self, RunError> {
        let device = &loaded.device;
        let inputs = PortBuffers::all(device, &loaded.inputs, pinned)?;
        let outputs = PortBuffers::all(device, &loaded.outputs, pinned)?;
        let address = |ports: &[PortBuffers]| ports.iter().map(|port| port.device.ptr()).collect::<Vec<_>>();
        let inference = loaded.bind(&Places { arena, inputs: &address(&inputs), outputs: &address(&outputs) })?;
        let [copied_in, computed, copied_out] =
            [Event::ordering(device)?, Event::ordering(device)?, Event::ordering(device)?];
        Ok(Self { inputs, outputs, inference, copied_in, computed, copied_out })
    }

    /// Enqueues the copies of the inputs, behind the last inference that read them.
    pub fn copy_in(&mut self, streams: &Streams) -> Result<(), DeviceError> {
        if streams.overlap {
            streams.input.wait(&self.computed)?;
        }
        for PortBuffers { device, host, .. } in &mut self.inputs {
            let range = 0..host.len();
            device.enqueue_copy_from(0, host, range, streams.input)?;
        }
        if streams.overlap { self.copied_in.record(streams.input) } else { Ok(()) }
    }

    /// Lets the compute stream wait until inputs are there and outputs may be written.
    pub fn await_inputs(&self, streams: &Streams) -> Result<(), DeviceError> {
        if streams.overlap {
            streams.compute.wait(&self.copied_in)?;
            streams.compute.wait(&self.copied_out)?;
        }
        Ok(())
    }

    /// Says that the inference has been enqueued, and lets the output stream wait for it.
    pub fn await_outputs(&self, streams: &Streams) -> Result<(), DeviceError> {
        if streams.overlap {
            self.computed.record(streams.compute)?;
            streams.output.wait(&self.computed)?;
        }
        Ok(())
    }

    /// Enqueues the copies of the outputs.
    pub fn copy_out(&mut self, streams: &Streams) -> Result<(), DeviceError> {
        for PortBuffers { device, host, .. } in &mut self.outputs {
            let range = 0..host.len();
            device.enqueue_copy_to(0, host, range, streams.output)?;
        }
        if streams.overlap { self.copied_out.record(streams.output) } else { Ok(()) }
    }
}

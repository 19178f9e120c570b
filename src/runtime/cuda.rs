//! Running a plan on a GPU: one arena, one upload of constants, the whole inference as one CUDA graph.

use super::RunError;
use super::kernels::Kernels;
use crate::plan::{Location, Plan, Port, Step};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{
    Device, DeviceBuffer, DeviceError, DevicePtr, GraphExec, PinnedBuffer, PreparedLaunch, Repetitions, Samples,
    Stream, Timer,
};
use limpid_kernels::launch::Role;

/// A network ready to run at one set of extents on one GPU.
pub struct CudaSession {
    stream: Stream,
    inputs: Vec<(Port, DeviceBuffer, PinnedBuffer)>,
    outputs: Vec<(Port, DeviceBuffer, PinnedBuffer)>,
    arena: DeviceBuffer,
    // Held because launches point into it.
    _constants: DeviceBuffer,
    steps: Vec<(String, Vec<PreparedLaunch>)>,
    whole: GraphExec,
    timer: Timer,
}

impl CudaSession {
    /// Uploads the constants of `graph`, loads kernels and records the inference.
    pub fn new(device: &Device, graph: &Graph, plan: &Plan, kernels: &mut Kernels) -> Result<Self, RunError> {
        let stream = Stream::new(device)?;
        let constants = upload(device, &stream, graph, plan)?;
        let arena = DeviceBuffer::alloc(device, plan.arena_bytes as usize)?;
        let ports = |ports: &[Port]| {
            ports
                .iter()
                .map(|port| {
                    let bytes = port.bytes();
                    Ok((port.clone(), DeviceBuffer::alloc(device, bytes)?, PinnedBuffer::alloc(device, bytes)?))
                })
                .collect::<Result<Vec<_>, DeviceError>>()
        };
        let (inputs, outputs) = (ports(&plan.inputs)?, ports(&plan.outputs)?);
        let base = |location: &Location| match *location {
            Location::Arena(offset) => arena.ptr().offset(offset as usize),
            Location::Constants(offset) => constants.ptr().offset(offset as usize),
            Location::Input(index, offset) => inputs[index as usize].1.ptr().offset(offset as usize),
            Location::Output(index, offset) => outputs[index as usize].1.ptr().offset(offset as usize),
        };
        kernels.prepare(plan)?;
        let mut steps = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            steps.push((step.group.clone(), prepare(device, step, kernels, &base)?));
        }
        let whole = GraphExec::capture(&stream, |stream| enqueue(&steps, stream))?;
        stream.synchronize()?;
        let timer = Timer::new(device);
        Ok(Self { stream, inputs, outputs, arena, _constants: constants, steps, whole, timer })
    }

    /// Runs the network on host tensors, which must fit the plan's ports.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        for (tensor, (_, device, host)) in inputs.iter().zip(&mut self.inputs) {
            host.bytes_mut()?.copy_from_slice(tensor.bytes());
            let range = 0..host.len();
            device.enqueue_copy_from(0, host, range, &self.stream)?;
        }
        self.whole.launch(&self.stream)?;
        for (_, device, host) in &mut self.outputs {
            let range = 0..host.len();
            device.enqueue_copy_to(0, host, range, &self.stream)?;
        }
        self.stream.synchronize()?;
        self.outputs
            .iter()
            .map(|(port, _, host)| Ok(Tensor::from_bytes(port.dtype, &port.shape, host.bytes()?)?))
            .collect()
    }

    /// Fills outputs and arena with NaN, so that whatever a kernel fails to write shows.
    pub fn poison(&mut self) -> Result<(), RunError> {
        self.arena.enqueue_fill(0xFF, &self.stream)?;
        for (_, device, _) in &self.outputs {
            device.enqueue_fill(0xFF, &self.stream)?;
        }
        Ok(self.stream.synchronize()?)
    }

    /// Copies inputs to the GPU, for timing what follows.
    pub fn upload_inputs(&mut self, inputs: &[Tensor]) -> Result<(), RunError> {
        for (tensor, (_, device, _)) in inputs.iter().zip(&self.inputs) {
            device.copy_from_host(0, tensor.bytes(), &self.stream)?;
        }
        Ok(())
    }

    /// Times the whole inference on the GPU, transfers left out.
    pub fn time(&mut self, repetitions: Repetitions) -> Result<Samples, RunError> {
        let Self { timer, stream, whole, .. } = self;
        Ok(timer.measure(stream, repetitions, |stream, _| whole.launch(stream))?)
    }

    /// Times each step alone, µs, in order. Their sum exceeds the whole by what the graph saves between them.
    pub fn profile(&mut self, repetitions: Repetitions) -> Result<Vec<(String, Samples)>, RunError> {
        let Self { timer, stream, steps, .. } = self;
        let mut out = Vec::with_capacity(steps.len());
        for (name, launches) in steps.iter() {
            let samples = timer.measure_graph(stream, repetitions, |stream, _| {
                launches.iter().try_for_each(|launch| launch.enqueue(stream))
            })?;
            out.push((name.clone(), samples));
        }
        Ok(out)
    }

    /// Kernels in the recorded inference.
    pub fn kernel_count(&self) -> usize {
        self.whole.nodes()
    }
}

fn enqueue(steps: &[(String, Vec<PreparedLaunch>)], stream: &Stream) -> Result<(), DeviceError> {
    steps.iter().flat_map(|(_, launches)| launches).try_for_each(|launch| launch.enqueue(stream))
}

fn prepare(
    device: &Device,
    step: &Step,
    kernels: &Kernels,
    base: &dyn Fn(&Location) -> DevicePtr,
) -> Result<Vec<PreparedLaunch>, RunError> {
    let resolve = |role: Role| step.operands.iter().find(|b| b.role == role).map(|b| base(&b.location));
    step.launches
        .iter()
        .map(|launch| {
            let cubin = kernels.cubin(&launch.unit)?;
            Ok(device.prepare(launch, cubin, &resolve)?)
        })
        .collect()
}

fn upload(device: &Device, stream: &Stream, graph: &Graph, plan: &Plan) -> Result<DeviceBuffer, RunError> {
    let buffer = DeviceBuffer::alloc(device, plan.constant_bytes as usize)?;
    for slot in &plan.constants {
        let bytes = slot.bytes(graph)?;
        buffer.copy_from_host(slot.offset as usize, &bytes, stream)?;
    }
    Ok(buffer)
}

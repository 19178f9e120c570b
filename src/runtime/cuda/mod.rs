//! Running a plan on a GPU: constants uploaded once for all sessions, one arena, the inference as one CUDA graph.
//!
//! ```text
//! Plan -> Loaded    kernels and constants on the GPU, shared by all lanes of a network
//!      -> Set       input and output buffers, and the inference recorded between them
//!      -> CudaLane  sets, the streams their queries run on, the queries under way
//! ```
//!
//! A [`CudaSession`] is a lane of one set, for callers who want an answer and then the next.

mod answers;
mod constants;
mod lane;
mod loaded;
mod ring;
mod set;

pub use constants::Constants;

use super::RunError;
use super::kernels::Kernels;
use super::lane::{Lane, LaneOptions, Origin};
use crate::plan::{Plan, Port};
use answers::Pool;
use lane::CudaLane;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{
    Device, DeviceBuffer, DeviceError, DevicePtr, DeviceSlice, Event, Range, Repetitions, Samples, Stream, Timer,
};
use loaded::{Inference, Loaded, Places};
use ring::Ring;
use std::collections::VecDeque;
use std::sync::Arc;

/// Recordings kept for callers who bring their own buffers; as many sets of buffers can be rotated without recording
/// anew.
const MOST_FOREIGN: usize = 8;

/// What sessions of one engine on one GPU share, because they take turns: constants, a stream, an arena.
#[derive(Clone, Debug)]
pub struct Common {
    constants: Arc<Constants>,
    stream: Arc<Stream>,
    arena: Arc<DeviceBuffer>,
    /// The last inference on any stream; the next waits for it, since they share the arena.
    turn: Arc<Event>,
}

impl Common {
    /// An arena of `bytes` and a stream; constants are shared with whoever has the same `constants`.
    ///
    /// # Errors
    /// [`RunError::Device`], mostly for want of memory.
    pub fn new(device: &Device, constants: Arc<Constants>, bytes: usize) -> Result<Self, RunError> {
        let stream = Arc::new(Stream::new(device)?);
        let arena = Arc::new(DeviceBuffer::alloc(device, bytes)?);
        Ok(Self { constants, stream, arena, turn: Arc::new(Event::ordering(device)?) })
    }

    /// The constants.
    pub fn constants(&self) -> &Arc<Constants> {
        &self.constants
    }

    /// An arena of at least `bytes`: this one, or a larger one from now on. Sessions keep the one they were made with.
    fn arena(&mut self, device: &Device, bytes: usize) -> Result<Arc<DeviceBuffer>, RunError> {
        if self.arena.len() < bytes {
            self.arena = Arc::new(DeviceBuffer::alloc(device, bytes)?);
        }
        Ok(Arc::clone(&self.arena))
    }
}

/// A network ready to run at one set of extents on one GPU.
pub struct CudaSession {
    loaded: Arc<Loaded>,
    lane: CudaLane,
    turn: Arc<Event>,
    answers: Vec<Pool>,
    timer: Timer,
    /// Inferences on buffers of the caller's, with their addresses; the last used last.
    foreign: VecDeque<(Vec<DevicePtr>, Inference)>,
}

impl CudaSession {
    /// Uploads the constants of `graph`, loads kernels and records the inference.
    ///
    /// # Errors
    /// Those of loading: a kernel that is missing, a constant that does not fit, no room on the GPU.
    pub fn new(device: &Device, graph: &Graph, plan: &Plan, kernels: &mut Kernels) -> Result<Self, RunError> {
        let constants = Arc::new(Constants::new(device));
        let mut common = Common::new(device, constants, plan.arena_bytes as usize)?;
        Self::sharing(&mut common, device, graph, plan, kernels)
    }

    /// As [`CudaSession::new`], with constants, stream and arena in common with other sessions, which it takes turns with.
    ///
    /// # Errors
    /// As [`CudaSession::new`].
    pub fn sharing(
        common: &mut Common,
        device: &Device,
        graph: &Graph,
        plan: &Plan,
        kernels: &mut Kernels,
    ) -> Result<Self, RunError> {
        let loaded = Arc::new(Loaded::new(device, graph, plan, kernels, &common.constants, &common.stream)?);
        let arena = common.arena(device, loaded.arena_bytes)?;
        let lane = CudaLane::new(&loaded, &LaneOptions::default(), arena, Some(Arc::clone(&common.stream)))?;
        let answers = loaded.outputs.iter().map(|_| Pool::default()).collect();
        let (turn, timer) = (Arc::clone(&common.turn), Timer::new(device));
        Ok(Self { loaded, lane, turn, answers, timer, foreign: VecDeque::new() })
    }

    /// Runs the network on host tensors, which must fit the plan's ports. Large outputs are lent in pinned memory.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.lane.load(0, inputs)?;
        self.lane.compute.wait(&self.turn)?;
        self.lane.submit(0)?;
        self.lane.finish()?;
        let outputs = self.lane.sets[0].outputs.iter_mut().zip(&self.answers);
        outputs.map(|(port, pool)| pool.take(&self.loaded.device, port)).collect()
    }

    /// Enqueues the network on the caller's stream, reading and writing the caller's memory, and returns at once. Who
    /// uses the outputs enqueues that on the same stream, or waits for it.
    ///
    /// The first call with each set of addresses records a graph for them, which takes milliseconds; the last eight are
    /// kept.
    ///
    /// # Errors
    /// [`RunError::Memory`] where not as many slices, or others than the ports' sizes, come; the driver's.
    pub fn enqueue(
        &mut self,
        inputs: &[DeviceSlice],
        outputs: &[DeviceSlice],
        stream: &Stream,
    ) -> Result<(), RunError> {
        check_memory("inputs", &self.loaded.inputs, inputs)?;
        check_memory("outputs", &self.loaded.outputs, outputs)?;
        let of = |slices: &[DeviceSlice]| slices.iter().map(DeviceSlice::ptr).collect::<Vec<_>>();
        let (inputs, outputs) = (of(inputs), of(outputs));
        let key = [&inputs[..], &outputs[..]].concat();
        let inference = match self.foreign.iter().position(|(known, _)| *known == key) {
            Some(index) => self.foreign.remove(index),
            None => {
                let places = Places { arena: self.lane.arena.ptr(), inputs: &inputs, outputs: &outputs };
                let inference = self.loaded.bind(&places)?;
                while self.foreign.len() >= MOST_FOREIGN {
                    self.foreign.pop_front();
                }
                Some((key, inference))
            }
        };
        stream.wait(&self.turn)?;
        if let Some((key, inference)) = inference {
            let launched = inference.enqueue(stream, true);
            self.foreign.push_back((key, inference));
            launched?;
        }
        Ok(self.turn.record(stream)?)
    }

    /// Buffers, an arena and streams of their own for further queries of the same network; kernels and constants are
    /// shared.
    ///
    /// # Errors
    /// [`RunError::Device`], mostly for want of memory.
    pub fn lane(&self, options: &LaneOptions) -> Result<impl Lane + use<>, RunError> {
        let arena = Arc::new(DeviceBuffer::alloc(&self.loaded.device, self.loaded.arena_bytes)?);
        CudaLane::new(&self.loaded, options, arena, None)
    }

    /// Now, on the host and on the GPU.
    ///
    /// # Errors
    /// The driver's.
    pub fn origin(&self) -> Result<Origin, RunError> {
        let mark = Event::timing(&self.loaded.device)?;
        self.lane.compute.synchronize()?;
        mark.record(&self.lane.compute)?;
        mark.synchronize()?;
        Ok(Origin { device: Some(Arc::new(mark)), ..Origin::of_host() })
    }

    /// Fills outputs and arena with NaN, so that whatever a kernel fails to write shows.
    ///
    /// # Errors
    /// The driver's.
    pub fn poison(&mut self) -> Result<(), RunError> {
        let stream = &self.lane.compute;
        self.lane.arena.enqueue_fill(0xFF, stream)?;
        for port in &self.lane.sets[0].outputs {
            port.device.enqueue_fill(0xFF, stream)?;
        }
        Ok(stream.synchronize()?)
    }

    /// Copies inputs to the GPU, for timing what follows.
    ///
    /// # Errors
    /// The driver's.
    pub fn upload_inputs(&mut self, inputs: &[Tensor]) -> Result<(), RunError> {
        for (tensor, port) in inputs.iter().zip(&self.lane.sets[0].inputs) {
            port.device.copy_from_host(0, tensor.bytes(), &self.lane.compute)?;
        }
        Ok(())
    }

    /// Times the whole inference on the GPU, transfers left out. Inputs rotate through a ring that is larger than the
    /// second-level cache; what that takes is not in the time.
    ///
    /// # Errors
    /// The driver's.
    pub fn time(&mut self, repetitions: Repetitions) -> Result<Samples, RunError> {
        let Self { timer, lane, loaded, .. } = self;
        let (set, cache) = (&lane.sets[0], loaded.device.target().l2_bytes);
        let rings = set.inputs.iter().map(|port| Ok((&port.device, Ring::new(&port.device, cache, &lane.compute)?)));
        let rings = rings.collect::<Result<Vec<_>, DeviceError>>()?;
        let refresh = |stream: &Stream, number: u32| {
            rings.iter().try_for_each(|(input, ring)| ring.refresh(input, number, stream))
        };
        let whole = &set.inference.whole;
        Ok(timer.measure_refreshed(&lane.compute, repetitions, refresh, |stream| whole.launch(stream))?)
    }

    /// Times each step alone, µs, in order. Their sum exceeds the whole by what the graph saves between them.
    ///
    /// # Errors
    /// The driver's.
    pub fn profile(&mut self, repetitions: Repetitions) -> Result<Vec<(String, Samples)>, RunError> {
        let Self { timer, lane, .. } = self;
        let mut out = Vec::new();
        for (name, launches) in &lane.sets[0].inference.steps {
            let _range = Range::new(name);
            let samples = timer.measure_graph(&lane.compute, repetitions, |stream, _| {
                launches.iter().try_for_each(|launch| launch.enqueue(stream))
            })?;
            out.push((name.clone(), samples));
        }
        Ok(out)
    }

    /// Kernels in the recorded inference.
    pub fn kernel_count(&self) -> usize {
        self.lane.sets[0].inference.whole.nodes()
    }
}

fn check_memory(what: &'static str, ports: &[Port], slices: &[DeviceSlice]) -> Result<(), RunError> {
    let expected: Vec<usize> = ports.iter().map(Port::bytes).collect();
    let got: Vec<usize> = slices.iter().map(DeviceSlice::len).collect();
    if expected == got { Ok(()) } else { Err(RunError::Memory { what, expected, got }) }
}

use super::RunError;
use super::cpu::CpuSession;
use super::executor::{DeviceTensor, Executor, StepTimes};
use super::gpu::GpuExecutor;
use super::lane::{Lane, LaneOptions, Origin};
use crate::engine::Engine;
use crate::port::{Layout, PortFormat};
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::{Clocks, Device, DeviceError, DeviceSlice, Stream};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The first GPU if there is one and the engine has a plan, else the CPU.
    #[default]
    Auto,
    /// The CPU reference.
    Cpu,
    /// The GPU of this number.
    Cuda {
        /// Counted from 0.
        ordinal: usize,
    },
}

impl FromStr for Backend {
    type Err = UnknownBackend;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Backend::Auto),
            None if text == "cpu" => Ok(Backend::Cpu),
            None if text == "cuda" => Ok(Backend::Cuda { ordinal: 0 }),
            Some(("cuda", number)) => {
                number.parse().map(|ordinal| Backend::Cuda { ordinal }).map_err(|_| UnknownBackend(text.to_owned()))
            }
            _ => Err(UnknownBackend(text.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Auto => f.pad("auto"),
            Backend::Cpu => f.pad("cpu"),
            Backend::Cuda { ordinal } => f.pad(&format!("cuda:{ordinal}")),
        }
    }
}

/// The text names no backend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no backend; use auto, cpu, cuda or cuda:N")]
pub struct UnknownBackend(String);

/// An engine, ready to run.
pub struct Session {
    engine: Arc<Engine>,
    executor: Box<dyn Executor>,
    note: Option<String>,
}

impl Session {
    /// Opens the device and puts the engine on it.
    ///
    /// # Errors
    /// [`RunError::NoPlan`] for a CPU engine on CUDA; [`RunError::Device`] where a GPU that was asked for by name
    /// is not there or does not take the engine. [`Backend::Auto`] runs on the CPU where there is no GPU, but a GPU
    /// that is there and fails is an error.
    pub fn new(engine: Arc<Engine>, backend: Backend) -> Result<Self, RunError> {
        let (ordinal, note) = match backend {
            Backend::Cpu => (None, None),
            Backend::Cuda { ordinal } => (Some(ordinal), None),
            Backend::Auto => match gpu_missing() {
                None if engine.plans.is_empty() => (None, Some(RunError::NoPlan.to_string())),
                None => (Some(0), None),
                // Nobody expects a GPU of a machine without one to run an engine that was built for the CPU.
                Some(_) if engine.plans.is_empty() => (None, None),
                Some(reason) => (None, Some(reason)),
            },
        };
        let executor: Box<dyn Executor> = match ordinal {
            Some(_) if engine.plans.is_empty() => return Err(RunError::NoPlan),
            Some(ordinal) => Box::new(GpuExecutor::new(Arc::clone(&engine), ordinal)?),
            None => Box::new(CpuSession::new(Arc::clone(&engine))),
        };
        tracing::info!("running on {}", executor.name());
        Ok(Self { engine, executor, note })
    }

    /// Runs the network: inputs and outputs in the model's order, as they lie in memory.
    ///
    /// A tensor has the type and extents of its port's format, padding lanes included: (N,H,W,8) halves for three
    /// channels of `fp16:hwc8`. In the formats a model has of itself, they are those of the model.
    /// [`Engine::inputs`] tells the formats, [`Session::run_logical`] converts.
    ///
    /// # Errors
    /// [`RunError::InputCount`], [`RunError::Input`], [`RunError::OutsideProfile`]; those of the device.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        check_inputs(&self.engine, inputs)?;
        self.executor.run(inputs)
    }

    /// As [`Session::run`], with inputs and outputs in the model's own order of elements: reals go in and come out
    /// whatever the ports store them as; see [`PortFormat::to_memory`] and [`PortFormat::to_numbers`].
    ///
    /// # Errors
    /// As [`Session::run`]; [`RunError::Value`] for numbers that an input does not take.
    ///
    /// [`PortFormat::to_memory`]: crate::port::PortFormat::to_memory
    /// [`PortFormat::to_numbers`]: crate::port::PortFormat::to_numbers
    pub fn run_logical(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        check_count(&self.engine, inputs.len())?;
        let inputs = self.engine.to_memory(inputs)?;
        let outputs = self.run(&inputs)?;
        Ok(self.engine.to_numbers(&outputs)?)
    }

    /// Another session of the same engine on the same device, for another thread or another stream: it has a stream and
    /// memory for activations of its own, and shares weights and kernels.
    ///
    /// # Errors
    /// [`RunError::Device`] where the GPU has no room for further activations.
    pub fn sibling(&self) -> Result<Self, RunError> {
        let executor = self.executor.sibling()?;
        Ok(Self { engine: Arc::clone(&self.engine), executor, note: self.note.clone() })
    }

    /// Buffers that stay in place for queries with inputs of these extents, holding them already: what measurements and
    /// pipelines are made of.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn lane(&mut self, inputs: &[Tensor], options: &LaneOptions) -> Result<Box<dyn Lane>, RunError> {
        check_inputs(&self.engine, inputs)?;
        let mut lane = self.executor.lane(inputs, options)?;
        (0..options.sets.max(1)).try_for_each(|set| lane.load(set, inputs))?;
        Ok(lane)
    }

    /// Times each piece of work alone, on these inputs: what [`crate::measure::Profile`] is made of.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn step_times(&mut self, inputs: &[Tensor], iterations: u32) -> Result<StepTimes, RunError> {
        check_inputs(&self.engine, inputs)?;
        self.executor.step_times(inputs, iterations)
    }

    /// Now, for traces to count from.
    ///
    /// # Errors
    /// What went wrong on the device before.
    pub fn origin(&mut self) -> Result<Origin, RunError> {
        self.executor.origin()
    }

    /// Enqueues one inference on the caller's stream, on memory that is on the GPU already, and returns at once: inputs
    /// and outputs in the model's order, in their ports' formats, an output as large as the model says. Who uses the outputs enqueues
    /// that on the same stream behind it, or waits for the stream.
    ///
    /// The first call with each set of addresses records a CUDA graph, which takes milliseconds; the last eight are
    /// kept, so buffers may be rotated. Inferences of one session share their activations and wait for each other, on
    /// whichever streams; for inferences beside each other take a [`Session::sibling`] for each stream.
    ///
    /// ```no_run
    /// use limpid::device::{DeviceBuffer, Stream};
    /// use limpid::runtime::DeviceTensor;
    /// # use limpid::{Backend, Engine, Session};
    /// let mut session = Session::new(Engine::read("resnet18.engine".as_ref())?.into(), Backend::Cuda { ordinal: 0 })?;
    /// let device = session.device().ok_or("a session on a GPU")?.clone();
    /// let stream = Stream::new(&device)?;
    /// let pictures = DeviceBuffer::alloc(&device, 3 * 224 * 224 * 4)?;
    /// let logits = DeviceBuffer::alloc(&device, 1000 * 4)?;
    /// // ... a kernel of yours writes `pictures` on `stream` ...
    /// let input = DeviceTensor { memory: pictures.as_slice(), shape: vec![1, 3, 224, 224] };
    /// session.enqueue(&[input], &[logits.as_slice()], &stream)?;
    /// // ... a kernel of yours reads `logits` on `stream`, or:
    /// let logits: Vec<f32> = logits.to_vec(&stream)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::NeedsGpu`] on the CPU; [`RunError::OutsideProfile`] for shapes there is no plan for; [`RunError::Memory`] for
    /// slices of other sizes.
    pub fn enqueue(
        &mut self,
        inputs: &[DeviceTensor],
        outputs: &[DeviceSlice],
        stream: &Stream,
    ) -> Result<(), RunError> {
        self.executor.enqueue(inputs, outputs, stream)
    }

    /// The GPU it runs on, to make streams and buffers on; `None` on the CPU.
    pub fn device(&self) -> Option<&Device> {
        self.executor.device()
    }

    /// What it runs on, for people: `CUDA 0, NVIDIA H200 (sm_90)`.
    pub fn backend_name(&self) -> String {
        self.executor.name()
    }

    /// Versions of limpid and of what runs its kernels, by name; for records.
    pub fn versions(&self) -> BTreeMap<&'static str, String> {
        let mut versions = self.executor.versions();
        versions.insert("limpid", env!("CARGO_PKG_VERSION").to_owned());
        versions
    }

    /// Why [`Backend::Auto`] did not take a GPU, if it did not.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Keeps what a run needs beside the weights (a recorded CUDA graph, buffers) for this many shapes at a time, those
    /// used last; 16 if nothing is said. A shape that is not kept takes milliseconds more when it comes again.
    pub fn keep_shapes(&mut self, count: usize) {
        self.executor.keep_shapes(count);
    }

    /// Whether [`Session::run`] would take these inputs.
    ///
    /// # Errors
    /// [`RunError::InputCount`], [`RunError::Input`].
    pub fn check(&self, inputs: &[Tensor]) -> Result<(), RunError> {
        check_inputs(&self.engine, inputs)
    }

    /// What the GPU's clocks stand at now, if it has any and tells.
    pub fn clocks(&self) -> Option<Clocks> {
        self.executor.clocks()
    }

    pub(super) fn executor_mut(&mut self) -> &mut dyn Executor {
        &mut *self.executor
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({} on {})", self.engine.metadata.name, self.executor.name())
    }
}

/// Why there is no GPU to run on, in a few words; `None` if there is one.
pub fn gpu_missing() -> Option<String> {
    match Device::count() {
        Ok(0) => Some("the CUDA driver sees no GPU".to_owned()),
        Ok(_) => None,
        Err(DeviceError::NoDriver { reason }) => Some(format!("no CUDA driver: {reason}")),
        Err(error) => Some(error.to_string()),
    }
}

fn check_count(engine: &Engine, inputs: usize) -> Result<(), RunError> {
    let graph = &engine.graph;
    if inputs == graph.inputs.len() {
        return Ok(());
    }
    let names: Vec<&str> = graph.inputs.iter().map(|&v| graph.value(v).name.as_str()).collect();
    Err(RunError::InputCount { expected: graph.inputs.len(), names: names.join(", "), got: inputs })
}

fn check_inputs(engine: &Engine, inputs: &[Tensor]) -> Result<(), RunError> {
    check_count(engine, inputs.len())?;
    for (port, tensor) in engine.inputs().iter().zip(inputs) {
        if port.dtype != tensor.dtype() || tensor.is_empty() {
            return Err(mismatch(port, format!("{}{:?}", tensor.dtype(), tensor.shape())));
        }
    }
    super::shape_plans::check_extents(engine, &extents_of(engine, inputs)?)
}

/// What the model's open extents are in inputs that lie in memory with these, if the engine takes them.
pub(super) fn extents_of_shapes(engine: &Engine, shapes: &[&[usize]]) -> Result<Bindings, RunError> {
    check_count(engine, shapes.len())?;
    let extents = bind(engine, shapes, |index| format!("{:?}", shapes[index]))?;
    super::shape_plans::check_extents(engine, &extents)?;
    Ok(extents)
}

/// What the model's open extents are in these inputs, as they lie in memory.
pub(super) fn extents_of(engine: &Engine, inputs: &[Tensor]) -> Result<Bindings, RunError> {
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
    bind(engine, &shapes, |index| format!("{}{:?}", inputs[index].dtype(), inputs[index].shape()))
}

/// The model's open extents by extents in memory; `got` tells of the input of an index what came.
fn bind(engine: &Engine, shapes: &[&[usize]], got: impl Fn(usize) -> String) -> Result<Bindings, RunError> {
    let ports = engine.inputs();
    let mut logical = Vec::with_capacity(shapes.len());
    for (index, (port, shape)) in ports.iter().zip(shapes).enumerate() {
        logical.push(port.extents(shape).map_err(|_| mismatch(port, got(index)))?);
    }
    let logical: Vec<&[usize]> = logical.iter().map(Vec::as_slice).collect();
    engine.graph.bind(&logical).map_err(|(index, _)| mismatch(&ports[index], got(index)))
}

fn mismatch(port: &PortFormat, got: String) -> RunError {
    let expected = match port.layout {
        Layout::Chw => format!("{}{}", port.dtype, port.shape),
        layout => format!("{}{} in {layout}", port.dtype, port.shape),
    };
    RunError::Input { name: port.name.clone(), expected, got }
}

use super::RunError;
use super::cpu::CpuSession;
use super::gpu::GpuExecutor;
use crate::engine::Engine;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::{Clocks, Device, DeviceError};
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

/// Runs one engine on one device.
pub trait Executor: Send {
    /// Runs the network; the inputs have been checked.
    ///
    /// # Errors
    /// [`RunError::Plan`] where the network cannot be run at the inputs' extents; what went wrong on the device.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// The device, for people.
    fn name(&self) -> String;

    /// How many shapes' worth of what a run needs beside the weights is kept, where there is any.
    fn keep_shapes(&mut self, count: usize) {
        let _ = count;
    }

    /// Runs the network of the last [`Executor::run`] this many times, inputs and outputs left where they are, and
    /// returns the device's own times in µs; `None` if it has no clock of its own.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn device_times(&mut self, iterations: u32) -> Result<Option<Vec<f64>>, RunError> {
        let _ = iterations;
        Ok(None)
    }

    /// The GPU's clocks now, if it has any and tells.
    fn clocks(&self) -> Option<Clocks> {
        None
    }

    /// What times depend on beside the device: its driver and compiler, by name; for records.
    fn versions(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::new()
    }
}

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

    /// Runs the network: inputs and outputs in the model's order.
    ///
    /// # Errors
    /// [`RunError::InputCount`], [`RunError::Input`], [`RunError::OutsideProfile`]; those of the device.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        check_inputs(&self.engine, inputs)?;
        self.executor.run(inputs)
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

fn check_inputs(engine: &Engine, inputs: &[Tensor]) -> Result<(), RunError> {
    let graph = &engine.graph;
    if inputs.len() != graph.inputs.len() {
        let names: Vec<&str> = graph.inputs.iter().map(|&v| graph.value(v).name.as_str()).collect();
        return Err(RunError::InputCount { expected: graph.inputs.len(), names: names.join(", "), got: inputs.len() });
    }
    for (index, (&id, tensor)) in graph.inputs.iter().zip(inputs).enumerate() {
        if graph.fact(id).dtype != tensor.dtype() || tensor.is_empty() {
            return Err(mismatch(graph, inputs, index));
        }
    }
    super::shape_plans::check_extents(engine, &extents_of(engine, inputs)?)
}

/// What the model's open extents are in these inputs.
pub(super) fn extents_of(engine: &Engine, inputs: &[Tensor]) -> Result<Bindings, RunError> {
    let graph = &engine.graph;
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
    graph.bind(&shapes).map_err(|(index, _)| mismatch(graph, inputs, index))
}

fn mismatch(graph: &Graph, inputs: &[Tensor], index: usize) -> RunError {
    let value = graph.value(graph.inputs[index]);
    let got = format!("{}{:?}", inputs[index].dtype(), inputs[index].shape());
    RunError::Input { name: value.name.clone(), expected: value.fact.to_string(), got }
}

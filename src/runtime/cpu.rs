use super::lane::{Lane, LaneOptions, Trace};
use super::{Executor, RunError, StepTimes};
use crate::engine::Engine;
use limpid_graph::ir::NodeId;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Samples;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// The CPU reference: the engine's graph, operator by operator.
pub(super) struct CpuSession {
    engine: Arc<Engine>,
}

impl CpuSession {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Executor for CpuSession {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        interpret(&self.engine, inputs)
    }

    fn name(&self) -> String {
        format!("CPU reference, {} threads, {}", rayon::current_num_threads(), cpu_name())
    }

    fn sibling(&self) -> Result<Box<dyn Executor>, RunError> {
        Ok(Box::new(Self::new(Arc::clone(&self.engine))))
    }

    fn lane(&mut self, inputs: &[Tensor], options: &LaneOptions) -> Result<Box<dyn Lane>, RunError> {
        let set = Set { inputs: inputs.to_vec(), outputs: Vec::new() };
        let (session, options) = (Self::new(Arc::clone(&self.engine)), options.clone());
        Ok(Box::new(CpuLane { session, sets: vec![set; options.sets.max(1)], options, done: VecDeque::new() }))
    }

    fn step_times(&mut self, inputs: &[Tensor], iterations: u32) -> Result<StepTimes, RunError> {
        Ok(StepTimes::Nodes(time_nodes(&self.engine, inputs, iterations)?))
    }
}

/// Adds up, for each node, how long each of its runs took, µs. A node's time ends when its last value is there.
fn time_nodes(engine: &Engine, inputs: &[Tensor], iterations: u32) -> Result<Vec<(NodeId, Samples)>, RunError> {
    let (graph, inputs) = (&engine.graph, logical(engine, inputs)?);
    let interpreter = Interpreter::new(graph)?;
    let mut order: Vec<NodeId> = Vec::new();
    let mut times: BTreeMap<NodeId, Vec<f64>> = BTreeMap::new();
    for iteration in 0..iterations.max(1) as usize {
        let mut last = Instant::now();
        interpreter.run_observed(&inputs, &mut |value, _| {
            let now = Instant::now();
            if let Some((node, _)) = graph.producer(value) {
                let runs = times.entry(node).or_default();
                if runs.is_empty() {
                    order.push(node);
                }
                runs.resize(iteration + 1, 0.0);
                runs[iteration] += now.duration_since(last).as_secs_f64() * 1e6;
            }
            last = Instant::now();
        })?;
    }
    let samples = |node: NodeId| Ok((node, times.remove(&node).and_then(Samples::new).ok_or(RunError::NoTimes)?));
    order.into_iter().map(samples).collect()
}

/// One run, on tensors as they lie in memory.
fn interpret(engine: &Engine, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    // Settling the order of the nodes anew costs microseconds, a thousandth of any network's run.
    let outputs = Interpreter::new(&engine.graph)?.run(&logical(engine, inputs)?)?;
    let stored = engine.outputs().into_iter().zip(&outputs).map(|(port, tensor)| port.to_memory(tensor));
    Ok(stored.collect::<Result<_, _>>()?)
}

/// Inputs that lie in memory in their ports' formats, in the model's own order.
fn logical(engine: &Engine, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let logical = engine.inputs().into_iter().zip(inputs).map(|(port, tensor)| port.to_logical(tensor));
    Ok(logical.collect::<Result<_, _>>()?)
}

/// Inputs and outputs of one query.
#[derive(Clone)]
struct Set {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// A lane on the CPU: a query is over when [`Lane::submit`] returns, and nothing is copied.
struct CpuLane {
    session: CpuSession,
    sets: Vec<Set>,
    options: LaneOptions,
    /// Times of queries that nobody has asked for yet.
    done: VecDeque<Option<Trace>>,
}

impl Lane for CpuLane {
    fn write(&mut self, set: usize, fill: &mut dyn FnMut(&mut [&mut [u8]])) -> Result<(), RunError> {
        let tensors = &mut self.sets[set].inputs;
        let mut bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| vec![0; tensor.bytes().len()]).collect();
        fill(&mut bytes.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
        for (tensor, bytes) in tensors.iter_mut().zip(&bytes) {
            *tensor = super::copy::tensor(tensor.dtype(), tensor.shape(), bytes)?;
        }
        Ok(())
    }

    fn load(&mut self, set: usize, inputs: &[Tensor]) -> Result<(), RunError> {
        // Tensors never change in place, so the caller's own bytes will do.
        self.sets[set].inputs = inputs.to_vec();
        Ok(())
    }

    fn submit(&mut self, set: usize) -> Result<(), RunError> {
        let now = || self.options.origin.as_ref().map(|origin| origin.elapsed_ms());
        let start = now();
        let outputs = self.session.run(&self.sets[set].inputs)?;
        let trace = start.zip(now()).map(|(start, end)| Trace {
            enqueue_start: start,
            enqueue_end: end,
            h2d_start: start,
            h2d_end: start,
            compute_start: start,
            compute_end: end,
            d2h_start: end,
            d2h_end: end,
        });
        self.done.push_back(trace);
        self.sets[set].outputs = outputs;
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Trace>, RunError> {
        Ok(self.done.pop_front().flatten())
    }

    fn outputs(&mut self, set: usize) -> Result<Vec<Tensor>, RunError> {
        Ok(self.sets[set].outputs.clone())
    }
}

/// The processor's name as the system gives it.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

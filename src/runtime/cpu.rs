use super::{Executor, RunError};
use crate::engine::Engine;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::Tensor;
use std::sync::Arc;

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
        // Settling the order of the nodes anew costs microseconds, a thousandth of any network's run.
        Ok(Interpreter::new(&self.engine.graph)?.run(inputs)?)
    }

    fn name(&self) -> String {
        format!("CPU reference, {} threads, {}", rayon::current_num_threads(), cpu_name())
    }
}

/// The processor's name as the system gives it.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

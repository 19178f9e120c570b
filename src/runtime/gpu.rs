use super::cuda::CudaSession;
use super::kernels::Kernels;
use super::{Executor, RunError};
use crate::engine::Engine;
use crate::plan::{self, Plan};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{Clocks, Compiler, CubinCache, Device, Repetitions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An engine on a GPU: one [`CudaSession`] for each set of extents, opened when it is first asked for.
pub(super) struct GpuExecutor {
    engine: Arc<Engine>,
    device: Device,
    cache: CubinCache,
    plans: Vec<Plan>,
    sessions: BTreeMap<usize, CudaSession>,
    last: usize,
}

impl GpuExecutor {
    /// Opens the GPU. Plans for another architecture are made anew by the cost model, and a warning says so.
    pub(super) fn new(engine: Arc<Engine>, ordinal: usize) -> Result<Self, RunError> {
        let device = Device::open(ordinal)?;
        let target = device.target();
        let mut plans = Vec::with_capacity(engine.plans.len());
        for plan in &engine.plans {
            if plan.target.arch == target.arch {
                plans.push(plan.clone());
                continue;
            }
            tracing::warn!(
                "the engine was built for {} ({}), this GPU is {} ({}): kernels are chosen anew by the cost model and \
                 compiled; build the engine here to have them timed",
                plan.target.arch,
                plan.target.name,
                target.arch,
                target.name
            );
            plans.push(plan::plan(&engine.graph, &plan.bindings, &target, None)?);
        }
        let mut executor =
            Self { engine, device, cache: CubinCache::for_user(), plans, sessions: BTreeMap::new(), last: 0 };
        // The first plan at once, so that a kernel that is missing is reported here and not in the first run.
        executor.session(0)?;
        Ok(executor)
    }

    fn session(&mut self, index: usize) -> Result<&mut CudaSession, RunError> {
        if !self.sessions.contains_key(&index) {
            let plan = &self.plans[index];
            // An engine's own sources belong to its own plans; a plan made just now needs this binary's kernels.
            let own = self.engine.plans[index].target.arch == plan.target.arch;
            let arch = self.device.target().arch;
            let mut kernels = match own {
                true => Kernels::of_engine(&self.engine, arch, &self.cache),
                false => Kernels::of_this_binary(arch, &self.cache),
            };
            let session = CudaSession::new(&self.device, &self.engine.graph, plan, &mut kernels)?;
            if kernels.compiled() > 0 {
                tracing::info!("{} kernels were compiled, the engine did not carry them", kernels.compiled());
            }
            self.sessions.insert(index, session);
        }
        self.sessions.get_mut(&index).ok_or(RunError::NoPlan)
    }

    fn plan_for(&self, inputs: &[Tensor]) -> Result<usize, RunError> {
        let fits = |plan: &Plan| plan.inputs.iter().zip(inputs).all(|(port, tensor)| port.shape == tensor.shape());
        self.plans.iter().position(fits).ok_or_else(|| {
            let shapes = |shapes: Vec<&[usize]>| shapes.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
            let known = self.plans.iter().map(|p| shapes(p.inputs.iter().map(|port| &port.shape[..]).collect()));
            RunError::Extents {
                wanted: shapes(inputs.iter().map(Tensor::shape).collect()),
                known: known.collect::<Vec<_>>().join("; "),
            }
        })
    }
}

impl Executor for GpuExecutor {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.last = self.plan_for(inputs)?;
        self.session(self.last)?.run(inputs)
    }

    fn name(&self) -> String {
        format!("CUDA {}, {} ({})", self.device.ordinal(), self.device.name(), self.device.target().arch)
    }

    fn fixed_batch(&self) -> Option<usize> {
        self.plans.iter().filter_map(|plan| plan.inputs.first()?.shape.first().copied()).max()
    }

    fn device_times(&mut self, iterations: u32) -> Result<Option<Vec<f64>>, RunError> {
        let repetitions = Repetitions { warm_up: 2, samples: iterations, calls: 1 };
        Ok(Some(self.session(self.last)?.time(repetitions)?.sorted().to_vec()))
    }

    fn clocks(&self) -> Option<Clocks> {
        self.device.clocks()
    }

    fn versions(&self) -> BTreeMap<&'static str, String> {
        let nvrtc = Compiler::new().ok().map(|compiler| ("nvrtc", compiler.version().to_string()));
        [("driver", self.device.driver_version().to_string())].into_iter().chain(nvrtc).collect()
    }
}

use super::cuda::CudaSession;
use super::recent::Recent;
use super::shape_plans::ShapePlans;
use super::{Executor, RunError};
use crate::engine::Engine;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::{Clocks, Compiler, CubinCache, Device, Repetitions};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shapes whose recorded inference is kept, unless [`Executor::keep_shapes`] says otherwise.
const SHAPES_KEPT: usize = 16;

/// An engine on a GPU: one [`CudaSession`] for each shape, made when it first comes, of which the last used are kept.
pub(super) struct GpuExecutor {
    device: Device,
    cache: CubinCache,
    plans: Arc<ShapePlans>,
    sessions: Recent<Bindings, CudaSession>,
    last: Bindings,
}

impl GpuExecutor {
    /// Opens the GPU. Plans for another architecture are made anew by the cost model, and a warning says so.
    pub(super) fn new(engine: Arc<Engine>, ordinal: usize) -> Result<Self, RunError> {
        let device = Device::open(ordinal)?;
        let last = engine.metadata.opt();
        let plans = Arc::new(ShapePlans::new(engine, device.target()));
        let (cache, sessions) = (CubinCache::for_user(), Recent::new(SHAPES_KEPT));
        let mut executor = Self { device, cache, plans, sessions, last };
        // The optimum at once, so that a kernel that is missing is reported here and not in the first run.
        executor.session()?;
        Ok(executor)
    }

    /// The session for the last shape.
    fn session(&mut self) -> Result<&mut CudaSession, RunError> {
        let Self { device, cache, plans, sessions, last } = self;
        sessions.get_or_make(last, || {
            let found = plans.at(last)?;
            let mut kernels = plans.kernels(&found, cache);
            let session = CudaSession::new(device, &plans.engine().graph, &found.plan, &mut kernels)?;
            if kernels.compiled() > 0 {
                tracing::info!("{} kernels were compiled, the engine did not carry them", kernels.compiled());
            }
            Ok(session)
        })
    }

    fn session_for(&mut self, inputs: &[Tensor]) -> Result<&mut CudaSession, RunError> {
        self.last = super::session::extents_of(self.plans.engine(), inputs)?;
        self.session()
    }
}

impl Executor for GpuExecutor {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        self.session_for(inputs)?.run(inputs)
    }

    fn name(&self) -> String {
        format!("CUDA {}, {} ({})", self.device.ordinal(), self.device.name(), self.device.target().arch)
    }

    fn keep_shapes(&mut self, count: usize) {
        self.sessions.resize(count);
    }

    fn device_times(&mut self, iterations: u32) -> Result<Option<Vec<f64>>, RunError> {
        let repetitions = Repetitions { warm_up: 2, samples: iterations, calls: 1 };
        Ok(Some(self.session()?.time(repetitions)?.sorted().to_vec()))
    }

    fn clocks(&self) -> Option<Clocks> {
        self.device.clocks()
    }

    fn versions(&self) -> BTreeMap<&'static str, String> {
        let nvrtc = Compiler::new().ok().map(|compiler| ("nvrtc", compiler.version().to_string()));
        [("driver", self.device.driver_version().to_string())].into_iter().chain(nvrtc).collect()
    }
}

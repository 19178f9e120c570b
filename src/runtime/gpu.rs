use super::cuda::{Common, Constants, CudaSession};
use super::executor::{DeviceTensor, Executor, StepTimes};
use super::lane::{Lane, LaneOptions, Origin};
use super::recent::Recent;
use super::shape_plans::ShapePlans;
use super::{RunError, session};
use crate::engine::Engine;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::{Clocks, Compiler, CubinCache, Device, DeviceSlice, Repetitions, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shapes whose recorded inference is kept, unless [`Executor::keep_shapes`] says otherwise.
const SHAPES_KEPT: usize = 16;

/// An engine on a GPU: one [`CudaSession`] for each shape, made when it first comes, of which the last used are kept.
pub(super) struct GpuExecutor {
    device: Device,
    plans: Arc<ShapePlans>,
    common: Common,
    sessions: Recent<Bindings, CudaSession>,
    last: Bindings,
}

impl GpuExecutor {
    /// Opens the GPU. Plans for another architecture are made anew by the cost model, and a warning says so.
    pub(super) fn new(engine: Arc<Engine>, ordinal: usize) -> Result<Self, RunError> {
        let device = Device::open(ordinal)?;
        let constants = Arc::new(Constants::new(&device));
        let plans = Arc::new(ShapePlans::new(engine, device.target()));
        let mut executor = Self::with(device, plans, constants)?;
        // The optimum at once, so that a kernel that is missing is reported here and not in the first run.
        executor.session()?;
        Ok(executor)
    }

    /// On constants that others may use, too; with a stream and an arena for the largest plan.
    fn with(device: Device, plans: Arc<ShapePlans>, constants: Arc<Constants>) -> Result<Self, RunError> {
        let common = Common::new(&device, constants, plans.arena_bytes() as usize)?;
        let last = plans.engine().metadata.opt();
        Ok(Self { device, plans, common, sessions: Recent::new(SHAPES_KEPT), last })
    }

    /// The session for the last shape.
    fn session(&mut self) -> Result<&mut CudaSession, RunError> {
        let Self { device, plans, common, sessions, last } = self;
        sessions.get_or_make(last, || {
            let found = plans.at(last)?;
            let cache = CubinCache::for_user();
            let mut kernels = plans.kernels(&found, &cache);
            let session = CudaSession::sharing(common, device, &plans.engine().graph, &found.plan, &mut kernels)?;
            if kernels.compiled() > 0 {
                tracing::info!("{} kernels were compiled, the engine did not carry them", kernels.compiled());
            }
            Ok(session)
        })
    }

    fn session_for(&mut self, inputs: &[Tensor]) -> Result<&mut CudaSession, RunError> {
        self.last = session::extents_of(self.plans.engine(), inputs)?;
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

    fn sibling(&self) -> Result<Box<dyn Executor>, RunError> {
        let constants = Arc::clone(self.common.constants());
        Ok(Box::new(Self::with(self.device.clone(), Arc::clone(&self.plans), constants)?))
    }

    fn lane(&mut self, inputs: &[Tensor], options: &LaneOptions) -> Result<Box<dyn Lane>, RunError> {
        Ok(Box::new(self.session_for(inputs)?.lane(options)?))
    }

    fn enqueue(&mut self, inputs: &[DeviceTensor], outputs: &[DeviceSlice], stream: &Stream) -> Result<(), RunError> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.shape[..]).collect();
        self.last = session::extents_of_shapes(self.plans.engine(), &shapes)?;
        let inputs: Vec<DeviceSlice> = inputs.iter().map(|input| input.memory).collect();
        self.session()?.enqueue(&inputs, outputs, stream)
    }

    fn device(&self) -> Option<&Device> {
        Some(&self.device)
    }

    fn origin(&mut self) -> Result<Origin, RunError> {
        self.session()?.origin()
    }

    fn device_times(&mut self, iterations: u32) -> Result<Option<Vec<f64>>, RunError> {
        let repetitions = Repetitions { warm_up: 2, samples: iterations, calls: 1 };
        Ok(Some(self.session()?.time(repetitions)?.sorted().to_vec()))
    }

    fn step_times(&mut self, inputs: &[Tensor], iterations: u32) -> Result<StepTimes, RunError> {
        let session = self.session_for(inputs)?;
        // Steps are timed one by one on what the whole network left in memory.
        session.run(inputs)?;
        // Ten calls in a graph of their own, so that a step of some microseconds is not lost in the events' resolution.
        let repetitions = Repetitions { warm_up: 2, samples: iterations.div_ceil(10).max(5), calls: 10 };
        let times = session.profile(repetitions)?.into_iter().map(|(_, times)| times).collect();
        Ok(StepTimes::Plan { plan: Box::new(self.plans.at(&self.last)?.plan.into_owned()), times })
    }

    fn clocks(&self) -> Option<Clocks> {
        self.device.clocks()
    }

    fn versions(&self) -> BTreeMap<&'static str, String> {
        let nvrtc = Compiler::new().ok().map(|compiler| ("nvrtc", compiler.version().to_string()));
        [("driver", self.device.driver_version().to_string())].into_iter().chain(nvrtc).collect()
    }
}

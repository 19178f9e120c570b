//! Plans for one destination.

use super::{BuildError, Destination};
use crate::plan::tune::DeviceMeasure;
use crate::plan::{self, Plan, TimingCache, Tuner};
use crate::progress::Progress;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Bindings;
use limpid_kernels::device::{CubinCache, Device};
use limpid_kernels::target::Target;
use std::path::{Path, PathBuf};

/// Makes plans, one after another, and remembers what it measured.
pub(super) struct Planner {
    target: Target,
    /// The GPU that candidates are timed on; without one, the cost model chooses.
    device: Option<Device>,
    cubins: CubinCache,
    timings: TimingCache,
    path: Option<PathBuf>,
}

impl Planner {
    /// `None` for the CPU, which needs no plan.
    pub fn new(destination: Destination, timing_cache: Option<&Path>) -> Result<Option<Self>, BuildError> {
        let (target, device) = match destination {
            Destination::Cpu => return Ok(None),
            Destination::Target(arch) => (Target::typical(arch), None),
            Destination::Gpu { ordinal } => {
                let device = Device::open(ordinal)?;
                (device.target(), Some(device))
            }
        };
        // What no candidate is timed for needs no times.
        let path = timing_cache.filter(|_| device.is_some());
        let timings = path.map_or(Ok(TimingCache::new()), TimingCache::read)?;
        Ok(Some(Self { target, device, cubins: CubinCache::for_user(), timings, path: path.map(Path::to_owned) }))
    }

    /// The GPU that plans are for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Compiled kernels.
    pub fn cubins(&self) -> &CubinCache {
        &self.cubins
    }

    /// A plan with every candidate timed, unless the timing cache knows it, or chosen by the cost model.
    pub fn plan(
        &mut self,
        graph: &Graph,
        bindings: &Bindings,
        progress: &mut dyn Progress,
    ) -> Result<Plan, BuildError> {
        let Some(device) = &self.device else {
            progress.stage("choose kernels", None);
            return Ok(plan::plan(graph, bindings, &self.target, None)?);
        };
        // Compiling candidates comes before the first step.
        progress.stage("time kernels", None);
        let mut begun = false;
        let mut step = |_: usize, of: usize| {
            if !begun {
                progress.stage("time kernels", Some(of as u64));
                begun = true;
            }
            progress.step("");
        };
        let mut measure = DeviceMeasure::new(device, &self.cubins, &mut step)?;
        let tuner = Tuner { measure: &mut measure, cache: &mut self.timings };
        Ok(plan::plan(graph, bindings, &self.target, Some(tuner))?)
    }

    /// Keeps the times for the next build.
    pub fn keep_timings(&self) -> Result<(), BuildError> {
        match &self.path {
            Some(path) => Ok(self.timings.write(path)?),
            None => Ok(()),
        }
    }
}

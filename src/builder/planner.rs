//! Plans for one destination.

use super::whole::settle_dependence;
use super::{BuildError, Destination};
use crate::engine::StoredCubin;
use crate::plan::select::MOST_MEASURED;
use crate::plan::tune::DeviceMeasure;
use crate::plan::{self, Plan, TimingCache, Tuner};
use crate::port::Layouts;
use crate::progress::Progress;
use crate::runtime::kernels::{Kernels, sources_of};
use crate::shapes::{Profile, covers, volume};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Bindings;
use limpid_kernels::device::{CubinCache, Device};
use limpid_kernels::selection::Selection;
use limpid_kernels::target::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How hard kernels are looked for, and what they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Candidates of one site that are timed, the most promising by the cost model first; with 0 the cost model chooses.
    pub timed: usize,
    /// Scratch memory that a kernel may ask for, bytes.
    pub workspace: u64,
    /// Shared memory that a block may ask for, bytes, where the GPU allows as much.
    pub shared: u32,
}

impl Default for Search {
    /// [`MOST_MEASURED`] candidates, no limits.
    fn default() -> Self {
        Self { timed: MOST_MEASURED, workspace: u64::MAX, shared: u32::MAX }
    }
}

/// Makes plans, one after another, and remembers what it measured.
pub(super) struct Planner {
    target: Target,
    /// The GPU that candidates are timed on; without one, the cost model chooses.
    device: Option<Device>,
    cubins: CubinCache,
    timings: TimingCache,
    path: Option<PathBuf>,
    most: usize,
}

/// What an engine keeps of planning; nothing for the CPU.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub notes: Vec<String>,
    pub plans: Vec<Plan>,
    pub cubins: Vec<StoredCubin>,
    pub sources: BTreeMap<String, String>,
}

impl Planner {
    /// `None` for the CPU, which needs no plan.
    pub fn new(
        destination: Destination,
        kernels: &Selection,
        search: Search,
        timing_cache: Option<&Path>,
    ) -> Result<Option<Self>, BuildError> {
        let (mut target, device) = match destination {
            Destination::Cpu => return Ok(None),
            Destination::Target(arch) => (Target::typical(arch), None),
            Destination::Gpu { ordinal } => {
                let device = Device::open(ordinal)?;
                (device.target(), Some(device))
            }
        };
        target.kernels = kernels.clone();
        target.workspace_limit = search.workspace;
        target.shared_per_block = target.shared_per_block.min(search.shared);
        let device = device.filter(|_| search.timed > 0);
        // What no candidate is timed for needs no times.
        let path = timing_cache.filter(|_| device.is_some());
        let timings = path.map_or(Ok(TimingCache::new()), TimingCache::read)?;
        let (cubins, path) = (CubinCache::for_user(), path.map(Path::to_owned));
        Ok(Some(Self { target, device, cubins, timings, path, most: search.timed }))
    }

    /// The GPU that plans are for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A plan with every candidate timed, unless the timing cache knows it, or chosen by the cost model.
    pub fn plan(&mut self, graph: &Graph, extents: &Bindings, progress: &mut dyn Progress) -> Result<Plan, BuildError> {
        // Layouts of ports come later, and cost every precision the same.
        self.plan_below(graph, extents, &Layouts::default(), None, true, progress)
    }

    /// As [`Planner::plan`], knowing the plan for the next larger extents; unless it is to be `thorough`, only what
    /// did well there, and the cost model's best, are timed.
    fn plan_below(
        &mut self,
        graph: &Graph,
        extents: &Bindings,
        layouts: &Layouts,
        larger: Option<&Plan>,
        thorough: bool,
        progress: &mut dyn Progress,
    ) -> Result<Plan, BuildError> {
        let Some(device) = &self.device else {
            progress.stage("choose kernels", None);
            return Ok(plan::plan(graph, extents, layouts, &self.target, None)?);
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
        let (cache, most) = (&mut self.timings, self.most);
        let tuner = Tuner { measure: &mut measure, cache, larger, thorough, most };
        Ok(plan::plan(graph, extents, layouts, &self.target, Some(tuner))?)
    }

    /// Plans for every profile, and all kernels that any shape in them may need.
    pub fn plan_all(
        mut self,
        graph: &Graph,
        profiles: &[Profile],
        layouts: &Layouts,
        progress: &mut dyn Progress,
    ) -> Result<Planned, BuildError> {
        let mut plans: Vec<Plan> = Vec::new();
        for profile in profiles {
            for plan in self.tune(graph, profile, layouts, progress)? {
                // Profiles may overlap.
                if !plans.iter().any(|other| other.bindings == plan.bindings) {
                    plans.push(plan);
                }
            }
        }
        let notes = self.settle(graph, &mut plans, progress)?;
        self.keep_timings()?;
        progress.stage("compile kernels", None);
        let mut units = BTreeSet::new();
        for profile in profiles {
            units.extend(plan::units_within(graph, profile, layouts, &self.target, &plans)?);
        }
        let mut kernels = Kernels::of_this_binary(self.target.arch, &self.cubins);
        kernels.bring(&units)?;
        Ok(Planned { notes, cubins: kernels.stored(), sources: sources_of(&units), plans })
    }

    /// Plans for the extents of a profile that kernels are timed at, the optimum first. They are made from the
    /// largest to the smallest: each times what won at the next larger ones, so that it is not slower than they are.
    fn tune(
        &mut self,
        graph: &Graph,
        profile: &Profile,
        layouts: &Layouts,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Plan>, BuildError> {
        let opt = profile.opt();
        let mut plans: Vec<Plan> = Vec::new();
        for extents in profile.tuned().iter().rev() {
            let larger = plans.iter().filter(|plan| covers(&plan.bindings, extents));
            let larger = larger.min_by_key(|plan| volume(&plan.bindings));
            let plan = self.plan_below(graph, extents, layouts, larger, *extents == opt, progress)?;
            plans.push(plan);
        }
        plans.reverse();
        plans.sort_by_key(|plan| plan.bindings != opt);
        Ok(plans)
    }

    /// Settles, on the GPU at hand, what is settled by timing whole networks; what is to be said of it.
    fn settle(
        &mut self,
        graph: &Graph,
        plans: &mut [Plan],
        progress: &mut dyn Progress,
    ) -> Result<Vec<String>, BuildError> {
        let mut notes = Vec::new();
        let Some(device) = &self.device else { return Ok(notes) };
        progress.stage("time the network", Some(plans.len() as u64));
        for plan in plans {
            if let Some(settled) = settle_dependence(device, &self.cubins, &mut self.timings, graph, plan)? {
                let extents = plan.bindings.iter().map(|(symbol, extent)| format!("{}={extent}", symbol.name()));
                let extents = extents.collect::<Vec<_>>().join(", ");
                notes.extend(settled.note().map(|note| format!("plan for {extents}: {note}")));
                *plan = settled.plan;
            }
            progress.step("");
        }
        Ok(notes)
    }

    /// Keeps the times for the next build.
    fn keep_timings(&self) -> Result<(), BuildError> {
        match &self.path {
            Some(path) => Ok(self.timings.write(path)?),
            None => Ok(()),
        }
    }
}

//! Which plan runs the shapes that come: the one that was timed there, or one derived from those around it.

use super::RunError;
use super::kernels::Kernels;
use crate::engine::Engine;
use crate::plan::{self, Carried, Plan};
use crate::shapes::batch_symbol;
use limpid_graph::tensor::Bindings;
use limpid_kernels::device::CubinCache;
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::source;
use limpid_kernels::target::Target;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// That these extents lie in one of the engine's profiles.
///
/// # Errors
/// [`RunError::OutsideProfile`] with what is outside of which range.
pub fn check_extents(engine: &Engine, extents: &Bindings) -> Result<(), RunError> {
    let profiles = &engine.metadata.profiles;
    if profiles.is_empty() || profiles.iter().any(|profile| profile.contains(extents)) {
        return Ok(());
    }
    let batch = batch_symbol(&engine.graph);
    let refusals = profiles.iter().filter_map(|profile| profile.refusal(extents, batch.as_ref()));
    Err(RunError::OutsideProfile { reason: refusals.collect::<Vec<_>>().join("; ") })
}

/// The plans of an engine on one GPU, those between them included.
#[derive(Clone, Debug)]
pub struct ShapePlans {
    engine: Arc<Engine>,
    target: Target,
    /// Kernels that the engine brings and that plans made here may use.
    carried: BTreeSet<CompileUnit>,
    /// Whether the engine's kernels are this program's: then plans made here run on the engine's kernels.
    current: bool,
}

/// A plan, and whose kernels it runs on.
#[derive(Clone, Debug)]
pub struct ShapePlan<'e> {
    /// The plan.
    pub plan: Cow<'e, Plan>,
    /// True if its kernels are the engine's own, cubins or sources.
    pub of_engine: bool,
}

impl ShapePlans {
    /// The plans of `engine` on `target`. Where the engine was built for another architecture, plans are made anew by
    /// the cost model, and a warning says so.
    pub fn new(engine: Arc<Engine>, target: Target) -> Self {
        let current = engine.sources.iter().all(|(path, text)| source::text(path) == Some(text));
        let planned = engine.plans.iter().filter(|plan| plan.target.arch == target.arch).flat_map(Plan::units);
        let compiled = engine.cubins.iter().filter(|cubin| cubin.arch == target.arch).map(|cubin| &cubin.unit);
        // A plan made here may have other arguments than kernels of another version take.
        let carried = planned.chain(compiled).filter(|_| current).cloned().collect();
        if let Some(other) = engine.plans.iter().find(|plan| plan.target.arch != target.arch) {
            tracing::warn!(
                "the engine was built for {} ({}), this GPU is {} ({}): kernels are chosen anew by the cost model and \
                 compiled; build the engine here to have them timed",
                other.target.arch,
                other.target.name,
                target.arch,
                target.name
            );
        }
        // What was asked of kernels when the engine was built holds for those that are chosen here, too.
        let target = engine.plans.iter().fold(target, |target, plan| target.limited_as(&plan.target));
        Self { engine, target, carried, current }
    }

    /// The plan for these extents, which must lie in one of the engine's profiles.
    ///
    /// # Errors
    /// [`RunError::Plan`] where the network cannot be run at these extents.
    pub fn at(&self, extents: &Bindings) -> Result<ShapePlan<'_>, RunError> {
        let own: Vec<&Plan> = self.engine.plans.iter().filter(|plan| plan.target.arch == self.target.arch).collect();
        if let Some(plan) = own.iter().find(|plan| plan.bindings == *extents) {
            return Ok(ShapePlan { plan: Cow::Borrowed(plan), of_engine: true });
        }
        let profiles = self.engine.metadata.profiles.iter().filter(|profile| profile.contains(extents));
        let profiles: Vec<_> = profiles.collect();
        let near: Vec<&Plan> =
            own.into_iter().filter(|plan| profiles.iter().any(|profile| profile.contains(&plan.bindings))).collect();
        let (graph, layouts) = (&self.engine.graph, &self.engine.metadata.layouts);
        if near.is_empty() {
            let plan = plan::plan(graph, extents, layouts, &self.target, None)?;
            return Ok(ShapePlan { plan: Cow::Owned(plan), of_engine: false });
        }
        // Kernels of another version have to be compiled in any case.
        let carried = Carried { units: &self.carried, may_compile: !self.current };
        let plan = plan::derive(graph, extents, layouts, &self.target, &near, carried)?;
        Ok(ShapePlan { plan: Cow::Owned(plan), of_engine: self.current })
    }

    /// Where the kernels of a plan come from; none is brought yet.
    pub fn kernels<'a>(&'a self, plan: &ShapePlan<'_>, cache: &'a CubinCache) -> Kernels<'a> {
        match plan.of_engine {
            true => Kernels::of_engine(&self.engine, self.target.arch, cache),
            false => Kernels::of_this_binary(self.target.arch, cache),
        }
    }

    /// The largest arena of the engine's own plans, bytes: what a session of changing shapes sets aside.
    pub fn arena_bytes(&self) -> u64 {
        let own = self.engine.plans.iter().filter(|plan| plan.target.arch == self.target.arch);
        own.map(|plan| plan.arena_bytes).max().unwrap_or(0)
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}

//! A plan for extents that nothing was timed at, from plans for extents around them.
//!
//! The same tactic on a smaller problem is not slower: it launches no more blocks, and no block has more to do. So at
//! any extents between two that were timed, each group runs the tactic that won at the larger ones, and the network
//! takes no longer than it does there.

use super::lower::lower;
use super::select::{select_like, takes};
use super::types::Plan;
use super::{PlanError, memory, ports};
use crate::port::Layouts;
use crate::shapes::{Profile, covers, volume};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Bindings;
use limpid_kernels::launch::{Candidate, CompileUnit};
use limpid_kernels::target::Target;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Shapes of a profile that are looked at one by one. A plan for one of them takes milliseconds.
const MOST_SAMPLED: usize = 64;

/// The kernels that a derived plan may use.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// Those that are compiled already.
    pub units: &'a BTreeSet<CompileUnit>,
    /// Whether a tactic that was chosen at other extents may be compiled here if it is not among them.
    pub may_compile: bool,
}

/// Plans `graph` for `extents` with the tactics of `plans`: of the smallest that is no smaller in any extent, and
/// where its tactic is not offered here, of the next.
///
/// # Errors
/// As [`super::plan`].
pub fn derive(
    graph: &Graph,
    extents: &Bindings,
    layouts: &Layouts,
    target: &Target,
    plans: &[&Plan],
    carried: Carried<'_>,
) -> Result<Plan, PlanError> {
    let mut near = plans.to_vec();
    near.sort_by_key(|plan| {
        let size = volume(&plan.bindings);
        // What is larger comes first, the nearest in front; then what is smaller, the nearest in front.
        match covers(&plan.bindings, extents) {
            true => (0, size, Reverse(0)),
            false => (1, 0, Reverse(size)),
        }
    });
    let is_carried =
        |candidate: &Candidate| candidate.launches.iter().all(|launch| carried.units.contains(&launch.unit));
    let is_allowed = |candidate: &Candidate| carried.may_compile || is_carried(candidate);
    let lowered = lower(graph, extents, layouts, &|site| takes(site, target))?.joined();
    let selected = select_like(lowered, target, &near, &is_allowed, &is_carried)?;
    let inputs = ports(graph, &graph.inputs, extents, |index| layouts.input(index))?;
    let outputs = ports(graph, &graph.outputs, extents, |index| layouts.output(index))?;
    let mut plan = memory::lay_out(selected, target, extents, inputs, outputs);
    if let Some(nearest) = near.first() {
        plan.start_as(nearest);
    }
    Ok(plan)
}

/// The kernels of `plans`, and those that any shape in `profile` needs beside them: an engine that carries these runs
/// without a compiler. Of more shapes than `MOST_SAMPLED` only so many are looked at; between them other tactics are
/// found among the kernels that are there.
///
/// # Errors
/// As [`super::plan`], for a shape that the network cannot be run at.
pub fn units_within(
    graph: &Graph,
    profile: &Profile,
    layouts: &Layouts,
    target: &Target,
    plans: &[Plan],
) -> Result<BTreeSet<CompileUnit>, PlanError> {
    let near: Vec<&Plan> = plans.iter().filter(|plan| profile.contains(&plan.bindings)).collect();
    let mut units: BTreeSet<CompileUnit> = near.iter().flat_map(|plan| plan.units()).cloned().collect();
    for extents in profile.sampled(MOST_SAMPLED) {
        let plan = derive(graph, &extents, layouts, target, &near, Carried { units: &units, may_compile: true })?;
        units.extend(plan.units().cloned());
    }
    Ok(units)
}

//! A plan for extents that nothing was timed at, from plans for extents around them.
//!
//! The same tactic on a smaller problem is not slower: it launches no more blocks, and no block has more to do. So at
//! any extents between two that were timed, each group runs the tactic that won at the larger ones, and the network
//! takes no longer than it does there.

use super::lower::lower;
use super::select::select_like;
use super::types::Plan;
use super::{PlanError, memory, ports};
use crate::port::Layouts;
use crate::shapes::{covers, volume};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Bindings;
use limpid_kernels::launch::{Candidate, CompileUnit};
use limpid_kernels::target::Target;
use std::cmp::Reverse;
use std::collections::BTreeSet;

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
    let selected = select_like(lower(graph, extents, layouts)?, target, &near, &is_allowed, &is_carried)?;
    let inputs = ports(graph, &graph.inputs, extents, |index| layouts.input(index))?;
    let outputs = ports(graph, &graph.outputs, extents, |index| layouts.output(index))?;
    let mut plan = memory::lay_out(selected, target, extents, inputs, outputs);
    if let Some(nearest) = near.first() {
        plan.start_as(nearest);
    }
    Ok(plan)
}

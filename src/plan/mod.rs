//! From graph to launches: groups become kernel sites, candidates are named and timed (or costed), one wins,
//! memory is laid out. A [`Plan`] is bytes only: it can be kept in a file and carried to another machine.
//!
//! - [`lower`] turns nodes into [`Work`]: sites with operands, layout changes where layouts differ.
//! - [`derive()`] plans for extents between those that candidates were timed at.
//! - [`join`] offers stretches of work that one kernel may do at once.
//! - [`select`] asks the catalog for candidates and picks one, by measurement ([`tune`]) or by the [`cost_model`].
//! - [`dependence`] settles which grids start before the one before them has ended.
//! - `ahead` says who brings which weights into the second-level cache, `beside` which grids run at the same time.
//! - [`memory`] gives every buffer its place in one arena, lifetimes overlapped.

mod ahead;
mod beside;
mod constants;
pub mod cost_model;
mod counterparts;
pub mod dependence;
mod derive;
pub mod join;
pub mod lower;
pub mod memory;
pub mod select;
pub mod timing_cache;
pub mod tune;
mod types;

pub use constants::ConstantError;
pub use derive::{Carried, derive, units_within};
pub use select::Tuner;
pub use timing_cache::TimingCache;
pub use types::{
    Bound, Buffer, BufferId, BufferKind, ConstantForm, ConstantSlot, Instead, Location, Offer, Operand, Part, Plan,
    Port, Step, Work,
};

use crate::port::{Layout, Layouts};
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::Bindings;
use limpid_kernels::target::Target;

/// Plans `graph`, whose inputs and outputs lie as `layouts` says, for the extents in `bindings` on `target`. The tuner
/// times candidates on the GPU at hand; without one the cost model picks.
pub fn plan(
    graph: &Graph,
    bindings: &Bindings,
    layouts: &Layouts,
    target: &Target,
    tuner: Option<Tuner<'_>>,
) -> Result<Plan, PlanError> {
    let lowered = lower::lower(graph, bindings, layouts, &|site| select::takes(site, target))?.joined();
    let selected = select::select(lowered, target, tuner)?;
    let inputs = ports(graph, &graph.inputs, bindings, |index| layouts.input(index))?;
    let outputs = ports(graph, &graph.outputs, bindings, |index| layouts.output(index))?;
    Ok(memory::lay_out(selected, target, bindings, inputs, outputs))
}

fn ports(
    graph: &Graph,
    values: &[ValueId],
    bindings: &Bindings,
    layout: impl Fn(usize) -> Layout,
) -> Result<Vec<Port>, PlanError> {
    let specs = specs_of(graph, values, bindings).map_err(lower::LowerError::from)?;
    let port = |(index, (&value, spec)): (usize, (&ValueId, limpid_graph::ops::Spec))| {
        let layout = layout(index);
        let shape = layout.shape(&spec.shape).map_err(lower::LowerError::from)?;
        Ok(Port { name: graph.value(value).name.clone(), dtype: spec.dtype, layout, shape })
    };
    values.iter().zip(specs).enumerate().map(port).collect()
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A node has no kernel.
    #[error(transparent)]
    Lower(#[from] lower::LowerError),
    /// No candidate could be had for a site.
    #[error(transparent)]
    Select(#[from] select::SelectError),
}

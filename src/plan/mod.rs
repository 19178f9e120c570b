//! From graph to launches: groups become kernel sites, candidates are named and timed (or costed), one wins,
//! memory is laid out. A [`Plan`] is bytes only: it can be kept in a file and carried to another machine.
//!
//! - [`lower`] turns nodes into [`Work`]: sites with operands, layout changes where layouts differ.
//! - [`select`] asks the catalog for candidates and picks one, by measurement or by the cost model.
//! - [`memory`] gives every buffer its place in one arena, lifetimes overlapped.

mod cost_model;
mod lower;
mod memory;
mod select;
mod timing_cache;
mod types;

pub use cost_model::estimate;
pub use lower::{LowerError, Lowered, lower};
pub use memory::lay_out;
pub use select::{Measure, MeasureError, select};
pub use timing_cache::{TimingCache, TimingCacheError};
pub use types::{
    Buffer, BufferId, BufferKind, ConstantForm, ConstantSlot, Location, Offer, Operand, Plan, Port, Step, Work,
};

use crate::plan::lower::lower as lower_graph;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Bindings;
use limpid_kernels::target::Target;

/// Plans `graph` for the extents in `bindings` on `target`. `measure` times candidates on the GPU at hand;
/// without it the cost model picks.
pub fn plan(
    graph: &Graph,
    bindings: &Bindings,
    target: &Target,
    measure: Option<&mut dyn Measure>,
) -> Result<Plan, PlanError> {
    let lowered = lower_graph(graph, bindings, target)?;
    let selected = select(lowered, target, measure)?;
    Ok(lay_out(selected, target, bindings))
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A node has no kernel.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// No candidate could be had for a site.
    #[error(transparent)]
    Select(#[from] select::SelectError),
}

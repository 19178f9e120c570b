//! Optimization profiles: the extents an engine takes where its model leaves them open, and at which of them its
//! kernels are timed.
//!
//! ```text
//! --batch 1..32                 ->  ProfileRequest  what is asked for, before the model is known
//! with the model's open dims    ->  Profile         a Range (min, opt, max) for each of them
//! Profile::tuned                ->  1 2 4 8 16 32   where kernels are timed
//! ```
//!
//! TensorRT has the word and the three numbers ("Working with Dynamic Shapes" in its developer guide). What it does
//! otherwise: it times kernels at `opt` only, and a caller names the profile to run in; limpid times at a ladder of
//! extents between `min` and `max`, and finds the profile by the shapes that come.

mod input_shapes;
mod ladder;
mod profile;
mod range;
mod request;

pub use input_shapes::InputShapes;
pub use profile::{Profile, covers, volume};
pub use range::Range;
pub use request::ProfileRequest;

use limpid_graph::ir::Graph;
use limpid_graph::tensor::Symbol;

/// Why text or numbers make no shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Numbers that are in no order, or no extents.
    #[error("a range needs 1 <= min <= opt <= max, got {min}..{opt}..{max}")]
    Disorder {
        /// As given.
        min: usize,
        /// As given.
        opt: usize,
        /// As given.
        max: usize,
    },
    /// Text that is no range.
    #[error("`{0}` is no range; write N, MIN..MAX or MIN..OPT..MAX")]
    Range(String),
    /// Text that names no shapes.
    #[error("`{0}` names no shape; write INPUT:DIMxDIMx.., such as image:1x3x224x224, with commas between inputs")]
    Shapes(String),
    /// Minimum, optimum and maximum that do not go together.
    #[error("shapes are given as opt alone or as min, opt and max; {0} is missing")]
    Incomplete(&'static str),
    /// An input that only some of minimum, optimum and maximum name, or with another rank there.
    #[error("input `{0}` needs shapes of one rank in all of min, opt and max")]
    Unequal(String),
}

/// The open extent that the inputs begin with: the batch.
pub fn batch_symbol(graph: &Graph) -> Option<Symbol> {
    graph.inputs.iter().find_map(|&v| graph.fact(v).shape.first()?.as_symbol().cloned())
}

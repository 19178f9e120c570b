//! Element by element, with broadcasting: arithmetic with an activation ([`Broadcast`]), and every other function
//! ([`Function`]).

mod broadcast;
mod edges;
mod function;
mod function_edges;
mod walk;

pub use broadcast::Broadcast;
pub use function::Function;

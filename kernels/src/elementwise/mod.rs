//! Element by element: arithmetic with broadcasting and an activation.

mod broadcast;
mod edges;

pub use broadcast::Broadcast;

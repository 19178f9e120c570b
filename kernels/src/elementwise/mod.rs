//! Element by element: arithmetic with broadcasting and an activation.

mod broadcast;

pub use broadcast::Broadcast;

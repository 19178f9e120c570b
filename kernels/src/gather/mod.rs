//! Rows picked by an integer tensor.

mod rows;

pub use rows::Rows;

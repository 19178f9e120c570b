//! Normalizations that look at the data: layer, instance, group.

mod rows;

pub use rows::Rows;

//! limpid's reduced precision: what may be stored in fewer bits, with which scales, and what was kept from it.
//!
//! Activations come through the [`Activations`] trait; this crate does not know who computes them.

mod activations;
pub mod fp16;

pub use activations::{Activations, Ranges, observe_ranges};

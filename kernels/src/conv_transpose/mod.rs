//! Transposed convolutions.

mod direct;
mod geometry;
mod mma;
mod phase;
mod simt;

pub use direct::Direct;
pub use mma::Mma;
pub use simt::Simt;

//! Transposed convolutions.

mod direct;
mod geometry;
mod mma;
mod simt;

pub use direct::Direct;
pub use mma::Mma;
pub use simt::Simt;

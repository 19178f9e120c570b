//! Convolution: an implicit GEMM on tensor cores ([`Mma`]) or in plain f32 ([`Simt`]), and the general way out
//! ([`Direct`]). In INT8 sums are of integers, so every kernel and every split gives the same bits.

mod direct;
mod edges;
mod implicit;
mod mma;
mod simt;

pub use direct::Direct;
pub use mma::Mma;
pub use simt::Simt;

/// What a kernel of this room says of any other site.
const NOT_A_CONVOLUTION: &str = "computes convolutions only";

//! Convolution: an implicit GEMM by Hopper's means ([`Wgmma`]), on the tensor cores of every chip ([`Mma`]) or in plain
//! f32 ([`Simt`]), one for few channels ([`Stem`]), and the general way out ([`Direct`]). In INT8 sums are of integers, so every kernel and every split gives the same bits.

mod direct;
mod edges;
mod implicit;
mod mma;
mod simt;
mod stem;
mod wgmma;

pub use direct::Direct;
pub use mma::Mma;
pub use simt::Simt;
pub use stem::Stem;
pub use wgmma::Wgmma;

/// What a kernel of this room says of any other site.
const NOT_A_CONVOLUTION: &str = "computes convolutions of images only";

//! Tiles of Hopper: the host's side of `include/warpgroup.cuh` and `include/ring.cuh`.

mod output;
mod shape;
mod tiling;

pub(crate) use output::Output;
pub(crate) use shape::{Build, units};
pub(crate) use tiling::{Kernel, Tiling};

/// Filters, or columns, that packed weights are padded to: [`crate::weights::Packing::Warpgroup`] orders 32 at a time.
pub(crate) const FILTERS: u32 = 32;

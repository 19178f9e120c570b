//! The host's side of `include/tile.cuh`: how products are formed ([`Math`]), by which tiles ([`Tile`]), and how those
//! cover a problem ([`Tiling`]). That of `include/warpgroup.cuh`, the tiles of Hopper, is [`warpgroup`].

mod math;
mod shape;
mod tiling;
pub mod warpgroup;

pub use math::Math;
pub use shape::{Build, FMA_TILES, MMA_TILES, REAL_TILES, Tile};
pub use tiling::{Problem, TileGrid, Tiling};

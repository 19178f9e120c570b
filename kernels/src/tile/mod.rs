//! The host's side of `include/tile.cuh`: how products are formed ([`Math`]), by which tiles ([`Tile`]), and how those
//! cover a problem ([`Tiling`]).

mod math;
mod shape;
mod tiling;

pub use math::Math;
pub use shape::{Build, FMA_TILES, MMA_TILES, Tile};
pub use tiling::{Problem, TileGrid, Tiling};

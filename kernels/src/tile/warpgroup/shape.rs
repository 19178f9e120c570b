//! The tiles, and what each needs.

use super::output::WayOut;
use crate::gemm::split_k;
use crate::launch::CompileUnit;
use crate::target::{Arch, Target};
use crate::tensor_map::Swizzle;
use crate::tile::Math;
use limpid_graph::ir::Precision;

/// A block tile, and who multiplies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub block_m: u32,
    pub block_n: u32,
    /// Warpgroups that multiply.
    pub(super) warpgroups: u32,
    /// Teams they form; each team has its own tile.
    pub(super) teams: u32,
}

/// The large first. A block has a multiprocessor to itself, all of its registers and nearly all of its shared memory; small
/// tiles share it by teams.
pub(super) const TILES: &[Tile] = &[
    Tile::new([128, 256], [2, 1]),
    Tile::new([256, 128], [2, 1]),
    Tile::new([128, 128], [2, 2]),
    Tile::new([64, 256], [2, 2]),
    Tile::new([256, 64], [2, 1]),
    Tile::new([128, 64], [3, 3]),
    Tile::new([64, 128], [3, 3]),
    Tile::new([64, 64], [4, 4]),
    Tile::new([128, 32], [3, 3]),
    Tile::new([64, 32], [4, 4]),
];

/// Shared memory of a block, bytes: what sm_90 allows.
const MAX_SHARED: u32 = 227 << 10;

/// Registers of a thread that hold neither sums nor fragments: what the compiler was seen to need.
const EVERYTHING_ELSE: u32 = 48;

/// Stages of 128 bytes a row.
const MAX_STAGES: u32 = 16;

impl Tile {
    const fn new(block: [u32; 2], warpgroups_teams: [u32; 2]) -> Self {
        let ([block_m, block_n], [warpgroups, teams]) = (block, warpgroups_teams);
        Self { block_m, block_n, warpgroups, teams }
    }

    /// Registers of a thread that multiplies: `CONSUMER_REGISTERS` of ring.cuh.
    fn registers(&self) -> u32 {
        let even = 65536 / self.threads() / 8 * 8;
        (even * (self.warpgroups + 1) - 40) / self.warpgroups / 8 * 8
    }

    /// Threads of a block: those that multiply, and the warpgroup that copies.
    pub(super) fn threads(&self) -> u32 {
        128 * (self.warpgroups + 1)
    }
}

/// How a tile is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    pub math: Math,
    /// Bytes of K that a stage holds of each row: 128 or 64.
    pub row_bytes: u32,
}

impl Build {
    /// How a precision is multiplied, or why it is not. `channels` are those that follow one another along K.
    pub fn new(precision: Precision, channels: u32, target: &Target) -> Result<Self, String> {
        if target.arch != Arch(90) {
            return Err(format!("needs sm_90a, the target is {}", target.arch));
        }
        let math = match precision {
            Precision::Fp16 => Math::Fp16,
            Precision::Int8 => Math::Int8,
            Precision::Tf32 => Math::Tf32,
            Precision::Fp32 => return Err("multiplies int8, fp16 or tf32, the site asks for fp32".to_owned()),
        };
        // Short rows where those of 128 bytes would hold a quarter more of zeros. Of f32, they would be half of what a
        // chunk of the output has.
        let bytes = u64::from(channels) * math.dtype().size() as u64;
        let short = math != Math::Tf32 && bytes.next_multiple_of(64) * 4 <= bytes.next_multiple_of(128) * 3;
        Ok(Self { math, row_bytes: if short { 64 } else { 128 } })
    }

    /// Every way to compile.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let maths = [(Math::Int8, 128), (Math::Int8, 64), (Math::Fp16, 128), (Math::Fp16, 64), (Math::Tf32, 128)];
        maths.into_iter().map(|(math, row_bytes)| Self { math, row_bytes })
    }

    /// Numbers of a row in a stage.
    pub fn numbers(self) -> u32 {
        self.row_bytes / self.math.dtype().size() as u32
    }

    /// The swizzle of both operands.
    pub fn swizzle(self) -> Swizzle {
        if self.row_bytes == 128 { Swizzle::B128 } else { Swizzle::B64 }
    }

    fn tile_row_bytes(self, tile: &Tile) -> u32 {
        tile.block_n * self.math.dtype().size() as u32
    }

    /// Bytes of a row of a chunk that leaves: `CHUNK_BYTES` of ring.cuh.
    pub(super) fn chunk_bytes(self, tile: &Tile) -> u32 {
        self.tile_row_bytes(tile).min(128)
    }

    /// Bytes of a row of a chunk of the residual: `RESIDUAL_BYTES` of ring.cuh.
    pub(super) fn residual_bytes(self, tile: &Tile) -> u32 {
        self.tile_row_bytes(tile).min(self.row_bytes)
    }

    /// Chunks of a tile's residual.
    pub(super) fn residual_chunks(self, tile: &Tile) -> u32 {
        self.tile_row_bytes(tile) / self.residual_bytes(tile)
    }

    /// Where a tile's sums leave: two chunks, or 2048 bytes, of each warp.
    fn way_out_bytes(self, tile: &Tile) -> u32 {
        4 * tile.warpgroups * (32 * self.chunk_bytes(tile)).max(2048)
    }

    fn stage_bytes(self, tile: &Tile) -> u32 {
        (tile.block_m + tile.block_n) * self.row_bytes
    }

    /// As many as shared memory has room for; behind so many more that they would bring nothing.
    pub(super) fn stages(self, tile: &Tile) -> u32 {
        let room = MAX_SHARED - self.way_out_bytes(tile) - 8 * tile.teams;
        (room / (self.stage_bytes(tile) + 16)).min(MAX_STAGES * 128 / self.row_bytes)
    }

    /// The stages, two mbarriers for each, the ways out, and one mbarrier for each team.
    pub(super) fn shared_bytes(self, tile: &Tile) -> u32 {
        self.stages(tile) * (self.stage_bytes(tile) + 16) + self.way_out_bytes(tile) + 8 * tile.teams
    }

    /// Whether a thread has registers for its sums, in TF32 for its fragments of two stages of 128 bytes, and for
    /// everything else; and whether teams in turn find room for a tile's whole residual.
    pub(super) fn takes(self, tile: &Tile) -> bool {
        let tiles_m = tile.block_m / (tile.warpgroups / tile.teams) / 64;
        let fragments = if self.math == Math::Tf32 { 2 * 128 / 32 * 4 } else { 0 };
        let numbers = tiles_m * (tile.block_n / 2 + fragments);
        let waits = tile.teams == 1 || self.residual_chunks(tile) <= self.stages(tile);
        numbers + EVERYTHING_ELSE <= tile.registers() && waits
    }

    pub(super) fn unit(self, tile: &Tile, way_out: WayOut, source: &str, entry: &str) -> CompileUnit {
        let defines = [
            ("BLOCK_M", tile.block_m.to_string()),
            ("BLOCK_N", tile.block_n.to_string()),
            ("ROW_BYTES", self.row_bytes.to_string()),
            ("STAGES", self.stages(tile).to_string()),
            ("WARPGROUPS", tile.warpgroups.to_string()),
            ("TEAMS", tile.teams.to_string()),
            ("PRECISION", self.math.name().to_owned()),
            ("WAY_OUT", way_out.name().to_owned()),
        ];
        CompileUnit::new(source, entry, defines)
    }
}

/// Everything a source that includes `warpgroup.cuh` may be compiled to.
pub(crate) fn units(source: &str, entry: &str, arch: Arch) -> Vec<CompileUnit> {
    if arch != Arch(90) {
        return Vec::new();
    }
    let tiles = |build: Build| TILES.iter().filter(move |tile| build.takes(tile));
    let ways_out = |build: Build, tile| WayOut::ALL.map(|way_out| build.unit(tile, way_out, source, entry));
    let own = Build::all().flat_map(|build| tiles(build).flat_map(move |tile| ways_out(build, tile)));
    own.chain([Precision::Fp32, Precision::Int8].map(split_k::unit)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::FILTERS;
    use super::*;

    #[test]
    fn every_tile_fits() {
        let target = Target::typical(Arch(90));
        for tile in TILES {
            for build in Build::all() {
                let shared = build.shared_bytes(tile);
                assert!(shared <= target.shared_per_block, "{tile:?} takes {shared} bytes");
                assert!(
                    tile.block_m.is_multiple_of(64 * tile.warpgroups / tile.teams) && tile.threads() <= 1024,
                    "{tile:?}"
                );
                assert!(tile.block_n.is_multiple_of(FILTERS) && tile.block_n <= 256, "{tile:?}");
            }
        }
    }
}

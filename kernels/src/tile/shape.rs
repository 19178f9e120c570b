//! The tiles, and what each needs.

use super::Math;
use crate::launch::CompileUnit;
use crate::target::{Arch, Target};

/// A block tile and how warps share it. Depth is counted in 16-byte vectors, so one menu serves every element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub block_m: u32,
    /// Columns.
    pub block_n: u32,
    /// Vectors of a row that one step along K takes.
    pub vectors: u32,
    /// Warps above one another.
    pub warps_m: u32,
    /// Warps side by side.
    pub warps_n: u32,
    /// Tiles under way; 2 wherever copies go through registers.
    pub stages: u32,
    /// Blocks per multiprocessor that registers are limited for, from sm_80 on.
    pub min_blocks: u32,
}

/// What surrounds a tile and changes how it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The architecture.
    pub arch: Arch,
    /// Products.
    pub math: Math,
    /// Whether operands can be copied in whole vectors.
    pub aligned: bool,
    /// Whether the right operand is (K,N), with K along its rows.
    pub k_by_n: bool,
    /// Whether the left operand is f32 that is converted behind shared memory.
    pub real_a: bool,
}

impl Build {
    /// Both operands with K along their columns, in whole vectors.
    pub const fn vectors(arch: Arch, math: Math) -> Self {
        Self { arch, math, aligned: true, k_by_n: false, real_a: false }
    }

    /// True if tiles arrive by `cp.async`.
    const fn copies_async(self) -> bool {
        self.arch.0 >= 80 && self.aligned
    }
}

impl Tile {
    /// In the order of the fields.
    pub const fn new(block: [u32; 2], vectors: u32, warps: [u32; 2], stages: u32, min_blocks: u32) -> Self {
        let ([block_m, block_n], [warps_m, warps_n]) = (block, warps);
        Self { block_m, block_n, vectors, warps_m, warps_n, stages, min_blocks }
    }

    /// Threads of a block.
    pub const fn threads(&self) -> u32 {
        32 * self.warps_m * self.warps_n
    }

    /// Elements of a row that one step takes.
    pub const fn block_k(&self, math: Math) -> u32 {
        self.vectors * math.width()
    }

    pub(super) const fn built_stages(&self, build: Build) -> u32 {
        if build.copies_async() { self.stages } else { 2 }
    }

    const fn built_min_blocks(&self, build: Build) -> u32 {
        // What goes through registers, or is gathered from columns, needs more of them.
        if build.copies_async() && !build.k_by_n { self.min_blocks } else { 1 }
    }

    /// Whether a thread's registers hold all it needs: with the most sums, and copies that go through them, room is left for
    /// eight vectors.
    pub const fn fits_registers(&self, build: Build) -> bool {
        let (sums, copies) = (self.block_m * self.block_n, (self.block_m + self.block_n) * self.vectors);
        build.copies_async() || sums / self.threads() < 128 || copies / self.threads() <= 8
    }

    /// Dynamic shared memory, bytes: the stages, or the slabs on the way out where those are larger.
    pub fn shared_bytes(&self, build: Build) -> u32 {
        self.shared_bytes_of(build, u64::MAX)
    }

    /// The same where a block takes so many steps at most: stages that nothing comes into are not needed, and the grid
    /// behind, whose blocks wait, finds more room.
    pub(super) fn shared_bytes_of(&self, build: Build, steps: u64) -> u32 {
        let widened = if build.real_a { 4 / build.math.dtype().size() as u32 } else { 1 };
        let stages = u64::from(self.built_stages(build)).min(steps) as u32;
        let stages = stages * (self.block_m * widened + self.block_n) * self.vectors * 16;
        let warp_n = self.block_n / self.warps_n;
        let slab = match build.math {
            Math::Fp32 => 8 * warp_n,
            Math::Int8 | Math::Fp16 | Math::Tf32 => 16 * warp_n,
        };
        stages.max(self.warps_m * self.warps_n * slab * 4)
    }

    /// Dynamic shared memory where the blocks of a cluster send each other sums, bytes: one tile of them and an mbarrier,
    /// which takes as much as keeps the stages behind it in their places, ahead of the rest.
    pub(super) fn cluster_shared_bytes_of(&self, build: Build, steps: u64) -> u32 {
        self.shared_bytes_of(build, steps) + self.block_m * self.block_n * 4 + 256
    }

    /// Whether the blocks of a cluster may share K: products with weights, which is where few rows leave the chip empty, and
    /// small tiles, of which there are few only then.
    pub(super) fn takes_clusters(&self, build: Build) -> bool {
        let weights = build == Build::vectors(build.arch, build.math);
        build.arch.has_clusters() && weights && self.block_m * self.block_n <= 128 * 64
    }

    /// Every compile unit of a source that includes `cluster.cuh`: alone, and in clusters.
    pub fn units(&self, source: &str, entry: &str, build: Build) -> impl Iterator<Item = CompileUnit> {
        let ways: &[bool] = match (self.fits_registers(build), self.takes_clusters(build)) {
            (false, _) => &[],
            (true, false) => &[false],
            (true, true) => &[false, true],
        };
        ways.iter().map(move |&clusters| self.unit(source, entry, build, clusters))
    }

    /// The compile unit of a source that includes `tile.cuh`, which has the tile's numbers as definitions; `clusters` is
    /// whether the blocks of a cluster share K.
    pub fn unit(&self, source: &str, entry: &str, build: Build, clusters: bool) -> CompileUnit {
        let defines = [
            ("BLOCK_M", self.block_m.to_string()),
            ("BLOCK_N", self.block_n.to_string()),
            ("BLOCK_K", self.block_k(build.math).to_string()),
            ("WARPS_M", self.warps_m.to_string()),
            ("WARPS_N", self.warps_n.to_string()),
            ("STAGES", self.built_stages(build).to_string()),
            ("MIN_BLOCKS", self.built_min_blocks(build).to_string()),
            ("PRECISION", build.math.name().to_owned()),
            ("ALIGNED", u32::from(build.aligned).to_string()),
            ("B_BY_ROWS", u32::from(build.k_by_n).to_string()),
            ("A_IS_REAL", u32::from(build.real_a).to_string()),
            ("IN_CLUSTERS", u32::from(clusters).to_string()),
        ];
        CompileUnit::new(source, entry, defines)
    }

    /// Blocks that fit on a multiprocessor together, as far as that can be said before compiling.
    pub fn blocks_per_multiprocessor(&self, build: Build, target: &Target) -> u32 {
        // Sums, what they are multiplied from (two sets of fragments; rows and two runs), and about 60 for addresses; ptxas is
        // close to it for all tiles here.
        let (warp_m, warp_n) = (self.block_m / self.warps_m, self.block_n / self.warps_n);
        let fragments = if build.math == Math::Fp32 { warp_m / 2 + 32 } else { (warp_m + warp_n) / 2 };
        let estimate = (warp_m * warp_n / 32 + fragments + 60).next_multiple_of(8);
        let registers = estimate.min(65536 / (self.threads() * self.built_min_blocks(build))).min(255);
        let threads = match target.arch.0 {
            75..=79 => 1024,
            86..=89 | 120.. => 1536,
            _ => 2048,
        };
        // A block takes 1 KiB for the driver besides its own.
        let by_shared = target.shared_per_multiprocessor / (self.shared_bytes(build) + 1024);
        by_shared.min(65536 / (registers * self.threads())).min(threads / self.threads()).max(1)
    }

    /// Share of the peak the inner loop reaches when enough blocks run together: products per number read from shared memory, against a constant that
    /// says how many it takes to hide that reading.
    pub(super) fn efficiency(&self, build: Build) -> f32 {
        let (m, n) = ((self.block_m / self.warps_m) as f32, (self.block_n / self.warps_n) as f32);
        match build.math {
            Math::Fp32 => {
                let reuse = (m / 8.0) * (n / 4.0) / (m / 8.0 + n / 4.0);
                0.9 * reuse / (reuse + 1.0)
            }
            Math::Int8 | Math::Fp16 | Math::Tf32 => {
                let reuse = m * n / (m + n);
                // From Hopper on the peak is wgmma's; mma.sync reaches about 0.62 of it.
                let ceiling = if (90..120).contains(&build.arch.0) { 0.62 } else { 0.9 };
                ceiling * reuse / (reuse + 10.0)
            }
        }
    }
}

/// Tiles for tensor cores, the large first. Warps hold 64x64, 32x64, 64x32, 32x32, 16x32 or 16x16 sums.
pub const MMA_TILES: &[Tile] = &[
    Tile::new([256, 128], 4, [4, 2], 3, 1),
    Tile::new([128, 256], 4, [2, 4], 3, 1),
    Tile::new([128, 128], 4, [2, 2], 4, 1),
    Tile::new([128, 128], 4, [2, 4], 4, 2),
    Tile::new([128, 128], 8, [2, 4], 3, 1),
    Tile::new([128, 64], 8, [4, 2], 3, 1),
    Tile::new([64, 128], 8, [2, 2], 3, 1),
    Tile::new([64, 64], 8, [2, 2], 3, 1),
    Tile::new([128, 32], 8, [4, 1], 3, 1),
    Tile::new([32, 128], 8, [1, 4], 3, 1),
    Tile::new([64, 32], 8, [2, 2], 4, 1),
    Tile::new([32, 64], 8, [2, 2], 4, 1),
    Tile::new([32, 32], 8, [2, 2], 4, 1),
];

/// Tiles for tensor cores whose left operand is f32 that is converted: it takes two or four times the room, so steps are
/// short, and each number is converted once for every warp beside another, so the tile that has all columns is wide.
pub const REAL_TILES: &[Tile] = &[
    Tile::new([64, 256], 4, [2, 4], 3, 1),
    Tile::new([64, 128], 4, [2, 2], 4, 1),
    Tile::new([64, 64], 4, [2, 2], 4, 1),
    Tile::new([32, 64], 4, [2, 2], 4, 1),
    Tile::new([32, 32], 4, [2, 2], 4, 1),
];

/// Tiles for plain multiply-adds. Lanes hold 8x16, 8x8, 4x8, 2x8 or 2x4 sums.
pub const FMA_TILES: &[Tile] = &[
    Tile::new([128, 128], 8, [2, 2], 3, 2),
    Tile::new([128, 128], 4, [2, 2], 3, 2),
    Tile::new([256, 64], 4, [4, 1], 3, 2),
    Tile::new([128, 64], 4, [2, 2], 3, 3),
    Tile::new([64, 128], 4, [1, 4], 3, 3),
    Tile::new([64, 64], 4, [2, 2], 3, 4),
    Tile::new([128, 32], 4, [4, 1], 3, 4),
    Tile::new([32, 64], 4, [2, 2], 4, 4),
    Tile::new([32, 32], 4, [2, 2], 4, 4),
];

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way a tile of the menus may be compiled.
    pub fn builds() -> Vec<(Tile, Build)> {
        let mut all = Vec::new();
        for arch in Arch::TESTED {
            let maths = Math::all_tensor_cores(arch).into_iter().map(|math| (math, MMA_TILES));
            for (math, menu) in maths.chain([(Math::Fp32, FMA_TILES)]) {
                let ways = [(true, false), (true, true), (false, false), (false, true)];
                for (aligned, k_by_n) in ways.into_iter().filter(|(_, k_by_n)| math.takes_k_by_n() || !k_by_n) {
                    let build = Build { arch, math, aligned, k_by_n, real_a: false };
                    all.extend(menu.iter().filter(|tile| tile.fits_registers(build)).map(|tile| (*tile, build)));
                }
            }
            for math in [Math::Fp16, Math::Int8] {
                let build = Build { real_a: true, ..Build::vectors(arch, math) };
                all.extend(REAL_TILES.iter().map(|tile| (*tile, build)));
            }
        }
        all
    }

    #[test]
    fn every_tile_fits_every_architecture() {
        for (tile, build) in builds() {
            let target = Target::typical(build.arch);
            let shared = tile.shared_bytes(build);
            assert!(shared <= target.shared_per_block, "{tile:?} takes {shared} bytes on {}", build.arch);
            assert!(tile.blocks_per_multiprocessor(build, &target) * tile.threads() <= 2048);
            // What tile.cuh and the warps take for granted.
            let (warp_m, warp_n) = (tile.block_m / tile.warps_m, tile.block_n / tile.warps_n);
            assert!(warp_m.is_multiple_of(16) && warp_n.is_multiple_of(16), "{tile:?}");
            assert!(tile.vectors.is_power_of_two() && tile.vectors >= 2 && tile.threads().is_multiple_of(tile.vectors));
        }
    }
}

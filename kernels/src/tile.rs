//! The host's side of `include/tile.cuh`: tiles, what they need, and how they cover a problem.

use crate::launch::{CandidateCost, CompileUnit, Tactic};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// How products are formed: the `PRECISION` of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Math {
    /// f16 on tensor cores.
    Fp16,
    /// f32 rounded to TF32 on tensor cores.
    Tf32,
    /// f32, one multiply-add after the other.
    Fp32,
}

impl Math {
    /// The type in `fragment.cuh` or `simt.cuh`.
    pub const fn name(self) -> &'static str {
        match self {
            Math::Fp16 => "Fp16",
            Math::Tf32 => "Tf32",
            Math::Fp32 => "Fp32",
        }
    }

    /// What its operands are stored as.
    pub const fn dtype(self) -> DType {
        match self {
            Math::Fp16 => DType::F16,
            Math::Tf32 | Math::Fp32 => DType::F32,
        }
    }

    /// Elements of a 16-byte vector.
    pub const fn width(self) -> u32 {
        crate::site::vector_width(self.dtype())
    }

    /// The tensor-core way for a precision, or why there is none.
    pub fn tensor_cores(precision: Precision, arch: Arch) -> Result<Self, String> {
        match precision {
            Precision::Fp16 => Ok(Math::Fp16),
            Precision::Tf32 if arch.has_async_copy() => Ok(Math::Tf32),
            Precision::Tf32 => Err(format!("needs sm_80 for TF32, the target is {arch}")),
            other => Err(format!("multiplies fp16 or tf32, the site asks for {other}")),
        }
    }

    /// The plain way for a precision, or why there is none. It stands in for TF32 where the chip has none: it is
    /// more exact.
    pub fn plain(precision: Precision, arch: Arch) -> Result<Self, String> {
        match precision {
            Precision::Fp32 => Ok(Math::Fp32),
            Precision::Tf32 if !arch.has_async_copy() => Ok(Math::Fp32),
            other => Err(format!("multiplies fp32, the site asks for {other}")),
        }
    }

    /// The tensor-core ways an architecture has.
    pub fn all_tensor_cores(arch: Arch) -> Vec<Self> {
        [Precision::Fp16, Precision::Tf32].into_iter().filter_map(|p| Self::tensor_cores(p, arch).ok()).collect()
    }
}

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
}

impl Build {
    /// Both operands with K along their columns, in whole vectors.
    pub const fn vectors(arch: Arch, math: Math) -> Self {
        Self { arch, math, aligned: true, k_by_n: false }
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

    const fn built_stages(&self, build: Build) -> u32 {
        if build.copies_async() { self.stages } else { 2 }
    }

    const fn built_min_blocks(&self, build: Build) -> u32 {
        // What goes through registers, or is gathered from columns, needs more of them.
        if build.copies_async() && !build.k_by_n { self.min_blocks } else { 1 }
    }

    /// Dynamic shared memory, bytes: the stages, or the slabs on the way out where those are larger.
    pub fn shared_bytes(&self, build: Build) -> u32 {
        let stages = self.built_stages(build) * (self.block_m + self.block_n) * self.vectors * 16;
        let warp_n = self.block_n / self.warps_n;
        let slab = match build.math {
            Math::Fp32 => 8 * (warp_n + 4),
            Math::Fp16 | Math::Tf32 => 16 * (warp_n + 8),
        };
        stages.max(self.warps_m * self.warps_n * slab * 4)
    }

    /// The compile unit of a source that includes `tile.cuh`, which has the tile's numbers as definitions.
    pub fn unit(&self, source: &str, entry: &str, build: Build) -> CompileUnit {
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
        ];
        CompileUnit::new(source, entry, defines)
    }

    /// Blocks that fit on a multiprocessor together, as far as that can be said before compiling.
    pub fn blocks_per_multiprocessor(&self, build: Build, target: &Target) -> u32 {
        // Sums and two sets of fragments, and about 60 for addresses; ptxas is close to it for all tiles here.
        let (warp_m, warp_n) = (self.block_m / self.warps_m, self.block_n / self.warps_n);
        let fragments = if build.math == Math::Fp32 { warp_m / 2 + 4 } else { (warp_m + warp_n) / 2 };
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

    /// Share of the peak the inner loop reaches: products per number read from shared memory, against a constant that
    /// says how many it takes to hide that reading.
    fn efficiency(&self, build: Build) -> f32 {
        let (m, n) = ((self.block_m / self.warps_m) as f32, (self.block_n / self.warps_n) as f32);
        match build.math {
            Math::Fp32 => {
                let reuse = (m / 8.0) * (n / 4.0) / (m / 8.0 + n / 4.0);
                0.9 * reuse / (reuse + 1.0)
            }
            Math::Fp16 | Math::Tf32 => {
                let reuse = m * n / (m + n);
                // From Hopper on the peak is wgmma's; mma.sync reaches about 0.62 of it.
                let ceiling = if (90..120).contains(&build.arch.0) { 0.62 } else { 0.9 };
                ceiling * reuse / (reuse + 8.0)
            }
        }
    }
}

/// A product to cover with tiles: `batches` times rows x columns, over `depth`.
#[derive(Clone, Copy, Debug)]
pub struct Problem {
    /// M.
    pub rows: u64,
    /// N.
    pub columns: u64,
    /// K, in vectors.
    pub depth_vectors: u64,
    /// Independent products: a batch, or the groups of a convolution.
    pub batches: u64,
    /// Bytes of the left operand, of the right one, and of the output with its residual.
    pub bytes: [u64; 3],
}

/// `TileGrid` of tile.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct TileGrid {
    tiles_m: i32,
    tiles_n: i32,
    steps: i32,
    steps_per_split: i32,
}

/// A tile laid over a problem.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    /// The tile.
    pub tile: Tile,
    /// How it is compiled.
    pub build: Build,
    /// Shares of K, none empty.
    pub splits: u32,
    tiles_m: u64,
    tiles_n: u64,
    steps: u64,
    problem: Problem,
}

impl Tiling {
    /// Beyond this, adding the partial sums up costs more than the split saves.
    const MAX_SPLITS: u64 = 32;

    /// Every tile of the menu that suits the problem, with the splits of K that fill the chip, or why there is none.
    ///
    /// A tile is left out if it computes more than three times as much, padding included, as the least that any
    /// tile of the menu does. K is split only where there are fewer blocks than fit on the chip, into powers of
    /// two that come nearest to filling it once or twice, at least two steps each.
    pub fn all(menu: &[Tile], build: Build, problem: Problem, target: &Target) -> Result<Vec<Self>, String> {
        if problem.rows * problem.columns * problem.depth_vectors * problem.batches == 0 {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let padded = |tile: &Tile| {
            problem.rows.next_multiple_of(tile.block_m.into()) * problem.columns.next_multiple_of(tile.block_n.into())
        };
        let least = menu.iter().map(padded).min().unwrap_or(0);
        let mut all = Vec::new();
        for tile in menu {
            let shared = tile.shared_bytes(build);
            if padded(tile) > 3 * least || shared > target.shared_per_block {
                continue;
            }
            let whole = Self {
                tile: *tile,
                build,
                splits: 1,
                tiles_m: problem.rows.div_ceil(tile.block_m.into()),
                tiles_n: problem.columns.div_ceil(tile.block_n.into()),
                steps: problem.depth_vectors.div_ceil(tile.vectors.into()),
                problem,
            };
            if whole.tiles() > i32::MAX as u64 || whole.steps > i32::MAX as u64 {
                return Err(format!("needs a grid of {} tiles, takes at most 2^31", whole.tiles()));
            }
            all.push(whole);
            all.extend(whole.split(target));
        }
        if all.is_empty() {
            Err(format!("no tile fits {} bytes of shared memory", target.shared_per_block))
        } else {
            Ok(all)
        }
    }

    fn split(self, target: &Target) -> impl Iterator<Item = Self> {
        let resident = self.tile.blocks_per_multiprocessor(self.build, target);
        let room = u64::from(target.multiprocessors * resident) / self.tiles();
        let largest = (2 * room).min(self.steps / 2).min(Self::MAX_SPLITS).checked_ilog2().unwrap_or(0);
        let smallest = largest.saturating_sub(1).max(1);
        (smallest..=largest).map(move |exponent| {
            // Rounding the share up may leave fewer shares than asked for.
            let share = self.steps.div_ceil(1 << exponent);
            Self { splits: self.steps.div_ceil(share) as u32, ..self }
        })
    }

    fn tiles(&self) -> u64 {
        self.tiles_m * self.tiles_n * self.problem.batches
    }

    /// The kernel's parameter.
    pub fn grid_params(&self) -> TileGrid {
        TileGrid {
            tiles_m: self.tiles_m as i32,
            tiles_n: self.tiles_n as i32,
            steps: self.steps as i32,
            steps_per_split: self.steps.div_ceil(self.splits.into()) as i32,
        }
    }

    /// Blocks in x, y, z.
    pub fn grid(&self) -> [u32; 3] {
        [self.tiles() as u32, self.splits, 1]
    }

    /// Scratch for partial sums, bytes; 0 if K is not split.
    pub fn workspace(&self) -> u64 {
        let sums = self.problem.batches * self.problem.rows * self.problem.columns.next_multiple_of(8);
        if self.splits > 1 { u64::from(self.splits) * sums * 4 } else { 0 }
    }

    /// The tactic's name and numbers.
    pub fn tactic(&self, kernel: &str) -> Tactic {
        let tile = &self.tile;
        Tactic::new(
            kernel,
            &[
                ("block_m", tile.block_m),
                ("block_n", tile.block_n),
                ("block_k", tile.block_k(self.build.math)),
                ("warps_m", tile.warps_m),
                ("warps_n", tile.warps_n),
                ("stages", tile.built_stages(self.build)),
                ("split_k", self.splits),
            ],
        )
    }

    /// What it computes and moves: whole tiles; the left operand once (the blocks that share it run together), the
    /// right one once a wave where it is too large for L2; partial sums written and read.
    pub fn cost(&self, target: &Target) -> CandidateCost {
        let tile = &self.tile;
        let resident = tile.blocks_per_multiprocessor(self.build, target);
        let blocks = self.tiles() * u64::from(self.splits);
        let waves = blocks.div_ceil(u64::from(target.multiprocessors * resident));
        let [left, right, output] = self.problem.bytes;
        let rereads = if right > target.l2_bytes / 2 { waves.min(self.tiles_m) } else { 1 };
        let block_flops = 2 * u64::from(tile.block_m * tile.block_n) * u64::from(tile.block_k(self.build.math));
        // Filling and draining the pipeline costs about as much as the stages' steps.
        let steps = self.steps.div_ceil(self.splits.into()) as f32;
        let filling = steps / (steps + tile.built_stages(self.build) as f32);
        CandidateCost {
            flops: block_flops * self.steps * self.tiles(),
            bytes: left + right * rereads + output + 2 * self.workspace(),
            blocks,
            blocks_per_multiprocessor: resident,
            efficiency: tile.efficiency(self.build) * filling,
            tensor_cores: self.build.math != Math::Fp32,
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

/// Tiles for plain multiply-adds. Lanes hold 8x8, 4x8, 2x8 or 2x4 sums.
pub const FMA_TILES: &[Tile] = &[
    Tile::new([128, 128], 4, [2, 4], 3, 1),
    Tile::new([128, 64], 4, [2, 2], 3, 3),
    Tile::new([64, 128], 4, [1, 4], 3, 3),
    Tile::new([64, 64], 4, [2, 2], 3, 4),
    Tile::new([128, 32], 4, [4, 1], 3, 4),
    Tile::new([32, 64], 4, [2, 2], 4, 4),
    Tile::new([32, 32], 4, [2, 2], 4, 4),
];

//! A tile laid over a problem: its grid, its splits of K, its cost.

use super::{Build, Math, Tile};
use crate::index::Divisor;
use crate::launch::{Arg, CandidateCost, Launch, Tactic};
use crate::target::Target;
use bytemuck::{Pod, Zeroable};

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
    tiles_m: Divisor,
    tiles_n: Divisor,
    share: i32,
    longer: i32,
}

/// A tile laid over a problem.
#[derive(Clone, Copy, Debug)]
pub struct Tiling {
    /// The tile.
    pub tile: Tile,
    /// How it is compiled.
    pub build: Build,
    /// Shares of K whose sums a second launch adds up.
    pub splits: u32,
    /// Shares of K whose sums the blocks of a cluster add up among themselves; where there are several, `splits` is 1.
    pub cluster: u32,
    tiles_m: u64,
    tiles_n: u64,
    steps: u64,
    problem: Problem,
}

impl Tiling {
    /// What a block waits for when nothing else runs on its multiprocessor, µs: from its start to its first tiles, then
    /// for each step along K, then for each sum of a thread on the way out. Blocks that run together wait together.
    /// Fitted to times of an H200; `src/plan/cost_model.rs` says how well.
    const START_US: f64 = 0.5;
    const STEP_US: f64 = 0.05;
    const SUM_US: f64 = 0.01;

    /// What the blocks of a cluster wait for each other on the way out, µs: an estimate, two barriers and a way to another
    /// multiprocessor and back.
    const CLUSTER_US: f64 = 0.6;

    /// Blocks of a cluster that every chip with clusters can hold.
    const MAX_CLUSTER: u64 = 8;

    /// Beyond this, adding the partial sums up costs more than the split saves.
    const MAX_SPLITS: u64 = 32;

    /// Every tile of the menu that suits the problem, with the splits of K that fill the chip, or why there is none.
    ///
    /// A tile is left out if it computes more than three times as much, padding included, as the least that any
    /// tile of the menu does. K is split only where there are fewer blocks than fit on the chip, into powers of
    /// two that come nearest to filling it once or twice, at least two steps each: shares that a second launch adds up,
    /// counting every block that fits, and shares of the blocks of a cluster, counting two to a multiprocessor.
    pub fn all(menu: &[Tile], build: Build, problem: Problem, target: &Target) -> Result<Vec<Self>, String> {
        if problem.rows * problem.columns * problem.depth_vectors * problem.batches == 0 {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let padded = |tile: &Tile| {
            problem.rows.next_multiple_of(tile.block_m.into()) * problem.columns.next_multiple_of(tile.block_n.into())
        };
        let menu = || menu.iter().filter(|tile| tile.fits_registers(build));
        let least = menu().map(padded).min().unwrap_or(0);
        let mut all = Vec::new();
        for tile in menu() {
            let shared = tile.shared_bytes(build);
            if padded(tile) > 3 * least || shared > target.shared_per_block {
                continue;
            }
            let whole = Self {
                tile: *tile,
                build,
                splits: 1,
                cluster: 1,
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
            all.extend(whole.clusters(target));
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
        (smallest..=largest).map(move |exponent| Self { splits: 1 << exponent, ..self })
    }

    fn clusters(self, target: &Target) -> impl Iterator<Item = Self> {
        let most = if self.tile.takes_clusters(self.build) { Self::MAX_CLUSTER } else { 1 };
        let room = 2 * u64::from(target.multiprocessors) / self.tiles();
        let shared = self.tile.cluster_shared_bytes_of(self.build, u64::MAX) <= target.shared_per_block;
        let largest = room.min(self.steps / 2).min(if shared { most } else { 1 }).checked_ilog2().unwrap_or(0);
        let smallest = largest.saturating_sub(1).max(1);
        (smallest..=largest).map(move |exponent| Self { cluster: 1 << exponent, ..self })
    }

    fn tiles(&self) -> u64 {
        self.tiles_m * self.tiles_n * self.problem.batches
    }

    /// The kernel's parameter.
    pub fn grid_params(&self) -> TileGrid {
        TileGrid {
            tiles_m: Divisor::new(self.tiles_m as u32),
            tiles_n: Divisor::new(self.tiles_n as u32),
            share: (self.steps / self.shares()) as i32,
            longer: (self.steps % self.shares()) as i32,
        }
    }

    /// Shares of K, none empty, one block each.
    fn shares(&self) -> u64 {
        u64::from(self.splits * self.cluster)
    }

    /// The launch of the tiles, of a source that includes `tile.cuh`; sums of `splits` remain to be added up.
    pub fn launch(&self, source: &str, entry: &str, args: Vec<Arg>) -> Launch {
        let (tile, clusters) = (&self.tile, self.cluster > 1);
        let steps = self.steps.div_ceil(self.shares());
        let shared_bytes = match clusters {
            true => tile.cluster_shared_bytes_of(self.build, steps),
            false => tile.shared_bytes_of(self.build, steps),
        };
        Launch {
            unit: tile.unit(source, entry, self.build, clusters),
            grid: [self.tiles() as u32, self.shares() as u32, 1],
            block: [tile.threads(), 1, 1],
            cluster: [1, self.cluster, 1],
            shared_bytes,
            args,
            dependent: false,
        }
    }

    /// Scratch for partial sums, bytes; 0 if no second launch adds them up.
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
                ("cluster_k", self.cluster),
            ],
        )
    }

    /// What it computes and moves: whole tiles; the left operand once (the blocks that share it run together), the
    /// right one once a wave where it is too large for L2; partial sums written and read.
    pub fn cost(&self, target: &Target) -> CandidateCost {
        let tile = &self.tile;
        let resident = tile.blocks_per_multiprocessor(self.build, target);
        let blocks = self.tiles() * self.shares();
        let waves = blocks.div_ceil(u64::from(target.multiprocessors * resident));
        let [left, right, output] = self.problem.bytes;
        let rereads = if right > target.l2_bytes / 2 { waves.min(self.tiles_m) } else { 1 };
        let block_flops = 2 * u64::from(tile.block_m * tile.block_n) * u64::from(tile.block_k(self.build.math));
        CandidateCost {
            flops: block_flops * self.steps * self.tiles(),
            bytes: left + right * rereads + output + 2 * self.workspace(),
            blocks,
            blocks_per_multiprocessor: resident,
            efficiency: self.efficiency(block_flops, resident, target) as f32,
            tensor_cores: self.build.math != Math::Fp32,
        }
    }

    /// Share of the peak that a multiprocessor reaches with the blocks it holds: each waits by itself, but all multiply
    /// on the same tensor cores. `step_flops` are those of one block in one step.
    fn efficiency(&self, step_flops: u64, resident: u32, target: &Target) -> f64 {
        let multiprocessors = u64::from(target.multiprocessors.max(1));
        let blocks = self.tiles() * self.shares();
        let together = u64::from(resident).min(blocks.div_ceil(multiprocessors)).max(1) as f64;
        let steps = self.steps.div_ceil(self.shares()) as f64;
        // The blocks of a cluster share the way out.
        let sums = f64::from(self.tile.block_m * self.tile.block_n / self.tile.threads() / self.cluster);
        let meeting = if self.cluster > 1 { Self::CLUSTER_US } else { 0.0 };
        let waiting = Self::START_US + Self::STEP_US * steps + Self::SUM_US * sums + meeting;
        let peak_per_us = target.peak(self.build.math.precision()) / multiprocessors as f64 / 1e6;
        let at_peak = step_flops as f64 * steps / peak_per_us;
        at_peak / (waiting / together + at_peak / f64::from(self.tile.efficiency(self.build)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MMA_TILES;
    use super::super::shape::tests::builds;
    use super::*;
    use crate::target::Arch;

    fn problem(rows: u64, columns: u64, depth_vectors: u64) -> Problem {
        Problem { rows, columns, depth_vectors, batches: 1, bytes: [rows * depth_vectors * 16, 0, 0] }
    }

    #[test]
    fn k_is_split_only_where_the_chip_has_room_and_no_share_is_empty() {
        for (tile, build) in builds() {
            let target = Target::typical(build.arch);
            for (rows, depth) in [(49, 288), (49, 7), (3136, 72), (200_704, 72), (1, 3000)] {
                let Ok(tilings) = Tiling::all(&[tile], build, problem(rows, 64, depth), &target) else {
                    panic!("{tile:?} takes any product")
                };
                for tiling in &tilings {
                    let (params, shares) = (tiling.grid_params(), tiling.shares());
                    assert!(params.share > 0 && (params.longer as u64) < shares, "{tiling:?} has an empty share");
                    let steps = params.share as u64 * shares + params.longer as u64;
                    assert_eq!(steps, depth.div_ceil(tile.vectors.into()), "{tiling:?} leaves steps out");
                    assert_eq!(tiling.workspace() == 0, tiling.splits == 1);
                    assert!(tiling.splits == 1 || tiling.cluster == 1, "{tiling:?} adds up twice");
                    let resident = u64::from(target.multiprocessors * tile.blocks_per_multiprocessor(build, &target));
                    assert!(shares == 1 || tiling.tiles() * shares <= 2 * resident, "{tiling:?}");
                }
            }
            let huge = Tiling::all(&[tile], build, problem(1 << 22, 64, 288), &target).expect("it takes any product");
            assert_eq!(huge.len(), 1, "a full chip needs no split");
        }
    }

    #[test]
    fn clusters_are_what_a_chip_can_hold_and_leave_room_for_the_sums() {
        for (tile, build) in builds() {
            let target = Target::typical(build.arch);
            let tilings = Tiling::all(&[tile], build, problem(49, 64, 288), &target).expect("it takes any product");
            let clusters: Vec<_> = tilings.iter().filter(|tiling| tiling.cluster > 1).collect();
            let plain = build.aligned && !build.k_by_n && !build.real_a;
            let taken = build.arch.0 >= 90 && tile.block_m * tile.block_n <= 128 * 64 && plain;
            let wanted = taken && tile.cluster_shared_bytes_of(build, u64::MAX) <= target.shared_per_block;
            assert_eq!(clusters.is_empty(), !wanted, "{tile:?} of {build:?}");
            for tiling in clusters {
                let launch = tiling.launch("conv/mma.cu", "conv_mma", Vec::new());
                let [x, y, z] = launch.cluster;
                assert!([2, 4, 8].contains(&y) && (x, z) == (1, 1) && launch.grid[1] == y, "{tiling:?}");
                assert!(launch.shared_bytes >= tile.block_m * tile.block_n * 4, "{tiling:?}");
                assert!(launch.shared_bytes <= target.shared_per_block, "{tiling:?}");
            }
        }
    }

    #[test]
    fn wasteful_tiles_are_left_out_and_padding_is_counted() {
        let target = Target::typical(Arch(90));
        let build = Build::vectors(target.arch, Math::Fp16);
        let tilings = Tiling::all(MMA_TILES, build, problem(49, 30, 9), &target).expect("it fits");
        assert!(tilings.iter().all(|t| t.tile.block_m * t.tile.block_n <= 3 * 64 * 32), "{tilings:?}");
        let one = tilings.iter().find(|t| t.tile.block_m == 64 && t.tile.block_n == 32 && t.splits == 1);
        let cost = one.expect("64x32 suits it").cost(&target);
        assert_eq!(cost.flops, 2 * 64 * 32 * (2 * 64), "9 vectors are two steps of eight");
        assert_eq!(cost.blocks, 1);
        assert!(Tiling::all(MMA_TILES, build, problem(0, 30, 9), &target).is_err());
    }
}

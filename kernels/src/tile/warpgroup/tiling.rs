//! A tile laid over a problem: its works, its splits of K, its launches, its cost.

use super::output::{Output, WayOut};
use super::shape::{Build, TILES, Tile};
use crate::epilogue::{EpilogueParams, epilogue_args};
use crate::gemm::split_k::{self, SplitKParams};
use crate::launch::{Arg, CandidateCost, Launch, Role, Tactic};
use crate::site::EpilogueSite;
use crate::target::Target;
use crate::tensor_map::TensorMap;
use crate::tile::{Math, Problem};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;

/// `ProductParams` of warpgroup.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct ProductParams {
    stride_y: i64,
    tiles_m: i32,
    tiles_n: i32,
    batches: i32,
    works: i32,
    steps: i32,
    steps_per_split: i32,
    tail: i32,
    rows: i32,
    columns: i32,
    _padding: i32,
}

/// A tile laid over a problem, whose depth is counted in steps of [`Build::numbers`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    pub tile: Tile,
    pub build: Build,
    splits: u64,
    tiles_m: u64,
    tiles_n: u64,
    steps: u64,
    problem: Problem,
}

impl Tiling {
    /// Beyond this, adding the partial sums up costs more than the split saves.
    const MAX_SPLITS: u64 = 32;

    /// Every tile that computes, padding included, at most three times as much as the least that any does; where tiles
    /// leave room on the chip, also with K split into as many shares as fill it once and twice, two steps each at least.
    pub fn all(build: Build, problem: Problem, steps: u64, target: &Target) -> Result<Vec<Self>, String> {
        if problem.rows * problem.columns * steps * problem.batches == 0 {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let padded = |tile: &Tile| {
            problem.rows.next_multiple_of(tile.block_m.into()) * problem.columns.next_multiple_of(tile.block_n.into())
        };
        let least = TILES.iter().map(padded).min().unwrap_or(0);
        let mut all = Vec::new();
        for tile in TILES.iter().filter(|tile| build.takes(tile) && padded(tile) <= 3 * least) {
            let whole = Self {
                tile: *tile,
                build,
                splits: 1,
                tiles_m: problem.rows.div_ceil(tile.block_m.into()),
                tiles_n: problem.columns.div_ceil(tile.block_n.into()),
                steps,
                problem,
            };
            // Works and steps are counted in 31 bits, one round beyond the last.
            let [rows, columns] = [problem.rows, problem.columns];
            if [rows, columns, steps, whole.tiles() * Self::MAX_SPLITS].iter().any(|&count| count >= 1 << 30) {
                return Err(format!(
                    "takes fewer than 2^30 rows, columns and steps and 2^25 tiles, got {rows}, {columns}, {steps}, {}",
                    whole.tiles()
                ));
            }
            all.push(whole);
            all.extend(whole.split(target));
        }
        Ok(all)
    }

    fn split(self, target: &Target) -> impl Iterator<Item = Self> {
        let slots = u64::from(target.multiprocessors);
        let most = (self.steps / 2).min(Self::MAX_SPLITS);
        let wanted = [slots / self.tiles(), 2 * slots / self.tiles()].map(|splits| splits.min(most));
        let wanted = if wanted[0] == wanted[1] { &wanted[1..] } else { &wanted[..] }.to_vec();
        wanted.into_iter().filter(|&splits| splits > 1).map(move |splits| {
            // Rounding the share up may leave fewer shares than asked for.
            let share = self.steps.div_ceil(splits);
            Self { splits: self.steps.div_ceil(share), ..self }
        })
    }

    fn tiles(&self) -> u64 {
        self.tiles_m * self.tiles_n * self.problem.batches
    }

    /// Columns of all tiles: so far bias and scales are read.
    pub fn columns(&self) -> u32 {
        self.tiles_n as u32 * self.tile.block_n
    }

    /// Scratch for partial sums, bytes; 0 if K is not split.
    pub fn workspace(&self) -> u64 {
        let sums = self.problem.batches * self.problem.rows * self.problem.columns.next_multiple_of(8);
        if self.splits > 1 { self.splits * sums * 4 } else { 0 }
    }

    /// The tactic's name and numbers.
    pub fn tactic(&self, kernel: &str) -> Tactic {
        let tile = &self.tile;
        Tactic::new(
            kernel,
            &[
                ("block_m", tile.block_m),
                ("block_n", tile.block_n),
                ("block_k", self.build.numbers()),
                ("warpgroups", tile.warpgroups),
                ("teams", tile.teams),
                ("stages", self.build.stages(tile)),
                ("split_k", self.splits as u32),
            ],
        )
    }

    /// The launches: `operands` are the maps of a and b, `more` what the kernel takes between the product's parameters
    /// and the epilogue's.
    pub fn launches(&self, kernel: &Kernel<'_>, operands: [TensorMap; 2], more: Option<Arg>) -> Vec<Launch> {
        let Self { tile, problem, .. } = self;
        let copies = if self.splits == 1 { kernel.output.copies(kernel.site, self) } else { None };
        let tail = copies.as_ref().is_some_and(|copies| copies.residual.is_some());
        let way_out = match &copies {
            _ if self.splits > 1 => WayOut::Partial,
            None => WayOut::Any,
            Some(_) => {
                let plain = kernel.epilogue.is_plain(tail, self.build.math == Math::Int8);
                WayOut::Copied { residual: tail, plain }
            }
        };
        let params = ProductParams {
            stride_y: kernel.output.stride as i64,
            tiles_m: self.tiles_m as i32,
            tiles_n: self.tiles_n as i32,
            batches: problem.batches as i32,
            works: (self.tiles() * self.splits) as i32,
            steps: self.steps as i32,
            steps_per_split: self.steps.div_ceil(self.splits) as i32,
            tail: if tail { self.build.residual_chunks(tile) as i32 } else { 0 },
            rows: problem.rows as i32,
            columns: problem.columns as i32,
            _padding: 0,
        };
        // A map that is not used must be one all the same.
        let [_, stand_in] = &operands;
        let (y, residual) = copies.map_or((None, None), |copies| (Some(copies.y), copies.residual));
        let maps = [y, residual].map(|map| map.unwrap_or_else(|| stand_in.clone()));
        let mut args: Vec<Arg> = operands.into_iter().chain(maps).map(Arg::TensorMap).collect();
        args.extend(epilogue_args(kernel.site, kernel.precision));
        args.push(Arg::optional(Role::Workspace, self.splits > 1));
        args.push(Arg::params(&params));
        args.extend(more);
        args.push(Arg::params(&kernel.epilogue));
        let mut launches = vec![Launch {
            unit: self.build.unit(tile, way_out, kernel.source, kernel.entry),
            grid: [kernel.target.multiprocessors.min(params.works as u32), 1, 1],
            block: [tile.threads(), 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: self.build.shared_bytes(tile),
            args,
            dependent: false,
        }];
        if self.splits > 1 {
            let [batches, rows, columns] = [problem.batches, problem.rows, problem.columns].map(|n| n as u32);
            let sums = SplitKParams::batches(self.splits as u32, batches, rows, columns, kernel.output.stride);
            launches.push(split_k::launch(&sums, kernel.site, kernel.precision, &kernel.epilogue));
        }
        launches
    }

    /// What it computes and moves: whole tiles; the left operand once (the blocks that share it run together), the
    /// right one once a wave where it is too large for L2; partial sums written and read.
    pub fn cost(&self, target: &Target) -> CandidateCost {
        let tile = &self.tile;
        let works = self.tiles() * self.splits;
        let waves = works.div_ceil(target.multiprocessors.into());
        let [left, right, output] = self.problem.bytes;
        let rereads = if right > target.l2_bytes / 2 { waves.min(self.tiles_m) } else { 1 };
        let flops = 2 * u64::from(tile.block_m * tile.block_n) * u64::from(self.build.numbers());
        // The way into shared memory is what tiles compete for: products per number that comes.
        let reuse = (tile.block_m * tile.block_n) as f32 / (tile.block_m + tile.block_n) as f32;
        let steps = self.steps.div_ceil(self.splits) as f32;
        CandidateCost {
            flops: flops * self.steps * self.tiles(),
            bytes: left + right * rereads + output + 2 * self.workspace(),
            blocks: works,
            blocks_per_multiprocessor: 1,
            efficiency: 0.9 * reuse / (reuse + 24.0) * steps / (steps + 1.0),
            tensor_cores: true,
        }
    }
}

/// What surrounds a tiling's launches.
pub(crate) struct Kernel<'a> {
    pub source: &'static str,
    pub entry: &'static str,
    pub target: &'a Target,
    pub precision: Precision,
    pub site: &'a EpilogueSite,
    pub epilogue: EpilogueParams,
    pub output: Output,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Arch;

    #[test]
    fn k_is_split_where_the_chip_has_room_and_no_share_is_empty() {
        let target = Target::typical(Arch(90));
        let build = Build { math: Math::Fp16, row_bytes: 128 };
        for (rows, columns, steps) in [(49, 512, 72), (1568, 512, 72), (49, 2048, 8), (100_352, 64, 9), (64, 64, 3)] {
            let problem = Problem { rows, columns, depth_vectors: 8 * steps, batches: 1, bytes: [0; 3] };
            let all = Tiling::all(build, problem, steps, &target).expect("it takes any product");
            for tiling in &all {
                let share = tiling.steps.div_ceil(tiling.splits);
                assert!((tiling.splits - 1) * share < steps, "{tiling:?} has an empty share");
                let blocks = u64::from(target.multiprocessors);
                assert!(tiling.splits == 1 || tiling.tiles() * tiling.splits <= 2 * blocks, "{tiling:?}");
            }
            let names: Vec<_> = all.iter().map(|tiling| tiling.tactic("any")).collect();
            assert!(names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)), "{names:?}");
        }
    }
}

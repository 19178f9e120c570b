//! When and how `mma.cu` runs: one filter a channel, f16 or i8, a window of 3x3 without dilation.

use super::window::{self, Division};
use super::{CHANNELS, Edge, site_of};
use crate::catalog::Kernel;
use crate::launch::{Candidate, CandidateCost, CompileUnit, Tactic};
use crate::site::{ConvSite, Image, Site};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Diagonals on tensor cores.
pub struct Mma;

/// Width of the window.
const KERNEL: u32 = 3;

/// Steps in which a warp goes down its columns.
#[derive(Clone, Copy)]
struct Steps {
    stride: u32,
    /// Rows of y of a step: four move fewer words about for each of them, two leave room for more warps.
    tile_h: u32,
    /// Steps whose rows of x are in shared memory or on their way there: about 10 KiB a warp.
    stages: u32,
    /// Blocks of a multiprocessor that registers are limited for.
    blocks: u32,
}

/// All of them. At stride 2 the rows under four of y would take too many registers.
const STEPS: [Steps; 3] = [
    Steps { stride: 1, tile_h: 4, stages: 4, blocks: 3 },
    Steps { stride: 1, tile_h: 2, stages: 8, blocks: 4 },
    Steps { stride: 2, tile_h: 2, stages: 3, blocks: 3 },
];

/// Columns of y of a unit, units of a warp and warps of a block; see mma.cu.
const COLUMNS: u32 = 8;
const UNITS: u32 = 4;
const WARPS: u32 = 4;

/// Warps of a multiprocessor below which more of them are worth rows of x that are read again.
const FEW_WARPS: u64 = 4;

impl Steps {
    fn unit(self, dtype: DType) -> CompileUnit {
        let defines = window::defines(dtype, KERNEL, self.stride, self.blocks);
        let own = [("TILE_H", self.tile_h.to_string()), ("STAGES", self.stages.to_string())];
        CompileUnit::new("depthwise/mma.cu", "depthwise_mma", defines.into_iter().chain(own))
    }

    /// Shared memory of a block.
    fn shared_bytes(self, dtype: DType) -> u32 {
        let columns = (COLUMNS - 1) * self.stride + KERNEL;
        let row = columns * UNITS * CHANNELS * dtype.size() as u32;
        WARPS * self.stages * self.tile_h * self.stride * row
    }

    /// Rows of y of a unit that are worth trying, the most first: three heights that leave no multiprocessor with
    /// few warps, or the least and a few of them.
    fn heights(self, y: &Image, target: &Target) -> Vec<u32> {
        let units = u64::from(y.c.div_ceil(CHANNELS)) * u64::from(y.w.div_ceil(COLUMNS)) * u64::from(y.n);
        let enough = |rows: u32| {
            let warps = units * u64::from(y.h.div_ceil(rows)) / u64::from(UNITS);
            warps >= FEW_WARPS * u64::from(target.multiprocessors)
        };
        let mut heights: Vec<u32> =
            (0..).map(|halvings| (y.h >> halvings).max(1).next_multiple_of(self.tile_h)).take(12).collect();
        heights.dedup();
        let least = heights.last().copied().unwrap_or(self.tile_h);
        let some: Vec<u32> = heights.into_iter().filter(|&rows| enough(rows)).take(3).collect();
        match some.is_empty() {
            // A few steps may still be worth their filters.
            true if least < y.h => vec![4 * least, least],
            true => vec![least],
            false => some,
        }
    }

    fn candidate(self, site: &ConvSite, rows: u32) -> Result<Candidate, String> {
        let tactic = Tactic::new("depthwise/mma", &[("tile_h", self.tile_h), ("rows", rows)]);
        let division = Division { unit: [rows, COLUMNS], threads: 32 / UNITS, blocks: self.blocks };
        let mut candidate = window::candidate(site, &division, tactic, self.unit(site.x.dtype))?;
        for launch in &mut candidate.launches {
            launch.shared_bytes = self.shared_bytes(site.x.dtype);
        }
        // Eight channels are multiplied with each one's diagonal.
        let cost = CandidateCost { flops: 8 * candidate.cost.flops, tensor_cores: true, ..candidate.cost };
        Ok(Candidate { cost, ..candidate })
    }
}

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        "depthwise/mma"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        const TAKES: &str = "3x3 at stride 1 or 2";
        let site = site_of(site)?;
        let dtype = site.x.dtype;
        if dtype == DType::F32 {
            return Err("multiplies f16 or i8, got an input of f32".to_owned());
        }
        let (kernel, stride) = window::square(site, TAKES)?;
        let steps: Vec<Steps> = STEPS.into_iter().filter(|steps| steps.stride == stride).collect();
        if kernel != KERNEL || steps.is_empty() {
            return Err(format!("has {TAKES}, got {kernel}x{kernel} at stride {stride}"));
        }
        let ways =
            steps.iter().flat_map(|steps| steps.heights(&site.y, target).into_iter().map(move |rows| (steps, rows)));
        ways.map(|(steps, rows)| steps.candidate(site, rows)).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let float = |site: &Site| matches!(site, Site::Conv(site) if site.x.dtype == DType::F32);
        let mut sites = Vec::new();
        for stride in [1, 2] {
            sites.extend(window::edge_sites(KERNEL, stride).into_iter().filter(|site| !float(site)));
            // More rows and columns than a block, units that do not fill the last one.
            for dtype in [DType::F16, DType::I8] {
                let edge =
                    |x| Edge { x, multiplier: 1, kernel: [3, 3], stride: [stride; 2], dilation: [1, 1], pad: [1, 1] };
                sites.push(edge([2, 19, 17, 24]).site(dtype, dtype, true));
                sites.push(edge([1, 35, 8, 40]).site(dtype, DType::F16, false));
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        [DType::F16, DType::I8].into_iter().flat_map(|dtype| STEPS.map(|steps| steps.unit(dtype))).collect()
    }
}

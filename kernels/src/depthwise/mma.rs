//! When and how `mma.cu` runs: one filter a channel, f16 or i8, a window of 3x3 without dilation.

use super::window::{self, Division};
use super::{Edge, site_of};
use crate::catalog::Kernel;
use crate::launch::{Candidate, CandidateCost, CompileUnit, Tactic};
use crate::site::Site;
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Diagonals on tensor cores.
pub struct Mma;

/// Width of the window.
const KERNEL: u32 = 3;

/// Rows of y of a warp: many read fewer rows of x twice, few make more warps. At stride 2 the rows under four of them
/// would take too many registers.
const TILES: [(u32, u32); 3] = [(1, 4), (1, 2), (2, 2)];

/// Columns of y of a unit, and warps of a block; see mma.cu.
const COLUMNS: u32 = 8;
const WARPS: u32 = 4;

/// Blocks of a multiprocessor that registers are limited for.
const fn min_blocks(stride: u32, tile_h: u32) -> u32 {
    if stride * tile_h > 2 { 3 } else { 4 }
}

fn unit(dtype: DType, stride: u32, tile_h: u32) -> CompileUnit {
    let defines = window::defines(dtype, KERNEL, stride, min_blocks(stride, tile_h));
    CompileUnit::new("depthwise/mma.cu", "depthwise_mma", defines.into_iter().chain([("TILE_H", tile_h.to_string())]))
}

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        "depthwise/mma"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        const TAKES: &str = "3x3 at stride 1 or 2";
        let site = site_of(site)?;
        let dtype = site.x.dtype;
        if dtype == DType::F32 {
            return Err("multiplies f16 or i8, got an input of f32".to_owned());
        }
        let (kernel, stride) = window::square(site, TAKES)?;
        if kernel != KERNEL || !TILES.iter().any(|&(s, _)| s == stride) {
            return Err(format!("has {TAKES}, got {kernel}x{kernel} at stride {stride}"));
        }
        let candidate = |&(_, tile_h): &(u32, u32)| {
            let tactic = Tactic::new(self.name(), &[("tile_h", tile_h)]);
            let blocks = min_blocks(stride, tile_h);
            let division = Division { unit: [WARPS * tile_h, COLUMNS], threads: 32, blocks };
            let candidate = window::candidate(site, &division, tactic, unit(dtype, stride, tile_h))?;
            // Eight channels are multiplied with each one's diagonal.
            let cost = CandidateCost { flops: 8 * candidate.cost.flops, tensor_cores: true, ..candidate.cost };
            Ok(Candidate { cost, ..candidate })
        };
        TILES.iter().filter(|&&(s, _)| s == stride).map(candidate).collect()
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
        let dtypes = [DType::F16, DType::I8];
        dtypes.into_iter().flat_map(|dtype| TILES.map(|(stride, tile_h)| unit(dtype, stride, tile_h))).collect()
    }
}

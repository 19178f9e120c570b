//! When and how `tiled.cu` runs: one filter a channel, a square window of 3, 5 or 7 without dilation.

use super::site_of;
use super::window::{self, Division};
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit, Tactic};
use crate::site::{ConvSite, Site};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Several output pixels a thread.
pub struct Tiled;

/// Kernel, stride, and the output pixels of a thread, side by side, whose sums fit into registers together with a row
/// of the filter: many read less, few make more threads.
const WINDOWS: [(u32, u32, &[u32]); 5] =
    [(3, 1, &[1, 2, 4]), (3, 2, &[1, 2, 4]), (5, 1, &[1, 2, 4]), (5, 2, &[1, 2]), (7, 1, &[1, 4])];

/// Blocks of a multiprocessor that registers are limited for: pixels of f32 take more of them.
const fn min_blocks(dtype: DType) -> u32 {
    match dtype {
        DType::F32 => 2,
        _ => 3,
    }
}

fn unit(dtype: DType, kernel: u32, stride: u32, tile_w: u32) -> CompileUnit {
    let defines = window::defines(dtype, kernel, stride, min_blocks(dtype));
    CompileUnit::new("depthwise/tiled.cu", "depthwise", defines.into_iter().chain([("TILE_W", tile_w.to_string())]))
}

/// The tiles for a site's window.
fn tiles(site: &ConvSite) -> Result<&'static [u32], String> {
    const TAKES: &str = "3x3 and 5x5 at stride 1 or 2 and 7x7 at stride 1";
    let (kernel, stride) = window::square(site, TAKES)?;
    let window = WINDOWS.iter().find(|(k, s, _)| *k == kernel && *s == stride);
    let tiles = window.map(|(_, _, tiles)| *tiles);
    tiles.ok_or_else(|| format!("has {TAKES}, got {kernel}x{kernel} at stride {stride}"))
}

impl Kernel for Tiled {
    fn name(&self) -> &'static str {
        "depthwise/tiled"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let candidate = |&tile_w: &u32| {
            let tactic = Tactic::new(self.name(), &[("tile_w", tile_w)]);
            let division = Division { unit: [1, tile_w], threads: 1, blocks: min_blocks(site.x.dtype) };
            window::candidate(site, &division, tactic, unit(site.x.dtype, site.kernel[0], site.stride[0], tile_w))
        };
        tiles(site)?.iter().map(candidate).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        WINDOWS.iter().flat_map(|&(kernel, stride, _)| window::edge_sites(kernel, stride)).collect()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let mut units = Vec::new();
        for (kernel, stride, tiles) in WINDOWS {
            for dtype in [DType::F16, DType::F32, DType::I8] {
                units.extend(tiles.iter().map(|&tile_w| unit(dtype, kernel, stride, tile_w)));
            }
        }
        units
    }
}

//! When and how `mma.cu` runs: f16 or TF32 on tensor cores.

use super::geometry::{Edge, TransposedParams, channels, check_groups, filters, phase_grid, site_of, tiled_cost};
use crate::catalog::Kernel;
use crate::epilogue::{bias_len, epilogue_args};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ConvTransposeSite, Site, vector_width};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// Tiles through shared memory, multiplied by `mma.sync`.
pub struct Mma;

/// BLOCK_M, BLOCK_N, WARPS_M and WARPS_N.
#[derive(Clone, Copy, Debug)]
struct Tile {
    m: u32,
    n: u32,
    warps_m: u32,
    warps_n: u32,
}

const TILES: [Tile; 3] = [
    Tile { m: 128, n: 128, warps_m: 2, warps_n: 4 },
    Tile { m: 128, n: 64, warps_m: 2, warps_n: 2 },
    Tile { m: 64, n: 64, warps_m: 2, warps_n: 2 },
];

impl Tile {
    /// Buffers in flight: as many as cp.async hides latency with; without it two.
    fn stages(arch: Arch) -> u32 {
        if arch.has_async_copy() { 3 } else { 2 }
    }

    /// Dynamic shared memory: the stages, or the sums that take their place at the end.
    fn shared_bytes(self, arch: Arch) -> u32 {
        let stages = Self::stages(arch) * (self.m + self.n) * 64;
        let sums = self.m * (self.n + 4) * 4;
        stages.max(sums)
    }

    fn threads(self) -> u32 {
        self.warps_m * self.warps_n * 32
    }
}

fn unit(element: DType, tile: Tile, arch: Arch) -> CompileUnit {
    let defines = [
        ("ELEMENT", cuda_type(element).to_owned()),
        ("BLOCK_M", tile.m.to_string()),
        ("BLOCK_N", tile.n.to_string()),
        ("WARPS_M", tile.warps_m.to_string()),
        ("WARPS_N", tile.warps_n.to_string()),
        ("STAGES", Tile::stages(arch).to_string()),
        ("ASYNC", u32::from(arch.has_async_copy()).to_string()),
    ];
    CompileUnit::new("conv_transpose/mma.cu", "conv_transpose_mma", defines)
}

/// Whether the site's types and precision are the tensor cores'.
fn check(site: &ConvTransposeSite, arch: Arch) -> Result<(), String> {
    match (site.precision, site.x.dtype) {
        (Precision::Fp16, DType::F16) => {}
        (Precision::Tf32, DType::F32) if arch.has_async_copy() => {}
        (Precision::Tf32, DType::F32) => return Err(format!("has TF32 from sm_80 on, got {arch}")),
        (precision, dtype) => {
            return Err(format!("multiplies f16 as FP16 or f32 as TF32, got {dtype} as {precision:?}"));
        }
    }
    check_groups(site, vector_width(site.x.dtype))
}

impl Kernel for Mma {
    fn name(&self) -> &'static str {
        "conv_transpose/mma"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        check(site, target.arch)?;
        let element = site.x.dtype;
        let c_pad = channels(site).next_multiple_of(vector_width(element));
        let k_pad = filters(site);
        let candidate = |tile: &Tile| {
            let shared_bytes = tile.shared_bytes(target.arch);
            let grid = phase_grid(site, tile.m, tile.n)?;
            let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
            args.extend(epilogue_args(&site.epilogue));
            args.push(Arg::params(&TransposedParams::new(site, c_pad, k_pad)));
            let launch = Launch {
                unit: unit(element, *tile, target.arch),
                grid,
                block: [tile.threads(), 1, 1],
                shared_bytes,
                args,
            };
            // Registers allow two blocks of 128 threads for each of 256; shared memory seldom allows less.
            let by_registers = 512 / tile.threads();
            let cost = CandidateCost {
                blocks_per_multiprocessor: by_registers
                    .min(target.shared_per_multiprocessor / (shared_bytes + 1024))
                    .max(1),
                efficiency: if tile.n == 128 {
                    0.6
                } else if tile.m == 128 {
                    0.5
                } else {
                    0.4
                },
                tensor_cores: true,
                ..tiled_cost(site, grid, tile.m, tile.n)
            };
            Ok(Candidate {
                tactic: Tactic::new("conv_transpose/mma", &[("block_m", tile.m), ("block_n", tile.n)]),
                launches: vec![launch],
                workspace: 0,
                weights: Some(Packing::TransposedRskc { groups: site.groups, k_pad, c_pad, dtype: element }),
                bias_len: bias_len(&site.epilogue, site.y.c),
                cost,
            })
        };
        let fits = |tile: &&Tile| tile.shared_bytes(target.arch) <= target.shared_per_block;
        TILES.iter().filter(fits).map(candidate).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for precision in [Precision::Fp16, Precision::Tf32] {
            let dtype = if precision == Precision::Fp16 { DType::F16 } else { DType::F32 };
            for (c, filters, groups) in [(5, 3, 1), (32, 16, 2)] {
                sites.extend(Edge::windows(c, filters, groups).iter().map(|e| e.site(precision, dtype, true)));
            }
            // Around a tile of pixels and of filters, with more than one step of channels.
            for (w, c, filters) in [(63, 31, 63), (64, 32, 64), (65, 100, 65), (129, 40, 129)] {
                sites.push(Edge::doubling([1, 1, w, c], filters).site(precision, dtype, true));
            }
        }
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Fp16, DType::F32, false));
        sites
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        let elements: &[DType] = if arch.has_async_copy() { &[DType::F16, DType::F32] } else { &[DType::F16] };
        elements.iter().flat_map(|&element| TILES.map(|tile| unit(element, tile, arch))).collect()
    }
}

//! When and how `simt.cu` runs: f32, in plain arithmetic.

use super::geometry::{Edge, TransposedParams, channels, check_groups, filters, phase_grid, site_of, tiled_cost};
use crate::catalog::Kernel;
use crate::epilogue::{bias_len, epilogue_args};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::weights::Packing;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// Tiles through shared memory, multiplied without tensor cores.
pub struct Simt;

/// BLOCK_M, BLOCK_N and THREAD_M.
const TILES: [(u32, u32, u32); 2] = [(128, 64, 8), (64, 64, 4)];
/// Filters of a thread.
const THREAD_N: u32 = 8;

fn unit((block_m, block_n, thread_m): (u32, u32, u32)) -> CompileUnit {
    let defines = [("BLOCK_M", block_m), ("BLOCK_N", block_n), ("THREAD_M", thread_m)];
    CompileUnit::new("conv_transpose/simt.cu", "conv_transpose_simt", defines)
}

impl Kernel for Simt {
    fn name(&self) -> &'static str {
        "conv_transpose/simt"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        if site.x.dtype != DType::F32 {
            return Err(format!("needs an f32 input, got {}", site.x.dtype));
        }
        check_groups(site, 4)?;
        let c_pad = channels(site).next_multiple_of(4);
        let k_pad = filters(site);
        let candidate = |tile: (u32, u32, u32)| {
            let (block_m, block_n, thread_m) = tile;
            let grid = phase_grid(site, block_m, block_n)?;
            let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
            args.extend(epilogue_args(&site.epilogue));
            args.push(Arg::params(&TransposedParams::new(site, c_pad, k_pad)));
            let block = [block_m / thread_m * (block_n / THREAD_N), 1, 1];
            let launch = Launch { unit: unit(tile), grid, block, shared_bytes: 0, args };
            let cost = CandidateCost {
                blocks_per_multiprocessor: 3,
                efficiency: if thread_m == 8 { 0.6 } else { 0.45 },
                ..tiled_cost(site, grid, block_m, block_n)
            };
            Ok(Candidate {
                tactic: Tactic::new("conv_transpose/simt", &[("block_m", block_m), ("block_n", block_n)]),
                launches: vec![launch],
                workspace: 0,
                weights: Some(Packing::TransposedRskc { groups: site.groups, k_pad, c_pad, dtype: DType::F32 }),
                bias_len: bias_len(&site.epilogue, site.y.c),
                cost,
            })
        };
        TILES.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (c, filters, groups) in [(5, 3, 1), (16, 16, 2)] {
            sites.extend(Edge::windows(c, filters, groups).iter().map(|e| e.site(Precision::Fp32, DType::F32, true)));
        }
        // Around a tile of pixels and of filters, with more than one step of channels.
        for (w, c, filters) in [(63, 17, 63), (64, 16, 64), (65, 33, 65)] {
            sites.push(Edge::doubling([1, 1, w, c], filters).site(Precision::Fp32, DType::F32, true));
        }
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Fp32, DType::F16, false));
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TILES.map(unit).to_vec()
    }
}

//! When and how `tiled.cu` runs: one filter a channel, a square window of 3, 5 or 7 without dilation.

use super::{CHANNELS, Edge, channel_vectors, cost, site_of, weight_dtype};
use crate::catalog::Kernel;
use crate::epilogue::{EpilogueParams, bias_len, epilogue_args, scales_len};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ConvSite, Site};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// Several output pixels a thread.
pub struct Tiled;

/// `DepthwiseParams` of tiled.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    x_extent: [i32; 2],
    x_lanes: i32,
    y_extent: [i32; 2],
    pad: [i32; 2],
    weight_pitch: i32,
    threads: u32,
    channel_vectors: Divisor,
    tiles_w: Divisor,
    tiles_h: Divisor,
    epilogue: EpilogueParams,
    reserved: u32,
}

/// Threads of a block.
const THREADS: u32 = 128;

/// TILE_H by TILE_W.
type Tiles = &'static [(u32, u32)];

/// Kernel, stride, and the tiles whose sums fit into registers together with one row of the filter.
const WINDOWS: [(u32, u32, Tiles); 5] = [
    (3, 1, &[(1, 2), (1, 4), (2, 4)]),
    (3, 2, &[(1, 2), (1, 4)]),
    (5, 1, &[(1, 2), (1, 4)]),
    (5, 2, &[(1, 2)]),
    (7, 1, &[(1, 4)]),
];

fn unit(dtype: DType, kernel: u32, stride: u32, (tile_h, tile_w): (u32, u32)) -> CompileUnit {
    let defines = [
        ("X_TYPE", cuda_type(dtype).to_owned()),
        ("KERNEL_H", kernel.to_string()),
        ("KERNEL_W", kernel.to_string()),
        ("STRIDE", stride.to_string()),
        ("TILE_H", tile_h.to_string()),
        ("TILE_W", tile_w.to_string()),
    ];
    CompileUnit::new("depthwise/tiled.cu", "depthwise", defines)
}

/// The tiles for a site's window.
fn tiles(site: &ConvSite) -> Result<Tiles, String> {
    if site.y.c != site.x.c {
        return Err(format!("needs one filter a channel, got {}", site.y.c / site.x.c));
    }
    if weight_dtype(site) != site.x.dtype {
        return Err(format!("needs weights stored as the input is, {}, got {}", site.x.dtype, weight_dtype(site)));
    }
    let square = site.kernel[0] == site.kernel[1] && site.stride[0] == site.stride[1] && site.dilation == [1, 1];
    let window = WINDOWS.iter().find(|(k, s, _)| square && *k == site.kernel[0] && *s == site.stride[0]);
    window.map(|(_, _, tiles)| *tiles).ok_or_else(|| {
        let ([kh, kw], [sh, sw], [dh, dw]) = (site.kernel, site.stride, site.dilation);
        let got = format!("{kh}x{kw} at stride {sh}x{sw}, dilation {dh}x{dw}");
        format!("has 3x3 and 5x5 at stride 1 or 2 and 7x7 at stride 1, got {got}")
    })
}

fn candidate(site: &ConvSite, tile: (u32, u32)) -> Result<Candidate, String> {
    let (x, y) = (&site.x, &site.y);
    let vectors = channel_vectors(site);
    let [tiles_h, tiles_w] = [y.h.div_ceil(tile.0), y.w.div_ceil(tile.1)];
    let count = u64::from(vectors) * u64::from(tiles_w) * u64::from(tiles_h) * u64::from(y.n);
    let params = Params {
        x_pitch: i64::from(x.pitch),
        x_extent: [x.h as i32, x.w as i32],
        x_lanes: x.padded_channels() as i32,
        y_extent: [y.h as i32, y.w as i32],
        pad: site.pad.map(|p| p as i32),
        weight_pitch: (vectors * CHANNELS) as i32,
        threads: count as u32,
        channel_vectors: Divisor::new(vectors),
        tiles_w: Divisor::new(tiles_w),
        tiles_h: Divisor::new(tiles_h),
        epilogue: EpilogueParams::image(&site.epilogue, y),
        reserved: 0,
    };
    let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
    args.extend(epilogue_args(&site.epilogue, site.precision));
    args.push(Arg::params(&params));
    let launch = Launch::linear(unit(x.dtype, site.kernel[0], site.stride[0], tile), count, THREADS, args)?;

    // Pixels read an output pixel, through L1; outputs beyond the border are computed for nothing.
    let span = |t: u32| f64::from((t - 1) * site.stride[0] + site.kernel[0]);
    let reads = span(tile.0) * span(tile.1) / f64::from(tile.0 * tile.1);
    let used = f64::from(y.h) * f64::from(y.w) / (f64::from(tiles_h * tile.0) * f64::from(tiles_w * tile.1));
    let efficiency = used * 0.95 / (1.0 + reads / 20.0);
    let cost = CandidateCost {
        blocks_per_multiprocessor: if tile.0 * tile.1 >= 8 { 3 } else { 5 },
        ..cost(site, launch.blocks(), efficiency as f32)
    };
    Ok(Candidate {
        tactic: Tactic::new("depthwise/tiled", &[("tile_h", tile.0), ("tile_w", tile.1)]),
        launches: vec![launch],
        workspace: 0,
        weights: Some(Packing::Rsc { c_pad: vectors * CHANNELS, dtype: x.dtype }),
        bias_len: bias_len(&site.epilogue, y.c),
        scales_len: scales_len(site.precision, y.c),
        cost,
    })
}

impl Kernel for Tiled {
    fn name(&self) -> &'static str {
        "depthwise/tiled"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        tiles(site)?.iter().map(|&tile| candidate(site, tile)).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (kernel, stride, _) in WINDOWS {
            // One pixel, less and more than a tile, odd channels, no padding, and padding on every side.
            let edge = |x: [u32; 4], pad: u32| Edge {
                x,
                multiplier: 1,
                kernel: [kernel; 2],
                stride: [stride; 2],
                dilation: [1, 1],
                pad: [pad; 2],
            };
            for (x, pad) in [
                ([1, 1, 1, 8], kernel / 2),
                ([1, kernel, kernel, 3], 0),
                ([2, 7, 9, 20], kernel / 2),
                ([1, 8, 8, 16], kernel - 1),
            ] {
                let edge = edge(x, pad);
                sites.push(edge.site(DType::F16, DType::F16, true));
                sites.push(edge.site(DType::F32, DType::F32, true));
                sites.push(edge.site(DType::I8, DType::I8, true));
            }
            sites.push(edge([1, 7, 7, 12], 1).site(DType::F16, DType::F32, false));
            sites.push(edge([1, 7, 7, 12], 1).site(DType::F32, DType::F16, false));
            sites.push(edge([1, 7, 7, 12], 1).site(DType::I8, DType::F16, true));
            sites.push(edge([1, 7, 7, 24], 1).site(DType::I8, DType::F32, false));
            sites.push(edge([1, 7, 7, 12], 1).site(DType::F32, DType::I8, false));
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let mut units = Vec::new();
        for (kernel, stride, tiles) in WINDOWS {
            for dtype in [DType::F16, DType::F32, DType::I8] {
                units.extend(tiles.iter().map(|&tile| unit(dtype, kernel, stride, tile)));
            }
        }
        units
    }
}

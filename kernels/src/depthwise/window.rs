//! The host's side of `window.cuh`: windows known to the compiler, and what its two kernels have in common.

use super::{CHANNELS, Edge, channel_vectors, cost, weight_dtype};
use crate::epilogue::{EpilogueParams, bias_len, epilogue_args, scales_len};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ConvSite, Site};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// `DepthwiseParams` of window.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    x_extent: [i32; 2],
    x_lanes: i32,
    y_extent: [i32; 2],
    pad: [i32; 2],
    weight_pitch: i32,
    units: u32,
    channel_vectors: Divisor,
    tiles_w: Divisor,
    tiles_h: Divisor,
    epilogue: EpilogueParams,
    rows: i32,
}

/// Threads of a block.
pub(super) const THREADS: u32 = 128;

/// The definitions that `window.cuh` asks for but the tile's.
pub(super) fn defines(dtype: DType, kernel: u32, stride: u32, min_blocks: u32) -> [(&'static str, String); 5] {
    [
        ("KERNEL_H", kernel.to_string()),
        ("KERNEL_W", kernel.to_string()),
        ("STRIDE", stride.to_string()),
        ("MIN_BLOCKS", min_blocks.to_string()),
        ("X_TYPE", cuda_type(dtype).to_owned()),
    ]
}

/// Kernel and stride of a site whose window is a square with one filter a channel, or what is different.
pub(super) fn square(site: &ConvSite, takes: &str) -> Result<(u32, u32), String> {
    if site.y.c != site.x.c {
        return Err(format!("needs one filter a channel, got {}", site.y.c / site.x.c));
    }
    if weight_dtype(site) != site.x.dtype {
        return Err(format!("needs weights stored as the input is, {}, got {}", site.x.dtype, weight_dtype(site)));
    }
    let ([kh, kw], [sh, sw], [dh, dw]) = (site.kernel, site.stride, site.dilation);
    if kh != kw || sh != sw || site.dilation != [1, 1] {
        return Err(format!("has {takes}, got {kh}x{kw} at stride {sh}x{sw}, dilation {dh}x{dw}"));
    }
    Ok((kh, sh))
}

/// How a kernel divides its work.
pub(super) struct Division {
    /// Rows and columns of y in a unit of 8 channels.
    pub(super) unit: [u32; 2],
    /// Threads it takes.
    pub(super) threads: u32,
    /// Blocks that fit on a multiprocessor together.
    pub(super) blocks: u32,
}

/// A candidate that divides its work like this. Its cost is that of plain multiply-adds.
pub(super) fn candidate(
    site: &ConvSite,
    division: &Division,
    tactic: Tactic,
    unit: CompileUnit,
) -> Result<Candidate, String> {
    let [rows, columns] = division.unit;
    let (x, y) = (&site.x, &site.y);
    let vectors = channel_vectors(site);
    let [tiles_h, tiles_w] = [y.h.div_ceil(rows), y.w.div_ceil(columns)];
    let units = u64::from(vectors) * u64::from(tiles_w) * u64::from(tiles_h) * u64::from(y.n);
    let params = Params {
        x_pitch: i64::from(x.pitch),
        x_extent: [x.h as i32, x.w as i32],
        x_lanes: x.padded_channels() as i32,
        y_extent: [y.h as i32, y.w as i32],
        pad: site.pad.map(|p| p as i32),
        weight_pitch: (vectors * CHANNELS) as i32,
        units: units as u32,
        channel_vectors: Divisor::new(vectors),
        tiles_w: Divisor::new(tiles_w),
        tiles_h: Divisor::new(tiles_h),
        epilogue: EpilogueParams::image(&site.epilogue, y),
        rows: rows as i32,
    };
    let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
    args.extend(epilogue_args(&site.epilogue, site.precision));
    args.push(Arg::params(&params));
    let launch = Launch::linear(unit, units * u64::from(division.threads), THREADS, args)?;

    // Pixels read an output pixel, through L1; outputs beyond the border are computed for nothing.
    let span = |t: u32| f64::from((t - 1) * site.stride[0] + site.kernel[0]);
    let reads = span(rows) * span(columns) / f64::from(rows * columns);
    let used = f64::from(y.h) * f64::from(y.w) / (f64::from(tiles_h * rows) * f64::from(tiles_w * columns));
    let efficiency = used * 0.95 / (1.0 + reads / 20.0);
    let cost =
        CandidateCost { blocks_per_multiprocessor: division.blocks, ..cost(site, launch.blocks(), efficiency as f32) };
    Ok(Candidate {
        tactic,
        launches: vec![launch],
        workspace: 0,
        weights: Some(Packing::Rsc { c_pad: vectors * CHANNELS, dtype: x.dtype }),
        bias_len: bias_len(&site.epilogue, y.c),
        scales_len: scales_len(site.precision, y.c),
        cost,
    })
}

/// One pixel, less and more than a tile, odd channels, no padding, and padding on every side.
pub(super) fn edge_sites(kernel: u32, stride: u32) -> Vec<Site> {
    let edge = |x: [u32; 4], pad: u32| Edge {
        x,
        multiplier: 1,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        pad: [pad; 2],
    };
    let mut sites = Vec::new();
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
    sites
}

//! When and how `transpose.cu` runs: x and y are contiguous along different dims.

use super::conversion::{Conversion, SCALED, Types};
use super::strided::{cost, image, planes, scaled, walk};
use crate::catalog::Kernel;
use crate::index::{Divisor, Walk};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{CopySite, Scale, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// Transposes in tiles through shared memory, casting between the common pairs.
pub struct Transpose;

/// `TransposeParams` of transpose.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_strides: [i64; 4],
    y_strides: [i64; 4],
    x_offset: i64,
    y_offset: i64,
    x_pitch: i64,
    y_pitch: i64,
    batch: [Divisor; 4],
    batches: u32,
    rows: u32,
    columns: u32,
    padded: u32,
    x_whole: u32,
    y_whole: u32,
    factor: f32,
    reserved: u32,
}

/// Threads of a block, fewer where a tile has not as many vectors.
const THREADS: u32 = 256;
/// Threads of a multiprocessor that registers are limited for: a tile's loads are all under way at once, those of several
/// tiles together. The largest tile is of bytes, four vectors of which take apart many registers.
const RESIDENT: u32 = 1024;
/// Blocks the third dim of a grid may have.
const MAX_GRID_Z: u32 = 65_535;

/// Tiles of at most 16 KiB whose rows are at least four vectors of either type.
fn tiles(types: Types) -> &'static [u32] {
    match (types.x.size(), types.y.size()) {
        (1, 1) => &[64, 128],
        (1, _) | (_, 1) => &[64],
        _ => &[32, 64],
    }
}

fn threads(types: Types, tile: u32) -> u32 {
    let narrow = types.x.size().min(types.y.size()) as u32;
    THREADS.min(tile * tile * narrow / 16)
}

fn unit(types: Types, tile: u32) -> CompileUnit {
    let threads = threads(types, tile);
    let shape = [("TILE", tile), ("THREADS", threads), ("MIN_BLOCKS", RESIDENT / threads / (tile / 64).max(1))];
    types.unit("layout/transpose.cu", "transpose", &shape)
}

/// The dim along which x is contiguous: of those with stride 1 the longest, but not y's own.
fn row_dim(walk: &Walk) -> Option<usize> {
    (0..walk.rank() - 1).filter(|&d| walk.strides[0][d] == 1).max_by_key(|&d| walk.dims[d])
}

fn params(site: &CopySite, walk: &Walk, conversion: Conversion, rows: usize) -> Params {
    let last = walk.rank() - 1;
    let batch: Vec<usize> = (0..last).filter(|&d| d != rows).collect();
    let strides = |view: usize| std::array::from_fn(|i| batch.get(i).map_or(0, |&d| walk.strides[view][d]));
    let extents: Vec<u32> = batch.iter().map(|&d| walk.dims[d]).collect();
    // Every stride but the contiguous one must keep vectors aligned.
    let whole = |view: usize, contiguous: usize, offset: i64, dtype: DType| {
        let strides = walk.strides[view].iter().enumerate().filter(|(d, _)| *d != contiguous).map(|(_, s)| *s);
        u32::from(strides.chain([offset]).all(|s| s * dtype.size() as i64 % 16 == 0))
    };
    Params {
        x_strides: strides(0),
        y_strides: strides(1),
        x_offset: site.x_offset,
        y_offset: site.y_offset,
        x_pitch: walk.strides[0][last],
        y_pitch: walk.strides[1][rows],
        batch: Divisor::all(&extents),
        batches: extents.iter().product(),
        rows: walk.dims[rows],
        columns: walk.dims[last],
        padded: walk.dims[last] + site.y.zero_lanes,
        x_whole: whole(0, rows, site.x_offset, site.x.dtype),
        y_whole: whole(1, last, site.y_offset, site.y.dtype),
        factor: conversion.factor(),
        reserved: 0,
    }
}

impl Kernel for Transpose {
    fn name(&self) -> &'static str {
        "layout/transpose"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Copy(site) = site else { return Err("is for copies".to_owned()) };
        let conversion = Conversion::of(site)?;
        let types = conversion.types(site).vectored()?;
        if types.x.size() == 8 {
            return Err("takes elements of up to 4 bytes, got i64".to_owned());
        }
        let walk = walk(site)?;
        if site.y.is_empty() {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        if walk.inner_stride(1) != 1 || walk.inner_stride(0) == 1 {
            return Err("is for an x and a y that are contiguous along different dims".to_owned());
        }
        let Some(rows) = row_dim(&walk) else {
            return Err(format!("needs x contiguous along some dim, got strides {:?}", site.x.strides));
        };
        let batches = walk.dims.iter().map(|&d| u64::from(d)).product::<u64>()
            / u64::from(walk.inner())
            / u64::from(walk.dims[rows]);
        if batches >= 1 << 31 {
            return Err(format!("takes fewer than 2^31 matrices, got {batches}"));
        }
        let params = params(site, &walk, conversion, rows);
        let candidate = |tile: u32| {
            let tiles = [params.rows.div_ceil(tile), params.padded.div_ceil(tile)];
            if tiles[1] > 65_535 {
                return Err(format!("takes up to {} columns, got {}", 65_535 * tile, params.padded));
            }
            let launch = Launch {
                unit: unit(types, tile),
                grid: [tiles[0], tiles[1], params.batches.min(MAX_GRID_Z)],
                block: [threads(types, tile), 1, 1],
                cluster: Launch::ALONE,
                shared_bytes: 0,
                args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)],
                dependent: false,
            };
            // Tiles that stick out at the border are read and written in part only.
            let full = f64::from(params.rows) * f64::from(params.columns)
                / (f64::from(tiles[0] * tile) * f64::from(tiles[1] * tile));
            let vectors = if params.x_whole + params.y_whole == 2 { 0.85 } else { 0.55 };
            let cost = CandidateCost {
                blocks_per_multiprocessor: 4,
                ..cost(site, launch.blocks(), (vectors * full.max(0.2)) as f32)
            };
            let tactic = Tactic::new("layout/transpose", &[("tile", tile)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        tiles(types).iter().map(|&tile| candidate(tile)).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let mut push = |x: View, y: View| sites.push(Site::Copy(CopySite { x, x_offset: 0, y, y_offset: 0 }));
        let (half, single) = (DType::F16, DType::F32);
        let unscaled =
            [(single, half), (half, half), (single, single), (half, single), (DType::I8, DType::I8), (DType::U8, half)];
        let pairs = unscaled.map(|pair| (pair, false)).into_iter().chain(SCALED.map(|pair| (pair, true)));
        for ((x, y), quantized) in pairs {
            let with = |scale: f32, view: View| {
                if quantized && view.dtype == DType::I8 { scaled(&view, scale) } else { view }
            };
            // Aligned and unaligned planes, fewer and more channels than a tile.
            for (h, w, c) in [(8, 8, 64u32), (3, 3, 5), (7, 7, 33), (5, 13, 130)] {
                let pitch = c.next_multiple_of(16);
                push(with(0.02, planes(2, h, w, c, x)), with(0.006, image(2, h, w, c, pitch, y)));
                // And back: y's dims in the order N, C, H, W.
                let from = image(2, h, w, c, pitch, x);
                let strides = [0, 3, 1, 2].map(|d| from.strides[d]).to_vec();
                let from = View { dims: vec![2, c, h, w], strides, dtype: x, zero_lanes: 0, scale: Scale::ONE };
                push(with(0.02, from), with(0.006, View::dense(&[2, c, h, w], y)));
            }
        }
        // A transpose of a middle pair with outer and inner batches.
        let y = View::dense(&[2, 3, 40, 70], single);
        push(View { strides: vec![8400, 2800, 1, 40], ..y.clone() }, y);
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let types = Types::all_vectored().into_iter().filter(|types| types.x.size() < 8);
        types.flat_map(|types| tiles(types).iter().map(move |&tile| unit(types, tile))).collect()
    }
}

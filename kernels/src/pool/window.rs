//! When and how `window.cu` runs: any pool of f16, f32 or i8 images, fastest with the windows of [`KNOWN`].

use super::{Scales, average, check, cost, defines};
use crate::catalog::Kernel;
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::picture::{TYPES, edge_image, pair_width};
use crate::site::{Image, PoolKind, PoolSite, Scale, Site};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// One thread per vector of channels of a few output pixels.
pub struct Window;

/// `PoolParams` of window.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    y_pitch: i64,
    x_extent: [i32; 2],
    y_h: i32,
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    pad_end: [i32; 2],
    channels: i32,
    count_padding: i32,
    threads: u32,
    channel_vectors: Divisor,
    columns: Divisor,
    tiles_h: Divisor,
    scales: Scales,
    reserved: u32,
}

/// Threads of a block.
const THREADS: u32 = 128;

/// A window as the kernel is compiled for: the width and stride of a square one without dilation, and the rows of y of
/// a thread.
#[derive(Clone, Copy)]
struct Shape {
    kernel: u32,
    stride: u32,
    tile_h: u32,
}

/// Any window.
const ANY: Shape = Shape { kernel: 0, stride: 0, tile_h: 1 };

/// Width and stride of windows that are compiled each.
const KNOWN: [(u32, u32); 3] = [(2, 2), (3, 1), (3, 2)];

/// Rows of y of a thread: two read rows that their windows share once, one makes twice the threads.
const TILES: [u32; 2] = [2, 1];

/// The shapes for a site.
fn shapes(site: &PoolSite) -> Vec<Shape> {
    let ([kernel, width], [stride, step]) = (site.kernel, site.stride);
    let square = kernel == width && stride == step && site.dilation == [1, 1];
    if !square || !KNOWN.contains(&(kernel, stride)) {
        return vec![ANY];
    }
    TILES.map(|tile_h| Shape { kernel, stride, tile_h }).to_vec()
}

fn unit(x: DType, y: DType, average: u32, shape: Shape) -> CompileUnit {
    let Shape { kernel, stride, tile_h } = shape;
    let shape = [("KERNEL", kernel), ("STRIDE", stride), ("TILE_H", tile_h)];
    let shape = shape.map(|(name, value)| (name, value.to_string()));
    CompileUnit::new("pool/window.cu", "pool", defines(x, y, average).chain(shape))
}

impl Kernel for Window {
    fn name(&self) -> &'static str {
        "pool/window"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Pool(site) = site else { return Err("is for pools".to_owned()) };
        check(site)?;
        let (x, y) = (&site.x, &site.y);
        let vectors = y.padded_channels() / pair_width(x, y);
        let signed = |pair: [u32; 2]| pair.map(|v| v as i32);
        let candidate = |shape: Shape| {
            let tiles_h = y.h.div_ceil(shape.tile_h);
            let count = u64::from(y.n) * u64::from(tiles_h) * u64::from(y.w) * u64::from(vectors);
            let params = Params {
                x_pitch: i64::from(x.pitch),
                y_pitch: i64::from(y.pitch),
                x_extent: signed([x.h, x.w]),
                y_h: y.h as i32,
                kernel: signed(site.kernel),
                stride: signed(site.stride),
                dilation: signed(site.dilation),
                pad: signed(site.pad),
                pad_end: signed(site.pad_end),
                channels: y.c as i32,
                count_padding: i32::from(site.kind == PoolKind::AverageIncludePad),
                threads: count as u32,
                channel_vectors: Divisor::new(vectors),
                columns: Divisor::new(y.w),
                tiles_h: Divisor::new(tiles_h),
                scales: Scales::of(site),
                reserved: 0,
            };
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let launch = Launch::linear(unit(x.dtype, y.dtype, average(site.kind), shape), count, THREADS, args)?;
            // A thread walks a window it does not know pixel by pixel: a large one leaves the chip waiting for the last.
            let window = f64::from(site.kernel[0]) * f64::from(site.kernel[1]);
            let efficiency = if shape.kernel > 0 { 0.85 } else { 0.85 / (1.0 + window / 20.0) };
            let cost = CandidateCost { blocks_per_multiprocessor: 5, ..cost(site, launch.blocks(), efficiency as f32) };
            let tactic = Tactic::new("pool/window", &[("tile_h", shape.tile_h)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        shapes(site).into_iter().map(candidate).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        // Input, channels and pitch, kernel, stride, dilation, padding before and after.
        let geometries = [
            ([1, 1], 8, 8, [1, 1], [1, 1], [1, 1], [0, 0], [0, 0]),
            ([7, 9], 3, 8, [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]),
            ([7, 8], 16, 24, [3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
            ([6, 11], 9, 16, [3, 2], [1, 3], [2, 1], [1, 0], [2, 1]),
            // A dilated window that meets nothing but padding.
            ([1, 1], 8, 8, [2, 2], [1, 1], [2, 2], [1, 1], [1, 1]),
            // As ceil_mode makes it: the last window reaches beyond the padding.
            ([6, 6], 8, 8, [3, 3], [2, 2], [1, 1], [0, 0], [0, 0]),
            // Windows that meet nothing but padding, and that share rows.
            ([3, 4], 20, 32, [3, 3], [1, 1], [1, 1], [3, 2], [3, 2]),
            ([9, 5], 24, 24, [2, 2], [2, 2], [1, 1], [1, 0], [0, 1]),
        ];
        for (i, (extent, c, pitch, kernel, stride, dilation, pad, pad_end)) in geometries.into_iter().enumerate() {
            let out = |axis: usize| {
                let reach = (kernel[axis] - 1) * dilation[axis] + 1;
                let span = extent[axis] + pad[axis] + pad_end[axis] - reach;
                1 + if i == 5 { u32::div_ceil(span, stride[axis]) } else { span / stride[axis] }
            };
            for kind in [PoolKind::Max, PoolKind::Average, PoolKind::AverageIncludePad] {
                for (from, to) in TYPES {
                    let [h, w] = extent;
                    let x = edge_image(Image { n: 2, h, w, c, pitch, dtype: from, scale: Scale::ONE }, 0.02);
                    let y = edge_image(Image::dense(2, out(0), out(1), c, to), 0.015);
                    sites.push(Site::Pool(PoolSite { kind, x, y, kernel, stride, dilation, pad, pad_end }));
                }
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let known = KNOWN.into_iter().flat_map(|(kernel, stride)| TILES.map(|tile_h| Shape { kernel, stride, tile_h }));
        let shapes: Vec<Shape> = known.chain([ANY]).collect();
        let both = |(x, y)| [0, 1].map(|average| (x, y, average));
        let types = TYPES.into_iter().flat_map(both);
        types.flat_map(|(x, y, average)| shapes.iter().map(move |&shape| unit(x, y, average, shape))).collect()
    }
}

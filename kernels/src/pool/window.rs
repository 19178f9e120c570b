//! When and how `window.cu` runs: any pool of f16, f32 or i8 images.

use super::{Scales, average, check, cost, defines};
use crate::catalog::Kernel;
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::picture::{TYPES, edge_image, pair_width};
use crate::site::{Image, PoolKind, PoolSite, Scale, Site};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// One thread per vector of channels of an output pixel.
pub struct Window;

/// `PoolParams` of window.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    y_pitch: i64,
    x_extent: [i32; 2],
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
    rows: Divisor,
    scales: Scales,
}

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

fn unit(x: DType, y: DType, average: u32) -> CompileUnit {
    CompileUnit::new("pool/window.cu", "pool", defines(x, y, average))
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
        let count = y.pixels() * u64::from(vectors);
        let signed = |pair: [u32; 2]| pair.map(|v| v as i32);
        let params = Params {
            x_pitch: i64::from(x.pitch),
            y_pitch: i64::from(y.pitch),
            x_extent: signed([x.h, x.w]),
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
            rows: Divisor::new(y.h),
            scales: Scales::of(site),
        };
        let candidate = |threads: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let launch = Launch::linear(unit(x.dtype, y.dtype, average(site.kind)), count, threads, args)?;
            // A thread walks its window alone: a large one leaves the chip waiting for the last.
            let window = f64::from(site.kernel[0]) * f64::from(site.kernel[1]);
            let efficiency = (0.85 / (1.0 + window / 200.0)) as f32;
            let cost =
                CandidateCost { blocks_per_multiprocessor: 1280 / threads, ..cost(site, launch.blocks(), efficiency) };
            let tactic = Tactic::new("pool/window", &[("threads", threads)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
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
        TYPES.iter().flat_map(|&(x, y)| [0, 1].map(|average| unit(x, y, average))).collect()
    }
}

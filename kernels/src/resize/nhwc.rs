//! When and how `nhwc.cu` runs: any resize of f16 or f32 images.

use crate::catalog::Kernel;
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{Image, NearestMode, ResizeSite, Scale, Site, vector_width};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// One thread per vector of channels of an output pixel.
pub struct Nhwc;

/// `ResizeParams` of nhwc.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    y_pitch: i64,
    x_extent: [i32; 2],
    a: [f32; 2],
    b: [f32; 2],
    nearest: i32,
    extrapolate: i32,
    extrapolation: f32,
    channels: i32,
    threads: u32,
    channel_vectors: Divisor,
    columns: Divisor,
    rows: Divisor,
}

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

fn unit(dtype: DType, linear: bool) -> CompileUnit {
    let defines = [("TYPE", cuda_type(dtype).to_owned()), ("LINEAR", u32::from(linear).to_string())];
    CompileUnit::new("resize/nhwc.cu", "resize", defines)
}

fn check(site: &ResizeSite) -> Result<(), String> {
    let (x, y) = (&site.x, &site.y);
    if !x.dtype.is_float() || x.dtype != y.dtype {
        return Err(format!("needs x and y both f16 or both f32, got {} and {}", x.dtype, y.dtype));
    }
    if x.n != y.n || x.c != y.c {
        return Err(format!("resizes h and w only, got {}x{} pictures and channels of {}x{}", y.n, y.c, x.n, x.c));
    }
    let width = vector_width(x.dtype);
    if x.pitch % width != 0 || y.pitch % width != 0 {
        return Err(format!("needs pitches divisible by {width}, got {} and {}", x.pitch, y.pitch));
    }
    Ok(())
}

impl Kernel for Nhwc {
    fn name(&self) -> &'static str {
        "resize/nhwc"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Resize(site) = site else { return Err("is for resizes".to_owned()) };
        check(site)?;
        let (x, y) = (&site.x, &site.y);
        let vectors = y.padded_channels() / vector_width(y.dtype);
        let count = y.pixels() * u64::from(vectors);
        let params = Params {
            x_pitch: i64::from(x.pitch),
            y_pitch: i64::from(y.pitch),
            x_extent: [x.h as i32, x.w as i32],
            a: site.a,
            b: site.b,
            nearest: site.nearest as i32,
            extrapolate: i32::from(site.extrapolation.is_some()),
            extrapolation: site.extrapolation.unwrap_or(0.0),
            channels: y.c as i32,
            threads: count as u32,
            channel_vectors: Divisor::new(vectors),
            columns: Divisor::new(y.w),
            rows: Divisor::new(y.h),
        };
        let elements = (x.pixels() + y.pixels()) * u64::from(y.padded_channels());
        let flops = y.pixels() * u64::from(y.c) * if site.linear { 9 } else { 0 };
        let least = Cost { flops, bytes: elements * y.dtype.size() as u64 };
        let candidate = |threads: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let launch = Launch::linear(unit(x.dtype, site.linear), count, threads, args)?;
            let cost = CandidateCost {
                blocks_per_multiprocessor: 1536 / threads,
                ..CandidateCost::of(least, launch.blocks(), 0.75)
            };
            let tactic = Tactic::new("resize/nhwc", &[("threads", threads)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        // Input and output extents, channels and pitch, a and b of both axes.
        let geometries = [
            ([1, 1], [3, 2], 8, 8, [0.0, 0.0], [0.0, 0.0]),
            // half_pixel, twice as large and 7/4 as small.
            ([4, 5], [8, 10], 3, 8, [0.5, 0.5], [-0.25, -0.25]),
            ([7, 7], [4, 4], 9, 16, [1.75, 1.75], [0.375, 0.375]),
            // align_corners, and asymmetric.
            ([5, 3], [9, 5], 16, 24, [0.5, 0.5], [0.0, 0.0]),
            ([3, 6], [7, 4], 5, 8, [3.0 / 7.0, 1.5], [0.0, 0.0]),
            // A crop that reaches beyond the picture.
            ([4, 4], [5, 6], 8, 8, [1.25, 1.0], [-1.0, -0.5]),
        ];
        let modes =
            [NearestMode::RoundPreferFloor, NearestMode::RoundPreferCeil, NearestMode::Floor, NearestMode::Ceil];
        for (from, to, c, pitch, a, b) in geometries {
            for dtype in [DType::F16, DType::F32] {
                let x = Image { n: 2, h: from[0], w: from[1], c, pitch, dtype, scale: Scale::ONE };
                let y = Image::dense(2, to[0], to[1], c, dtype);
                let linear = ResizeSite { x, y, linear: true, a, b, nearest: modes[0], extrapolation: None };
                sites.push(Site::Resize(linear));
                sites.push(Site::Resize(ResizeSite { extrapolation: Some(-2.0), ..linear }));
                sites.extend(modes.map(|nearest| Site::Resize(ResizeSite { linear: false, nearest, ..linear })));
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        [DType::F16, DType::F32].into_iter().flat_map(|dtype| [false, true].map(|linear| unit(dtype, linear))).collect()
    }
}

//! When and how `nhwc.cu` runs: any resize of f16, f32 or i8 images.

use super::points::Points;
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::picture::{TYPES, bytes, check, edge_image, pair_width, type_defines};
use crate::site::{Image, Interpolation, NearestMode, ResizeSite, Scale, Site};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::{Cost, exact};
use limpid_graph::tensor::DType;

/// One thread per vector of channels of an output pixel.
pub struct Nhwc;

/// `ResizeParams` of nhwc.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    points: Points,
    nearest: i32,
    factor: f32,
}

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

fn unit(x: DType, y: DType, linear: bool) -> CompileUnit {
    let linear = [("LINEAR", u32::from(linear).to_string())];
    CompileUnit::new("resize/nhwc.cu", "resize", type_defines(x, y).into_iter().chain(linear))
}

/// The value of points outside the input, as y's number.
fn extrapolation(site: &ResizeSite) -> f32 {
    let value = site.extrapolation.unwrap_or(0.0);
    if site.y.dtype == DType::I8 { f32::from(exact::quantize(value, site.y.scale.inverse())) } else { value }
}

impl Kernel for Nhwc {
    fn name(&self) -> &'static str {
        "resize/nhwc"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Resize(site) = site else { return Err("is for resizes".to_owned()) };
        let (linear, nearest) = match site.interpolation {
            Interpolation::Nearest(mode) => (false, mode),
            Interpolation::Linear => (true, NearestMode::Floor),
            Interpolation::Cubic { .. } => return Err("is for nearest and linear, got cubic".to_owned()),
        };
        let (x, y) = (&site.x, &site.y);
        check(x, y)?;
        let (points, count) = Points::new(site, pair_width(x, y), extrapolation(site));
        let params = Params { points, nearest: nearest as i32, factor: exact::rescale(x.scale.get(), y.scale.get()) };
        let flops = y.pixels() * u64::from(y.c) * if linear { 9 } else { 0 };
        let least = Cost { flops, bytes: bytes(x, y) };
        let candidate = |threads: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let launch = Launch::linear(unit(x.dtype, y.dtype, linear), count, threads, args)?;
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
            for (x, y) in TYPES {
                let scale = Scale::ONE;
                let x = edge_image(Image { n: 2, h: from[0], w: from[1], c, pitch, dtype: x, scale }, 0.02);
                let y = edge_image(Image::dense(2, to[0], to[1], c, y), 0.015);
                let linear = ResizeSite { x, y, interpolation: Interpolation::Linear, a, b, extrapolation: None };
                sites.push(Site::Resize(linear));
                sites.push(Site::Resize(ResizeSite { extrapolation: Some(-2.0), ..linear }));
                let nearest = |mode| ResizeSite { interpolation: Interpolation::Nearest(mode), ..linear };
                sites.extend(modes.map(|mode| Site::Resize(nearest(mode))));
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&(x, y)| [false, true].map(|linear| unit(x, y, linear))).collect()
    }
}

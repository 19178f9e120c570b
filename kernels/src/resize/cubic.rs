//! When and how `cubic.cu` runs: cubic convolution of f16 or f32 images.

use super::points::Points;
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::picture::{bytes, check};
use crate::site::{Image, Interpolation, ResizeSite, Scale, Site, vector_width};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// One thread per vector of channels of an output pixel.
pub struct Cubic;

/// `CubicParams` of cubic.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    points: Points,
    coefficient: f32,
    exclude_outside: i32,
}

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];
const TYPES: [DType; 2] = [DType::F16, DType::F32];

fn unit(dtype: DType) -> CompileUnit {
    CompileUnit::new("resize/cubic.cu", "resize_cubic", [("TYPE", cuda_type(dtype))])
}

impl Kernel for Cubic {
    fn name(&self) -> &'static str {
        "resize/cubic"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Resize(site) = site else { return Err("is for resizes".to_owned()) };
        let Interpolation::Cubic { coefficient, exclude_outside } = site.interpolation else {
            return Err(format!("is for cubic convolution, got {:?}", site.interpolation));
        };
        let (x, y) = (&site.x, &site.y);
        check(x, y)?;
        if x.dtype != y.dtype || !TYPES.contains(&x.dtype) {
            return Err(format!("needs f16 or f32 images of one type, got {} and {}", x.dtype, y.dtype));
        }
        let (points, count) = Points::new(site, vector_width(y.dtype), site.extrapolation.unwrap_or(0.0));
        let params = Params { points, coefficient, exclude_outside: i32::from(exclude_outside) };
        // Twenty products and sums an element.
        let least = Cost { flops: y.pixels() * u64::from(y.c) * 40, bytes: bytes(x, y) };
        let candidate = |threads: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let launch = Launch::linear(unit(x.dtype), count, threads, args)?;
            let cost = CandidateCost {
                blocks_per_multiprocessor: 1024 / threads,
                ..CandidateCost::of(least, launch.blocks(), 0.4)
            };
            Ok(Candidate::plain(Tactic::new("resize/cubic", &[("threads", threads)]), launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        // Input and output extents, channels and pitch, a and b of both axes.
        let geometries = [
            ([1, 1], [3, 2], 8, 8, [0.0, 0.0], [0.0, 0.0]),
            ([4, 5], [8, 10], 3, 8, [0.5, 0.5], [-0.25, -0.25]),
            ([7, 7], [4, 4], 9, 16, [1.75, 1.75], [0.375, 0.375]),
            ([3, 6], [7, 4], 5, 8, [3.0 / 7.0, 1.5], [0.0, 0.0]),
            // A crop that reaches beyond the picture.
            ([4, 4], [5, 6], 16, 24, [1.25, 1.0], [-1.0, -0.5]),
        ];
        for (from, to, c, pitch, a, b) in geometries {
            for dtype in TYPES {
                let x = Image { n: 2, h: from[0], w: from[1], c, pitch, dtype, scale: Scale::ONE };
                let y = Image::dense(2, to[0], to[1], c, dtype);
                for (coefficient, exclude_outside) in [(-0.75, false), (-0.5, true)] {
                    let interpolation = Interpolation::Cubic { coefficient, exclude_outside };
                    let site = ResizeSite { x, y, interpolation, a, b, extrapolation: None };
                    // Where all pixels are outside and count nothing, there is no value.
                    if !exclude_outside || b[0] > -1.0 {
                        sites.push(Site::Resize(site));
                    }
                    sites.push(Site::Resize(ResizeSite { extrapolation: Some(-2.0), ..site }));
                }
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.map(unit).to_vec()
    }
}

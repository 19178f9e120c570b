//! When and how `direct.cu` runs: any depthwise convolution.

use super::{CHANNELS, Edge, channel_vectors, cost, site_of, weight_dtype};
use crate::catalog::Kernel;
use crate::epilogue::{EpilogueParams, bias_len, epilogue_args, scales_len};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::Site;
use crate::target::{Arch, Target};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// One output pixel a thread.
pub struct Direct;

/// `DirectParams` of direct.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    x_extent: [i32; 2],
    x_lanes: i32,
    y_extent: [i32; 2],
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    weight_pitch: i32,
    threads: u32,
    multiplier: Divisor,
    channel_vectors: Divisor,
    columns: Divisor,
    rows: Divisor,
    epilogue: EpilogueParams,
}

/// Threads of a block.
const THREADS: u32 = 128;

/// X_TYPE and W_TYPE.
const TYPES: [(DType, DType); 4] =
    [(DType::F16, DType::F16), (DType::F16, DType::F32), (DType::F32, DType::F32), (DType::I8, DType::I8)];

fn unit(x: DType, weights: DType, one_filter: bool) -> CompileUnit {
    let defines = [
        ("X_TYPE", cuda_type(x).to_owned()),
        ("W_TYPE", cuda_type(weights).to_owned()),
        ("MULTIPLIER", u32::from(one_filter).to_string()),
    ];
    CompileUnit::new("depthwise/direct.cu", "depthwise_direct", defines)
}

impl Kernel for Direct {
    fn name(&self) -> &'static str {
        "depthwise/direct"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let (x, y) = (&site.x, &site.y);
        let vectors = channel_vectors(site);
        let count = u64::from(vectors) * y.pixels();
        let signed = |pair: [u32; 2]| pair.map(|v| v as i32);
        let params = Params {
            x_pitch: i64::from(x.pitch),
            x_extent: signed([x.h, x.w]),
            x_lanes: x.padded_channels() as i32,
            y_extent: signed([y.h, y.w]),
            kernel: signed(site.kernel),
            stride: signed(site.stride),
            dilation: signed(site.dilation),
            pad: signed(site.pad),
            weight_pitch: (vectors * CHANNELS) as i32,
            threads: count as u32,
            multiplier: Divisor::new(y.c / x.c),
            channel_vectors: Divisor::new(vectors),
            columns: Divisor::new(y.w),
            rows: Divisor::new(y.h),
            epilogue: EpilogueParams::image(&site.epilogue, y),
        };
        let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
        args.extend(epilogue_args(&site.epilogue, site.precision));
        args.push(Arg::params(&params));
        let one_filter = y.c == x.c;
        let weights = weight_dtype(site);
        let launch = Launch::linear(unit(x.dtype, weights, one_filter), count, THREADS, args)?;
        let window = f64::from(site.kernel[0]) * f64::from(site.kernel[1]);
        let efficiency = if one_filter { 0.9 / (1.0 + window / 20.0) } else { 0.5 / (1.0 + window / 10.0) };
        let cost = CandidateCost { blocks_per_multiprocessor: 8, ..cost(site, launch.blocks(), efficiency as f32) };
        Ok(vec![Candidate {
            tactic: Tactic::new("depthwise/direct", &[("threads", THREADS)]),
            launches: vec![launch],
            workspace: 0,
            weights: Some(Packing::Rsc { c_pad: vectors * CHANNELS, dtype: weights }),
            bias_len: bias_len(&site.epilogue, y.c),
            scales_len: scales_len(site.precision, y.c),
            cost,
        }])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let edges = [
            ([1, 1, 1, 1], 1, [1, 1], [1, 1], [1, 1], [0, 0]),
            ([2, 9, 7, 12], 1, [3, 3], [1, 1], [2, 2], [2, 2]),
            ([1, 1, 17, 8], 1, [1, 9], [1, 2], [1, 1], [0, 4]),
            ([1, 8, 6, 5], 2, [3, 3], [2, 2], [1, 1], [1, 1]),
            ([2, 5, 5, 3], 7, [2, 3], [1, 2], [2, 1], [0, 1]),
            ([1, 4, 4, 1], 9, [3, 3], [1, 1], [1, 1], [1, 1]),
        ];
        let edge =
            |(x, multiplier, kernel, stride, dilation, pad)| Edge { x, multiplier, kernel, stride, dilation, pad };
        let sites = |edge: Edge| {
            [
                edge.site(DType::F16, DType::F16, true),
                edge.site(DType::F32, DType::F32, true),
                edge.site(DType::F32, DType::F16, false),
                edge.site(DType::F16, DType::F32, false),
                edge.site(DType::I8, DType::I8, true),
                edge.site(DType::I8, DType::F16, true),
                edge.site(DType::I8, DType::F32, false),
                edge.site(DType::F16, DType::I8, true),
            ]
        };
        edges.map(edge).into_iter().flat_map(sites).collect()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&(x, w)| [true, false].map(|one_filter| unit(x, w, one_filter))).collect()
    }
}

//! When and how `direct.cu` runs: any transposed convolution.

use super::geometry::{Edge, channels, filters, least_cost, site_of, weight_dtype};
use crate::catalog::Kernel;
use crate::epilogue::{EpilogueParams, bias_len, epilogue_args, scales_len};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{Site, vector_width};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// One output element a thread.
pub struct Direct;

/// `DirectParams` of direct.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    x_extent: [i32; 2],
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    channels: i32,
    filters: i32,
    threads: u32,
    lanes: Divisor,
    columns: Divisor,
    rows: Divisor,
    epilogue: EpilogueParams,
    reserved: u32,
}

/// Threads of a block.
const THREADS: u32 = 128;

/// X_TYPE and W_TYPE.
const TYPES: [(DType, DType); 4] =
    [(DType::F16, DType::F16), (DType::F16, DType::F32), (DType::F32, DType::F32), (DType::I8, DType::I8)];

fn unit(x: DType, weights: DType, vector: u32) -> CompileUnit {
    let defines = [
        ("X_TYPE", cuda_type(x).to_owned()),
        ("W_TYPE", cuda_type(weights).to_owned()),
        ("VECTOR", vector.to_string()),
    ];
    CompileUnit::new("conv_transpose/direct.cu", "conv_transpose_direct", defines)
}

impl Kernel for Direct {
    fn name(&self) -> &'static str {
        "conv_transpose/direct"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let (x, y) = (&site.x, &site.y);
        let (channels, filters, weights) = (channels(site), filters(site), weight_dtype(site));
        let width = vector_width(x.dtype);
        let vector = if channels % width == 0 { width } else { 1 };
        // Nothing is padded: with a channel or a filter a group, padding would outweigh the weights.
        let lanes = y.padded_channels();
        let count = y.pixels() * u64::from(lanes);
        let signed = |pair: [u32; 2]| pair.map(|v| v as i32);
        let params = Params {
            x_pitch: i64::from(x.pitch),
            x_extent: signed([x.h, x.w]),
            kernel: signed(site.kernel),
            stride: signed(site.stride),
            dilation: signed(site.dilation),
            pad: signed(site.pad),
            channels: channels as i32,
            filters: filters as i32,
            threads: count as u32,
            lanes: Divisor::new(lanes),
            columns: Divisor::new(y.w),
            rows: Divisor::new(y.h),
            epilogue: EpilogueParams::image(&site.epilogue, y),
            reserved: 0,
        };
        let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
        args.extend(epilogue_args(&site.epilogue, site.precision));
        args.push(Arg::params(&params));
        let launch = Launch::linear(unit(x.dtype, weights, vector), count, THREADS, args)?;
        // Every thread reads its own rows of weights, so long sums run at the speed of L1.
        let efficiency = 0.4 / (1.0 + channels as f32 / 32.0);
        let cost = CandidateCost { blocks_per_multiprocessor: 8, efficiency, ..least_cost(site, launch.blocks()) };
        Ok(vec![Candidate {
            tactic: Tactic::new("conv_transpose/direct", &[("vector", vector), ("threads", THREADS)]),
            launches: vec![launch],
            workspace: 0,
            weights: Some(Packing::TransposedRskc {
                groups: site.groups,
                k_pad: filters,
                c_pad: channels,
                dtype: weights,
            }),
            bias_len: bias_len(&site.epilogue, y.c),
            scales_len: scales_len(site.precision, y.c),
            cost,
        }])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (c, filters, groups) in [(3, 5, 1), (16, 8, 2), (6, 6, 6), (4, 6, 2), (32, 34, 2)] {
            for edge in Edge::windows(c, filters, groups) {
                sites.push(edge.site(Precision::Fp16, DType::F16, true));
                sites.push(edge.site(Precision::Fp32, DType::F32, true));
                sites.push(edge.site(Precision::Int8, DType::I8, true));
            }
        }
        sites.push(Edge::doubling([1, 3, 3, 16], 7).site(Precision::Int8, DType::F16, true));
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Int8, DType::F32, false));
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Fp16, DType::I8, true));
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Fp16, DType::F32, false));
        sites.push(Edge::doubling([1, 3, 3, 9], 7).site(Precision::Fp32, DType::F16, false));
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&(x, w)| [vector_width(x), 1].map(|vector| unit(x, w, vector))).collect()
    }
}

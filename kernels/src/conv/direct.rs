//! `conv/direct`: any convolution at all.

use super::NOT_A_CONVOLUTION;
use super::edges;
use crate::catalog::Kernel;
use crate::epilogue::{EpilogueParams, bias_len, check_terms, epilogue_args, scales_len};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ConvSite, Site};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// See `conv/direct.cu`.
#[derive(Debug)]
pub struct Direct;

const SOURCE: &str = "conv/direct.cu";
const THREADS: u32 = 128;

/// Output pixels of a thread: one where there are few, several so that a weight is read once for all of them.
const PIXELS: [u32; 2] = [1, 4];

/// `DirectParams` of direct.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct DirectParams {
    x: [i32; 3],
    out: [i32; 2],
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    pixels: i32,
    group_channels: i32,
    group_filters: i32,
    filters_padded: i32,
}

fn unit(input: DType, weight: DType, pixels: u32) -> CompileUnit {
    let [input, weight] = [input, weight].map(|dtype| cuda_type(dtype).to_owned());
    let defines = [("INPUT", input), ("WEIGHT", weight), ("PIXELS", pixels.to_string())];
    CompileUnit::new(SOURCE, "conv_direct", defines)
}

impl Kernel for Direct {
    fn name(&self) -> &'static str {
        "conv/direct"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Conv(site) = site else { return Err(NOT_A_CONVOLUTION.to_owned()) };
        check(site)?;
        PIXELS.into_iter().map(|pixels| candidate(site, pixels, target)).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::direct()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let types = [DType::F16, DType::F32];
        let pairs = types.into_iter().flat_map(|input| types.map(|weight| (input, weight)));
        pairs
            .chain([(DType::I8, DType::I8)])
            .flat_map(|(input, weight)| PIXELS.map(|pixels| unit(input, weight, pixels)))
            .collect()
    }
}

fn check(site: &ConvSite) -> Result<(), String> {
    match (site.precision, site.x.dtype) {
        (Precision::Int8, DType::I8) => {}
        (Precision::Int8, other) => return Err(format!("needs i8 input for int8, got {other}")),
        (_, dtype) if dtype.is_float() => {}
        (precision, other) => return Err(format!("needs f16 or f32 input for {precision}, got {other}")),
    }
    if site.groups == 0 || !site.x.c.is_multiple_of(site.groups) || !site.y.c.is_multiple_of(site.groups) {
        return Err(format!("needs channels divisible by {} groups, got {} and {}", site.groups, site.x.c, site.y.c));
    }
    if site.y.pixels() * u64::from(site.y.c) == 0 {
        return Err("nothing to do: an extent is 0".to_owned());
    }
    if site.y.pixels() >= 1 << 30 {
        return Err(format!("takes fewer than 2^30 output pixels, got {}", site.y.pixels()));
    }
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    check_terms(site.precision, taps * u64::from(site.x.c / site.groups))?;
    EpilogueParams::check(&site.epilogue, site.y.dtype, site.y.scale)
}

fn candidate(site: &ConvSite, pixels: u32, target: &Target) -> Result<Candidate, String> {
    let weight = match site.precision {
        Precision::Int8 => DType::I8,
        Precision::Fp16 => DType::F16,
        Precision::Tf32 | Precision::Fp32 => DType::F32,
    };
    let (channels, filters) = (site.x.c / site.groups, site.y.c / site.groups);
    let filters_padded = site.y.c.next_multiple_of(8);
    let params = DirectParams {
        x: [site.x.h, site.x.w, site.x.pitch].map(|v| v as i32),
        out: [site.y.h, site.y.w].map(|v| v as i32),
        kernel: site.kernel.map(|v| v as i32),
        stride: site.stride.map(|v| v as i32),
        dilation: site.dilation.map(|v| v as i32),
        pad: site.pad.map(|v| v as i32),
        pixels: site.y.pixels() as i32,
        group_channels: channels as i32,
        group_filters: filters as i32,
        filters_padded: filters_padded as i32,
    };
    let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
    args.extend(epilogue_args(&site.epilogue, site.precision));
    args.push(Arg::params(&params));
    args.push(Arg::params(&EpilogueParams::image(&site.epilogue, &site.y)));

    let threads = site.y.pixels().div_ceil(pixels.into()) * u64::from(site.y.padded_channels());
    let blocks = threads.div_ceil(THREADS.into());
    let grid = u32::try_from(blocks).ok().filter(|&b| b <= i32::MAX as u32);
    let grid = grid.ok_or_else(|| format!("needs {blocks} blocks, takes at most 2^31"))?;

    let depth = u64::from(site.kernel[0] * site.kernel[1] * channels);
    let weight_bytes = depth * u64::from(filters_padded) * weight.size() as u64;
    let residual = site.epilogue.residual.map_or(0, |r| r.bytes());
    Ok(Candidate {
        tactic: Tactic::new("conv/direct", &[("pixels", pixels)]),
        launches: vec![Launch {
            unit: unit(site.x.dtype, weight, pixels),
            grid: [grid, 1, 1],
            block: [THREADS, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: 0,
            args,
            dependent: false,
        }],
        workspace: 0,
        weights: Some(Packing::Rsck { k_pad: filters_padded, dtype: weight }),
        bias_len: bias_len(&site.epilogue, site.y.c),
        scales_len: scales_len(site.precision, site.y.c),
        cost: CandidateCost {
            flops: 2 * threads * u64::from(pixels) * depth,
            bytes: site.x.bytes() + site.y.bytes() + residual + weight_bytes,
            blocks,
            blocks_per_multiprocessor: if target.arch.0 < 80 { 8 } else { 12 },
            // One load per multiply-add at best; a weight is shared by `pixels` of them.
            efficiency: 0.12 * pixels as f32 / (pixels + 1) as f32,
            tensor_cores: false,
        },
    })
}

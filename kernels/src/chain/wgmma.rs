//! `chain/wgmma`: two or three dense layers by Hopper's means.

use super::{NOT_A_CHAIN, check, edges, multiplied, padded, takes};
use crate::catalog::Kernel;
use crate::gemm;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{ChainSite, GemmSite, Site, VECTOR_BYTES};
use crate::target::{Arch, Target};
use crate::tensor_map::{Swizzle, TensorMap};
use crate::tile::Math;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Activation;

/// See `chain/wgmma.cu`.
#[derive(Debug)]
pub struct Wgmma;

const BLOCK_M: u32 = 64;
const THREADS: u32 = 384;
const MOST_LAYERS: usize = 3;
const MOST_COLUMNS: u32 = 256;
/// Bytes of a row on its way out, f32: of 128 columns. Between layers rows take no more.
const PITCH: u32 = 2 * MOST_COLUMNS + VECTOR_BYTES;
/// Bytes of K in a step.
const ROW_BYTES: u32 = 128;
/// Columns of a warpgroup in the last layer, and in those before.
const LAST: [u32; 2] = [16, 64];
const INNER: [u32; 2] = [64, 128];

/// Share of the tensor cores' peak while it runs: copies of weights set the pace. Not fitted.
const EFFICIENCY: f32 = 0.35;

/// `ChainLayer` of wgmma.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
struct ChainLayer {
    steps: i32,
    columns: i32,
    width: i32,
    low: f32,
    high: f32,
    inv_scale: f32,
}

/// `ChainParams` of wgmma.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct ChainParams {
    layers: [ChainLayer; MOST_LAYERS],
    count: i32,
    rows: i32,
    inv_scale_a: f32,
    y_type: i32,
    y_pitch: i32,
    y_padded: i32,
}

/// What a site is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Build {
    math: Math,
    real_a: bool,
}

impl Build {
    fn size(&self) -> u32 {
        self.math.dtype().size() as u32
    }

    /// Bytes of a stage: 64 rows of a, 256 of weights.
    fn stage_bytes(&self) -> u32 {
        let boxes = if self.real_a { 4 / self.size() } else { 1 };
        (boxes * BLOCK_M + MOST_COLUMNS) * ROW_BYTES
    }

    fn stages(&self) -> u32 {
        if self.stage_bytes() > 48 << 10 { 3 } else { 4 }
    }

    fn shared_bytes(&self) -> u32 {
        self.stages() * (self.stage_bytes() + 16) + BLOCK_M * PITCH
    }

    fn unit(&self) -> CompileUnit {
        let defines = [
            ("PRECISION", self.math.name().to_owned()),
            ("A_IS_REAL", u32::from(self.real_a).to_string()),
            ("STAGES", self.stages().to_string()),
        ];
        CompileUnit::new("chain/wgmma.cu", "chain_wgmma", defines)
    }
}

impl Kernel for Wgmma {
    fn name(&self) -> &'static str {
        "chain/wgmma"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Chain(site) = site else { return Err(NOT_A_CHAIN.to_owned()) };
        candidates(site, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::chains()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        if arch != Arch(90) {
            return Vec::new();
        }
        let kinds = [Math::Fp16, Math::Int8].into_iter().flat_map(|math| [false, true].map(|real_a| (math, real_a)));
        kinds.map(|(math, real_a)| Build { math, real_a }.unit()).collect()
    }
}

/// What an activation clips to, or why it does not.
fn clip(activation: Activation) -> Result<[f32; 2], String> {
    match activation {
        Activation::Identity => Ok([f32::NEG_INFINITY, f32::INFINITY]),
        Activation::Relu => Ok([0.0, f32::INFINITY]),
        Activation::Clip { min, max } => Ok([min, max]),
        other => Err(format!("needs activations that clip, got {other:?}")),
    }
}

/// The least of a menu that has all columns in two warpgroups.
fn width(menu: [u32; 2], columns: u32) -> Result<u32, String> {
    let width = menu.into_iter().find(|width| 2 * width >= columns);
    width.ok_or_else(|| format!("needs layers of at most 256 columns, the last of 128; one has {columns}"))
}

fn candidates(site: &ChainSite, target: &Target) -> Result<Vec<Candidate>, String> {
    check(site)?;
    let (first, last) = takes(site, MOST_LAYERS, target)?;
    let count = site.layers.len();
    let math = match Math::tensor_cores(first.precision, target.arch)? {
        math @ (Math::Fp16 | Math::Int8) => math,
        other => return Err(format!("multiplies int8 or fp16, the site asks for {}", other.name())),
    };
    let real_a = first.dtype_a != multiplied(first.precision);
    let pitch = u64::from(first.pitch_a) * first.dtype_a.size() as u64;
    if !pitch.is_multiple_of(VECTOR_BYTES.into()) {
        return Err(format!("needs rows of whole 16-byte vectors apart, got {pitch} bytes"));
    }
    let build = Build { math, real_a };
    let mut layers = [ChainLayer::default(); MOST_LAYERS];
    for (index, layer) in site.layers.iter().enumerate() {
        let width = width(if index + 1 == count { LAST } else { INNER }, layer.n)?;
        let [low, high] = clip(layer.epilogue.steps.post)?;
        layers[index] = ChainLayer {
            steps: (layer.k * build.size()).div_ceil(ROW_BYTES) as i32,
            columns: layer.n as i32,
            width: width as i32,
            low,
            high,
            inv_scale: layer.scale_y.inverse(),
        };
    }
    if build.shared_bytes() > target.shared_per_block {
        return Err(format!("needs {} bytes of shared memory", build.shared_bytes()));
    }
    let y = gemm::epilogue(last);
    let params = ChainParams {
        layers,
        count: count as i32,
        rows: first.m as i32,
        inv_scale_a: first.scale_a.inverse(),
        y_type: y.y_type(),
        y_pitch: last.pitch_y as i32,
        y_padded: y.padded_columns() as i32,
    };
    Ok(vec![candidate(site, build, &params)?])
}

fn candidate(site: &ChainSite, build: Build, params: &ChainParams) -> Result<Candidate, String> {
    let (first, last) = (&site.layers[0], &site.layers[site.layers.len() - 1]);
    let a_size = first.dtype_a.size() as u32;
    let box_of_a = [ROW_BYTES / a_size, BLOCK_M];
    let a = TensorMap::tiled(
        Role::Input(0),
        first.dtype_a,
        &[first.k, first.m].map(u64::from),
        &[u64::from(first.pitch_a * a_size)],
        &box_of_a,
        Swizzle::B128,
    );
    let weights = |index: usize, layer: &GemmSite| {
        let (n_pad, k_pad) = padded(layer);
        let rows = 2 * params.layers[index].width as u32;
        // What is padded along K need not be fetched to be zero.
        let dims = [layer.k, n_pad].map(u64::from);
        let box_of_w = [ROW_BYTES / build.size(), rows];
        let row = [u64::from(k_pad * build.size())];
        TensorMap::tiled(ChainSite::weights(index), build.math.dtype(), &dims, &row, &box_of_w, Swizzle::B128)
    };
    let mut maps = vec![a];
    maps.extend(site.layers.iter().enumerate().map(|(index, layer)| weights(index, layer)));
    for map in &maps {
        map.check().map_err(|reason| format!("tensor copies do not take {:?}: {reason}", map.role))?;
    }
    // The place of a third layer that there is not: never read.
    maps.resize(1 + MOST_LAYERS, maps[maps.len() - 1].clone());
    let mut args: Vec<Arg> = maps.into_iter().map(Arg::TensorMap).collect();
    args.extend(super::terms(site, MOST_LAYERS));
    args.extend([Arg::Pointer(Role::Output(0)), Arg::params(params)]);
    let blocks = first.m.div_ceil(BLOCK_M);
    let elements = |layer: &GemmSite| padded(layer).0 as u64 * u64::from(padded(layer).1);
    let columns = |index: usize| u64::from(2 * params.layers[index].width as u32);
    let flops = site.layers.iter().enumerate().map(|(index, layer)| columns(index) * u64::from(padded(layer).1));
    let read: u64 = site.layers.iter().map(elements).sum::<u64>() * u64::from(build.size());
    let rows = u64::from(first.m);
    Ok(Candidate::plain(
        Tactic::new("chain/wgmma", &[("layers", site.layers.len() as u32)]),
        Launch {
            unit: build.unit(),
            grid: [blocks, 1, 1],
            block: [THREADS, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: build.shared_bytes(),
            args,
            dependent: false,
        },
        CandidateCost {
            flops: 2 * u64::from(blocks * BLOCK_M) * flops.sum::<u64>(),
            bytes: read + rows * u64::from(first.k * a_size) + rows * u64::from(last.n) * last.dtype_y.size() as u64,
            blocks: blocks.into(),
            blocks_per_multiprocessor: 1,
            efficiency: EFFICIENCY,
            tensor_cores: true,
        },
    ))
}

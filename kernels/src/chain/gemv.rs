//! `chain/gemv`: at most eight rows through two or three small layers, by one cluster.

use super::{NOT_A_CHAIN, check, edges, multiplied, padded, takes};
use crate::catalog::Kernel;
use crate::epilogue::ActivationParams;
use crate::gemm;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{ChainSite, Site, VECTOR_BYTES, vector_width};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// See `chain/gemv.cu`.
#[derive(Debug)]
pub struct Gemv;

/// Blocks of the cluster, and of the grid.
const BLOCKS: u32 = 8;
const THREADS: u32 = 256;
const MOST_LAYERS: usize = 3;
/// Rows of a it is compiled for; a site takes the least that suffices.
const BATCHES: [u32; 3] = [1, 4, 8];
/// Bytes of the mbarriers behind the rows.
const BARRIER_BYTES: u32 = 16;
/// Bytes of weights beyond which eight multiprocessors are too few to read them.
const MOST_BYTES: u64 = 4 << 20;

/// `ChainLayer` of gemv.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct ChainLayer {
    post: ActivationParams,
    inv_scale: f32,
    columns: i32,
    written: i32,
    depth_vectors: i32,
}

/// `ChainParams` of gemv.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct ChainParams {
    layers: [ChainLayer; MOST_LAYERS],
    count: i32,
    rows: i32,
    k: i32,
    pitch_a: i32,
    row_vectors: i32,
    inv_scale_a: f32,
    y_type: i32,
    y_pitch: i32,
}

fn unit(dtype: DType, real_a: bool, batch: u32) -> CompileUnit {
    let defines = [
        ("ELEMENT", cuda_type(dtype).to_owned()),
        ("A_IS_REAL", u32::from(real_a).to_string()),
        ("BATCH", batch.to_string()),
    ];
    CompileUnit::new("chain/gemv.cu", "chain_gemv", defines)
}

impl Kernel for Gemv {
    fn name(&self) -> &'static str {
        "chain/gemv"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Chain(site) = site else { return Err(NOT_A_CHAIN.to_owned()) };
        check(site)?;
        Ok(vec![candidate(site, target)?])
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::few_rows()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        if arch != Arch(90) {
            return Vec::new();
        }
        let converted = [DType::F16, DType::I8].into_iter().flat_map(|dtype| [(dtype, false), (dtype, true)]);
        let kinds = converted.chain([(DType::F32, false)]);
        kinds.flat_map(|(dtype, real_a)| BATCHES.map(|batch| unit(dtype, real_a, batch))).collect()
    }
}

fn candidate(site: &ChainSite, target: &Target) -> Result<Candidate, String> {
    let (first, last) = takes(site, MOST_LAYERS, target)?;
    let batch = BATCHES.into_iter().find(|&batch| first.m <= batch);
    let batch = batch.ok_or_else(|| format!("needs at most 8 rows, got {}", first.m))?;
    let dtype = multiplied(first.precision);
    let width = vector_width(dtype);
    let weights: u64 = site.layers.iter().map(|layer| ChainSite::packing(layer).bytes(&[])).sum();
    if weights > MOST_BYTES {
        return Err(format!("reads at most {MOST_BYTES} bytes of weights, the site has {weights}"));
    }
    let y = gemm::epilogue(last);
    let depth = |layer: usize| site.layers.get(layer).map(|layer| padded(layer).1);
    let layers: [ChainLayer; MOST_LAYERS] = std::array::from_fn(|index| {
        let Some(layer) = site.layers.get(index) else { return ChainLayer::zeroed() };
        ChainLayer {
            post: ActivationParams::new(layer.epilogue.steps.post),
            inv_scale: layer.scale_y.inverse(),
            columns: layer.n as i32,
            written: depth(index + 1).unwrap_or_else(|| y.padded_columns()) as i32,
            depth_vectors: (padded(layer).1 / width) as i32,
        }
    });
    let row_vectors = site.layers.iter().map(|layer| padded(layer).1 / width).max().unwrap_or(0);
    let shared_bytes = MOST_LAYERS as u32 * batch * row_vectors * VECTOR_BYTES + BARRIER_BYTES;
    if shared_bytes > target.shared_per_block {
        return Err(format!("needs {shared_bytes} bytes of shared memory"));
    }
    let params = ChainParams {
        layers,
        count: site.layers.len() as i32,
        rows: first.m as i32,
        k: first.k as i32,
        pitch_a: first.pitch_a as i32,
        row_vectors: row_vectors as i32,
        inv_scale_a: first.scale_a.inverse(),
        y_type: y.y_type(),
        y_pitch: last.pitch_y as i32,
    };
    let real_a = first.dtype_a != dtype;
    let has = |layer: usize| layer < site.layers.len();
    let mut args = vec![Arg::Pointer(Role::Input(0))];
    args.extend((0..MOST_LAYERS).map(|layer| Arg::optional(ChainSite::weights(layer), has(layer))));
    args.extend(super::terms(site, MOST_LAYERS));
    args.extend([Arg::Pointer(Role::Output(0)), Arg::params(&params)]);
    let rows = u64::from(first.m);
    let products: u64 = site.layers.iter().map(|layer| u64::from(padded(layer).0) * u64::from(padded(layer).1)).sum();
    Ok(Candidate::plain(
        Tactic::new("chain/gemv", &[("layers", site.layers.len() as u32), ("rows", batch)]),
        Launch {
            unit: unit(dtype, real_a, batch),
            grid: [BLOCKS, 1, 1],
            block: [THREADS, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes,
            args,
            dependent: false,
        },
        CandidateCost {
            flops: 2 * u64::from(batch) * products,
            bytes: weights
                + rows * u64::from(first.k) * first.dtype_a.size() as u64
                + rows * u64::from(last.n) * last.dtype_y.size() as u64,
            blocks: BLOCKS.into(),
            blocks_per_multiprocessor: 1,
            efficiency: 0.4,
            tensor_cores: false,
        },
    ))
}

//! `gemm/gemv`: at most eight rows times weights, as fast as memory gives them.

use super::{NOT_A_PRODUCT, check, converts, edges, epilogue};
use crate::catalog::Kernel;
use crate::epilogue::{COLUMNS_PER_THREAD, bias_len, epilogue_args, scales_len};
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{GemmOperand, GemmSite, Site, vector_width};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// See `gemm/gemv.cu`.
#[derive(Debug)]
pub struct Gemv;

const WARPS: u32 = 4;

/// Rows of a it is compiled for; a site takes the least that suffices.
const BATCHES: [u32; 4] = [1, 2, 4, 8];

/// Rows of weights a warp group takes, and warps that share K.
const SHAPES: [(u32, u32); 4] = [(1, 1), (1, 4), (2, 2), (4, 1)];

/// `GemvParams` of gemv.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct GemvParams {
    m: i32,
    n_padded: i32,
    k: i32,
    pitch_a: i32,
    depth_vectors: i32,
    whole: i32,
    inv_scale_a: f32,
}

fn unit(dtype: DType, dtype_a: DType, batch: u32, rows: u32, warps_k: u32) -> CompileUnit {
    let defines = [
        ("ELEMENT", cuda_type(dtype).to_owned()),
        ("A_ELEMENT", cuda_type(dtype_a).to_owned()),
        ("BATCH", batch.to_string()),
        ("ROWS", rows.to_string()),
        ("WARPS_K", warps_k.to_string()),
    ];
    CompileUnit::new("gemm/gemv.cu", "gemv", defines)
}

impl Kernel for Gemv {
    fn name(&self) -> &'static str {
        "gemm/gemv"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Gemm(site) = site else { return Err(NOT_A_PRODUCT.to_owned()) };
        check(site)?;
        let batch = BATCHES.into_iter().find(|&batch| site.m <= batch);
        let batch = batch.ok_or_else(|| format!("needs at most 8 rows, got {}", site.m))?;
        if site.b != GemmOperand::Weights || site.batch != 1 {
            return Err("needs constant weights and a single product".to_owned());
        }
        let dtype = match site.precision {
            Precision::Int8 => DType::I8,
            Precision::Fp16 => DType::F16,
            // Plain f32 here is bound by memory, so TF32 has nothing to offer.
            Precision::Fp32 | Precision::Tf32 => DType::F32,
        };
        if site.dtype_a != dtype && !converts(site, dtype) {
            return Err(format!("needs {dtype} operands for {}, got {}", site.precision, site.dtype_a));
        }
        Ok(SHAPES.into_iter().map(|(rows, warps_k)| candidate(site, dtype, batch, rows, warps_k)).collect())
    }

    fn edge_sites(&self) -> Vec<Site> {
        edges::few_rows()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let types = [DType::I8, DType::F16, DType::F32].map(|dtype| (dtype, dtype));
        let all = types.into_iter().chain([DType::I8, DType::F16].map(|dtype| (dtype, DType::F32)));
        let batches = all.flat_map(|types| BATCHES.map(|batch| (types, batch)));
        let shapes = batches.flat_map(|of| SHAPES.map(|shape| (of, shape)));
        shapes.map(|(((dtype, dtype_a), batch), (rows, warps_k))| unit(dtype, dtype_a, batch, rows, warps_k)).collect()
    }
}

fn candidate(site: &GemmSite, dtype: DType, batch: u32, rows: u32, warps_k: u32) -> Candidate {
    let width = vector_width(dtype);
    let (n_pad, k_pad) = (site.n.next_multiple_of(COLUMNS_PER_THREAD), site.k.next_multiple_of(width));
    let width_a = vector_width(site.dtype_a);
    let params = GemvParams {
        m: site.m as i32,
        n_padded: n_pad as i32,
        k: site.k as i32,
        pitch_a: site.pitch_a as i32,
        depth_vectors: (k_pad / width) as i32,
        whole: i32::from(site.k.is_multiple_of(width) && site.pitch_a.is_multiple_of(width_a)),
        inv_scale_a: site.scale_a.inverse(),
    };
    let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
    args.extend(epilogue_args(&site.epilogue, site.precision));
    args.push(Arg::params(&params));
    let epilogue = epilogue(site);
    args.push(Arg::params(&epilogue));
    // Padding lanes of y are columns too, of weights that are not there.
    let blocks = n_pad.max(epilogue.padded_columns()).div_ceil(rows * WARPS / warps_k);
    let (m, n, k) = (u64::from(site.m), u64::from(site.n), u64::from(site.k));
    let residual = site.epilogue.residual.map_or(0, |r| r.bytes());
    Candidate {
        tactic: Tactic::new("gemm/gemv", &[("rows", rows), ("warps_k", warps_k)]),
        launches: vec![Launch {
            unit: unit(dtype, site.dtype_a, batch, rows, warps_k),
            grid: [blocks, 1, 1],
            block: [32 * WARPS, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: 0,
            args,
            dependent: false,
        }],
        workspace: 0,
        weights: Some(Packing::Rows { n_pad, k_pad, dtype }),
        bias_len: bias_len(&site.epilogue, site.n),
        scales_len: scales_len(site.precision, site.n),
        cost: CandidateCost {
            flops: 2 * u64::from(batch * n_pad) * u64::from(k_pad),
            bytes: n * k * dtype.size() as u64
                + m * k * site.dtype_a.size() as u64
                + m * n * site.dtype_y.size() as u64
                + residual,
            blocks: blocks.into(),
            blocks_per_multiprocessor: (512 / (batch * rows * 4 + 64)).clamp(4, 8),
            efficiency: 0.4,
            tensor_cores: false,
        },
    }
}

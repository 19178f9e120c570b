//! `gemm/wgmma`: tiled products by Hopper's means, INT8, f16 or TF32.

use super::{NOT_A_PRODUCT, check, edges, epilogue};
use crate::catalog;
use crate::epilogue::{bias_len, scales_len};
use crate::launch::{Candidate, CompileUnit, Role};
use crate::site::{GemmOperand, GemmSite, Site, VECTOR_BYTES};
use crate::target::{Arch, Target};
use crate::tensor_map::TensorMap;
use crate::tile::warpgroup::{self, Build, FILTERS, Kernel, Output, Tiling};
use crate::tile::{Math, Problem};
use crate::weights::Packing;
use limpid_graph::ir::Precision;

/// See `gemm/wgmma.cu`.
#[derive(Debug)]
pub struct Wgmma;

const NAME: &str = "gemm/wgmma";
const SOURCE: &str = "gemm/wgmma.cu";
const ENTRY: &str = "gemm_wgmma";

impl catalog::Kernel for Wgmma {
    fn name(&self) -> &'static str {
        NAME
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Gemm(site) = site else { return Err(NOT_A_PRODUCT.to_owned()) };
        candidates(site, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        [Precision::Fp16, Precision::Tf32, Precision::Int8].into_iter().flat_map(edges::warpgroups).collect()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        warpgroup::units(SOURCE, ENTRY, arch)
    }
}

fn candidates(site: &GemmSite, target: &Target) -> Result<Vec<Candidate>, String> {
    check(site)?;
    let build = Build::new(site.precision, site.k, target)?;
    let (dtype, width) = (build.math.dtype(), build.math.width());
    if site.dtype_a != dtype {
        return Err(format!("needs {dtype} operands for {}, got {}", site.precision, site.dtype_a));
    }
    if site.b != GemmOperand::Weights {
        return Err("needs constant weights, got activations".to_owned());
    }
    let size = dtype.size() as u64;
    let pitch = u64::from(site.pitch_a) * size;
    let stride = if site.batch == 1 { pitch * u64::from(site.m) } else { site.stride_a * size };
    for (what, bytes) in [("rows", pitch), ("products of the batch", stride)] {
        if !bytes.is_multiple_of(VECTOR_BYTES.into()) {
            return Err(format!("needs {what} of a whole 16-byte vectors apart, got {bytes} bytes"));
        }
    }
    let (k_pad, n_pad) = (site.k.next_multiple_of(width), site.n.next_multiple_of(FILTERS));
    let packing = Packing::Warpgroup { k_pad: n_pad, c_pad: k_pad, dtype, tf32: build.math == Math::Tf32 };
    let bytes =
        |rows: u32, columns: u32, size: u64| u64::from(rows) * u64::from(columns) * u64::from(site.batch) * size;
    let residual = site.epilogue.residual.map_or(0, |r| r.bytes() * u64::from(site.batch));
    let problem = Problem {
        rows: site.m.into(),
        columns: site.n.into(),
        depth_vectors: u64::from(k_pad / width),
        batches: site.batch.into(),
        bytes: [
            bytes(site.m, site.k, size),
            u64::from(n_pad) * u64::from(k_pad) * size,
            bytes(site.m, site.n, site.dtype_y.size() as u64) + residual,
        ],
    };
    let epilogue = epilogue(site);
    let kernel = Kernel {
        source: SOURCE,
        entry: ENTRY,
        target,
        precision: site.precision,
        site: &site.epilogue,
        epilogue,
        output: Output {
            dtype: site.dtype_y,
            rows: site.m.into(),
            columns: epilogue.padded_columns(),
            pitch: site.pitch_y,
            batches: site.batch,
            stride: site.stride_y,
        },
    };
    let candidate = |tiling: Tiling| {
        let (numbers, swizzle) = (build.numbers(), build.swizzle());
        let map = |role, dims: [u32; 3], strides: [u64; 2], rows| {
            TensorMap::tiled(role, dtype, &dims.map(u64::from), &strides, &[numbers, rows, 1], swizzle)
        };
        let row = u64::from(k_pad) * size;
        let a = map(Role::Input(0), [site.k, site.m, site.batch], [pitch, stride], tiling.tile.block_m);
        let b = map(Role::Weights, [k_pad, n_pad, 1], [row, row * u64::from(n_pad)], tiling.tile.block_n);
        for (what, map) in [("left operand", &a), ("weights", &b)] {
            map.check().map_err(|reason| format!("tensor copies do not take the {what}: {reason}"))?;
        }
        Ok(Candidate {
            tactic: tiling.tactic(NAME),
            launches: tiling.launches(&kernel, [a, b], None),
            workspace: tiling.workspace() as usize,
            weights: Some(packing),
            bias_len: bias_len(&site.epilogue, tiling.columns()),
            scales_len: scales_len(site.precision, tiling.columns()),
            cost: tiling.cost(target),
        })
    };
    let steps = u64::from(site.k.div_ceil(build.numbers()));
    Tiling::all(build, problem, steps, target)?.into_iter().map(candidate).collect()
}

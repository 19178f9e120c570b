//! Dense layers one after another in one launch: the rows between them never reach memory. Many rows by Hopper's
//! tensor cores ([`Wgmma`]), a few by one cluster of blocks ([`Gemv`]).
//!
//! Numbers are those of the layers alone: every layer's output is rounded, or quantized, as if it were stored; INT8 has
//! the same bits.

mod edges;
mod gemv;
mod wgmma;

pub use gemv::Gemv;
pub use wgmma::Wgmma;

use crate::epilogue::{COLUMNS_PER_THREAD, bias_len, check_terms, scales_len};
use crate::gemm;
use crate::launch::{Arg, Role};
use crate::site::{ChainSite, GemmOperand, GemmSite};
use crate::target::{Arch, Target};
use crate::weights::Packing;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// What a kernel of this room says of any other site.
const NOT_A_CHAIN: &str = "computes chains of dense layers only";

impl ChainSite {
    /// The role of a layer's weights, which are packed as [`ChainSite::packing`] says.
    pub const fn weights(layer: usize) -> Role {
        Role::Constant(3 * layer as u8)
    }

    /// The role of a layer's bias: f32, zero-padded to [`ChainSite::bias_len`].
    pub const fn bias(layer: usize) -> Role {
        Role::Constant(3 * layer as u8 + 1)
    }

    /// The role of a layer's scales, where its sums are of integers: as [`Role::Scales`], zero-padded to
    /// [`ChainSite::scales_len`].
    pub const fn scales(layer: usize) -> Role {
        Role::Constant(3 * layer as u8 + 2)
    }

    /// How a layer's weights lie, whatever kernel reads them.
    pub fn packing(layer: &GemmSite) -> Packing {
        let (n_pad, k_pad) = padded(layer);
        Packing::Rows { n_pad, k_pad, dtype: multiplied(layer.precision) }
    }

    /// Length of a layer's bias; 0 if it has none.
    pub fn bias_len(layer: &GemmSite) -> usize {
        bias_len(&layer.epilogue, layer.n)
    }

    /// Length of a layer's scales; 0 if it has none.
    pub fn scales_len(layer: &GemmSite) -> usize {
        scales_len(layer.precision, layer.n)
    }
}

/// What operands are as they are multiplied.
fn multiplied(precision: Precision) -> DType {
    match precision {
        Precision::Int8 => DType::I8,
        Precision::Fp16 => DType::F16,
        Precision::Fp32 | Precision::Tf32 => DType::F32,
    }
}

/// Rows and columns of a layer's packed weights. Rows are whole lines of memory: what a tensor copy takes of a row, 128
/// bytes, is then one line and not parts of two.
fn padded(layer: &GemmSite) -> (u32, u32) {
    const LINE_BYTES: u32 = 128;
    let line = LINE_BYTES / multiplied(layer.precision).size() as u32;
    (layer.n.next_multiple_of(COLUMNS_PER_THREAD), layer.k.next_multiple_of(line))
}

/// A kernel's pointers to bias and scales, layer by layer.
fn terms(site: &ChainSite, most_layers: usize) -> Vec<Arg> {
    let of = |index: usize| {
        let layer = site.layers.get(index);
        let bias = layer.is_some_and(|layer| ChainSite::bias_len(layer) > 0);
        let scales = layer.is_some_and(|layer| ChainSite::scales_len(layer) > 0);
        [Arg::optional(ChainSite::bias(index), bias), Arg::optional(ChainSite::scales(index), scales)]
    };
    (0..most_layers).flat_map(of).collect()
}

/// The first and the last layer, if there are two at least and `most_layers` at most, the target is Hopper, and the
/// operands are what is multiplied, or f32 to be converted.
fn takes<'s>(site: &'s ChainSite, most_layers: usize, target: &Target) -> Result<(&'s GemmSite, &'s GemmSite), String> {
    let count = site.layers.len();
    let (Some(first), Some(last)) = (site.layers.first(), site.layers.last()) else {
        return Err(format!("needs 2 to {most_layers} layers, got none"));
    };
    if !(2..=most_layers).contains(&count) {
        return Err(format!("needs 2 to {most_layers} layers, got {count}"));
    }
    if target.arch != Arch(90) {
        return Err(format!("needs sm_90a, the target is {}", target.arch));
    }
    let dtype = multiplied(first.precision);
    if first.dtype_a != dtype && !gemm::converts(first, dtype) {
        return Err(format!("needs {dtype} operands for {}, got {}", first.precision, first.dtype_a));
    }
    site.layers.iter().try_for_each(gemm::check)?;
    Ok((first, last))
}

/// What no kernel of this room can do.
fn check(site: &ChainSite) -> Result<(), String> {
    for (index, layer) in site.layers.iter().enumerate() {
        if layer.b != GemmOperand::Weights || layer.batch != 1 {
            return Err("needs constant weights and single products".to_owned());
        }
        if layer.epilogue.residual.is_some() || layer.epilogue.steps.residual {
            return Err("needs layers without residuals".to_owned());
        }
        check_terms(layer.precision, layer.k.into())?;
        let Some(next) = site.layers.get(index + 1) else { continue };
        let kept = multiplied(layer.precision);
        if (next.m, next.k, next.precision) != (layer.m, layer.n, layer.precision) || layer.dtype_y != kept {
            return Err(format!("needs layers that hand on {kept} in one precision"));
        }
    }
    Ok(())
}

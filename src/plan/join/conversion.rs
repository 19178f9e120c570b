//! f32 that is only converted to be multiplied: the product reads it itself.
//!
//! ```text
//! x f32 -> copy -> f16 or i8 -> product -> y   =>   x f32 -> product -> y
//! ```
//!
//! The network's input, as a rule. The numbers are the same: whoever converts rounds, or quantizes, alike.

use super::{Join, Uses, operand, parts};
use crate::plan::types::{Operand, Work};
use limpid_graph::tensor::DType;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{CopySite, GemmOperand, GemmSite, Scale, Site, VECTOR_BYTES, View};

/// Of the pieces `first` and the next.
pub(super) fn join(work: &[Work], first: usize, uses: &Uses<'_>) -> Option<Join> {
    let [copied, multiplied] = work.get(first..first + 2)? else { return None };
    let (Site::Copy(copy), Site::Gemm(product)) = (&copied.site, &multiplied.site) else { return None };
    let (from, between) = (operand(copied, Role::Input(0))?, operand(copied, Role::Output(0))?);
    let handed_over = uses.hands_over(between, first) && operand(multiplied, Role::Input(0)) == Some(between);
    if !handed_over || product.b != GemmOperand::Weights || product.batch != 1 || !converts(copy, product) {
        return None;
    }
    let pitch_a = pitch(copy, product)?;
    let offset = from.offset + u64::try_from(copy.x_offset).ok()? * DType::F32.size() as u64;
    if !offset.is_multiple_of(VECTOR_BYTES.into()) {
        return None;
    }
    let mut whole = multiplied.clone();
    for (role, operand) in &mut whole.operands {
        if *role == Role::Input(0) {
            *operand = Operand { offset, ..from };
        }
    }
    let scale_a = if copy.y.scale.is_quantized() { copy.y.scale } else { Scale::ONE };
    whole.site = Site::Gemm(GemmSite { pitch_a, dtype_a: DType::F32, scale_a, ..*product });
    let pieces = &work[first..first + 2];
    whole.cost = uses.cost(pieces, &[between]);
    whole.parts = parts(pieces);
    Some(Join { pieces: first..first + 2, work: whole })
}

/// True if the copy makes of f32 what the product multiplies: rounded to f16, or quantized.
fn converts(copy: &CopySite, product: &GemmSite) -> bool {
    let (x, y) = (&copy.x, &copy.y);
    let quantizes = y.dtype == DType::I8 && y.scale.is_quantized();
    let rounds = y.dtype == DType::F16 && !y.scale.is_quantized();
    let real = x.dtype == DType::F32 && !x.scale.is_quantized();
    real && (rounds || quantizes) && product.dtype_a == y.dtype && copy.y_offset == 0
}

/// Elements from one row of the left operand to the next before the copy, if they are a matrix there.
fn pitch(copy: &CopySite, product: &GemmSite) -> Option<u32> {
    let (x, y) = (&copy.x, &copy.y);
    let elements = u64::from(product.m) * u64::from(product.k);
    if is_dense(x) && is_dense(y) && product.pitch_a == product.k && x.len() == elements {
        return Some(product.k);
    }
    let matrix = |view: &View| match (&view.dims[..], &view.strides[..]) {
        (&[m, k], &[pitch, 1]) if (m, k) == (product.m, product.k) => u32::try_from(pitch).ok(),
        _ => None,
    };
    (matrix(y) == Some(product.pitch_a)).then(|| matrix(x).filter(|&pitch| pitch >= product.k))?
}

/// Row-major, without gaps.
fn is_dense(view: &View) -> bool {
    let mut step = 1;
    view.dims.iter().zip(&view.strides).rev().all(|(&extent, &stride)| {
        let fits = extent == 1 || stride == step;
        step *= i64::from(extent);
        fits
    })
}

//! Matrix products: tiles by Hopper's means ([`Wgmma`]), on the tensor cores of every chip ([`Mma`]) or in plain f32
//! ([`Simt`]), and few rows times a large matrix of weights ([`Gemv`]).
//!
//! In INT8 the right operand is weights; sums are of integers, so every kernel and every split gives the same bits.

mod edges;
mod gemv;
mod mma;
mod simt;
pub(crate) mod split_k;
mod tiled;
mod wgmma;

pub use gemv::Gemv;
pub use mma::Mma;
pub use simt::Simt;
pub use wgmma::Wgmma;

use crate::epilogue::{EpilogueParams, check_terms};
use crate::site::{GemmOperand, GemmSite, vector_width};
use limpid_graph::ir::Precision;
use limpid_graph::ops::exact::check_scale;
use limpid_graph::tensor::DType;

/// What a kernel of this room says of any other site.
const NOT_A_PRODUCT: &str = "computes matrix products only";

/// The epilogue's view of a product's output.
///
/// Where rows are whole vectors apart, the lanes from n up to a whole vector are written as zeros: such a matrix may
/// be a picture of one pixel a row, whose readers rely on them.
pub(crate) fn epilogue(site: &GemmSite) -> EpilogueParams {
    let width = vector_width(site.dtype_y);
    let whole = site.pitch_y.is_multiple_of(width);
    let padded = if whole { site.n.next_multiple_of(width) } else { site.n };
    let params = EpilogueParams::new(&site.epilogue, site.n, padded, site.pitch_y, site.dtype_y, site.scale_y);
    // Batches that start at odd places cannot be written in vectors.
    let aligned = site.batch == 1 || site.stride_y.is_multiple_of(width.into());
    if aligned { params } else { params.without_vectors() }
}

/// Whether a's f32 can be converted to `dtype`, which is multiplied: rounded to f16, or quantized. Only beside weights.
pub(crate) fn converts(site: &GemmSite, dtype: DType) -> bool {
    let quantizes = dtype == DType::I8 && site.scale_a.is_quantized();
    let real = site.dtype_a == DType::F32 && site.b == GemmOperand::Weights;
    real && (dtype == DType::F16 || quantizes)
}

/// What no kernel of this room can do.
pub(crate) fn check(site: &GemmSite) -> Result<(), String> {
    if site.m == 0 || site.n == 0 || site.k == 0 || site.batch == 0 {
        return Err("nothing to do: an extent is 0".to_owned());
    }
    if site.pitch_a < site.k || site.pitch_y < site.n {
        return Err(format!(
            "needs pitches of at least k = {} and n = {}, got {} and {}",
            site.k, site.n, site.pitch_a, site.pitch_y
        ));
    }
    if site.scale_a.is_quantized() && (site.dtype_a, site.precision) != (DType::F32, Precision::Int8) {
        return Err(format!(
            "quantizes f32 for int8 only, the site asks it of {} for {}",
            site.dtype_a, site.precision
        ));
    }
    check_scale(site.scale_a.get()).map_err(|error| format!("the scale of the left operand {error}"))?;
    check_terms(site.precision, site.k.into())?;
    EpilogueParams::check(&site.epilogue, site.dtype_y, site.scale_y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::offers;
    use crate::site::{EpilogueSite, Scale, Site};
    use crate::target::{Arch, Target};

    fn int8(k: u32, b: GemmOperand) -> Site {
        let epilogue = EpilogueSite { steps: Default::default(), residual: None };
        let (m, n, batch, dtype) = (16, 32, 1, DType::I8);
        Site::Gemm(GemmSite {
            m,
            n,
            k,
            batch,
            pitch_a: k,
            pitch_y: n,
            stride_a: 0,
            stride_y: 0,
            b,
            dtype_a: dtype,
            scale_a: Scale::ONE,
            dtype_y: dtype,
            scale_y: Scale::new(0.1),
            precision: Precision::Int8,
            epilogue,
        })
    }

    #[test]
    fn int8_is_refused_where_it_would_not_be_exact_or_has_no_way() {
        let target = Target::typical(Arch(80));
        assert!(!offers(&int8(132_096, GemmOperand::Weights), &target).candidates.is_empty());
        for (site, words) in [
            (int8(132_112, GemmOperand::Weights), "adds up to 132104 products"),
            (int8(64, GemmOperand::Activations { pitch: 32, stride: 0 }), "needs constant weights for int8"),
        ] {
            let offers = offers(&site, &target);
            assert!(offers.candidates.is_empty());
            assert!(offers.refusals.iter().any(|refusal| refusal.reason.contains(words)), "{:?}", offers.refusals);
        }
    }
}

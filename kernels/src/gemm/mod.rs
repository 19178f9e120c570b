//! Matrix products: tiles on tensor cores ([`Mma`]) or in plain f32 ([`Simt`]), and few rows times a large matrix of
//! weights ([`Gemv`]).

mod edges;
mod gemv;
mod mma;
mod simt;
pub(crate) mod split_k;
mod tiled;

pub use gemv::Gemv;
pub use mma::Mma;
pub use simt::Simt;

use crate::epilogue::{EpilogueParams, check_terms};
use crate::site::{GemmSite, vector_width};

/// What a kernel of this room says of any other site.
const NOT_A_PRODUCT: &str = "computes matrix products only";

/// The epilogue's view of a product's output.
///
/// Where rows are whole vectors apart, the lanes from n up to a whole vector are written as zeros: such a matrix may
/// be a picture of one pixel a row, whose readers rely on them.
fn epilogue(site: &GemmSite) -> EpilogueParams {
    let width = vector_width(site.dtype_y);
    let whole = site.pitch_y.is_multiple_of(width);
    let padded = if whole { site.n.next_multiple_of(width) } else { site.n };
    let params = EpilogueParams::new(&site.epilogue, site.n, padded, site.pitch_y, site.dtype_y, site.scale_y);
    // Batches that start at odd places cannot be written in vectors.
    let aligned = site.batch == 1 || site.stride_y.is_multiple_of(width.into());
    if aligned { params } else { params.without_vectors() }
}

/// What no kernel of this room can do.
fn check(site: &GemmSite) -> Result<(), String> {
    if site.m == 0 || site.n == 0 || site.k == 0 || site.batch == 0 {
        return Err("nothing to do: an extent is 0".to_owned());
    }
    if site.pitch_a < site.k || site.pitch_y < site.n {
        return Err(format!(
            "needs pitches of at least k = {} and n = {}, got {} and {}",
            site.k, site.n, site.pitch_a, site.pitch_y
        ));
    }
    check_terms(site.precision, site.k.into())?;
    EpilogueParams::check(&site.epilogue, site.dtype_y, site.scale_y)
}

use crate::plan::select::precision_of;
use crate::runtime::isolated::IsolatedNode;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::{DType, Tensor, Tolerance, relative_l2};
use limpid_kernels::site::{Site, StemSite};
use serde::Serialize;

/// An output beside the reference's.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    /// Elements compared.
    pub elements: usize,
    pub largest_difference: f32,
    pub relative_l2: f64,
    /// Whether every element is within the tolerance of the node's products; integers must be the same.
    pub agrees: bool,
    pub tolerance: String,
    /// The first element that is not, if any.
    pub mismatch: Option<String>,
}

impl Verdict {
    pub(super) fn new(isolated: &IsolatedNode, got: &Tensor, want: &Tensor) -> Self {
        let (got, want, dtype) = (got.to_f32(), want.to_f32(), want.dtype());
        let scale = want.iter().filter(|v| v.is_finite()).fold(0.0f32, |most, v| most.max(v.abs()));
        let tolerance = tolerance(isolated, dtype, scale);
        let outcome = tolerance.check(&got, &want);
        let differences = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).filter(|d| d.is_finite());
        Self {
            elements: want.len(),
            largest_difference: differences.fold(0.0, f32::max),
            relative_l2: relative_l2(&got, &want),
            agrees: outcome.is_ok(),
            tolerance: format!("{:.1e} + {:.1e}·|y|", tolerance.absolute, tolerance.relative),
            mismatch: outcome.err().map(|mismatch| mismatch.to_string()),
        }
    }
}

/// What a node's roundings allow: as many products as its longest sum has, in the type it multiplies in.
fn tolerance(isolated: &IsolatedNode, dtype: DType, scale: f32) -> Tolerance {
    if !dtype.is_float() {
        return Tolerance::exact();
    }
    let mut tolerance = Tolerance::elementwise(dtype);
    for (_, step) in isolated.steps() {
        let (k, precision) = match &step.site {
            Site::Conv(site) | Site::Stem(StemSite { conv: site, .. }) => {
                (site.x.c / site.groups.max(1) * site.kernel[0] * site.kernel[1], site.precision)
            }
            Site::ConvTranspose(site) => {
                (site.x.c / site.groups.max(1) * site.kernel[0] * site.kernel[1], site.precision)
            }
            Site::Gemm(site) => (site.k, site.precision),
            Site::Chain(site) => {
                let longest = site.layers.iter().map(|layer| layer.k).max().unwrap_or(1);
                (longest, precision_of(&step.site))
            }
            Site::Pool(site) => (site.kernel[0] * site.kernel[1], Precision::Fp32),
            _ => continue,
        };
        let wide = Tolerance::gemm(dtype, k as usize, scale);
        tolerance.absolute = tolerance.absolute.max(wide.absolute);
        tolerance.relative = tolerance.relative.max(wide.relative);
        if precision == Precision::Tf32 {
            // Each factor is rounded to TF32; errors of k products grow as their sum does, by √k.
            tolerance.absolute += 2.0 * Tolerance::TF32_UNIT * scale;
        }
    }
    tolerance
}

//! What the three kernels share: `TransposedParams` of conv_transpose/transposed.cuh, phases, costs, test sites.

use crate::epilogue::{EpilogueParams, check_terms};
use crate::launch::CandidateCost;
use crate::site::{ConvTransposeSite, EpilogueSite, Image, Scale, Site, vector_width};
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Cost, Epilogue};
use limpid_graph::tensor::DType;

/// Input channels of a group.
pub(super) fn channels(site: &ConvTransposeSite) -> u32 {
    site.x.c / site.groups
}

/// Output channels of a group.
pub(super) fn filters(site: &ConvTransposeSite) -> u32 {
    site.y.c / site.groups
}

/// A transposed convolution, or why it is none that these kernels take.
pub(super) fn site_of(site: &Site) -> Result<&ConvTransposeSite, String> {
    let Site::ConvTranspose(site) = site else { return Err("is for transposed convolutions".to_owned()) };
    let (x, y, groups) = (&site.x, &site.y, site.groups);
    if groups == 0 || !x.c.is_multiple_of(groups) || !y.c.is_multiple_of(groups) {
        return Err(format!("needs channels that divide into {groups} groups, got {} and {}", x.c, y.c));
    }
    match (site.precision, x.dtype) {
        (Precision::Int8, DType::I8) => {}
        (Precision::Int8, other) => return Err(format!("needs an i8 input for int8, got {other}")),
        (_, dtype) if dtype.is_float() => {}
        (precision, other) => return Err(format!("needs an f16 or f32 input for {precision}, got {other}")),
    }
    let width = vector_width(x.dtype);
    if !x.pitch.is_multiple_of(width) {
        return Err(format!("needs an input pitch divisible by {width}, got {}", x.pitch));
    }
    if x.pixels() >= 1 << 31 || y.pixels() >= 1 << 31 {
        return Err(format!("takes fewer than 2^31 pixels, got {} and {}", x.pixels(), y.pixels()));
    }
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    check_terms(site.precision, taps * u64::from(x.c / groups))?;
    EpilogueParams::check(&site.epilogue, y.dtype, y.scale)?;
    Ok(site)
}

/// What weights are stored as: f16 or i8 only where both factors are meant to be.
pub(super) fn weight_dtype(site: &ConvTransposeSite) -> DType {
    match site.precision {
        Precision::Fp16 | Precision::Int8 => site.x.dtype,
        Precision::Fp32 | Precision::Tf32 => DType::F32,
    }
}

/// x, y, the residual and the weights once; one multiplication a tap, input pixel, channel and filter.
pub(super) fn least_cost(site: &ConvTransposeSite, blocks: u64) -> CandidateCost {
    let image = |image: &Image| image.pixels() * u64::from(image.padded_channels()) * image.dtype.size() as u64;
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    let weights = taps * u64::from(site.x.c) * u64::from(filters(site));
    let residual = site.epilogue.residual.as_ref().map_or(0, image);
    let bytes = image(&site.x) + image(&site.y) + residual + weights * weight_dtype(site).size() as u64;
    CandidateCost::of(Cost { flops: 2 * weights * site.x.pixels(), bytes }, blocks, 0.5)
}

/// A site for tests: `x` is N, H, W, C; `more` is ONNX's output_padding.
pub(super) struct Edge {
    pub(super) x: [u32; 4],
    pub(super) filters: u32,
    pub(super) groups: u32,
    pub(super) kernel: [u32; 2],
    pub(super) stride: [u32; 2],
    pub(super) dilation: [u32; 2],
    pub(super) pad: [u32; 2],
    pub(super) more: [u32; 2],
}

impl Edge {
    /// What networks upsample with: kernel and stride 2, no padding.
    pub(super) fn doubling(x: [u32; 4], filters: u32) -> Self {
        Self { x, filters, groups: 1, kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0, 0], more: [0, 0] }
    }

    /// The site, with or without everything an epilogue has.
    pub(super) fn site(&self, precision: Precision, y_dtype: DType, full: bool) -> Site {
        let [n, h, w, c] = self.x;
        let dtype = match precision {
            Precision::Int8 => DType::I8,
            Precision::Fp16 => DType::F16,
            Precision::Fp32 | Precision::Tf32 => DType::F32,
        };
        let quantized = |image: Image, scale: f32| {
            let scale = if image.dtype == DType::I8 { Scale::new(scale) } else { Scale::ONE };
            Image { scale, ..image }
        };
        let gap = |image: Image| Image { pitch: image.pitch + vector_width(image.dtype), ..image };
        let out = |i: usize, extent: u32| {
            let reach = (self.kernel[i] - 1) * self.dilation[i] + 1;
            (extent - 1) * self.stride[i] + reach + self.more[i] - 2 * self.pad[i]
        };
        let y = quantized(Image::dense(n, out(0, h), out(1, w), self.filters, y_dtype), 0.02);
        let pre = if full { Activation::Relu } else { Activation::Identity };
        let steps = Epilogue { bias: full, pre, residual: full, post: Activation::Identity };
        let residual = full.then(|| quantized(gap(y), 0.013));
        Site::ConvTranspose(ConvTransposeSite {
            x: quantized(gap(Image::dense(n, h, w, c, dtype)), 1.0 / 128.0),
            y,
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad: self.pad,
            groups: self.groups,
            precision,
            epilogue: EpilogueSite { steps, residual },
        })
    }

    /// Windows that every kernel of the folder is held against, at these channels, filters and groups.
    pub(super) fn windows(c: u32, filters: u32, groups: u32) -> Vec<Self> {
        let edge = |x: [u32; 2], kernel, stride, dilation, pad, more| Self {
            x: [2, x[0], x[1], c],
            filters,
            groups,
            kernel,
            stride,
            dilation,
            pad,
            more,
        };
        vec![
            edge([1, 1], [1, 1], [1, 1], [1, 1], [0, 0], [0, 0]),
            edge([3, 5], [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]),
            edge([4, 3], [3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
            edge([3, 4], [4, 4], [2, 2], [1, 1], [1, 1], [0, 0]),
            edge([3, 3], [3, 2], [1, 3], [2, 1], [2, 0], [0, 2]),
            // Phases without a single tap: the stride is longer than the kernel.
            edge([2, 3], [1, 2], [3, 2], [1, 3], [0, 1], [1, 0]),
        ]
    }

    /// For the tiled kernels: the windows without and with groups, sizes around the tiles, several steps of depth.
    pub(super) fn tiled(precision: Precision, dtype: DType) -> Vec<Site> {
        let mut edges = Self::windows(5, 3, 1);
        edges.extend(Self::windows(32, 16, 2));
        for (w, c, filters) in [(31, 17, 33), (63, 31, 63), (64, 64, 64), (65, 100, 65), (129, 40, 129)] {
            edges.push(Self::doubling([1, 1, w, c], filters));
        }
        let mut sites: Vec<Site> = edges.iter().map(|edge| edge.site(precision, dtype, true)).collect();
        let other = if dtype == DType::F16 { DType::F32 } else { DType::F16 };
        sites.push(Self::doubling([1, 3, 3, 9], 7).site(precision, other, false));
        sites
    }
}

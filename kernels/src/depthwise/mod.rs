//! Convolutions in which every channel is on its own.

mod direct;
mod mma;
mod tiled;
mod window;

pub use direct::Direct;
pub use mma::Mma;
pub use tiled::Tiled;

use crate::epilogue::EpilogueParams;
use crate::launch::CandidateCost;
use crate::site::{ConvSite, EpilogueSite, Image, Scale, Site, vector_width};
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Cost, Epilogue};
use limpid_graph::tensor::DType;

/// Channels of a thread in all kernels.
const CHANNELS: u32 = 8;

/// Products of two i8 whose sum is below 2^24, so that f32 holds it and every part of it.
const MAX_TAPS: u64 = (1 << 24) / (128 * 127);

/// A depthwise site, or why it is none.
fn site_of(site: &Site) -> Result<&ConvSite, String> {
    let Site::Conv(site) = site else { return Err("is for convolutions".to_owned()) };
    let (x, y) = (&site.x, &site.y);
    if site.groups != x.c {
        return Err(format!("needs a group for each of {} channels, got {} groups", x.c, site.groups));
    }
    if x.c == 0 || !y.c.is_multiple_of(x.c) {
        return Err(format!("needs a multiple of {} filters, got {}", x.c, y.c));
    }
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    match (site.precision, x.dtype) {
        (Precision::Int8, DType::I8) if taps <= MAX_TAPS => {}
        (Precision::Int8, DType::I8) => {
            return Err(format!("sums up to {MAX_TAPS} products of integers in f32, got windows of {taps}"));
        }
        (Precision::Int8, other) => return Err(format!("needs an i8 input for int8, got {other}")),
        (_, dtype) if dtype.is_float() => {}
        (precision, other) => return Err(format!("needs an f16 or f32 input for {precision}, got {other}")),
    }
    let width = vector_width(x.dtype);
    if !x.pitch.is_multiple_of(width) {
        return Err(format!("needs an input pitch divisible by {width}, got {}", x.pitch));
    }
    EpilogueParams::check(&site.epilogue, y.dtype, y.scale)?;
    Ok(site)
}

/// What weights are stored as: f16 or i8 only where both factors are meant to be.
fn weight_dtype(site: &ConvSite) -> DType {
    match site.precision {
        Precision::Fp16 | Precision::Int8 => site.x.dtype,
        Precision::Fp32 | Precision::Tf32 => DType::F32,
    }
}

/// Channels of y as the kernels divide them. The last of a pixel writes its padding too.
fn channel_vectors(site: &ConvSite) -> u32 {
    site.y.c.div_ceil(CHANNELS)
}

/// x, y, the residual and the weights once.
fn cost(site: &ConvSite, blocks: u64, efficiency: f32) -> CandidateCost {
    let window = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    let flops = 2 * site.y.pixels() * u64::from(site.y.c) * window;
    let image = |image: &Image| image.pixels() * u64::from(image.padded_channels()) * image.dtype.size() as u64;
    let weights = window * u64::from(site.y.c) * weight_dtype(site).size() as u64;
    let residual = site.epilogue.residual.as_ref().map_or(0, image);
    CandidateCost::of(Cost { flops, bytes: image(&site.x) + image(&site.y) + residual + weights }, blocks, efficiency)
}

/// A site for tests: `x` is N, H, W, C; the output has `multiplier` channels for each of the input's.
struct Edge {
    x: [u32; 4],
    multiplier: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
    dilation: [u32; 2],
    pad: [u32; 2],
}

impl Edge {
    /// The site in f16, f32 or i8, with or without everything an epilogue has.
    fn site(&self, dtype: DType, y_dtype: DType, full: bool) -> Site {
        let [n, h, w, c] = self.x;
        let out = |axis: usize, extent: u32| {
            let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            (extent + 2 * self.pad[axis] - reach) / self.stride[axis] + 1
        };
        let quantized = |image: Image, scale: f32| {
            let scale = if image.dtype == DType::I8 { Scale::new(scale) } else { Scale::ONE };
            Image { scale, ..image }
        };
        let gap = |image: Image| Image { pitch: image.pitch + vector_width(image.dtype), ..image };
        let y = quantized(Image::dense(n, out(0, h), out(1, w), c * self.multiplier, y_dtype), 0.02);
        let steps = Epilogue { bias: full, pre: Activation::Identity, residual: full, post: Activation::Relu };
        let residual = full.then(|| quantized(gap(y), 0.013));
        Site::Conv(ConvSite {
            x: quantized(gap(Image::dense(n, h, w, c, dtype)), 1.0 / 128.0),
            y,
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad: self.pad,
            groups: c,
            precision: match dtype {
                DType::I8 => Precision::Int8,
                DType::F16 => Precision::Fp16,
                _ => Precision::Fp32,
            },
            epilogue: EpilogueSite { steps, residual },
        })
    }
}

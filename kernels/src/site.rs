//! A site: one piece of work in numbers, the same whoever asks for it.
//!
//! Physical layout. A picture-like tensor is an [`Image`]: NHWC, `pitch` elements from one pixel to the next,
//! `pitch >= c`. A dense image has `pitch` = `c` rounded up to 16 bytes' worth of elements; one that lies inside a
//! concatenation has the concatenation's pitch. Whoever writes an image also writes zeros into the lanes
//! between `c` and `c` rounded up to that vector width, so that readers may load whole vectors without a
//! mask and NaN never comes from padding. Everything else is a [`View`]: extents and strides.

mod chain;
mod tensor;

pub use crate::scale::Scale;
pub use chain::ChainSite;
pub use tensor::{Image, Strided, VECTOR_BYTES, View, vector_width};

use limpid_graph::ir::Precision;
use limpid_graph::ops::picture::{Channels, Normalization};
use limpid_graph::ops::{Activation, BinaryFunction, Comparison, Epilogue, UnaryFunction};
use limpid_graph::tensor::DType;
use serde::{Deserialize, Serialize};

/// What stands behind an accumulator: [`Epilogue`] plus where the residual lies.
///
/// Outputs and residuals are f32, f16 or quantized i8, whatever the precision of the product. Behind sums of integers
/// every step is that of `limpid_graph::ops::exact`, to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpilogueSite {
    /// The steps.
    pub steps: Epilogue,
    /// The residual's layout, if there is one: the output's extents, its own pitch and type.
    pub residual: Option<Image>,
}

/// A convolution, grouped and depthwise included. 1-D convolutions have h = 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ConvSite {
    pub x: Image,
    pub y: Image,
    /// Kernel height and width.
    pub kernel: [u32; 2],
    pub stride: [u32; 2],
    pub dilation: [u32; 2],
    /// Padding above and left; below and right follow from `y`.
    pub pad: [u32; 2],
    pub groups: u32,
    /// What it multiplies in. In Int8, x and the weights are i8 and sums are exact; see `limpid_graph::ops::exact`.
    pub precision: Precision,
    pub epilogue: EpilogueSite,
}

/// A convolution that reads its input as a network's caller gives it, and converts it on the way: a network's first.
///
/// What it computes is a copy ([`CopySite`]) to `conv.x`, which says extents, type and scale, and then `conv`; the pitch
/// of `conv.x` counts nothing, since it is never written down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StemSite {
    /// The convolution.
    pub conv: ConvSite,
    /// How its input lies.
    pub source: Strided,
}

/// A transposed convolution: `y[s·i + r·d - pad] += x[i]·w[r]`. Fields as in [`ConvSite`]; `pad` is ONNX's.
pub type ConvTransposeSite = ConvSite;

/// `y[b] = epilogue(a[b] · bᵀ)`: y is m×n, a is m×k, b is n×k, row-major; b may be packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GemmSite {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    /// Independent products; `stride_*` lead from one to the next.
    pub batch: u32,
    /// Elements from one row to the next.
    pub pitch_a: u32,
    pub pitch_y: u32,
    pub stride_a: u64,
    pub stride_y: u64,
    pub b: GemmOperand,
    /// What the precision multiplies, or f32 that is converted on the way in: rounded to f16 as ONNX's Cast does, or
    /// quantized to `scale_a`. Only beside weights.
    pub dtype_a: DType,
    /// What f32 is quantized to in INT8; else [`Scale::ONE`]. (What i8 stands for is part of [`Role::Scales`].)
    ///
    /// [`Role::Scales`]: crate::launch::Role::Scales
    pub scale_a: Scale,
    pub dtype_y: DType,
    /// What y's integers stand for.
    pub scale_y: Scale,
    pub precision: Precision,
    /// The residual's image is n=1,h=1,w=m,c=n.
    pub epilogue: EpilogueSite,
}

/// Where a GEMM's right operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum GemmOperand {
    /// A constant (N,K), packed for the kernel.
    Weights,
    /// Activations, row-major (K,N) with this pitch and batch stride (0: shared by the batch).
    Activations {
        /// Elements from one row to the next.
        pitch: u32,
        /// Elements from one matrix of the batch to the next.
        stride: u64,
    },
}

/// How a window is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolKind {
    /// The largest; padding never wins; NaN wins.
    Max,
    /// The mean over the elements inside the input.
    Average,
    /// The mean over the whole window, padding (but not what ceil_mode adds) counted.
    AverageIncludePad,
}

/// Pooling over h and w; a global pool is a window of the whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PoolSite {
    pub kind: PoolKind,
    pub x: Image,
    pub y: Image,
    pub kernel: [u32; 2],
    pub stride: [u32; 2],
    pub dilation: [u32; 2],
    pub pad: [u32; 2],
    /// Padding below and right as given; bounds what AverageIncludePad counts.
    pub pad_end: [u32; 2],
}

/// Interpolation of h and w; names and formulas are ONNX Resize's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ResizeSite {
    pub x: Image,
    pub y: Image,
    pub interpolation: Interpolation,
    /// Per axis (h, w), input coordinate = `a · output index + b`, before any rounding; this covers
    /// half_pixel, pytorch_half_pixel, asymmetric, align_corners and tf_crop_and_resize.
    pub a: [f32; 2],
    pub b: [f32; 2],
    /// For tf_crop_and_resize: the value of points outside the input.
    pub extrapolation: Option<f32>,
}

/// What a resized pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Interpolation {
    /// One pixel.
    Nearest(NearestMode),
    /// Two pixels an axis, by distance.
    Linear,
    /// Four pixels an axis, by Keys' weights.
    Cubic {
        /// Keys' a, -0.75 or -0.5 as a rule.
        coefficient: f32,
        /// True if pixels outside count nothing, instead of as the border's.
        exclude_outside: bool,
    },
}

/// How `Resize` rounds a coordinate; ONNX's `nearest_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum NearestMode {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// What an elementwise kernel computes of its inputs a, b, c (f32 inside, one rounding at the end).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElementwiseOp {
    /// a
    Identity,
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// a · b + c, rounded once (an unfused BatchNorm: b and c vary along channels)
    MulAdd,
}

/// Elementwise work: `y = activation(op(inputs…))`; every input has the output's dims, strides 0 where broadcast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ElementwiseSite {
    pub op: ElementwiseOp,
    pub inputs: Vec<View>,
    pub y: View,
    pub activation: Activation,
}

/// A function of one to three inputs a, b, c.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Function {
    /// f(a)
    Unary(UnaryFunction),
    /// f(a, b); of reals, those that [`ElementwiseOp`] has not
    Binary(BinaryFunction),
    /// Whether a stands in this relation to b, as a bool
    Compare(Comparison),
    /// b where a, a bool, is true, else c
    Where,
}

/// Elementwise work beyond arithmetic: `y = activation(function(inputs…))`, views as in [`ElementwiseSite`].
///
/// Of f16 and f32 in any mix it is computed in f32 and rounded once; of integers, in their own type, wrapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FunctionSite {
    pub function: Function,
    pub inputs: Vec<View>,
    pub y: View,
    /// Of reals only.
    pub activation: Activation,
}

/// Moves elements: layout change, transpose, slice, pad, concat into a larger tensor, cast.
/// `x` and `y` have the same dims; the element type may change.
///
/// Where scales differ, a number becomes one that stands for the same real: it is multiplied by
/// `x.scale / y.scale`, rounded once, the product rounded once and then, in i8, to the nearest integer, ties to even,
/// saturated (`limpid_graph::ops::exact`). So real -> i8 quantizes, i8 -> real dequantizes, i8 -> i8 requantizes.
/// Where they are equal, the types decide: the same type is moved as it is, another is ONNX's Cast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CopySite {
    pub x: View,
    /// Elements before the first one read.
    pub x_offset: i64,
    pub y: View,
    /// Elements before the first one written.
    pub y_offset: i64,
}

/// Fills a view with one value, a real: i8 with a scale gets the integer that stands for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct FillSite {
    pub y: View,
    pub value: f32,
}

/// Pictures as bytes made into a network's input: the steps of `limpid_graph::ops::Picture`, to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PictureSite {
    /// Red, green, blue: u8 with c and pitch 3.
    pub x: Image,
    /// As many channels as `channels` has; of f32, f16 or quantized i8. The pitch is c, or that of a dense image.
    pub y: Image,
    pub channels: Channels,
    /// Height and width that x is resized to.
    pub resized: [u32; 2],
    /// Row and column of that where y begins.
    pub corner: [u32; 2],
    pub numbers: Normalization,
}

/// What is computed along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AxisOp {
    /// e^(x-max) / Σ e^(x-max)
    Softmax,
    /// x - max - ln Σ e^(x-max)
    LogSoftmax,
    /// Σ x / count; the output's axis has extent 1, as that of all that follow
    Mean,
    /// Σ x
    Sum,
    /// Σ |x|
    L1,
    /// √Σ x²
    L2,
    /// Σ x²
    SumSquare,
    /// Π x
    Prod,
    /// The largest; NaN if there is one
    Max,
    /// The smallest; NaN if there is one
    Min,
    /// ln Σ e^x
    LogSumExp,
    /// Index of the first largest (as i64)
    ArgMax,
    /// Index of the last largest
    ArgMaxLast,
}

/// Work along one or more trailing axes: every view has dims `[outer…, axis]`, the axis last whatever its stride.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct AxisSite {
    pub op: AxisOp,
    pub x: View,
    /// As `x`, or with the last dim 1 for reductions.
    pub y: View,
}

/// `y = (x - μ) / √(σ² + ε) · scale + bias`, with μ and σ² of each row of x: its last dim.
///
/// All views have x's dims; the parameters are broadcast from row to row (a layer's) or along rows (a channel's).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct NormSite {
    pub x: View,
    pub y: View,
    /// Role::Input(1)
    pub scale: View,
    /// Role::Input(2)
    pub bias: Option<View>,
    pub epsilon: f32,
}

/// `y[o,i,n] = x[o, indices[i], n]`: rows picked by an integer tensor (Role::Input(1), i64 or i32).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GatherSite {
    pub outer: u32,
    /// Extent of the gathered axis in x; negative indices count from its end.
    pub axis: u32,
    pub inner: u32,
    pub indices: u32,
    pub indices_dtype: DType,
    pub dtype: DType,
}

/// Any site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Site {
    Conv(ConvSite),
    ConvTranspose(ConvTransposeSite),
    Gemm(GemmSite),
    Chain(ChainSite),
    Pool(PoolSite),
    Resize(ResizeSite),
    Picture(PictureSite),
    Elementwise(ElementwiseSite),
    Copy(CopySite),
    Fill(FillSite),
    Function(FunctionSite),
    Axis(AxisSite),
    Norm(NormSite),
    Gather(GatherSite),
    Stem(StemSite),
}

impl Site {
    /// The same work with every scale 1: scales are parameters that no time depends on.
    pub fn unscaled(&self) -> Self {
        let one = |scale: Scale| if scale.is_quantized() { Scale::new(1.0) } else { scale };
        let image = |image: &mut Image| image.scale = one(image.scale);
        let view = |view: &mut View| view.scale = one(view.scale);
        let product = |s: &mut GemmSite| {
            [&mut s.scale_a, &mut s.scale_y].into_iter().for_each(|scale| *scale = one(*scale));
            s.epilogue.residual.iter_mut().for_each(image);
        };
        let mut site = self.clone();
        match &mut site {
            Self::Conv(s) | Self::ConvTranspose(s) => {
                [&mut s.x, &mut s.y].into_iter().chain(&mut s.epilogue.residual).for_each(image);
            }
            Self::Stem(StemSite { conv: s, .. }) => {
                [&mut s.x, &mut s.y].into_iter().chain(&mut s.epilogue.residual).for_each(image);
            }
            Self::Gemm(s) => product(s),
            Self::Chain(s) => s.layers.iter_mut().for_each(product),
            Self::Pool(s) => [&mut s.x, &mut s.y].into_iter().for_each(image),
            Self::Resize(s) => [&mut s.x, &mut s.y].into_iter().for_each(image),
            Self::Picture(s) => image(&mut s.y),
            Self::Elementwise(s) => s.inputs.iter_mut().chain([&mut s.y]).for_each(view),
            Self::Copy(s) => [&mut s.x, &mut s.y].into_iter().for_each(view),
            Self::Fill(s) => view(&mut s.y),
            Self::Axis(s) => [&mut s.x, &mut s.y].into_iter().for_each(view),
            Self::Function(s) => s.inputs.iter_mut().chain([&mut s.y]).for_each(view),
            Self::Norm(s) => [&mut s.x, &mut s.y, &mut s.scale].into_iter().chain(&mut s.bias).for_each(view),
            Self::Gather(_) => {}
        }
        site
    }
}

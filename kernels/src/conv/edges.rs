//! Convolutions at the edges of what the kernels do, each small enough to be run on the CPU.

use crate::site::{ConvSite, EpilogueSite, Image, Scale, Site, StemSite, Strided, vector_width};
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Epilogue};
use limpid_graph::tensor::DType;

/// What a series of edges is computed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeKind {
    precision: Precision,
    x: DType,
}

impl EdgeKind {
    pub const INT8: Self = Self { precision: Precision::Int8, x: DType::I8 };
    pub const FP16: Self = Self { precision: Precision::Fp16, x: DType::F16 };
    pub const TF32: Self = Self { precision: Precision::Tf32, x: DType::F32 };
    pub const FP32: Self = Self { precision: Precision::Fp32, x: DType::F32 };
}

/// A convolution in the making: unit stride, no padding, one group, bias only.
#[derive(Clone, Copy, Debug)]
struct Edge {
    kind: EdgeKind,
    x: [u32; 4],
    filters: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
    dilation: [u32; 2],
    pad: [u32; 2],
    pad_end: [u32; 2],
    groups: u32,
    y: DType,
    bias: bool,
    residual: Option<DType>,
    pre: Activation,
    post: Activation,
    /// Vectors by which the pitches of x, y and the residual exceed their channels.
    gaps: [u32; 3],
}

impl Edge {
    /// x as n, h, w, c.
    fn new(kind: EdgeKind, x: [u32; 4], filters: u32, kernel: [u32; 2]) -> Self {
        Self {
            kind,
            x,
            filters,
            kernel,
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
            pad_end: [0, 0],
            groups: 1,
            y: kind.x,
            bias: true,
            residual: None,
            pre: Activation::Identity,
            post: Activation::Identity,
            gaps: [0; 3],
        }
    }

    fn padded(self, pad: u32) -> Self {
        Self { pad: [pad; 2], pad_end: [pad; 2], ..self }
    }

    fn site(self) -> Site {
        let [n, h, w, c] = self.x;
        let extent = |axis: usize, size: u32| {
            let window = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            (size + self.pad[axis] + self.pad_end[axis] - window) / self.stride[axis] + 1
        };
        let image = |h, w, c, dtype, gap: u32, scale| {
            let dense = Image::dense(n, h, w, c, dtype);
            let scale = if dtype == DType::I8 { Scale::new(scale) } else { Scale::ONE };
            Image { pitch: dense.pitch + gap * vector_width(dtype), scale, ..dense }
        };
        let [gap_x, gap_y, gap_residual] = self.gaps;
        let (p, q) = (extent(0, h), extent(1, w));
        let residual = self.residual.map(|dtype| image(p, q, self.filters, dtype, gap_residual, 0.013));
        Site::Conv(ConvSite {
            x: image(h, w, c, self.kind.x, gap_x, 1.0 / 128.0),
            // Sums of more than a few terms saturate now and then.
            y: image(p, q, self.filters, self.y, gap_y, 0.02),
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            pad: self.pad,
            groups: self.groups,
            precision: self.kind.precision,
            epilogue: EpilogueSite {
                steps: Epilogue { bias: self.bias, pre: self.pre, residual: residual.is_some(), post: self.post },
                residual,
            },
        })
    }
}

/// Every activation once.
const ACTIVATIONS: [Activation; 9] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::Clip { min: -0.5, max: 0.75 },
    Activation::Sigmoid,
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::HardSwish,
    Activation::Silu,
    Activation::Tanh,
];

/// What y and the residual may be besides x's type.
fn others(x: DType) -> [DType; 2] {
    match x {
        DType::F32 => [DType::F16, DType::I8],
        DType::F16 => [DType::F32, DType::I8],
        _ => [DType::F16, DType::F32],
    }
}

/// For the implicit GEMMs.
pub(super) fn implicit(kind: EdgeKind) -> Vec<Site> {
    let width = vector_width(kind.x);
    let mut edges = common(kind);
    // Block sizes: one less, exact, one more, in pixels and in filters.
    for (pixels, filters) in [(31, 33), (63, 31), (65, 64), (127, 63), (128, 128), (129, 65), (255, 127), (257, 129)] {
        edges.push(Edge::new(kind, [1, 1, pixels, width + 1], filters, [1, 1]));
    }
    edges.push(Edge::new(kind, [2, 8, 16, 2 * width], 120, [1, 1]));
    // Depth: below one step, one step and a bit, more channels than a step, taps that carry over in both axes.
    edges.push(Edge::new(kind, [1, 6, 5, 9 * width + 1], 24, [2, 2]));
    edges.push(Edge::new(kind, [1, 9, 9, 3], 16, [5, 5]).padded(2));
    edges.push(Edge { stride: [2, 2], ..Edge::new(kind, [1, 15, 15, 3], 20, [7, 7]).padded(3) });
    edges.push(Edge::new(kind, [1, 9, 3, 2 * width], 8, [7, 1]).padded(1));
    // K split: few pixels, much depth, with what must only happen after the sum.
    edges.push(Edge { post: Activation::Relu, ..Edge::new(kind, [1, 3, 3, 16 * width], 40, [3, 3]).padded(1) });
    edges.push(Edge {
        residual: Some(kind.x),
        pre: Activation::Silu,
        post: Activation::Tanh,
        y: DType::F32,
        ..Edge::new(kind, [1, 2, 4, 40 * width], 21, [1, 1])
    });
    edges.push(Edge { groups: 2, ..Edge::new(kind, [1, 3, 3, 16 * width], 16, [3, 3]) });
    // Groups of whole vectors; those of 8 filters end in the middle of an s8 vector.
    edges.push(Edge { groups: 3, ..Edge::new(kind, [1, 4, 5, 3 * width], 24, [3, 3]).padded(1) });
    edges.push(Edge { groups: 2, residual: Some(kind.x), ..Edge::new(kind, [2, 4, 4, 4 * width], 80, [1, 1]) });
    edges.into_iter().map(Edge::site).collect()
}

/// For the kernel of few channels.
pub(super) fn stem(kind: EdgeKind) -> Vec<Site> {
    let mut edges: Vec<Edge> = common(kind).into_iter().map(|edge| with_channels(edge, edge.x[3].min(4))).collect();
    // The stems of networks; all counts of channels with strides that take whole words of them and such that do not.
    edges.push(Edge { post: Activation::Relu, ..Edge::new(kind, [2, 33, 35, 3], 64, [7, 7]).padded(3) });
    for stride in [1, 2, 4] {
        for channels in 1..=4 {
            let edge = Edge::new(kind, [1, 13, 18, channels], 32, [3, 5]).padded(1);
            edges.push(Edge { stride: [1, stride], ..edge });
        }
    }
    edges.push(Edge { dilation: [1, 2], stride: [2, 2], ..Edge::new(kind, [1, 15, 19, 3], 33, [3, 3]).padded(2) });
    // Tiles of every size: one pixel less, exact, one more, along rows and down columns; filters around a block's.
    for (pixels, filters) in [(63, 31), (64, 33), (65, 63), (127, 64), (128, 65), (129, 96), (257, 129)] {
        edges.push(Edge::new(kind, [1, 1, pixels, 3], filters, [1, 1]));
        edges.push(Edge { stride: [2, 1], ..Edge::new(kind, [1, pixels, 3, 2], filters, [3, 2]).padded(1) });
    }
    edges.push(Edge::new(kind, [3, 17, 31, 3], 40, [3, 3]).padded(1));
    edges.into_iter().map(Edge::site).collect()
}

/// For the same, where x is a network's input: planes, pixels without padding, rows with gaps; of f32 and f16.
pub(super) fn given(kind: EdgeKind) -> Vec<Site> {
    let stem = Edge { post: Activation::Relu, ..Edge::new(kind, [2, 19, 21, 3], 64, [7, 7]).padded(3) };
    let clip = Activation::Clip { min: -0.5, max: 1.5 };
    let edges = [
        Edge { stride: [2, 2], ..stem },
        Edge { x: [1, 33, 34, 3], filters: 32, kernel: [3, 3], stride: [2, 2], ..stem },
        Edge { x: [1, 7, 9, 1], filters: 5, kernel: [3, 3], ..stem },
        // Rows of whole vectors, in which windows begin at every place.
        Edge { x: [2, 18, 20, 3], stride: [2, 2], ..stem },
        Edge { x: [1, 9, 36, 4], filters: 48, kernel: [3, 2], pad: [1, 0], pad_end: [1, 0], ..stem },
        Edge { x: [1, 5, 8, 1], filters: 16, kernel: [2, 3], pad: [0, 2], pad_end: [1, 0], post: clip, ..stem },
        Edge { x: [3, 1, 17, 2], kernel: [1, 5], pad: [0, 2], pad_end: [0, 2], ..stem },
        Edge { x: [1, 6, 5, 4], y: others(kind.x)[0], residual: Some(kind.x), kernel: [2, 2], ..stem },
    ];
    let mut sites = Vec::new();
    for (index, edge) in edges.into_iter().enumerate() {
        let Site::Conv(conv) = edge.site() else { continue };
        let [h, w, c] = [conv.x.h, conv.x.w, conv.x.c].map(i64::from);
        let planes = [c * h * w, h * w, w, 1];
        let pixels = [h * w * c, 1, w * c, c];
        let gaps = [2 * c * h * w, 2 * h * w, 2 * w, 2];
        let layouts = if index == 0 { vec![planes, pixels, gaps] } else { vec![planes] };
        for strides in layouts {
            let types = [DType::F32, DType::F16];
            sites.extend(types.map(|dtype| Site::Stem(StemSite { conv, source: Strided { dtype, strides } })));
        }
    }
    sites
}

fn with_channels(edge: Edge, channels: u32) -> Edge {
    let [n, h, w, _] = edge.x;
    Edge { x: [n, h, w, channels], ..edge }
}

/// For the kernel of Hopper: what its copies do with windows, and its tiles with sizes.
pub(super) fn windows(kind: EdgeKind) -> Vec<Site> {
    let width = vector_width(kind.x);
    let small = Edge::new(kind, [1, 5, 5, width], 11, [3, 3]).padded(1);
    let [other, third] = others(kind.x);
    let relu = Edge { post: Activation::Relu, ..small };
    let mut edges = vec![
        // Matrices: one pixel, channels that end within a vector, within a row, behind one; tiles of every size.
        Edge::new(kind, [1, 1, 1, 1], 1, [1, 1]),
        Edge::new(kind, [3, 1, 2, width + 3], 31, [1, 1]),
        Edge::new(kind, [1, 15, 17, 8 * width], 257, [1, 1]),
        // Windows: padding that differs on every side, stride, dilation, a window larger than the picture, one axis.
        small,
        Edge { stride: [2, 3], ..Edge::new(kind, [2, 9, 11, 2 * width], 13, [3, 2]) },
        Edge { stride: [3, 3], ..Edge::new(kind, [1, 10, 10, width], 9, [1, 1]) },
        Edge { dilation: [2, 3], ..Edge::new(kind, [1, 9, 10, 2 * width - 1], 8, [3, 3]).padded(3) },
        Edge { pad: [2, 0], pad_end: [1, 3], ..Edge::new(kind, [1, 6, 7, 9 * width], 10, [4, 3]) },
        Edge::new(kind, [1, 2, 2, width], 8, [5, 5]).padded(2),
        Edge { pad: [0, 2], pad_end: [0, 2], ..Edge::new(kind, [2, 1, 17, width], 12, [1, 5]) },
        // K split, with what must only happen after the sum.
        Edge { post: Activation::Relu, ..Edge::new(kind, [1, 3, 3, 16 * width], 29, [3, 3]).padded(1) },
        // Every way out: types, residuals, activations that clip and such that do not, concatenations.
        Edge { bias: false, y: other, ..small },
        Edge { gaps: [1, 3, 0], residual: Some(kind.x), ..relu },
        Edge { gaps: [0, 1, 2], residual: Some(other), ..relu },
        Edge { y: third, residual: Some(third), pre: Activation::Clip { min: -0.5, max: 0.75 }, ..small },
        Edge { residual: Some(kind.x), pre: Activation::Silu, post: Activation::Tanh, y: third, ..small },
    ];
    if kind.precision == Precision::Fp16 {
        // Tiles are the same for every type: sizes around theirs, several pictures within one and tiles that begin
        // within a picture, the way out that is not unrolled.
        edges.extend([
            Edge::new(kind, [2, 5, 13, 8 * width - 1], 65, [1, 1]),
            Edge::new(kind, [1, 1, 129, 9 * width], 127, [1, 1]),
            Edge::new(kind, [3, 7, 9, 8 * width], 128, [3, 3]).padded(1),
            Edge { post: Activation::HardSwish, ..Edge::new(kind, [1, 9, 15, 8 * width], 96, [1, 1]) },
        ]);
    }
    edges.into_iter().map(Edge::site).collect()
}

/// For the direct kernel: the common edges, groups of any size, mixtures of types.
pub(super) fn direct() -> Vec<Site> {
    let mixed = EdgeKind { precision: Precision::Fp32, x: DType::F16 };
    let kinds = [EdgeKind::FP32, EdgeKind::FP16, EdgeKind::INT8, mixed];
    let mut edges: Vec<_> = kinds.into_iter().flat_map(common).collect();
    for kind in [EdgeKind::FP16, EdgeKind::INT8] {
        for (channels, filters, groups) in [(12, 12, 3), (5, 5, 5), (6, 15, 3), (10, 4, 2), (21, 14, 7)] {
            edges.push(Edge { groups, ..Edge::new(kind, [2, 5, 6, channels], filters, [3, 3]).padded(1) });
        }
    }
    let widening = EdgeKind { precision: Precision::Fp16, x: DType::F32 };
    edges.push(Edge { y: DType::F16, ..Edge::new(widening, [1, 5, 5, 7], 9, [3, 3]) });
    edges.into_iter().map(Edge::site).collect()
}

/// Edges of every convolution.
fn common(kind: EdgeKind) -> Vec<Edge> {
    let [other, third] = others(kind.x);
    let small = Edge::new(kind, [1, 5, 5, 6], 11, [3, 3]).padded(1);
    let mut edges = vec![
        Edge::new(kind, [1, 1, 1, 1], 1, [1, 1]),
        Edge::new(kind, [3, 1, 2, 5], 3, [1, 1]),
        // Stride, dilation, padding that differs on every side, a window larger than the picture.
        Edge { stride: [2, 3], ..Edge::new(kind, [2, 9, 11, 10], 13, [3, 2]) },
        Edge { stride: [3, 3], ..Edge::new(kind, [1, 10, 10, 4], 9, [1, 1]) },
        Edge { dilation: [2, 3], ..Edge::new(kind, [1, 9, 10, 12], 8, [3, 3]).padded(3) },
        Edge { pad: [2, 0], pad_end: [1, 3], ..Edge::new(kind, [1, 6, 7, 9], 10, [4, 3]) },
        Edge::new(kind, [1, 2, 2, 8], 8, [5, 5]).padded(2),
        // One dimension.
        Edge { pad: [0, 2], pad_end: [0, 2], ..Edge::new(kind, [2, 1, 17, 7], 12, [1, 5]) },
        // Types and pitches: inside concatenations, residual of either type.
        Edge { bias: false, ..small },
        Edge { y: other, ..small },
        Edge { gaps: [2, 0, 0], ..small },
        Edge { gaps: [1, 3, 0], residual: Some(kind.x), ..small },
        Edge { gaps: [0, 1, 2], residual: Some(other), post: Activation::Relu, ..small },
        Edge { filters: 3, y: other, residual: Some(kind.x), post: Activation::Sigmoid, ..small },
        Edge { filters: 3, residual: Some(other), ..small },
        Edge { y: third, gaps: [0, 2, 0], ..small },
        Edge { filters: 3, y: third, residual: Some(other), pre: Activation::Relu, ..small },
        Edge { filters: 16, residual: Some(third), gaps: [0, 0, 1], ..small },
        Edge { filters: 25, y: other, residual: Some(third), bias: false, post: Activation::Silu, ..small },
    ];
    for (i, post) in ACTIVATIONS.into_iter().enumerate() {
        edges.push(Edge { post, ..small });
        edges.push(Edge { pre: post, residual: Some(kind.x), post: ACTIVATIONS[(i + 4) % ACTIVATIONS.len()], ..small });
    }
    edges
}

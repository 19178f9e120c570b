//! Sites at the edges of what `broadcast.cu` does.

use crate::site::{ElementwiseOp, ElementwiseSite, Scale, Site, View, vector_width};
use limpid_graph::ops::Activation;
use limpid_graph::tensor::DType;

/// Two pictures of 5x3 pixels, `pitch` elements apart.
pub(super) fn image(c: u32, pitch: u32, dtype: DType) -> View {
    let strides = vec![i64::from(5 * 3 * pitch), i64::from(3 * pitch), i64::from(pitch), 1];
    let zero_lanes = c.next_multiple_of(vector_width(dtype)) - c;
    View { dims: vec![2, 5, 3, c], strides, dtype, zero_lanes, scale: Scale::ONE }
}

/// A dense tensor of some of a view's dims, repeated along the others.
pub(super) fn broadcast(view: &View, kept: &[usize], dtype: DType) -> View {
    let mut strides = vec![0; view.dims.len()];
    let mut stride = 1;
    for &d in kept.iter().rev() {
        strides[d] = stride;
        stride *= i64::from(view.dims[d]);
    }
    View { dims: view.dims.clone(), strides, dtype, zero_lanes: 0, scale: Scale::ONE }
}

/// Every shape at which the kernel takes another path, of reals and of integers.
pub(super) fn sites() -> Vec<Site> {
    let mut sites = reals();
    sites.extend(integers());
    sites
}

fn reals() -> Vec<Site> {
    let mut sites = Vec::new();
    let mut push = |op, inputs: Vec<View>, y: View, activation| {
        sites.push(Site::Elementwise(ElementwiseSite { op, inputs, y, activation }));
    };
    let (half, single) = (DType::F16, DType::F32);
    // Same layout, at and around a vector and a block.
    for length in [1, 7, 8, 9, 1023, 1025] {
        let (a, y) = (View::dense(&[length], half), View::dense(&[length], half));
        push(ElementwiseOp::Add, vec![a.clone(), a], y, Activation::Relu);
    }
    // Images with padding lanes: a value per channel, a picture's scale per channel, a scalar, a mix of types.
    for (c, pitch, dtype) in
        [(1, 8, half), (3, 8, half), (13, 24, half), (16, 16, half), (3, 4, single), (5, 12, single)]
    {
        let y = image(c, pitch, dtype);
        let (per_channel, per_picture) = (broadcast(&y, &[3], single), broadcast(&y, &[0, 3], dtype));
        push(
            ElementwiseOp::MulAdd,
            vec![y.clone(), per_channel.clone(), per_channel.clone()],
            y.clone(),
            Activation::Identity,
        );
        push(ElementwiseOp::Mul, vec![y.clone(), per_picture], y.clone(), Activation::HardSwish);
        push(ElementwiseOp::Sub, vec![broadcast(&y, &[], single), y.clone()], y.clone(), Activation::Sigmoid);
        push(ElementwiseOp::Identity, vec![y.clone()], image(c, c.next_multiple_of(8), half), Activation::Tanh);
    }
    // A transposed operand, and more dims than merge.
    let y = View::dense(&[3, 4, 9], single);
    let transposed = View { strides: vec![1, 27, 3], ..y.clone() };
    push(ElementwiseOp::Div, vec![y.clone(), transposed.clone()], y, Activation::LeakyRelu { alpha: 0.1 });
    let y = View::dense(&[2, 3, 2, 3, 2, 8], half);
    let a = broadcast(&y, &[0, 2, 4, 5], half);
    push(ElementwiseOp::Add, vec![a, broadcast(&y, &[1, 3, 5], single)], y, Activation::Clip { min: -1.0, max: 1.0 });
    // Rows of y that are not whole.
    let y = View { strides: vec![9, 1], ..View::dense(&[3, 7], half) };
    push(ElementwiseOp::Mul, vec![View::dense(&[3, 7], half), broadcast(&y, &[1], half)], y, Activation::Silu);
    sites
}

/// Integers on either side, alone and mixed with reals, each of its own scale; sums and quotients saturate.
fn integers() -> Vec<Site> {
    let (byte, half, single) = (DType::I8, DType::F16, DType::F32);
    let mut sites = Vec::new();
    let mut push = |op, inputs: Vec<View>, y: View, activation| {
        let with = |scale: f32, view: View| {
            let scale = if view.dtype == byte { Scale::new(scale) } else { Scale::ONE };
            View { scale, ..view }
        };
        let inputs = inputs.into_iter().zip([0.021, 0.013, 0.017]).map(|(view, scale)| with(scale, view)).collect();
        sites.push(Site::Elementwise(ElementwiseSite { op, inputs, y: with(0.019, y), activation }));
    };
    let dense = |length: u32, dtype: DType| View::dense(&[length], dtype);
    // At and around a vector and a block.
    for length in [1, 15, 16, 17, 4095, 4097] {
        let operands = vec![dense(length, byte), dense(length, byte)];
        push(ElementwiseOp::Add, operands, dense(length, byte), Activation::Relu);
    }
    // Every mix of types through every operation.
    for (a, b, y) in [
        (byte, byte, byte),
        (byte, half, byte),
        (single, byte, byte),
        (half, half, byte),
        (byte, byte, half),
        (byte, single, single),
    ] {
        for op in [ElementwiseOp::Add, ElementwiseOp::Sub, ElementwiseOp::Mul, ElementwiseOp::Div] {
            push(op, vec![dense(77, a), dense(77, b)], dense(77, y), Activation::LeakyRelu { alpha: 0.1 });
        }
    }
    // Every activation, from integers to each type and from reals to integers.
    for activation in [
        Activation::Identity,
        Activation::Relu,
        Activation::Clip { min: 0.0, max: 1.5 },
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Sigmoid,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Silu,
        Activation::Tanh,
    ] {
        for (x, y) in [(byte, byte), (byte, half), (byte, single), (half, byte), (single, byte)] {
            push(ElementwiseOp::Identity, vec![dense(203, x)], dense(203, y), activation);
        }
    }
    // Images with padding lanes and gaps: an affine function, a gate per picture and channel, a residual.
    for (c, pitch) in [(1, 16), (3, 16), (16, 16), (19, 48), (32, 32)] {
        let y = image(c, pitch, byte);
        let per_channel = broadcast(&y, &[3], single);
        let affine = vec![y.clone(), per_channel.clone(), per_channel];
        push(ElementwiseOp::MulAdd, affine.clone(), y.clone(), Activation::Silu);
        push(ElementwiseOp::MulAdd, affine, image(c, c.next_multiple_of(8), half), Activation::Identity);
        let gate = vec![y.clone(), broadcast(&y, &[0, 3], byte)];
        push(ElementwiseOp::Mul, gate, y.clone(), Activation::Identity);
        let residual = vec![image(c, c.next_multiple_of(16), byte), y.clone()];
        push(ElementwiseOp::Add, residual, y.clone(), Activation::Relu);
        push(ElementwiseOp::Sub, vec![broadcast(&y, &[], half), y.clone()], y, Activation::Tanh);
    }
    // A transposed operand, and rows of y that are not whole.
    let y = View::dense(&[3, 4, 9], byte);
    let transposed = View { strides: vec![1, 27, 3], ..y.clone() };
    push(ElementwiseOp::Add, vec![y.clone(), transposed], y, Activation::Identity);
    let y = View { strides: vec![9, 1], ..View::dense(&[3, 7], byte) };
    push(ElementwiseOp::Mul, vec![View::dense(&[3, 7], byte), broadcast(&y, &[1], single)], y, Activation::Identity);
    sites
}

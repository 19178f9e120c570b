//! Products with what is fused into them, and windows without weights.

use super::{ACTIVATIONS, Case, case};
use limpid_graph::ops::*;
use limpid_graph::tensor::Dim;

pub fn products() -> Vec<Case> {
    let fused = |post| Epilogue { bias: true, pre: Activation::Silu, residual: true, post };
    let conv = |kernel: &[usize]| Conv { window: Window::of(kernel), groups: 1, epilogue: Epilogue::default() };
    let mut cases = vec![
        case("conv_padded_dilated_groups", |net| {
            let (x, w) = (net.x(&[4, 7, 9]), net.w(&[6, 2, 3, 2]));
            let mut op = Conv { groups: 2, ..conv(&[3, 2]) };
            op.window.dilations = vec![2, 1];
            op.window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![2, 1] };
            vec![net.add(op, &[x, w])]
        }),
        case("conv_same_upper", |net| {
            let (x, w) = (net.x(&[3, 8, 7]), net.w(&[5, 3, 3, 4]));
            let mut op = conv(&[3, 4]);
            op.window.strides = vec![2, 3];
            op.window.padding = Padding::SameUpper;
            vec![net.add(op, &[x, w])]
        }),
        case("conv_transpose_fused", |net| {
            let (x, w, bias) = (net.x(&[4, 3, 3]), net.w(&[4, 3, 3, 3]), net.w(&[6]));
            let mut window = Window::of(&[3, 3]);
            window.strides = vec![2, 2];
            window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![0, 1] };
            let epilogue = Epilogue { bias: true, post: Activation::Silu, ..Epilogue::default() };
            vec![net.add(ConvTranspose { window, output_padding: vec![1, 0], groups: 2, epilogue }, &[x, w, bias])]
        }),
        case("gemm_plain", |net| {
            let (a, b) = (net.x(&[5]), net.w(&[5, 3]));
            let op = Gemm { trans_a: false, trans_b: false, alpha: 0.5, epilogue: Epilogue::default() };
            vec![net.add(op, &[a, b])]
        }),
        case("gemm_transposed", |net| {
            let (a, b) = (net.x(&[5]), net.w(&[3, 2]));
            let op = Gemm { trans_a: true, trans_b: true, alpha: 2.0, epilogue: Epilogue::default() };
            let a = net.add(Slice { ranges: vec![SliceRange { axis: 0, start: 0, end: Dim::from(2), step: 1 }] }, &[a]);
            vec![net.add(op, &[a, b])]
        }),
        case("gemm_rows_fused", |net| {
            let (a, b, bias, residual) = (net.x(&[3, 5]), net.w(&[4, 5]), net.w(&[4]), net.x(&[3, 4]));
            vec![net.add(Gemm { alpha: 1.5, ..Gemm::dense(fused(Activation::Relu)) }, &[a, b, bias, residual])]
        }),
        case("gemm_rows_computed", |net| {
            let (a, b) = (net.x(&[3, 5]), net.w(&[4, 5]));
            let b = net.add(Unary { function: UnaryFunction::Sin }, &[b]);
            vec![net.add(Gemm::dense(Epilogue::default()), &[a, b])]
        }),
        case("matmul", |net| {
            let (a, b) = (net.x(&[3, 4, 5]), net.w(&[3, 5, 2]));
            vec![net.add(MatMul, &[a, b])]
        }),
    ];
    cases.extend(ACTIVATIONS.into_iter().enumerate().map(|(i, post)| {
        case(&format!("conv_fused_{i}"), |net| {
            let (x, w, bias) = (net.x(&[3, 6, 6]), net.w(&[4, 3, 1, 1]), net.w(&[4]));
            let residual = net.x(&[4, 6, 6]);
            let epilogue = Epilogue { pre: ACTIVATIONS[ACTIVATIONS.len() - 1 - i], ..fused(post) };
            vec![net.add(Conv { epilogue, ..conv(&[1, 1]) }, &[x, w, bias, residual])]
        })
    }));
    cases
}

pub fn pools() -> Vec<Case> {
    let pool = |kind, ceil_mode, count_include_pad| {
        let mut window = Window::of(&[3, 2]);
        window.strides = vec![2, 2];
        window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![0, 1] };
        Pool { kind, window, ceil_mode, count_include_pad }
    };
    let average = PoolKind::Average;
    let one = |name: &str, op: Op| {
        case(name, |net| {
            let x = net.x(&[3, 8, 7]);
            vec![net.add(op, &[x])]
        })
    };
    let mut same = pool(PoolKind::Max, false, false);
    same.window.padding = Padding::SameLower;
    let mut dilated = pool(average, false, true);
    dilated.window.dilations = vec![2, 1];
    vec![
        one("max_pool", pool(PoolKind::Max, false, false).into()),
        one("max_pool_ceil", pool(PoolKind::Max, true, false).into()),
        one("max_pool_same", same.into()),
        one("average_pool", pool(average, false, false).into()),
        one("average_pool_with_padding", pool(average, true, true).into()),
        one("average_pool_dilated", dilated.into()),
        one("global_max", GlobalPool { kind: PoolKind::Max }.into()),
        one("global_average", GlobalPool { kind: average }.into()),
    ]
}

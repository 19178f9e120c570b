//! limpid's arithmetic against tract's own execution of the same ONNX.

mod support;

use limpid_graph::tensor::{DType, Tensor, Tolerance};
use support::Attribute::{Float, Int, Ints, Text};
use support::{Attribute, limpid, model, node, random, tract};

/// Runs `op` on random inputs of these shapes in both; `weights` of the shapes are constants.
fn agree(
    op: &str,
    shapes: &[&[usize]],
    weights: std::ops::Range<usize>,
    depth: usize,
    attributes: Vec<(&str, Attribute)>,
) {
    let label = format!("{op} {shapes:?}");
    let names: Vec<String> = (0..shapes.len()).map(|i| format!("v{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tensors: Vec<Tensor> = shapes.iter().enumerate().map(|(i, s)| random(s, 7 + i as u64)).collect();
    let inputs: Vec<_> = (0..shapes.len()).filter(|i| !weights.contains(i)).map(|i| (names[i], shapes[i])).collect();
    let given: Vec<Tensor> = (0..shapes.len()).filter(|i| !weights.contains(i)).map(|i| tensors[i].clone()).collect();
    let constants: Vec<_> = weights.map(|i| (names[i], tensors[i].clone())).collect();
    let model = model(&inputs, &constants, vec![node(op, &names, &["y"], attributes)], &["y"]);
    let (got, want) = (limpid(&model, &given), tract(&model, &given));
    assert_eq!(got[0].shape(), want[0].shape(), "{label}");
    let tolerance = Tolerance::gemm(DType::F32, depth, (depth as f32).sqrt());
    if let Err(mismatch) = tolerance.check(got[0].as_slice().unwrap(), want[0].as_slice().unwrap()) {
        panic!("{label}: {mismatch}");
    }
}

fn ints(values: &[i64]) -> Attribute {
    Ints(values.to_vec())
}

#[test]
fn convolutions_of_one_axis() {
    agree("Conv", &[&[2, 3, 17], &[5, 3, 4]], 1..2, 12, vec![("strides", ints(&[2])), ("pads", ints(&[1, 2]))]);
    agree("Conv", &[&[1, 4, 9], &[4, 1, 3], &[4]], 1..3, 3, vec![("group", Int(4)), ("dilations", ints(&[3]))]);
}

#[test]
fn convolutions_of_two_axes() {
    agree("Conv", &[&[1, 1, 1, 1], &[1, 1, 1, 1]], 1..2, 1, vec![]);
    agree("Conv", &[&[2, 7, 6, 5], &[9, 7, 1, 1], &[9]], 1..3, 7, vec![]);
    agree("Conv", &[&[2, 7, 6, 5], &[9, 7, 1, 1]], 1..2, 7, vec![("strides", ints(&[2, 3]))]);
    agree("Conv", &[&[1, 3, 13, 11], &[5, 3, 3, 3], &[5]], 1..3, 27, vec![("pads", ints(&[1, 0, 2, 1]))]);
    agree(
        "Conv",
        &[&[3, 6, 15, 14], &[8, 3, 3, 5]],
        1..2,
        45,
        vec![
            ("group", Int(2)),
            ("strides", ints(&[2, 1])),
            ("dilations", ints(&[2, 3])),
            ("pads", ints(&[4, 0, 0, 6])),
        ],
    );
    // Padding as wide as the kernel: outputs that meet nothing at all.
    agree("Conv", &[&[1, 2, 3, 3], &[2, 2, 2, 2]], 1..2, 8, vec![("pads", ints(&[3, 3, 3, 3]))]);
    // Large enough that the product is cut into blocks.
    agree("Conv", &[&[2, 70, 20, 20], &[65, 70, 3, 3]], 1..2, 630, vec![("pads", ints(&[1, 1, 1, 1]))]);
}

#[test]
fn depthwise_convolutions() {
    for stride in 1..4 {
        let attributes =
            || vec![("group", Int(6)), ("strides", ints(&[stride, stride])), ("pads", ints(&[2, 1, 0, 2]))];
        agree("Conv", &[&[2, 6, 9, 10], &[6, 1, 3, 3], &[6]], 1..3, 9, attributes());
        agree("Conv", &[&[2, 6, 9, 10], &[12, 1, 5, 2]], 1..2, 10, attributes());
    }
}

#[test]
fn convolutions_of_three_axes() {
    let attributes = vec![("strides", ints(&[1, 2, 1])), ("pads", ints(&[1, 0, 1, 0, 1, 1])), ("group", Int(2))];
    agree("Conv", &[&[2, 4, 5, 6, 7], &[6, 2, 3, 2, 3], &[6]], 1..3, 36, attributes);
}

#[test]
fn automatic_padding_of_convolutions() {
    for auto_pad in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        for stride in [1, 2, 3] {
            let attributes = vec![("auto_pad", Text(auto_pad)), ("strides", ints(&[stride, stride]))];
            agree("Conv", &[&[1, 3, 8, 11], &[4, 3, 4, 3]], 1..2, 36, attributes);
        }
    }
}

#[test]
fn transposed_convolutions() {
    agree("ConvTranspose", &[&[1, 1, 1, 1], &[1, 1, 1, 1]], 1..2, 1, vec![]);
    agree("ConvTranspose", &[&[2, 5, 4, 6], &[5, 3, 2, 2], &[3]], 1..3, 20, vec![("strides", ints(&[2, 2]))]);
    let attributes = vec![
        ("strides", ints(&[2, 3])),
        ("pads", ints(&[1, 0, 2, 1])),
        ("output_padding", ints(&[1, 2])),
        ("group", Int(2)),
        ("dilations", ints(&[2, 1])),
    ];
    agree("ConvTranspose", &[&[2, 6, 5, 4], &[6, 4, 3, 3]], 1..2, 54, attributes);
    agree("ConvTranspose", &[&[1, 3, 7], &[3, 2, 4]], 1..2, 12, vec![("strides", ints(&[3]))]);
}

#[test]
fn normalization() {
    let parameters = |seed: u64| {
        let variance: Vec<f32> = random(&[5], seed + 3).to_f32().into_iter().map(|v| v * v).collect();
        [random(&[5], seed), random(&[5], seed + 1), random(&[5], seed + 2), Tensor::new(&[5], variance).unwrap()]
    };
    let names = ["scale", "shift", "mean", "variance"];
    let constants: Vec<_> = names.into_iter().zip(parameters(3)).collect();
    let inputs = ["x", "scale", "shift", "mean", "variance"];
    let node = node("BatchNormalization", &inputs, &["y"], vec![("epsilon", Float(1e-3))]);
    let model = model(&[("x", &[2, 5, 3, 4])], &constants, vec![node], &["y"]);
    let x = [random(&[2, 5, 3, 4], 11)];
    let (got, want) = (limpid(&model, &x), tract(&model, &x));
    let tolerance = Tolerance::gemm(DType::F32, 1, 1.0 / 1e-3f32.sqrt());
    tolerance.check(got[0].as_slice().unwrap(), want[0].as_slice().unwrap()).unwrap();
}

#[test]
fn pools() {
    for op in ["MaxPool", "AveragePool"] {
        agree(op, &[&[2, 3, 7, 9]], 0..0, 6, vec![("kernel_shape", ints(&[2, 3]))]);
        let padded =
            || vec![("kernel_shape", ints(&[3, 3])), ("strides", ints(&[2, 2])), ("pads", ints(&[1, 0, 1, 2]))];
        agree(op, &[&[2, 3, 7, 10]], 0..0, 9, padded());
        agree(op, &[&[1, 2, 9]], 0..0, 4, vec![("kernel_shape", ints(&[4])), ("strides", ints(&[3]))]);
        for auto_pad in ["SAME_UPPER", "SAME_LOWER"] {
            let kernel = ("kernel_shape", ints(&[3, 2]));
            agree(
                op,
                &[&[1, 2, 8, 7]],
                0..0,
                6,
                vec![("auto_pad", Text(auto_pad)), kernel, ("strides", ints(&[2, 2]))],
            );
        }
        agree(&format!("Global{op}"), &[&[2, 3, 7, 9]], 0..0, 63, vec![]);
    }
    let counted = vec![("kernel_shape", ints(&[3, 3])), ("pads", ints(&[1, 1, 1, 1])), ("count_include_pad", Int(1))];
    agree("AveragePool", &[&[2, 3, 6, 5]], 0..0, 9, counted);
    let rounded_up = vec![("kernel_shape", ints(&[3, 3])), ("strides", ints(&[2, 2])), ("ceil_mode", Int(1))];
    agree("MaxPool", &[&[2, 3, 6, 8]], 0..0, 9, rounded_up);
}

#[test]
fn dense_layers() {
    agree("Gemm", &[&[1, 1], &[1, 1]], 1..2, 1, vec![]);
    agree("Gemm", &[&[1, 40], &[40, 7], &[7]], 1..3, 40, vec![]);
    for (trans_a, trans_b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let a: &[usize] = if trans_a == 1 { &[33, 5] } else { &[5, 33] };
        let b: &[usize] = if trans_b == 1 { &[9, 33] } else { &[33, 9] };
        let flags =
            || vec![("transA", Int(trans_a)), ("transB", Int(trans_b)), ("alpha", Float(0.5)), ("beta", Float(2.0))];
        for c in [&[9usize][..], &[1, 9], &[1]] {
            agree("Gemm", &[a, b, c], 1..3, 33, flags());
        }
        agree("Gemm", &[a, b], 2..2, 33, flags());
    }
}

#[test]
fn products() {
    agree("MatMul", &[&[4, 6], &[6, 3]], 0..0, 6, vec![]);
    agree("MatMul", &[&[2, 3, 4, 6], &[6, 5]], 1..2, 6, vec![]);
    agree("MatMul", &[&[3, 1, 4, 6], &[2, 6, 5]], 0..0, 6, vec![]);
    agree("MatMul", &[&[1, 6], &[6, 1]], 0..0, 6, vec![]);
}

//! Networks with quantization written in them, held against ONNX Runtime: as imported, and as INT8.

mod support;

use limpid_graph::ir::{OriginId, Precision};
use limpid_graph::onnx::{self, Model};
use limpid_graph::ops::Op;
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::rewrite::{Fate, Verdict};
use limpid_graph::tensor::{DType, Tensor};
use npyz::npz::NpzArchive;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Attribute, import, limpid, model, node, random};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/quantized").join(name)
}

fn recorded(network: &str, name: &str) -> Tensor {
    let mut archive = NpzArchive::open(data(&format!("{network}.npz"))).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    let shape: Vec<usize> = array.shape().iter().map(|&d| d as usize).collect();
    Tensor::new(&shape, array.into_vec::<f32>().unwrap()).unwrap()
}

fn load(network: &str) -> Model {
    onnx::load(&data(&format!("{network}.onnx"))).unwrap()
}

fn optimized(network: &str) -> Model {
    let mut model = load(network);
    passes::optimize(&mut model.graph, &mut model.ledger, &[]).unwrap();
    model
}

/// How far the output is from ONNX Runtime's, in steps of its quantization: the largest, and the share that differs.
fn difference(model: &Model, network: &str) -> (f32, f32) {
    let got = Interpreter::new(&model.graph).unwrap().run(&[recorded(network, "input")]).unwrap().swap_remove(0);
    let (want, step) = (recorded(network, "output"), recorded(network, "step").to_f32()[0]);
    assert_eq!(got.shape(), want.shape(), "{network}");
    let steps = got.to_f32().into_iter().zip(want.to_f32()).map(|(got, want)| ((got - want) / step).abs());
    let steps: Vec<f32> = steps.collect();
    let differs = steps.iter().filter(|s| **s > 0.01).count() as f32 / steps.len() as f32;
    (steps.into_iter().fold(0.0, f32::max), differs)
}

/// Every network and how many of its operators are INT8 in the end.
const NETWORKS: [(&str, usize); 8] = [
    ("torch_everywhere", 10),
    ("torch_in_front", 11),
    ("ort_qdq_symmetric", 7),
    ("ort_qdq_unsigned", 0),
    ("ort_operators", 0),
    ("operators_around_128", 2),
    ("between_pairs", 8),
    ("integers", 0),
];

/// A number next to the middle between two integers may be rounded to either: limpid multiplies by the inverse of a
/// scale where ONNX Runtime divides, and adds in another order. That is one step in the tensor where it happens, and
/// after a further layer, whose weights bring it below a step, again no more than one. It happens to few.
const STEPS: f32 = 1.001;
const SHARE: f32 = 0.01;

#[test]
fn networks_answer_as_onnx_runtime_does() {
    for (network, int8) in NETWORKS {
        let imported = difference(&load(network), network);
        assert!(imported.0 <= STEPS && imported.1 <= SHARE, "{network}, imported: {imported:?}");
        let model = optimized(network);
        let fused = difference(&model, network);
        assert!(fused.0 <= STEPS && fused.1 <= SHARE, "{network}, optimized: {fused:?}");
        let count = model.graph.nodes().filter(|(_, n)| n.precision == Precision::Int8).count();
        assert_eq!(count, int8, "{network}:\n{}", model.graph);
    }
}

#[test]
fn every_node_is_accounted_for() {
    for (network, _) in NETWORKS {
        let model = optimized(network);
        let mut homes: BTreeMap<OriginId, usize> = BTreeMap::new();
        for origin in model.graph.nodes().flat_map(|(_, n)| &n.origins) {
            *homes.entry(*origin).or_default() += 1;
        }
        for (index, account) in model.ledger.account(&model.graph).iter().enumerate() {
            let gone = matches!(account.fate, Fate::Folded { .. } | Fate::Removed { .. });
            assert_eq!(account.group.is_none(), gone, "{network}: {account:?}");
            let nodes = homes.get(&OriginId(index as u32)).copied().unwrap_or(0);
            assert!(if gone { nodes == 0 } else { nodes >= 1 }, "{network}: {account:?} is part of {nodes} nodes");
        }
    }
}

#[test]
fn a_network_quantized_everywhere_is_real_at_its_ends_only() {
    let model = optimized("torch_everywhere");
    for (_, node) in model.graph.nodes() {
        let at_an_end = matches!(node.op, Op::Quantize(_) | Op::Dequantize(_));
        assert!(at_an_end || node.precision == Precision::Int8, "{} is {}", node.name, node.precision);
    }
    let ends = model.graph.nodes().filter(|(_, n)| matches!(n.op, Op::Quantize(_) | Op::Dequantize(_))).count();
    assert_eq!(ends, 2, "{}", model.graph);
}

#[test]
fn what_stays_real_says_why() {
    let model = optimized("ort_qdq_unsigned");
    for (_, node) in model.graph.nodes().filter(|(_, n)| matches!(n.op, Op::Conv(_) | Op::Gemm(_))) {
        let mut records = model.ledger.records().iter().filter(|r| r.node == node.name);
        let reason = records.find(|r| r.rule == "fuse_quantized" && r.verdict == Verdict::Declined);
        let reason = &reason.unwrap_or_else(|| panic!("`{}` has no reason", node.name)).detail;
        assert!(reason.contains("is u8"), "{reason}");
        assert!(reason.ends_with("INT8 arithmetic is i8 around 0"), "{reason}");
    }
}

fn scalar(scale: f32) -> Tensor {
    Tensor::scalar(scale)
}

/// The message of a model of one node that reads `x` (2,3), and `s` and `z`.
fn refused(op: &str, s: Tensor, z: Tensor, attributes: Vec<(&str, Attribute)>) -> String {
    let node = node(op, &["x", "s", "z"], &["y"], attributes);
    let model = model(&[("x", &[2, 3])], &[("s", s), ("z", z)], vec![node], &["y"]);
    import(&model).unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_named() {
    let zero = || Tensor::scalar(0i8);
    let quantize = |s: Tensor, z: Tensor, attributes, text: &str| {
        let message = refused("QuantizeLinear", s, z, attributes);
        assert!(message.contains("`y` (QuantizeLinear)") && message.contains(text), "{message}");
    };
    for (scale, text) in [(0.0, "is zero"), (-1.0, "is negative"), (f32::NAN, "is NaN"), (f32::INFINITY, "is infinite")]
    {
        quantize(scalar(scale), zero(), vec![], &format!("the scale of x {text}"));
    }
    let two = || Tensor::new(&[2], vec![0.5f32; 2]).unwrap();
    let zeros = || Tensor::new(&[2], vec![0i8; 2]).unwrap();
    quantize(two(), zeros(), vec![], "x must be of 2 slices along axis 1, one for each scale, got (2,3)");
    quantize(two(), zeros(), vec![("axis", Attribute::Int(-1))], "of 2 slices along axis 1");
    quantize(two(), zeros(), vec![("axis", Attribute::Int(5))], "an axis of a rank-2 tensor");
    quantize(two(), zero(), vec![("axis", Attribute::Int(0))], "must be 2 number(s), as scale has, got 1");
    quantize(scalar(0.5), zero(), vec![("block_size", Attribute::Int(16))], "attribute `block_size` must be 0");
    quantize(scalar(0.5), zero(), vec![("output_dtype", Attribute::Int(5))], "attribute `output_dtype`");
    quantize(scalar(0.5), Tensor::scalar(7i64), vec![], "of type int8, uint8 or int32, got i64");
    let square = Tensor::new(&[2, 3], vec![0.5f32; 6]).unwrap();
    quantize(square, zero(), vec![], "one for each slice along `axis`, got a tensor [2, 3]");

    let message = refused("DequantizeLinear", scalar(0.5), zero(), vec![]);
    assert!(message.contains("x has element type f32; expected the i8, u8 or i32 of its zero point"), "{message}");

    let nodes = vec![node("QuantizeLinear", &["x", "x"], &["y"], vec![])];
    let message = import(&model(&[("x", &[3])], &[], nodes, &["y"])).unwrap_err().to_string();
    assert!(message.contains("attribute `scale` must be a constant, got `x`"), "{message}");

    let nodes = vec![node("DynamicQuantizeLinear", &["x"], &["y", "s", "z"], vec![])];
    let message = import(&model(&[("x", &[3])], &[], nodes, &["y"])).unwrap_err().to_string();
    assert!(message.contains("DynamicQuantizeLinear"), "{message}");
}

#[test]
fn each_slice_has_its_scale_whichever_way_the_axis_is_counted() {
    let scales = Tensor::new(&[2], vec![0.5f32, 0.25]).unwrap();
    let zero_points = Tensor::new(&[2], vec![10u8, 0]).unwrap();
    let x = Tensor::new(&[2, 3], vec![1.0f32, -2.0, 300.0, 1.0, -2.0, 300.0]).unwrap();
    for axis in [0, -2] {
        let axis = || vec![("axis", Attribute::Int(axis))];
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "z"], &["q"], axis()),
            node("DequantizeLinear", &["q", "s", "z"], &["y"], axis()),
        ];
        let constants = [("s", scales.clone()), ("z", zero_points.clone())];
        let y = limpid(&model(&[("x", &[2, 3])], &constants, nodes, &["q", "y"]), std::slice::from_ref(&x));
        assert_eq!(y[0].as_slice::<u8>().unwrap(), [12, 6, 255, 4, 0, 255]);
        assert_eq!(y[1].to_f32(), [1.0, -2.0, 122.5, 1.0, 0.0, 63.75]);
    }
}

#[test]
fn without_a_zero_point_integers_are_unsigned_unless_an_attribute_says_otherwise() {
    let x = Tensor::new(&[2], vec![-3.0f32, 3.0]).unwrap();
    for (attributes, dtype) in [(vec![], DType::U8), (vec![("output_dtype", Attribute::Int(3))], DType::I8)] {
        let nodes = vec![node("QuantizeLinear", &["x", "s"], &["y"], attributes)];
        let y = limpid(&model(&[("x", &[2])], &[("s", scalar(1.0))], nodes, &["y"]), std::slice::from_ref(&x));
        assert_eq!((y[0].dtype(), y[0].to_f32()[0]), (dtype, if dtype == DType::U8 { 0.0 } else { -3.0 }));
    }
}

#[test]
fn sums_of_integers_that_f32_would_round_are_refused() {
    let nodes = |depth: usize| {
        let weights = Tensor::new(&[depth, 1], vec![127i8; depth]).unwrap();
        let nodes = vec![
            node("QuantizeLinear", &["x", "s", "z"], &["q"], vec![]),
            node("MatMulInteger", &["q", "w"], &["y"], vec![]),
        ];
        let constants = [("s", scalar(1.0)), ("z", Tensor::scalar(0i8)), ("w", weights)];
        model(&[("x", &[1, depth])], &constants, nodes, &["y"])
    };
    // 128·127·1032 < 2^24.
    let x = Tensor::new(&[1, 1032], vec![-128.0f32; 1032]).unwrap();
    assert_eq!(limpid(&nodes(1032), &[x])[0].as_slice::<i32>().unwrap(), [-128 * 127 * 1032]);
    let message = import(&nodes(1033)).unwrap_err().to_string();
    assert!(message.contains("may exceed 24 bits"), "{message}");
}

#[test]
fn integers_are_pooled_as_they_are() {
    let x = random(&[1, 2, 4, 4], 7);
    let pool = |input: &str| node("MaxPool", &[input], &["p"], vec![("kernel_shape", Attribute::Ints(vec![2, 2]))]);
    let before = vec![
        node("QuantizeLinear", &["x", "s", "z"], &["q"], vec![]),
        pool("q"),
        node("DequantizeLinear", &["p", "s", "z"], &["y"], vec![]),
    ];
    let behind = vec![
        pool("x"),
        node("QuantizeLinear", &["p", "s", "z"], &["q"], vec![]),
        node("DequantizeLinear", &["q", "s", "z"], &["y"], vec![]),
    ];
    let constants = [("s", scalar(0.01)), ("z", Tensor::scalar(100u8))];
    let [a, b] = [before, behind]
        .map(|nodes| limpid(&model(&[("x", &[1, 2, 4, 4])], &constants, nodes, &["y"]), std::slice::from_ref(&x)));
    assert_eq!(a, b);
}

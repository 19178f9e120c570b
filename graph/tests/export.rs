//! Graphs stated as ONNX models, read back, and run: the answers stay.

#[path = "support/operators/mod.rs"]
mod operators;

use limpid_graph::ir::{Fact, Graph, Precision, ValueId};
use limpid_graph::onnx::{self, ExportError, Model, OPSET, export};
use limpid_graph::ops::*;
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Dim, QuantParams, Tensor, relative_l2};
use npyz::npz::NpzArchive;
use operators::{Case, case, cases, symbol};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tract_onnx::pb;

/// What unrolling changes: `Silu` is a product with a quotient instead of a quotient, and `ScaleShift` no longer
/// rounds once. Everything else is the same arithmetic in the same order.
const UNROLLED: f64 = 1e-6;

/// The graph as it comes back from a file.
fn round_trip(graph: &Graph) -> Model {
    let bytes = export(graph).unwrap_or_else(|e| panic!("{}: {e}", graph.name)).to_bytes().unwrap();
    onnx::load_bytes(&bytes, Path::new("exported.onnx"), None).unwrap_or_else(|e| panic!("{}: {e}", graph.name))
}

fn run(graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    Interpreter::new(graph).unwrap().run(inputs).unwrap_or_else(|e| panic!("{}: {e}\n{graph}", graph.name))
}

/// The largest difference of two answers; integers and booleans must be equal.
fn difference(got: &[Tensor], want: &[Tensor]) -> f64 {
    assert_eq!(got.len(), want.len());
    let one = |(got, want): (&Tensor, &Tensor)| {
        assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()));
        if got.dtype().is_float() { relative_l2(&got.to_f32(), &want.to_f32()) } else { f64::from(got != want) }
    };
    got.iter().zip(want).map(one).fold(0.0, f64::max)
}

fn names(graph: &Graph, values: &[ValueId]) -> Vec<String> {
    values.iter().map(|&v| format!("{} {}", graph.value(v).name, graph.fact(v))).collect()
}

/// How often each operator is there, with what is fused into it.
fn groups(graph: &Graph) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, node) in graph.nodes() {
        let epilogue = node.op.as_operator().epilogue().map(Epilogue::to_string).unwrap_or_default();
        *counts.entry(format!("{}+{epilogue}", node.op.name())).or_default() += 1;
    }
    counts
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path)
}

#[test]
fn every_network_of_pytorch_comes_back_as_it_was() {
    let files = std::fs::read_dir(data("exports")).unwrap().map(|entry| entry.unwrap().path());
    let supported =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "onnx") && !path.ends_with("shuffle.raw.onnx");
    let files: Vec<PathBuf> = files.filter(supported).collect();
    assert_eq!(files.len(), 54, "exports were added or lost");
    for path in files {
        let mut model = onnx::load(&path).unwrap();
        passes::optimize(&mut model.graph, &mut model.ledger, &[]).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let archive = path.with_file_name(format!("{}.npz", name.split('.').next().unwrap()));
        let mut archive = NpzArchive::open(archive).unwrap();
        let array = archive.by_name("input").unwrap().unwrap();
        let shape: Vec<usize> = array.shape().iter().map(|&d| d as usize).collect();
        let input = [Tensor::new(&shape, array.into_vec::<f32>().unwrap()).unwrap()];
        let want = run(&model.graph, &input);

        let mut back = round_trip(&model.graph);
        let [before, after] = [&model.graph, &back.graph].map(|g| (names(g, &g.inputs), names(g, &g.outputs)));
        assert_eq!(after, before, "{name}");
        let error = difference(&run(&back.graph, &input), &want);
        assert!(error <= UNROLLED, "{name}: {error:e}");
        // Fused again it is the same network, to the bit.
        passes::optimize(&mut back.graph, &mut back.ledger, &[]).unwrap();
        assert_eq!(groups(&back.graph), groups(&model.graph), "{name}");
        assert_eq!(run(&back.graph, &input), want, "{name}");
    }
}

#[test]
fn every_operator_computes_the_same() {
    let mut written = BTreeSet::new();
    for Case { name, graph, inputs } in cases() {
        let back = round_trip(&graph);
        assert_eq!(back.opset, OPSET);
        let error = difference(&run(&back.graph, &inputs), &run(&graph, &inputs));
        assert!(error <= UNROLLED, "{name}: {error:e}\n{graph}\n{}", back.graph);
        written.extend(back.ledger.account(&back.graph).into_iter().map(|line| line.origin.op_type));
    }
    // What is read but becomes something else: constants, copies, the Resize of old, and operators that hold their
    // quantization in themselves.
    let integer = ["QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"];
    let gone = [&["Constant", "CastLike", "Dropout", "Upsample"][..], &integer].concat();
    let missing = |op: &&&str| !gone.contains(*op) && !written.contains(**op);
    let missing: Vec<&&str> = IMPORTED.iter().filter(missing).collect();
    assert!(missing.is_empty(), "no case writes {missing:?}");
}

#[test]
fn names_are_kept_and_invented_ones_do_not_meet_them() {
    let Case { graph, inputs, .. } = case("names", |net| {
        let (x, w, b) = (net.x(&[3, 4, 4]), net.w(&[2, 3, 1, 1]), net.w(&[2]));
        let epilogue = Epilogue { bias: true, post: Activation::Silu, ..Epilogue::default() };
        let y = net.add(Conv { window: Window::of(&[1, 1]), groups: 1, epilogue }, &[x, w, b]);
        // Just what the exporter would call the sum before its activation, and a second value of that name.
        for (value, name) in [(w, "node0:0"), (b, "node0:0"), (y, "given")] {
            net.graph.value_mut(value).name = name.to_owned();
        }
        vec![y]
    });
    let back = round_trip(&graph);
    assert_eq!(names(&back.graph, &back.graph.inputs), ["x1 f32(N,3,4,4)"]);
    assert_eq!(names(&back.graph, &back.graph.outputs), ["given f32(N,2,4,4)"]);
    let all: Vec<&str> = back.graph.values().map(|(_, value)| value.name.as_str()).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    assert!(back.graph.find_node("node0").is_some_and(|id| back.graph.node(id).op.name() == "Conv"));
    assert!(difference(&run(&back.graph, &inputs), &run(&graph, &inputs)) <= UNROLLED);
}

#[test]
fn what_cannot_be_said_is_refused() {
    let mut graph = Graph::new("half");
    let x = graph.add_input("picture", Fact::of(DType::F16, &[1, 2]));
    graph.outputs = vec![x];
    let error = export(&graph).unwrap_err();
    assert!(matches!(&error, ExportError::Half { name } if name == "picture"), "{error}");
    assert!(error.to_string().contains("from its fp32 or int8 form"), "{error}");

    let Case { mut graph, .. } = case("multiplied in halves", |net| {
        let (a, b) = (net.x(&[3]), net.w(&[3, 3]));
        vec![net.add(Gemm::dense(Epilogue::default()), &[a, b])]
    });
    graph.node_mut(graph.find_node("node0").unwrap()).precision = Precision::Fp16;
    assert!(matches!(export(&graph), Err(ExportError::Half { name }) if name == "node0"));

    let resize = |mode, coordinates, axes: [ResizeAxis; 3]| {
        case("resize", |net| {
            let x = net.x(&[4, 4]);
            vec![net.add(Resize { mode, coordinates, axes: axes.to_vec() }, &[x])]
        })
    };
    use ResizeAxis::{Same, Scale, Size};
    let old = resize(ResizeMode::Linear, CoordinateMode::TfHalfPixelForNn, [Same, Same, Scale(2.0)]);
    let error = export(&old.graph).unwrap_err().to_string();
    assert!(error.starts_with("node `node0` (Resize)") && error.contains("tf_half_pixel_for_nn"), "{error}");
    let mixed = resize(ResizeMode::Linear, CoordinateMode::HalfPixel, [Same, Size(Dim::from(3)), Scale(2.0)]);
    assert!(export(&mixed.graph).unwrap_err().to_string().contains("some axes by scale"));

    // A symbol that comes from nowhere.
    let mut graph = Graph::new("unbound");
    let op = ConstantOfShape { shape: vec![symbol("Q") + Dim::from(1)], dtype: DType::F32, value: 0.0 };
    let node = graph.add_node("zeros", op.into(), &[]).unwrap();
    graph.outputs = graph.node(node).outputs.clone();
    assert!(matches!(export(&graph), Err(ExportError::Unbound { symbol, .. }) if symbol == "Q"));
}

/// Each ONNX node of a model as `operator name: inputs -> outputs`.
fn written(graph: &Graph) -> Vec<String> {
    let model = pb::ModelProto::decode(export(graph).unwrap().to_bytes().unwrap().as_slice()).unwrap();
    let line =
        |n: &pb::NodeProto| format!("{} {}: {} -> {}", n.op_type, n.name, n.input.join(", "), n.output.join(", "));
    model.graph.unwrap().node.iter().map(line).collect()
}

#[test]
fn integers_meet_reals_in_pairs() {
    let mut graph = Graph::new("int8");
    let x = graph.add_input("x", Fact::of(DType::F32, &[1, 2, 4, 4]));
    let quantize = Quantize { params: QuantParams::per_tensor(0.5) };
    let quantized = graph.add_node("q", quantize.into(), &[x]).unwrap();
    let q = graph.node(quantized).outputs[0];
    let weights = graph.add_constant("w", Tensor::new(&[2, 2, 1, 1], vec![1i8, 2, 3, 4]).unwrap());
    graph.value_mut(weights).fact.quant = Some(QuantParams::per_axis(vec![0.1, 0.2], 0));
    let bias = graph.add_constant("b", Tensor::vector(vec![1f32, 2.0]));
    let epilogue = Epilogue { bias: true, residual: true, post: Activation::Relu, ..Epilogue::default() };
    let conv = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue };
    let conv = graph.add_node("conv", conv.into(), &[q, weights, bias, q]).unwrap();
    graph.node_mut(conv).precision = Precision::Int8;
    let y = graph.node(conv).outputs[0];
    let stored = Fact { dtype: DType::I8, quant: Some(QuantParams::per_tensor(0.25)), ..graph.fact(y).clone() };
    graph.value_mut(y).fact = stored;
    let flat = graph.add_node("flat", Flatten { axis: 1 }.into(), &[y]).unwrap();
    let flat = graph.node(flat).outputs[0];
    let dequantize = Dequantize { params: QuantParams::per_tensor(0.25), to: DType::F32 };
    let real = graph.add_node("real", dequantize.into(), &[flat]).unwrap();
    graph.outputs = vec![graph.node(real).outputs[0], y];
    graph.verify().unwrap();

    let want = [
        "QuantizeLinear q: x, q/scale, q/zero_point -> q",
        // One pair serves both uses of the activation; the weights have a scale for each output channel.
        "DequantizeLinear conv/DequantizeLinear: q, q/scale#2, q/zero_point#2 -> conv/DequantizeLinear:0",
        "DequantizeLinear conv/DequantizeLinear#2: w, w/scale, w/zero_point -> conv/DequantizeLinear#2:0",
        "Conv conv: conv/DequantizeLinear:0, conv/DequantizeLinear#2:0, b -> conv:0",
        "Add conv/Add: conv:0, conv/DequantizeLinear:0 -> conv/Add:0",
        "Relu conv/Relu: conv/Add:0 -> conv/Relu:0",
        // What the network gives out has its name though it is integers; elsewhere the reals have it.
        "QuantizeLinear conv/QuantizeLinear: conv/Relu:0, conv/scale, conv/zero_point -> conv",
        "DequantizeLinear flat/DequantizeLinear: conv, conv/scale#2, conv/zero_point#2 -> flat/DequantizeLinear:0",
        "Flatten flat: flat/DequantizeLinear:0 -> flat",
        "QuantizeLinear flat/QuantizeLinear: flat, flat/int8/scale, flat/int8/zero_point -> flat/int8",
        "DequantizeLinear real: flat/int8, real/scale, real/zero_point -> real",
    ];
    assert_eq!(written(&graph), want);
}

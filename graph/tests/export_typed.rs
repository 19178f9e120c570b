//! FP16 stated in ONNX: one type of reals at each node. That ONNX's type inference and ONNX Runtime agree is held in the
//! root's tests/onnxruntime.

use limpid_graph::ir::{Fact, Graph, Precision, ValueId};
use limpid_graph::onnx::{self, export, export_typed};
use limpid_graph::ops::*;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor, relative_l2};
use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;
use tract_onnx::pb;

/// ONNX's numbers of types.
const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;

fn add(graph: &mut Graph, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
    let node = graph.add_node(name, op.into(), inputs).expect("it fits");
    graph.node(node).outputs[0]
}

/// `x f32 -> Cast f16 -> Conv(fp16)[bias f32, clip] -> y f32`, as limpid has it, and a `Relu` of `y` in FP32.
fn convolution() -> Graph {
    let mut graph = Graph::new("half");
    let x = graph.add_input("x", Fact::of(DType::F32, &[1, 2, 4, 4]));
    let half = add(&mut graph, "x/f16", Cast { to: DType::F16 }, &[x]);
    let w = Tensor::new(&[3, 2, 1, 1], vec![0.5f32, -0.25, 1.0, 0.75, -0.5, 0.125]).expect("six").cast(DType::F16);
    let w = graph.add_constant("w", w);
    let b = graph.add_constant("b", Tensor::vector(vec![0.1f32, 0.2, -0.3]));
    let epilogue = Epilogue { bias: true, post: Activation::Clip { min: 0.0, max: 0.7 }, ..Epilogue::default() };
    let y = add(&mut graph, "conv", Conv { window: Window::of(&[1, 1]), groups: 1, epilogue }, &[half, w, b]);
    // limpid's convolutions store FP32 where the network's output wants it.
    graph.value_mut(y).fact.dtype = DType::F32;
    graph.value_mut(y).name = "y".to_owned();
    let id = graph.find_node("conv").expect("just added");
    graph.node_mut(id).precision = Precision::Fp16;
    let z = add(&mut graph, "relu", ActivationOp { function: Activation::Relu }, &[y]);
    graph.outputs = vec![y, z];
    graph
}

#[test]
fn casts_stand_where_types_meet_and_constants_have_the_nodes_type() {
    let graph = convolution();
    assert!(export(&graph).is_err(), "the plain export has no FP16");
    let bytes = export_typed(&graph).expect("it can be said").to_bytes().expect("a model");
    let written = pb::ModelProto::decode(bytes.as_slice()).expect("protobuf").graph.expect("a graph");
    let ops: Vec<&str> = written.node.iter().map(|node| node.op_type.as_str()).collect();
    assert_eq!(ops, ["Cast", "Conv", "Clip", "Cast", "Relu"]);
    let types: BTreeMap<&str, i32> = written.initializer.iter().map(|t| (t.name.as_str(), t.data_type)).collect();
    assert_eq!(types.len(), 4, "weights, bias, two bounds: {types:?}");
    assert!(types.values().all(|&dtype| dtype == FLOAT16), "{types:?}");
    let elem = |info: &pb::ValueInfoProto| match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(pb::type_proto::Value::TensorType(tensor)) => tensor.elem_type,
        other => panic!("no tensor: {other:?}"),
    };
    // The network's own inputs and outputs keep names and types.
    let ports: Vec<(&str, i32)> =
        written.input.iter().chain(&written.output).map(|info| (info.name.as_str(), elem(info))).collect();
    assert_eq!(ports, [("x", FLOAT), ("y", FLOAT), ("relu", FLOAT)]);
    assert_eq!(written.node[3].output, ["y"], "the reals that the output's readers expect");
}

#[test]
fn what_is_stated_is_what_was_computed_but_for_rounding() {
    let graph = convolution();
    let bytes = export_typed(&graph).expect("it can be said").to_bytes().expect("a model");
    let back = onnx::load_bytes(&bytes, Path::new("half.onnx"), None).expect("it is read again").graph;
    let x = Tensor::new(&[1, 2, 4, 4], (0..32).map(|i| i as f32 / 16.0 - 1.0).collect::<Vec<f32>>()).expect("32");
    let run = |graph: &Graph| Interpreter::new(graph).and_then(|i| i.run(std::slice::from_ref(&x))).expect("it runs");
    for (got, want) in run(&back).iter().zip(run(&graph)) {
        assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()));
        // The bias, the sum and what is clipped are rounded to 11 bits, each by half a unit at most.
        let apart = relative_l2(&got.to_f32(), &want.to_f32());
        assert!(apart > 0.0 && apart <= 3.0 / 2048.0, "{apart:e}");
    }
}

#[test]
fn a_graph_without_halves_is_stated_as_ever() {
    let mut graph = Graph::new("single");
    let x = graph.add_input("x", Fact::of(DType::F32, &[1, 3]));
    let y = add(&mut graph, "clip", ActivationOp { function: Activation::Clip { min: 0.0, max: 6.0 } }, &[x]);
    graph.outputs = vec![y];
    let [plain, typed] =
        [export(&graph), export_typed(&graph)].map(|model| model.expect("f32").to_bytes().expect("a model"));
    assert!(plain == typed);
}

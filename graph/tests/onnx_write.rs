//! Models stated with the writer, read back with the importer.

use limpid_graph::ir::Fact;
use limpid_graph::onnx::{ModelWriter, NodeWriter, WriteError, load_bytes};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor};
use std::path::Path;

/// (N,1,H,4) -> 3×1 convolution -> clip.
fn small() -> ModelWriter {
    let symbol = |name: &str| Dim::symbol(Symbol::new(name));
    let input = Shape::new([symbol("N"), Dim::from(1), symbol("H"), Dim::from(4)]);
    let output = Shape::new([symbol("N"), Dim::from(2), symbol("H") - Dim::from(2), Dim::from(4)]);
    let mut model = ModelWriter::new("small", 17);
    model.add_input("x", &Fact::new(DType::F32, input));
    model.add_initializer("w", Tensor::new(&[2, 1, 3, 1], vec![1f32, 2.0, 3.0, -1.0, -2.0, -3.0]).unwrap());
    model.add_initializer("high", Tensor::scalar(6f32));
    model.add_node(
        NodeWriter::new("Conv", "/conv")
            .inputs(["x", "w"])
            .outputs(["c"])
            .attribute("kernel_shape", vec![3, 1])
            .attribute("auto_pad", "VALID")
            .attribute("group", 1),
    );
    // The lower bound is left out.
    model.add_node(NodeWriter::new("Clip", "/clip").inputs(["c", "", "high"]).outputs(["y"]));
    model.add_output("y", &Fact::new(DType::F32, output));
    model
}

#[test]
fn what_is_written_is_what_is_read() {
    let model = load_bytes(&small().to_bytes().unwrap(), Path::new("small.onnx"), None).unwrap();
    assert_eq!((model.opset, model.graph.name.as_str()), (17, "small"));
    assert_eq!(model.producer, format!("limpid {}", env!("CARGO_PKG_VERSION")));
    let graph = &model.graph;
    assert_eq!(graph.fact(graph.inputs[0]).to_string(), "f32(N,1,H,4)");
    assert_eq!(graph.fact(graph.outputs[0]).to_string(), "f32(N,2,H-2,4)");
    let weights = graph.constant(graph.find_value("w").unwrap()).unwrap();
    assert_eq!((weights.shape(), weights.to_f32()), ([2, 1, 3, 1].as_slice(), vec![1.0, 2.0, 3.0, -1.0, -2.0, -3.0]));
    assert!(graph.find_node("/conv").is_some() && graph.find_node("/clip").is_some());
}

#[test]
fn every_element_type_survives() {
    let tensors = [
        Tensor::new(&[2], vec![1.5f32, -2.0]).unwrap(),
        Tensor::new(&[2], vec![1.5f32, -2.0]).unwrap().cast(DType::F16),
        Tensor::new(&[2], vec![-128i8, 127]).unwrap(),
        Tensor::new(&[2], vec![0u8, 255]).unwrap(),
        Tensor::new(&[2], vec![i32::MIN, 7]).unwrap(),
        Tensor::new(&[2], vec![i64::MAX, -7]).unwrap(),
        Tensor::from_bools(&[2], vec![true, false]).unwrap(),
    ];
    for tensor in tensors {
        let mut model = ModelWriter::new("constants", 17);
        model.add_node(NodeWriter::new("Constant", "/c").outputs(["c"]).attribute("value", tensor.clone()));
        model.add_initializer("i", tensor.clone());
        let fact = Fact::of(tensor.dtype(), &[2]);
        model.add_output("c", &fact);
        model.add_output("i", &fact);
        let graph = load_bytes(&model.to_bytes().unwrap(), Path::new("c.onnx"), None).unwrap().graph;
        assert!(graph.outputs.iter().all(|&output| graph.constant(output) == Some(&tensor)), "{tensor:?}");
    }
}

#[test]
fn models_that_do_not_hold_together_are_refused() {
    let mut model = small();
    model.add_node(NodeWriter::new("Relu", "/late").inputs(["z"]).outputs(["a"]));
    assert!(
        matches!(model.to_bytes(), Err(WriteError::Undefined { reader, value }) if reader == "/late" && value == "z")
    );

    let mut model = small();
    model.add_node(NodeWriter::new("Relu", "/again").inputs(["x"]).outputs(["c"]));
    assert!(matches!(model.to_bytes(), Err(WriteError::Duplicate(name)) if name == "c"));

    let mut model = small();
    model.add_output("nothing", &Fact::of(DType::F32, &[1]));
    assert!(matches!(model.to_bytes(), Err(WriteError::Undefined { reader, .. }) if reader == "outputs"));
}

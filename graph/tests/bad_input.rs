//! Files that are damaged, wrong or not models at all: each a clear error, none a panic.

use limpid_graph::ir::Fact;
use limpid_graph::onnx::{self, ImportError, Model, ModelWriter, NodeWriter};
use limpid_graph::passes;
use limpid_graph::reference::{Interpreter, specs_of};
use limpid_graph::tensor::{Bindings, DType, Dim, Shape, Symbol, Tensor};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path)
}

fn load(bytes: &[u8]) -> Result<Model, ImportError> {
    onnx::load_bytes(bytes, Path::new("model.onnx"), None)
}

/// The message of the error that these bytes must be.
fn refusal(bytes: &[u8]) -> String {
    match load(bytes) {
        Err(error) => error.to_string(),
        Ok(model) => panic!("taken as\n{}", model.graph),
    }
}

fn image(dims: &[usize]) -> Fact {
    Fact::of(DType::F32, dims)
}

/// A model of one f32 input `x` and one output `y`.
fn model(input: &Fact, constants: Vec<(&str, Tensor)>, nodes: Vec<NodeWriter>) -> ModelWriter {
    let mut writer = ModelWriter::new("bad", 17);
    writer.add_input("x", input);
    constants.into_iter().for_each(|(name, tensor)| writer.add_initializer(name, tensor));
    nodes.into_iter().for_each(|node| writer.add_node(node));
    writer.add_output("y", input);
    writer
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeWriter {
    NodeWriter::new(op, &format!("the_{}", op.to_lowercase())).inputs(inputs.iter().copied()).outputs([output])
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::new(&[values.len()], values.to_vec()).unwrap()
}

/// The message for one node on an input of this shape.
fn refused_node(input: &[usize], constants: Vec<(&str, Tensor)>, node: NodeWriter) -> String {
    refusal(&model(&image(input), constants, vec![node]).to_bytes().unwrap())
}

/// `from` replaced by `to`, a name of the same length, where it stands for the `occurrence`th time.
fn renamed(bytes: &[u8], occurrence: usize, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places = (0..bytes.len()).filter(|&start| bytes[start..].starts_with(from.as_bytes()));
    let start = places.clone().nth(occurrence).unwrap();
    [&bytes[..start], to.as_bytes(), &bytes[start + to.len()..]].concat()
}

fn contains_all(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn an_empty_file_is_called_empty() {
    contains_all(&refusal(b""), &["model.onnx", "empty"]);
}

#[test]
fn a_file_that_is_no_model_is_called_what_it_is() {
    contains_all(&refusal(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01"), &["model.onnx", "PNG picture"]);
    contains_all(&refusal(b"\xff\xd8\xff\xe0\0\x10JFIF"), &["JPEG picture"]);
    contains_all(&refusal(b"PK\x03\x04 archive/data.pkl"), &["zip archive", "torch.onnx.export"]);
    contains_all(&refusal(b"version https://git-lfs.github.com/spec/v1\n"), &["Git LFS", "git lfs pull"]);
    contains_all(&refusal(&std::fs::read(data("fashion/calib_200.npz")).unwrap()), &["zip archive"]);
    contains_all(&refusal(&[0xff; 64]), &["not an ONNX model"]);
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let error = onnx::load(Path::new("/no/such/model.onnx")).unwrap_err();
    assert!(matches!(error, ImportError::Io { .. }), "{error}");
    contains_all(&error.to_string(), &["/no/such/model.onnx"]);
    contains_all(&onnx::load(&data("")).unwrap_err().to_string(), &["cannot read"]);
}

#[test]
fn a_model_cut_off_anywhere_is_refused() {
    for name in ["fashion/fashion.onnx", "exports/attention.dynamo.onnx", "exports/pools.opset11.onnx"] {
        let bytes = std::fs::read(data(name)).unwrap();
        for twentieth in 0..20 {
            let message = refusal(&bytes[..bytes.len() * twentieth / 20]);
            assert!(message.len() > 20, "{name} at {twentieth}/20: {message}");
        }
    }
}

#[test]
fn a_missing_initializer_is_named_with_its_reader() {
    let constants = vec![("weight_a", ints(&[1]))];
    let reshape = node("Reshape", &["x", "weight_a"], "y");
    let bytes = model(&image(&[3]), constants, vec![reshape]).to_bytes().unwrap();
    // The node's own input stands first in the file, the initializer second.
    let damaged = renamed(&bytes, 1, "weight_a", "weight_b");
    contains_all(&refusal(&damaged), &["the_reshape", "Reshape", "weight_a"]);
}

#[test]
fn a_cycle_is_named() {
    let nodes = vec![
        node("Add", &["x", "x"], "a_one"),
        node("Mul", &["x", "a_one"], "a_two"),
        node("Sub", &["a_two", "x"], "y"),
    ];
    let bytes = model(&image(&[2]), vec![], nodes).to_bytes().unwrap();
    // Mul reads what it makes.
    contains_all(&refusal(&renamed(&bytes, 1, "a_one", "a_two")), &["cycle", "the_mul"]);
}

#[test]
fn a_value_made_twice_is_named() {
    let nodes = vec![
        node("Add", &["x", "x"], "a_one"),
        node("Mul", &["x", "x"], "a_two"),
        node("Sub", &["a_one", "a_two"], "y"),
    ];
    let bytes = model(&image(&[2]), vec![], nodes).to_bytes().unwrap();
    contains_all(&refusal(&renamed(&bytes, 0, "a_two", "a_one")), &["a_one", "twice", "the_mul"]);
}

#[test]
fn shapes_that_do_not_fit_are_both_told() {
    let constant = || vec![("c", Tensor::zeros(DType::F32, &[4, 5]))];
    let message = refused_node(&[2, 3], constant(), node("Add", &["x", "c"], "y"));
    contains_all(&message, &["the_add", "Add", "(2,3)", "(4,5)"]);
    let message = refused_node(&[2, 3], constant(), node("Concat", &["x", "c"], "y").attribute("axis", 0));
    contains_all(&message, &["the_concat", "(2,3)", "(4,5)"]);
    let target = vec![("shape", ints(&[4, 2]))];
    contains_all(&refused_node(&[2, 3], target, node("Reshape", &["x", "shape"], "y")), &["(4,2)", "(2,3)", "6"]);
    let indices = vec![("i", Tensor::zeros(DType::F32, &[1]))];
    contains_all(&refused_node(&[2, 3], indices, node("Gather", &["x", "i"], "y")), &["indices", "i64", "f32"]);
}

#[test]
fn an_input_of_extent_zero_is_refused() {
    let message = refused_node(&[1, 0, 4], vec![], node("Relu", &["x"], "y"));
    contains_all(&message, &["`x`", "extent 0", "axis 1"]);
}

#[test]
fn unknown_operators_are_all_named_with_node_opset_and_shapes() {
    let batch = Fact::new(DType::F32, Shape::new([Dim::symbol(Symbol::new("batch")), Dim::from(3)]));
    let nodes = vec![
        node("Relu", &["x"], "a"),
        node("Frobnicate", &["a", "x"], "b"),
        node("Relu", &["b"], "c"),
        node("Whirl", &["c"], "y"),
    ];
    let bytes = model(&batch, vec![], nodes).to_bytes().unwrap();
    let error = load(&bytes).unwrap_err();
    let ImportError::Unsupported(unsupported) = &error else { panic!("{error}") };
    assert_eq!(unsupported.len(), 2);
    let message = error.to_string();
    contains_all(&message, &["the_frobnicate", "Frobnicate", "opset 17", "f32(batch,3), f32(batch,3)"]);
    contains_all(&message, &["the_whirl", "Whirl", "unknown"]);
}

#[test]
fn attributes_of_a_wrong_type_or_value_are_named() {
    let wrong = |op: &str, name: &str, value: onnx::Attribute| {
        let message = refused_node(&[1, 4, 6, 6], vec![], node(op, &["x"], "y").attribute(name, value));
        contains_all(&message, &[op, name]);
    };
    wrong("Softmax", "axis", 1.0f32.into());
    wrong("Softmax", "axis", 4i64.into());
    wrong("Softmax", "axis", i64::MIN.into());
    wrong("Flatten", "axis", vec![1i64].into());
    wrong("Transpose", "perm", vec![0i64, 1, 2, 2].into());
    wrong("Transpose", "perm", "NCHW".into());
    wrong("LeakyRelu", "alpha", 1i64.into());
    wrong("ReduceMean", "axes", vec![1i64, 1].into());
    wrong("ReduceMean", "axes", 1i64.into());
    wrong("DepthToSpace", "blocksize", 0i64.into());
    wrong("DepthToSpace", "blocksize", i64::MAX.into());
    wrong("Cast", "to", 8i64.into());
    wrong("Split", "num_outputs", 0i64.into());
    wrong("MaxPool", "kernel_shape", vec![0i64, 2].into());
    wrong("ArgMax", "axis", (-5i64).into());
}

#[test]
fn inputs_of_a_wrong_value_are_named() {
    let refused = |op: &str, inputs: &[&str], values: &[i64], part: &str| {
        let message = refused_node(&[2, 4], vec![("c", ints(values))], node(op, inputs, "y"));
        contains_all(&message, &[op, part]);
    };
    refused("Reshape", &["x", "c"], &[-1, -1], "at most one -1");
    refused("Reshape", &["x", "c"], &[0, 0, 0], "beyond the input's rank");
    refused("Reshape", &["x", "c"], &[-2, 4], "extents, or -1");
    refused("Reshape", &["x", "c"], &[i64::MAX, i64::MAX], "as many elements");
    refused("Reshape", &["x", "c"], &[0, 3, -1], "as many elements");
    refused("Expand", &["x", "c"], &[-1, 4], "negative");
    refused("Expand", &["x", "c"], &[3, 4], "broadcast");
    refused("Slice", &["x", "c", "c", "c", "c"], &[0], "steps");
    refused("Slice", &["x", "c", "c", "c"], &[7], "axes");
    refused("Unsqueeze", &["x", "c"], &[5], "axes");
    refused("Squeeze", &["x", "c"], &[0], "extent 1");
    refused("Tile", &["x", "c"], &[-1, 2], "repeats");
    refused("Pad", &["x", "c"], &[1, 1, 1], "pads");
    refused("Pad", &["x", "c"], &[-3, 0, 0, 0], "longer along axis 0");
    refused("Pad", &["x", "c"], &[i64::MIN, 0, 0, 0], "pads");
    refused("Split", &["x", "c"], &[1, 2], "axis 0");
    refused("Resize", &["x", "", "", "c"], &[0, 4], "scales");
    refused("Resize", &["x", "", "", "c"], &[4], "scales");
}

#[test]
fn windows_beyond_all_measure_are_refused() {
    let huge = node("MaxPool", &["x"], "y").attribute("kernel_shape", vec![i64::MAX, 2]);
    contains_all(&refused_node(&[1, 4, 6, 6], vec![], huge), &["the_maxpool", "kernel_shape", "below 2^31"]);
    let far =
        node("MaxPool", &["x"], "y").attribute("kernel_shape", vec![2, 2]).attribute("dilations", vec![i64::MAX, 1]);
    contains_all(&refused_node(&[1, 4, 6, 6], vec![], far), &["the_maxpool"]);
    let padded =
        node("MaxPool", &["x"], "y").attribute("kernel_shape", vec![2, 2]).attribute("pads", vec![i64::MAX; 4]);
    contains_all(&refused_node(&[1, 4, 6, 6], vec![], padded), &["the_maxpool"]);
}

/// What must be known at import may not come from the data.
#[test]
fn shapes_that_depend_on_data_are_refused() {
    let cast = node("Cast", &["x"], "shape").attribute("to", 7);
    let nodes = vec![cast, node("Reshape", &["x", "shape"], "y")];
    contains_all(
        &refusal(&model(&image(&[4]), vec![], nodes).to_bytes().unwrap()),
        &["the_reshape", "`shape`", "constant"],
    );
}

#[test]
fn a_tensor_larger_than_memory_is_an_error_when_it_is_made() {
    let shape = vec![("shape", ints(&[1 << 40, 1 << 40]))];
    let nodes = vec![node("ConstantOfShape", &["shape"], "vast"), node("Add", &["x", "vast"], "y")];
    let mut model = load(&model(&image(&[1]), shape, nodes).to_bytes().unwrap()).unwrap();
    passes::optimize(&mut model.graph, &mut model.ledger, &[]).unwrap();
    let error = Interpreter::new(&model.graph).unwrap().run(&[Tensor::zeros(DType::F32, &[1])]).unwrap_err();
    contains_all(&error.to_string(), &["the_constantofshape", "memory"]);
}

/// Optimizes a model and runs it on zeros if that takes little memory; what comes of it does not matter, but that
/// something does.
fn exercise(mut model: Model) {
    const MOST_BYTES: usize = 1 << 20;
    let mut bindings = Bindings::new();
    for symbol in model.graph.symbols() {
        bindings.bind(symbol, 2);
    }
    let values: Vec<_> = model.graph.values().map(|(id, _)| id).collect();
    let Ok(specs) = specs_of(&model.graph, &values, &bindings) else { return };
    let bytes = |shape: &[usize]| shape.iter().try_fold(8usize, |bytes, &d| bytes.checked_mul(d));
    if specs.iter().any(|s| bytes(&s.shape).is_none_or(|b| b > MOST_BYTES)) {
        return;
    }
    // A rule that leaves an invalid graph is a defect, whatever the model.
    passes::optimize(&mut model.graph, &mut model.ledger, &[]).unwrap();
    let Ok(inputs) = specs_of(&model.graph, &model.graph.inputs, &bindings) else { return };
    let zeros: Vec<Tensor> = inputs.iter().map(|s| Tensor::zeros(s.dtype, &s.shape)).collect();
    if let Ok(interpreter) = Interpreter::new(&model.graph) {
        let _ = interpreter.run(&zeros);
    }
}

const SMALL_EXPORTS: &[&str] = &[
    "argmax.legacy",
    "arithmetic.opset11",
    "attention.legacy",
    "conv1d.legacy",
    "norms.legacy",
    "pools.legacy",
    "pools.dynamo",
    "resize.opset11",
    "resize.dynamo",
    "resize_as_input.legacy",
    "shuffle.opset9",
    "slices.legacy",
    "slices.opset11",
    "squeeze_excite.opset11",
    "superres.legacy",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// A few bytes changed anywhere: read as something else, or refused.
    #[test]
    fn changed_bytes_never_panic(
        file in proptest::sample::select(SMALL_EXPORTS),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = std::fs::read(data(&format!("exports/{file}.onnx"))).unwrap();
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        match load(&bytes) {
            Ok(model) => exercise(model),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// Any bytes at all.
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(model) = load(&bytes) {
            exercise(model);
        }
    }
}

#[test]
fn convolutions_beyond_all_measure_are_refused() {
    let huge = 1i64 << 62;
    let w = || vec![("w", Tensor::zeros(DType::F32, &[1, 1, 2, 2]))];
    for (name, values) in [("dilations", vec![huge, 1]), ("strides", vec![1, huge]), ("pads", vec![huge, 0, huge, 0])] {
        for op in ["Conv", "ConvTranspose"] {
            let message = refused_node(&[1, 1, 4, 4], w(), node(op, &["x", "w"], "y").attribute(name, values.clone()));
            assert!(message.contains(name) && message.contains("below 2^31"), "{message}");
        }
    }
    let output = node("ConvTranspose", &["x", "w"], "y").attribute("output_shape", vec![huge, huge]);
    assert!(refused_node(&[1, 1, 4, 4], w(), output).contains("output_shape"));
}

#[test]
fn layers_that_do_not_fit_their_weights_name_the_extents() {
    let w = |dims: &[usize]| vec![("w", Tensor::zeros(DType::F32, dims))];
    let conv = || node("Conv", &["x", "w"], "y");
    assert!(refused_node(&[1, 3, 8, 8], w(&[4, 2, 3, 3]), conv()).contains("x must be of 2 channels, got (1,3,8,8)"));
    assert!(refused_node(&[1, 4, 8, 8], w(&[3, 2, 3, 3]), conv().attribute("group", 2i64)).contains("a multiple of 2"));
    assert!(
        refused_node(&[1, 3, 2, 8], w(&[4, 3, 3, 3]), conv()).contains("the window's reach, 3 along spatial axis 0")
    );
    assert!(refused_node(&[2, 5], w(&[4, 3]), node("Gemm", &["x", "w"], "y")).contains("a must be of 4 features"));
    assert!(refused_node(&[2, 5], w(&[4, 3]), node("MatMul", &["x", "w"], "y")).contains("b must be of 5 rows"));
    let padded =
        node("AveragePool", &["x"], "y").attribute("kernel_shape", vec![2i64]).attribute("pads", vec![2i64, 0]);
    assert!(refused_node(&[1, 1, 5], Vec::new(), padded).contains("less than the window's reach"));
    let training = node("BatchNormalization", &["x", "w", "w", "w", "w"], "y").attribute("training_mode", 1i64);
    assert!(refused_node(&[1, 3, 4], w(&[3]), training).contains("export the network in evaluation mode"));
}

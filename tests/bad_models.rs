//! Files that are no usable model: each is refused with a reason, nothing panics, nothing half-written is left.

use proptest::prelude::*;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One field of a protobuf message: a length-delimited one if it has bytes, else a number.
enum Field {
    Bytes(u32, Vec<u8>),
    Number(u32, u64),
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message. ONNX's own schema says which number is which field; the comments name them.
fn message(fields: impl IntoIterator<Item = Field>) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        match field {
            Field::Number(number, value) => {
                varint(u64::from(number) << 3, &mut out);
                varint(value, &mut out);
            }
            Field::Bytes(number, bytes) => {
                varint(u64::from(number) << 3 | 2, &mut out);
                varint(bytes.len() as u64, &mut out);
                out.extend(bytes);
            }
        }
    }
    out
}

fn text(number: u32, text: &str) -> Field {
    Field::Bytes(number, text.as_bytes().to_vec())
}

/// NodeProto: 1 input, 2 output, 3 name, 4 op_type.
fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs = inputs.iter().map(|input| text(1, input));
    message(inputs.chain([text(2, output), text(3, name), text(4, op)]))
}

/// ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor; Tensor: 1 elem_type, 2 shape; 1 dim; 1 dim_value.
fn value(name: &str, dims: &[u64]) -> Vec<u8> {
    let dims = dims.iter().map(|&d| Field::Bytes(1, message([Field::Number(1, d)])));
    let tensor = message([Field::Number(1, 1), Field::Bytes(2, message(dims))]);
    message([text(1, name), Field::Bytes(2, message([Field::Bytes(1, tensor)]))])
}

/// TensorProto of f32: 1 dims, 2 data_type, 8 name, 9 raw_data.
fn initializer(name: &str, dims: &[u64]) -> Vec<u8> {
    let elements = dims.iter().product::<u64>() as usize;
    let dims = dims.iter().map(|&d| Field::Number(1, d));
    message(dims.chain([Field::Number(2, 1), text(8, name), Field::Bytes(9, vec![0; 4 * elements])]))
}

/// ModelProto: 1 ir_version, 7 graph, 8 opset_import. GraphProto: 1 node, 5 initializer, 11 input, 12 output.
fn model(input: &[u64], initializers: Vec<Vec<u8>>, nodes: Vec<Vec<u8>>) -> Vec<u8> {
    let nodes = nodes.into_iter().map(|n| Field::Bytes(1, n));
    let initializers = initializers.into_iter().map(|i| Field::Bytes(5, i));
    let ends = [Field::Bytes(11, value("x", input)), Field::Bytes(12, value("y", &[1, 1]))];
    let graph = message(nodes.chain(initializers).chain(ends));
    let opset = message([Field::Number(2, 17)]);
    message([Field::Number(1, 8), Field::Bytes(7, graph), Field::Bytes(8, opset)])
}

/// Builds from these bytes; returns the exit code and what was said, after making sure that nothing was written.
fn build(bytes: &[u8]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("model.onnx"), bytes).expect("it can be written");
    let (code, said) = build_in(folder.path(), "model.onnx");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
    let expected: &[&str] = if code == 0 { &["model.engine", "model.onnx"] } else { &["model.onnx"] };
    assert_eq!(left.len(), expected.len(), "{left:?}");
    (code, said)
}

fn build_in(folder: &Path, model: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_limpid"))
        .args(["build", model, "-o", "model.engine", "--backend", "cpu"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("it can be started");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let (code, said) = build(bytes);
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
}

fn fashion() -> &'static [u8] {
    static FASHION: OnceLock<Vec<u8>> = OnceLock::new();
    FASHION.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion/fashion.onnx");
        std::fs::read(path).expect("it is there")
    })
}

#[test]
fn the_helpers_make_models_that_can_be_built() {
    let (code, said) =
        build(&model(&[1, 4], vec![initializer("w", &[4, 1])], vec![node("MatMul", "m", &["x", "w"], "y")]));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn what_is_no_model_is_named() {
    refused(b"", &["`model.onnx` is empty", "help:"]);
    let mut picture = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Png).expect("a picture");
    refused(picture.get_ref(), &["not an ONNX model", "PNG"]);
    refused(b"import torch\n", &["not an ONNX model"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in ["nowhere.onnx", "."] {
        let (code, said) = build_in(folder.path(), path);
        assert!(code == 1 && said.contains("cannot read"), "{said}");
    }
}

#[test]
fn graphs_that_do_not_hold_together_are_refused() {
    refused(&model(&[1, 4], vec![], vec![node("MatMul", "product", &["x", "w"], "y")]), &["`product`", "`w`"]);
    let cycle = vec![
        node("Add", "first", &["x", "b"], "a"),
        node("Relu", "second", &["a"], "b"),
        node("Relu", "third", &["a"], "y"),
    ];
    refused(&model(&[1, 4], vec![], cycle), &["cycle", "first"]);
    let mismatch = vec![node("MatMul", "product", &["x", "w"], "y")];
    refused(&model(&[1, 4], vec![initializer("w", &[5, 1])], mismatch.clone()), &["`product`", "MatMul", "4", "5"]);
    refused(&model(&[1, 0], vec![initializer("w", &[4, 1])], mismatch), &["`x`", "0"]);
    let unknown = vec![node("Frobnicate", "odd", &["x"], "a"), node("Mangle", "other", &["a"], "y")];
    refused(&model(&[1, 4], vec![], unknown), &["`odd`: Frobnicate", "`other`: Mangle", "opset 17"]);
}

#[test]
fn a_model_that_is_cut_off_is_refused() {
    let whole = fashion();
    for length in [1, 10, 100, 1000, whole.len() / 2, whole.len() - 100, whole.len() - 1] {
        let (code, said) = build(&whole[..length]);
        assert!(code == 1 && said.starts_with("error: "), "{length}: {said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A damaged model may still be one (a weight has another value), but it never brings the program down.
    #[test]
    fn damage_never_panics(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = fashion().to_vec();
        for (at, byte) in places {
            // Most bytes are weights; the structure lies at both ends.
            let ends = at.index(8000);
            let at = if ends < 4000 { ends } else { bytes.len() - (ends - 4000) - 1 };
            bytes[at] = byte;
        }
        let (code, said) = build(&bytes);
        prop_assert!((code == 0 || code == 1) && !said.contains("panicked"), "{} {}", code, said);
    }
}

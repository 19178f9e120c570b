//! The same thing as older and newer opsets write it: attributes that became inputs, defaults that changed.

use limpid_graph::ir::Fact;
use limpid_graph::onnx::{self, Attribute, ImportError, Model, ModelWriter, NodeWriter};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor};
use std::path::Path;

/// 0, 1, 2, … in this shape.
fn counting(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::new(shape, (0..len).map(|i| i as f32).collect()).unwrap()
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::new(&[values.len()], values.to_vec()).unwrap()
}

/// One node on `x`: its other inputs are constants, its outputs those of the model.
struct Node {
    opset: i64,
    writer: NodeWriter,
    constants: Vec<(String, Tensor)>,
    outputs: usize,
}

fn node(op: &str, opset: i64) -> Node {
    let writer = NodeWriter::new(op, "node").inputs(["x"]);
    Node { opset, writer, constants: Vec::new(), outputs: 1 }
}

impl Node {
    fn with(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.writer = self.writer.attribute(name, value);
        self
    }

    fn input(mut self, tensor: Tensor) -> Self {
        let name = format!("c{}", self.constants.len());
        self.writer = self.writer.inputs([name.as_str()]);
        self.constants.push((name, tensor));
        self
    }

    /// An optional input left out.
    fn skip(mut self) -> Self {
        self.writer = self.writer.inputs([""]);
        self
    }

    fn outputs(mut self, count: usize) -> Self {
        self.outputs = count;
        self
    }

    fn import(self, shape: &[usize]) -> Result<Model, ImportError> {
        let fact = Fact::of(DType::F32, shape);
        let mut writer = ModelWriter::new("opsets", self.opset);
        writer.add_input("x", &fact);
        self.constants.into_iter().for_each(|(name, tensor)| writer.add_initializer(&name, tensor));
        let names: Vec<String> = (0..self.outputs).map(|i| format!("y{i}")).collect();
        writer.add_node(self.writer.outputs(names.iter().map(String::as_str)));
        names.iter().for_each(|name| writer.add_output(name, &fact));
        onnx::load_bytes(&writer.to_bytes().unwrap(), Path::new("opsets.onnx"), None)
    }

    fn run(self, x: &Tensor) -> Vec<Tensor> {
        let model = self.import(x.shape()).unwrap();
        Interpreter::new(&model.graph).unwrap().run(std::slice::from_ref(x)).unwrap()
    }

    fn refusal(self, shape: &[usize]) -> String {
        self.import(shape).unwrap_err().to_string()
    }
}

/// All of these answer alike; returns the answer.
fn agree(x: &Tensor, nodes: Vec<Node>) -> Vec<Tensor> {
    let answers: Vec<Vec<Tensor>> = nodes.into_iter().map(|node| node.run(x)).collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.into_iter().next().unwrap()
}

#[test]
fn slice() {
    let attributes =
        node("Slice", 9).with("starts", vec![1i64, -2]).with("ends", vec![9i64, 4]).with("axes", vec![0i64, 1]);
    let inputs = |axes: &[i64]| node("Slice", 13).input(ints(&[1, -2])).input(ints(&[9, 4])).input(ints(axes));
    let first_axes = node("Slice", 13).input(ints(&[1, -2])).input(ints(&[9, 4]));
    let steps = inputs(&[0, -1]).input(ints(&[1, 1]));
    let y = agree(&counting(&[3, 4]), vec![attributes, inputs(&[0, 1]), first_axes, steps]);
    assert_eq!(y[0].to_f32(), [6.0, 7.0, 10.0, 11.0]);
    assert!(inputs(&[0, 0]).refusal(&[3, 4]).contains("different axes"));
}

#[test]
fn pad() {
    let attributes = node("Pad", 2).with("pads", vec![0i64, 1, 0, 2]).with("value", 5f32);
    let inputs = node("Pad", 13).input(ints(&[0, 1, 0, 2])).input(Tensor::scalar(5f32));
    let axes = node("Pad", 18).input(ints(&[1, 2])).input(Tensor::scalar(5f32)).input(ints(&[-1]));
    let y = agree(&counting(&[1, 2]), vec![attributes, inputs, axes]);
    assert_eq!(y[0].to_f32(), [5.0, 0.0, 1.0, 5.0, 5.0]);
    let edge = node("Pad", 18).with("mode", "edge").input(ints(&[1, 0])).skip().input(ints(&[1]));
    assert_eq!(edge.run(&counting(&[1, 2]))[0].to_f32(), [0.0, 0.0, 1.0]);
    assert!(node("Pad", 18).with("mode", "mirror").input(ints(&[0, 0])).refusal(&[1]).contains("mode"));
}

#[test]
fn squeeze_and_unsqueeze() {
    let squeezes = vec![
        node("Squeeze", 11).with("axes", vec![0i64, -1]),
        node("Squeeze", 13).input(ints(&[-1, 0])),
        node("Squeeze", 13),
    ];
    assert_eq!(agree(&counting(&[1, 3, 1]), squeezes)[0].shape(), [3]);
    let unsqueezes = vec![
        node("Unsqueeze", 11).with("axes", vec![0i64, 3]),
        node("Unsqueeze", 13).input(ints(&[3, 0])),
        node("Unsqueeze", 13).input(ints(&[-1, -4])),
    ];
    assert_eq!(agree(&counting(&[2, 3]), unsqueezes)[0].shape(), [1, 2, 3, 1]);
    assert!(node("Unsqueeze", 13).refusal(&[2]).contains("axes"));
}

#[test]
fn split() {
    let x = counting(&[2, 5]);
    let sizes = vec![
        node("Split", 11).with("axis", 1i64).with("split", vec![3i64, 2]).outputs(2),
        node("Split", 13).with("axis", -1i64).input(ints(&[3, 2])).outputs(2),
        node("Split", 18).with("axis", 1i64).with("num_outputs", 2i64).outputs(2),
    ];
    let y = agree(&x, sizes);
    assert_eq!(y[1].to_f32(), [3.0, 4.0, 8.0, 9.0]);
    let equal = vec![node("Split", 2).outputs(2), node("Split", 13).outputs(2), node("Split", 18).outputs(2)];
    assert_eq!(agree(&x, equal)[1].to_f32(), [5.0, 6.0, 7.0, 8.0, 9.0]);
    // Only since opset 18 may the last piece be smaller.
    assert!(node("Split", 13).with("axis", 1i64).outputs(2).refusal(&[2, 5]).contains("divisor of 5"));
    assert!(node("Split", 13).input(ints(&[1, 1])).outputs(3).refusal(&[2, 5]).contains("one an output"));
}

#[test]
fn reductions() {
    let x = counting(&[2, 3]);
    let means = vec![
        node("ReduceMean", 13).with("axes", vec![-1i64]).with("keepdims", 0i64),
        node("ReduceMean", 18).input(ints(&[1])).with("keepdims", 0i64),
    ];
    assert_eq!(agree(&x, means)[0], Tensor::new(&[2], vec![1f32, 4.0]).unwrap());
    let sums = vec![node("ReduceSum", 11).with("axes", vec![0i64]), node("ReduceSum", 13).input(ints(&[0]))];
    assert_eq!(agree(&x, sums)[0], Tensor::new(&[1, 3], vec![3f32, 5.0, 7.0]).unwrap());
    let of_all = vec![
        node("ReduceMax", 13),
        node("ReduceMax", 18),
        node("ReduceMax", 18).input(ints(&[])),
        node("ReduceMax", 18).input(ints(&[0, 1])),
    ];
    assert_eq!(agree(&x, of_all)[0], Tensor::new(&[1, 1], vec![5f32]).unwrap());
    assert_eq!(node("ReduceMax", 18).with("noop_with_empty_axes", 1i64).run(&x)[0], x);
}

#[test]
fn softmax_took_a_matrix_before_opset_13() {
    let x = counting(&[2, 2, 3]);
    let matrix = Tensor::new(&[2, 6], x.to_f32()).unwrap();
    for op in ["Softmax", "LogSoftmax"] {
        let old = node(op, 11).run(&x);
        assert_eq!(old[0].shape(), [2, 2, 3]);
        assert_eq!(old[0].to_f32(), node(op, 13).run(&matrix)[0].to_f32());
        agree(&x, vec![node(op, 11).with("axis", 2i64), node(op, 13), node(op, 13).with("axis", -1i64)]);
    }
}

#[test]
fn reshape() {
    let shapes = vec![node("Reshape", 1).with("shape", vec![0i64, -1]), node("Reshape", 13).input(ints(&[0, -1]))];
    assert_eq!(agree(&counting(&[2, 3, 4]), shapes)[0].shape(), [2, 12]);
    let zero = node("Reshape", 14).with("allowzero", 1i64).input(ints(&[0, 3]));
    assert!(zero.refusal(&[2, 3]).contains("(0,3)"));
}

#[test]
fn dropout() {
    let x = counting(&[2]);
    let forms = vec![
        node("Dropout", 7).with("ratio", 0.5f32),
        node("Dropout", 13).input(Tensor::scalar(0.5f32)),
        node("Dropout", 13).skip().input(Tensor::from_bools(&[], vec![false]).unwrap()),
        node("Identity", 13),
    ];
    assert_eq!(agree(&x, forms)[0], x);
    assert!(node("Dropout", 13).outputs(2).refusal(&[2]).contains("mask"));
    let training = node("Dropout", 13).skip().input(Tensor::from_bools(&[], vec![true]).unwrap());
    assert!(training.refusal(&[2]).contains("training_mode"));
}

#[test]
fn minimum_and_maximum_of_any_number() {
    let x = counting(&[3]);
    let other = |value: f32| Tensor::scalar(value);
    assert_eq!(node("Max", 13).run(&x)[0], x);
    assert_eq!(node("Max", 13).input(other(1.0)).run(&x)[0].to_f32(), [1.0, 1.0, 2.0]);
    let clipped = node("Min", 13).input(other(1.5)).input(other(9.0)).input(other(1.0));
    assert_eq!(clipped.run(&x)[0].to_f32(), [0.0, 1.0, 1.0]);
    // The broadcasting of opset 6 and before lined shapes up elsewhere.
    let old = node("Add", 6).with("broadcast", 1i64).with("axis", 0i64).input(counting(&[2]));
    assert!(old.refusal(&[2, 3]).contains("axis"));
}

#[test]
fn constants_in_every_form() {
    let run = |name: &str, value: Attribute| {
        let mut writer = ModelWriter::new("constants", 13);
        let fact = Fact::of(DType::F32, &[1]);
        writer.add_input("x", &fact);
        writer.add_node(NodeWriter::new("Constant", "constant").outputs(["c"]).attribute(name, value));
        writer.add_node(NodeWriter::new("CastLike", "like").inputs(["c", "x"]).outputs(["y"]));
        writer.add_output("y", &fact);
        let model = onnx::load_bytes(&writer.to_bytes().unwrap(), Path::new("constants.onnx"), None)?;
        Ok::<_, ImportError>(Interpreter::new(&model.graph).unwrap().run(&[counting(&[1])]).unwrap().swap_remove(0))
    };
    assert_eq!(run("value", ints(&[7, 8]).into()).unwrap(), Tensor::new(&[2], vec![7f32, 8.0]).unwrap());
    assert_eq!(run("value_int", 3i64.into()).unwrap(), Tensor::scalar(3f32));
    assert_eq!(run("value_ints", vec![3i64, 4].into()).unwrap().to_f32(), [3.0, 4.0]);
    assert_eq!(run("value_float", 0.5f32.into()).unwrap(), Tensor::scalar(0.5f32));
    assert_eq!(run("value_floats", vec![0.5f32].into()).unwrap().to_f32(), [0.5]);
    assert!(run("value_string", "text".into()).unwrap_err().to_string().contains("text"));
}

#[test]
fn extents_of_a_part() {
    let part = |start: i64, end: i64| {
        node("Shape", 15).with("start", start).with("end", end).run(&counting(&[2, 3, 4]))[0].to_i64()
    };
    assert_eq!(part(1, 3), [3, 4]);
    assert_eq!(part(-2, -1), [3]);
    assert_eq!(part(-9, 9), [2, 3, 4]);
    assert_eq!(part(2, 1), [0i64; 0]);
}

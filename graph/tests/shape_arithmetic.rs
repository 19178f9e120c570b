//! Shapes that a network computes from its own input, as exporters write them, with extents left open.

use limpid_graph::ir::Fact;
use limpid_graph::onnx::{self, ImportError, Model, ModelWriter, NodeWriter};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor};
use std::path::Path;

/// A model of one input `x` and one output `y`, its dims symbols where they are words.
struct Net {
    writer: ModelWriter,
    fact: Fact,
}

impl Net {
    fn new(dims: &[&str]) -> Self {
        let dim = |d: &&str| d.parse::<i64>().map_or_else(|_| Dim::symbol(Symbol::new(d)), Dim::from);
        let fact = Fact::new(DType::F32, Shape::new(dims.iter().map(dim)));
        let mut writer = ModelWriter::new("shapes", 17);
        writer.add_input("x", &fact);
        Self { writer, fact }
    }

    fn ints(mut self, name: &str, shape: &[usize], values: &[i64]) -> Self {
        self.writer.add_initializer(name, Tensor::new(shape, values.to_vec()).unwrap());
        self
    }

    fn real(mut self, name: &str, value: f32) -> Self {
        self.writer.add_initializer(name, Tensor::scalar(value));
        self
    }

    fn node(self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.node_with(op, inputs, output, |node| node)
    }

    fn node_with(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: impl Fn(NodeWriter) -> NodeWriter,
    ) -> Self {
        let node = NodeWriter::new(op, output).inputs(inputs.iter().copied()).outputs([output]);
        self.writer.add_node(attributes(node));
        self
    }

    /// `name` = extent `axis` of x, as a vector of one.
    fn extent(self, axis: i64, name: &str) -> Self {
        let index = format!("{name}_at");
        let (shape, scalar, axes) = (format!("{name}_shape"), format!("{name}_scalar"), format!("{name}_axes"));
        self.ints(&index, &[], &[axis])
            .ints(&axes, &[1], &[0])
            .node("Shape", &["x"], &shape)
            .node_with("Gather", &[&shape, &index], &scalar, |n| n.attribute("axis", 0i64))
            .node("Unsqueeze", &[&scalar, &axes], name)
    }

    fn concat(self, parts: &[&str], name: &str) -> Self {
        self.node_with("Concat", parts, name, |n| n.attribute("axis", 0i64))
    }

    fn import(mut self) -> Result<Model, ImportError> {
        self.writer.add_output("y", &self.fact);
        onnx::load_bytes(&self.writer.to_bytes().unwrap(), Path::new("shapes.onnx"), None)
    }
}

fn shape_of(model: &Model) -> String {
    model.graph.fact(model.graph.outputs[0]).to_string()
}

fn run(model: &Model, shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    let x = Tensor::new(shape, (0..len).map(|i| i as f32).collect()).unwrap();
    Interpreter::new(&model.graph).unwrap().run(&[x]).unwrap().swap_remove(0)
}

/// `x.view(x.size(0), -1)`
#[test]
fn a_view_with_the_batch_read_from_the_input() {
    let net = Net::new(&["N", "4", "5"]).ints("rest", &[1], &[-1]).extent(0, "n").concat(&["n", "rest"], "target");
    let model = net.node("Reshape", &["x", "target"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,20)");
    assert_eq!(run(&model, &[3, 4, 5]).shape(), [3, 20]);
}

/// `x.view(n, c // 2, 2 * h * w)`, all of it symbols.
#[test]
fn a_view_with_arithmetic() {
    let net = Net::new(&["N", "6", "H", "W"]).ints("two", &[1], &[2]);
    let net = net.extent(0, "n").extent(1, "c").extent(2, "h").extent(3, "w");
    let net =
        net.node("Div", &["c", "two"], "half").node("Mul", &["h", "w"], "plane").node("Mul", &["plane", "two"], "row");
    let model = net.concat(&["n", "half", "row"], "target").node("Reshape", &["x", "target"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,3,2·H·W)");
    assert_eq!(run(&model, &[2, 6, 4, 5]).shape(), [2, 3, 40]);
}

/// `F.interpolate(x, scale_factor=2)` as exporters wrote it: through reals, rounded down.
#[test]
fn a_size_computed_in_reals() {
    let to_real = |n: NodeWriter| n.attribute("to", 1i64);
    let to_int = |n: NodeWriter| n.attribute("to", 7i64);
    let mut net =
        Net::new(&["N", "3", "H", "W"]).real("scale", 2.0).extent(0, "n").extent(1, "c").extent(2, "h").extent(3, "w");
    for axis in ["h", "w"] {
        let [real, scaled, floor, new] = ["real", "scaled", "floor", "new"].map(|step| format!("{axis}_{step}"));
        net = net
            .node_with("Cast", &[axis], &real, to_real)
            .node("Mul", &[&real, "scale"], &scaled)
            .node("Floor", &[&scaled], &floor)
            .node_with("Cast", &[&floor], &new, to_int);
    }
    let net = net.concat(&["n", "c", "h_new", "w_new"], "sizes");
    let model = net.node("Resize", &["x", "", "", "sizes"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,3,2·H,2·W)");
    assert_eq!(run(&model, &[1, 3, 2, 3]).shape(), [1, 3, 4, 6]);
}

/// Half of an extent as a real number is not an extent: 5 / 2 = 2.5, times 2 is 5 again.
#[test]
fn a_fraction_of_a_symbol_is_not_taken_for_a_whole_number() {
    let net = Net::new(&["N", "H"]).real("two", 2.0).extent(1, "h");
    let net = net
        .node_with("Cast", &["h"], "real", |n| n.attribute("to", 1i64))
        .node("Div", &["real", "two"], "half")
        .node("Mul", &["half", "two"], "whole")
        .node_with("Cast", &["whole"], "size", |n| n.attribute("to", 7i64));
    let error =
        net.ints("rest", &[1], &[-1]).concat(&["rest", "size"], "target").node("Reshape", &["x", "target"], "y");
    assert!(error.import().unwrap_err().to_string().contains("`target`"));
}

/// The first half of the rows, as `chunk` is written when the extent is open.
#[test]
fn a_slice_to_the_middle() {
    let net = Net::new(&["N", "H"]).ints("start", &[1], &[0]).ints("axes", &[1], &[1]).ints("two", &[1], &[2]);
    let net = net.extent(1, "h").node("Div", &["h", "two"], "end");
    let model = net.node("Slice", &["x", "start", "end", "axes"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,⌊(H)/2⌋)");
    assert_eq!(run(&model, &[1, 5]).to_f32(), [0.0, 1.0]);
}

/// `mask = zeros(n, 1); x + expand(mask)`: values made of open extents.
#[test]
fn tensors_of_an_open_shape() {
    let net = Net::new(&["N", "3"]).ints("one", &[1], &[1]).extent(0, "n").concat(&["n", "one"], "shape");
    let net = net.node_with("ConstantOfShape", &["shape"], "ones", |n| {
        n.attribute("value", Tensor::new(&[1], vec![1f32]).unwrap())
    });
    let model = net.node("Add", &["x", "ones"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,3)");
    assert_eq!(run(&model, &[2, 3]).to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

/// Positions 0, 1, 2, … as many as there are tokens, looked up in a table.
#[test]
fn positions_counted_up_to_an_open_extent() {
    let net = Net::new(&["N", "T"]).ints("zero", &[], &[0]).ints("one", &[], &[1]).ints("axis", &[], &[1]);
    let net = net
        .node("Shape", &["x"], "shape")
        .node("Gather", &["shape", "axis"], "count")
        .node("Range", &["zero", "count", "one"], "positions")
        .node_with("Cast", &["positions"], "real", |n| n.attribute("to", 1i64));
    let model = net.node("Add", &["x", "real"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(N,T)");
    assert_eq!(run(&model, &[1, 3]).to_f32(), [0.0, 2.0, 4.0]);
}

/// What the data say is no shape.
#[test]
fn the_number_of_elements_is_known_but_not_their_values() {
    let net = Net::new(&["N", "2"]).node("Size", &["x"], "size").ints("axes", &[1], &[0]);
    let model =
        net.node("Unsqueeze", &["size", "axes"], "target").node("Reshape", &["x", "target"], "y").import().unwrap();
    assert_eq!(shape_of(&model), "f32(2·N)");
    let net = Net::new(&["2"]).node_with("Cast", &["x"], "target", |n| n.attribute("to", 7i64));
    assert!(net.node("Reshape", &["x", "target"], "y").import().is_err());
}

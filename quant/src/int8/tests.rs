use super::*;
use limpid_graph::ir::{Fact, Precision, ValueId};
use limpid_graph::ops::{
    Binary, BinaryFunction, Concat, Conv, Epilogue, Flatten, Gemm, GlobalPool, Op, Pool, PoolKind, Softmax, Window,
};
use limpid_graph::tensor::{DType, Tensor};

/// A graph under construction.
struct Net(Graph);

impl Net {
    fn new() -> (Self, ValueId) {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", Fact::of(DType::F32, &[1, 4, 8, 8]));
        (Self(graph), x)
    }

    fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let node = self.0.add_node(name, op.into(), inputs).unwrap();
        self.0.node(node).outputs[0]
    }

    fn weights(&mut self, shape: &[usize]) -> ValueId {
        let values = (0..shape.iter().product::<usize>()).map(|i| (i as f32 * 0.7).sin()).collect();
        let name = format!("w{}", self.0.values().count());
        self.0.add_constant(&name, Tensor::new::<f32>(shape, values).unwrap())
    }

    fn conv(&mut self, name: &str, x: ValueId, shape: &[usize]) -> ValueId {
        let w = self.weights(shape);
        self.add(name, Conv { window: Window::of(&shape[2..]), groups: 1, epilogue: Epilogue::default() }, &[x, w])
    }

    /// A convolution that adds `residual`.
    fn adding(&mut self, name: &str, x: ValueId, residual: ValueId) -> ValueId {
        let w = self.weights(&[4, 4, 1, 1]);
        let epilogue = Epilogue { residual: true, ..Epilogue::default() };
        self.add(name, Conv { window: Window::of(&[1, 1]), groups: 1, epilogue }, &[x, w, residual])
    }

    fn max_pool(&mut self, name: &str, x: ValueId) -> ValueId {
        let pool =
            Pool { kind: PoolKind::Max, window: Window::of(&[2, 2]), ceil_mode: false, count_include_pad: false };
        self.add(name, pool, &[x])
    }

    fn convert(mut self, outputs: &[ValueId], scale_of: &dyn Fn(&str) -> Option<f32>) -> (Graph, Ledger, Converted) {
        self.0.outputs = outputs.to_vec();
        let mut ledger = Ledger::default();
        let converted = convert(&mut self.0, &mut ledger, scale_of, &|_, _| Ok(())).unwrap();
        (self.0, ledger, converted)
    }
}

fn scale(graph: &Graph, name: &str) -> Option<f32> {
    let fact = graph.fact(graph.find_value(name).unwrap_or_else(|| panic!("no value {name}")));
    fact.quant.as_ref().map(|quant| quant.scales[0])
}

fn precision(graph: &Graph, name: &str) -> Precision {
    graph.node(graph.find_node(name).unwrap_or_else(|| panic!("no node {name}"))).precision
}

/// Every tensor's scale tells whose it is.
fn by_length(name: &str) -> Option<f32> {
    Some(name.len() as f32)
}

#[test]
fn integers_flow_between_products_and_reals_leave() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let pooled = net.max_pool("pool", a);
    let b = net.conv("bb", pooled, &[6, 4, 3, 3]);
    let (graph, _, converted) = net.convert(&[b], &by_length);
    assert_eq!(converted, Converted { int8: 3, declined: 0 });
    assert_eq!(scale(&graph, "x"), None, "the network's input stays what it is");
    assert_eq!(scale(&graph, "x/quantize"), Some(1.0));
    assert_eq!((scale(&graph, "a"), scale(&graph, "pool")), (Some(1.0), Some(1.0)), "a pool moves integers");
    assert_eq!(graph.fact(b), &Fact::of(DType::F32, &[1, 6, 5, 5]), "the output is real");
    let weights = graph.node(graph.find_node("bb").unwrap()).inputs[1];
    let quant = graph.fact(weights).quant.clone().unwrap();
    assert_eq!((quant.axis, quant.scales.len(), graph.fact(weights).dtype), (Some(0), 6, DType::I8));
}

#[test]
fn what_is_read_by_reals_and_integers_is_dequantized_for_the_former() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let soft = net.add("soft", Softmax { axis: 1, log: false }, &[a]);
    let b = net.conv("b", a, &[4, 4, 1, 1]);
    let (graph, _, _) = net.convert(&[soft, b], &by_length);
    assert_eq!(precision(&graph, "soft"), Precision::Fp32);
    let read = graph.node(graph.find_node("soft").unwrap()).inputs[0];
    assert_eq!(graph.value(read).name, "a/dequantize");
    assert_eq!(scale(&graph, "a"), Some(1.0));
}

#[test]
fn residuals_come_as_integers_where_their_maker_can() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let shortcut = net.conv("shortcut", x, &[4, 4, 1, 1]);
    let sum = net.adding("sum", a, shortcut);
    let from_input = net.adding("from_input", sum, x);
    let (graph, _, _) = net.convert(&[from_input], &by_length);
    assert_eq!(scale(&graph, "shortcut"), Some(8.0));
    let residual = graph.node(graph.find_node("from_input").unwrap()).inputs[2];
    assert_eq!(residual, x, "an input that nobody makes is added as it is");
}

#[test]
fn parts_of_a_concatenation_are_made_at_its_scale() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let shared = net.conv("shared", x, &[4, 4, 1, 1]);
    let other = net.conv("other", shared, &[4, 4, 1, 1]);
    let whole = net.add("the whole", Concat { axis: 1 }, &[a, shared, other]);
    let y = net.conv("y", whole, &[4, 12, 1, 1]);
    let (graph, _, _) = net.convert(&[y], &by_length);
    assert_eq!(scale(&graph, "the whole"), Some(9.0));
    assert_eq!((scale(&graph, "a"), scale(&graph, "other")), (Some(9.0), Some(9.0)));
    assert_eq!(scale(&graph, "shared"), Some(6.0), "someone else reads it at its own scale");
}

#[test]
fn movements_that_end_the_network_give_reals() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let flat = net.add("flat", Flatten { axis: 1 }, &[a]);
    let (graph, _, converted) = net.convert(&[flat], &by_length);
    assert_eq!(converted.int8, 2);
    assert_eq!(graph.fact(flat), &Fact::of(DType::F32, &[1, 256]));
    assert_eq!(graph.producer(flat).unwrap().1.op.name(), "Dequantize");
    assert_eq!(scale(&graph, "flat/int8"), Some(1.0));
}

#[test]
fn a_classifier_is_integers_to_the_end() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let mean = net.add("mean", GlobalPool { kind: PoolKind::Average }, &[a]);
    let flat = net.add("flat", Flatten { axis: 1 }, &[mean]);
    let w = net.weights(&[10, 4]);
    let logits = net.add("logits", Gemm::dense(Epilogue::default()), &[flat, w]);
    let (graph, _, converted) = net.convert(&[logits], &by_length);
    assert_eq!(converted, Converted { int8: 4, declined: 0 });
    assert_eq!((scale(&graph, "mean"), scale(&graph, "flat")), (Some(4.0), Some(4.0)));
    assert_eq!(graph.fact(logits).dtype, DType::F32);
    assert!(graph.nodes().all(|(_, node)| node.op.name() != "Dequantize"));
}

#[test]
fn refusals_have_reasons() {
    let (mut net, x) = Net::new();
    let unscaled = net.conv("unscaled", x, &[4, 4, 1, 1]);
    let broken = net.0.add_constant("broken", Tensor::new(&[4, 4, 1, 1], vec![f32::NAN; 16]).unwrap());
    let op = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() };
    let nan = net.add("nan", op, &[x, broken]);
    let reader = net.conv("reader", unscaled, &[4, 4, 1, 1]);
    let sum = Binary { function: BinaryFunction::Add, activation: Default::default() };
    let sum = net.add("sum", sum, &[nan, reader]);
    let (graph, ledger, converted) = net.convert(&[sum], &|name| if name == "unscaled" { None } else { Some(0.5) });
    assert_eq!(converted, Converted { int8: 1, declined: 3 });
    let reasons: Vec<String> = ledger.records().iter().map(|record| format!("{record:?}")).collect();
    for expected in ["holds NaN", "no scale for `unscaled`", "`nan` does not come as integers"] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:?}");
    }
    assert_eq!(precision(&graph, "unscaled"), Precision::Int8, "it can read integers; it makes reals");
    assert_eq!(scale(&graph, "unscaled"), None);
}

#[test]
fn the_caller_has_the_last_word() {
    let (mut net, x) = Net::new();
    let a = net.conv("a", x, &[4, 4, 1, 1]);
    let b = net.conv("b", a, &[4, 4, 1, 1]);
    net.0.outputs = vec![b];
    let mut ledger = Ledger::default();
    let wanted = |_: NodeId, node: &Node| if node.name == "a" { Err("not this one".to_owned()) } else { Ok(()) };
    let converted = convert(&mut net.0, &mut ledger, &by_length, &wanted).unwrap();
    assert_eq!(converted, Converted { int8: 1, declined: 1 });
    assert_eq!((precision(&net.0, "a"), precision(&net.0, "b")), (Precision::Fp32, Precision::Int8));
    assert_eq!(scale(&net.0, "a/quantize"), Some(1.0));
}

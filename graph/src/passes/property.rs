//! Whatever rules run, a network computes what it did: random networks, random subsets of rules.

use super::net::{Net, accounted, same_results};
use super::{RULES, optimize};
use crate::ir::ValueId;
use crate::ops::{
    Activation, ActivationOp, Binary, BinaryFunction, Concat, Conv, ConvTranspose, Epilogue, Flatten, Gemm, GlobalPool,
    Identity, MatMul, Pad, PadMode, Padding, Pool, PoolKind, Transpose, Window,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One more layer on top of what is there; the numbers pick among what is possible.
#[derive(Clone, Debug)]
enum Layer {
    Conv { filters: usize, kernel: usize, stride: usize, pad: usize },
    Depthwise,
    Transposed,
    BatchNorm,
    Activation(usize),
    Gate,
    Add(usize),
    Constant { function: usize, whole: bool },
    Pad { begin: i64, end: i64 },
    Pool { max: bool, pad: usize, count: bool },
    Concat(usize),
    Identity,
    ThereAndBack,
}

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        4 => (1usize..5, 1usize..4, 1usize..3, 0usize..2)
            .prop_map(|(filters, kernel, stride, pad)| Layer::Conv { filters, kernel, stride, pad }),
        1 => Just(Layer::Depthwise),
        1 => Just(Layer::Transposed),
        3 => Just(Layer::BatchNorm),
        3 => (0usize..4).prop_map(Layer::Activation),
        1 => Just(Layer::Gate),
        4 => (0usize..4).prop_map(Layer::Add),
        2 => (0usize..3, any::<bool>()).prop_map(|(function, whole)| Layer::Constant { function, whole }),
        1 => (-1i64..2, 0i64..3).prop_map(|(begin, end)| Layer::Pad { begin, end }),
        1 => (any::<bool>(), 0usize..2, any::<bool>()).prop_map(|(max, pad, count)| Layer::Pool { max, pad, count }),
        1 => (0usize..4).prop_map(Layer::Concat),
        1 => Just(Layer::Identity),
        1 => Just(Layer::ThereAndBack),
    ]
}

const ACTIVATIONS: [Activation; 4] =
    [Activation::Relu, Activation::Clip { min: 0.0, max: 6.0 }, Activation::LeakyRelu { alpha: 0.1 }, Activation::Tanh];

const FUNCTIONS: [BinaryFunction; 3] = [BinaryFunction::Add, BinaryFunction::Sub, BinaryFunction::Mul];

/// A network in the making: all values so far, the last one being what the next layer stands on.
struct Making {
    net: Net,
    values: Vec<ValueId>,
}

impl Making {
    fn top(&self) -> ValueId {
        self.values[self.values.len() - 1]
    }

    fn dims(&self, value: ValueId) -> Vec<usize> {
        self.net.graph.fact(value).shape[1..].iter().filter_map(|d| d.as_usize()).collect()
    }

    /// The `pick`th earlier value whose extents fit, counted from the newest.
    fn earlier(&self, pick: usize, fits: impl Fn(&[usize]) -> bool) -> Option<ValueId> {
        self.values.iter().rev().copied().filter(|&v| fits(&self.dims(v))).nth(pick)
    }

    fn put(&mut self, layer: &Layer) {
        let (x, name) = (self.top(), format!("n{}", self.values.len()));
        let dims = self.dims(x);
        let (channels, extent) = (dims[0], dims[1].min(dims[2]));
        let net = &mut self.net;
        let y = match *layer {
            Layer::Conv { filters, kernel, stride, pad } if extent + 2 * pad >= kernel && extent > 1 => {
                let w = net.random(&format!("{name}.w"), &[filters, channels, kernel, kernel]);
                let window = window(kernel, stride, pad);
                net.add(&name, Conv { window, groups: 1, epilogue: Epilogue::default() }, &[x, w])
            }
            Layer::Depthwise => {
                let w = net.random(&format!("{name}.w"), &[channels, 1, 3, 3]);
                let op = Conv { window: window(3, 1, 1), groups: channels, epilogue: Epilogue::default() };
                net.add(&name, op, &[x, w])
            }
            Layer::Transposed if extent < 12 => {
                let w = net.random(&format!("{name}.w"), &[channels, 2, 2, 2]);
                let window = window(2, 2, 0);
                let op = ConvTranspose { window, output_padding: vec![0; 2], groups: 1, epilogue: Epilogue::default() };
                net.add(&name, op, &[x, w])
            }
            Layer::BatchNorm => net.batch_norm(&name, x),
            Layer::Activation(which) => net.add(&name, ActivationOp { function: ACTIVATIONS[which] }, &[x]),
            Layer::Gate => {
                let gate = ActivationOp { function: Activation::Sigmoid };
                let gate = net.add(&format!("{name}.gate"), gate, &[x]);
                net.add(&name, Binary::new(BinaryFunction::Mul), &[gate, x])
            }
            Layer::Add(pick) => {
                let Some(skip) = self.earlier(pick, |other| other == dims) else { return };
                self.net.add(&name, Binary::new(BinaryFunction::Add), &[skip, x])
            }
            Layer::Constant { function, whole } => {
                let shape: &[usize] = if whole { &[1] } else { &[channels, 1, 1] };
                let c = net.random(&format!("{name}.c"), shape);
                net.add(&name, Binary::new(FUNCTIONS[function]), &[x, c])
            }
            Layer::Pad { begin, end } if extent > 2 => {
                let pads = |p: i64| vec![0, 0, p, p];
                let op = Pad { mode: PadMode::Constant, begin: pads(begin), end: pads(end), value: 0.0 };
                net.add(&name, op, &[x])
            }
            Layer::Pool { max, pad, count } if extent > 2 => {
                let kind = if max { PoolKind::Max } else { PoolKind::Average };
                net.add(
                    &name,
                    Pool { kind, window: window(2, 2, pad), ceil_mode: false, count_include_pad: count },
                    &[x],
                )
            }
            Layer::Concat(pick) => {
                let Some(other) = self.earlier(pick, |other| other[1..] == dims[1..]) else { return };
                self.net.add(&name, Concat { axis: 1 }, &[x, other])
            }
            Layer::Identity => net.add(&name, Identity, &[x]),
            Layer::ThereAndBack => {
                let y = net.add(&format!("{name}.there"), Transpose { perm: vec![0, 2, 3, 1] }, &[x]);
                net.add(&name, Transpose { perm: vec![0, 3, 1, 2] }, &[y])
            }
            _ => return,
        };
        self.values.push(y);
    }

    /// A dense head, half the time as MatMul and Add, and perhaps a second output.
    fn head(&mut self, product: bool, second: Option<usize>) -> Vec<ValueId> {
        let (x, net) = (self.top(), &mut self.net);
        let y = net.add("pool", GlobalPool { kind: PoolKind::Average }, &[x]);
        let y = net.add("flatten", Flatten { axis: 1 }, &[y]);
        let features = net.graph.fact(y).shape[1].as_usize().unwrap();
        let b = net.random("head.b", &[3]);
        let y = if product {
            let w = net.random("head.w", &[features, 3]);
            let y = net.add("matmul", MatMul, &[y, w]);
            net.add("bias", Binary::new(BinaryFunction::Add), &[y, b])
        } else {
            let w = net.random("head.w", &[3, features]);
            net.add("gemm", Gemm::dense(Epilogue { bias: true, ..Epilogue::default() }), &[y, w, b])
        };
        let y = net.batch_norm("head.bn", y);
        // An input given out as it is would have no node to be computed by.
        let second = second.map(|i| self.values[i % self.values.len()]).filter(|v| *v != self.net.x);
        std::iter::once(y).chain(second).collect()
    }
}

fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    let mut window = Window::of(&[kernel; 2]);
    window.strides = vec![stride; 2];
    window.padding = Padding::Explicit { begin: vec![pad; 2], end: vec![pad; 2] };
    window
}

fn names() -> Vec<String> {
    let names: BTreeSet<&str> = RULES.iter().map(|r| r.name()).collect();
    names.into_iter().map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_subset_of_rules_leaves_the_answers(
        layers in prop::collection::vec(layer(), 1..14),
        product in any::<bool>(),
        second in prop::option::of(0usize..16),
        disabled in prop::sample::subsequence(names(), 0..=names().len()),
    ) {
        let net = Net::new(&[3, 9, 7]);
        let mut making = Making { values: vec![net.x], net };
        layers.iter().for_each(|layer| making.put(layer));
        let outputs = making.head(product, second);
        let Net { mut graph, mut ledger, .. } = making.net.finish(&outputs);
        let before = graph.clone();
        optimize(&mut graph, &mut ledger, &disabled).unwrap();
        same_results(&before, &graph);
        accounted(&graph, &ledger);
    }
}

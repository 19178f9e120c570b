//! For the rules' tests: small networks, rewritten and held against what they were.

use crate::ir::{Fact, Graph, ValueId};
use crate::ops::{BatchNorm, Conv, Dequantize, Epilogue, Op, Padding, Quantize, Window};
use crate::reference::Interpreter;
use crate::rewrite::{Driver, Fate, Ledger, Rule, Verdict};
use crate::tensor::{DType, Dim, QuantParams, Shape, Symbol, Tensor, relative_l2};
use std::collections::BTreeMap;

/// A network of one input `x` of open batch `N`, and the book of its nodes.
pub struct Net {
    pub graph: Graph,
    pub ledger: Ledger,
    pub x: ValueId,
    seed: u64,
}

/// A network as it was and as rules left it; making one checks that both compute the same.
pub struct Rewritten {
    pub graph: Graph,
    pub ledger: Ledger,
}

impl Net {
    pub fn new(image: &[usize]) -> Self {
        let mut graph = Graph::new("test");
        let batch = Dim::symbol(Symbol::new("N"));
        let shape = Shape::new(std::iter::once(batch).chain(image.iter().map(|&d| Dim::from(d))));
        let x = graph.add_input("x", Fact::new(DType::F32, shape));
        Self { graph, ledger: Ledger::default(), x, seed: 1 }
    }

    /// A constant of random numbers in [-1, 1).
    pub fn random(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.seed += 1;
        self.graph.add_constant(name, random(shape, self.seed))
    }

    /// Gives a constant other contents.
    pub fn set(&mut self, name: &str, tensor: Tensor) {
        let id = self.graph.find_value(name).unwrap();
        self.graph.value_mut(id).constant = Some(tensor);
    }

    /// A node named as its output.
    pub fn add(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let op = op.into();
        let origin = self.ledger.register(name, op.name());
        let id = self.graph.add_node(name, op, inputs).unwrap();
        self.graph.node_mut(id).origins = vec![origin];
        self.graph.node(id).outputs[0]
    }

    /// A square convolution with random weights, unpadded.
    pub fn conv(&mut self, name: &str, x: ValueId, filters: usize, kernel: usize) -> ValueId {
        self.convolution(name, x, filters, kernel, 0)
    }

    /// The same, padded so that the extents stay.
    pub fn padded_conv(&mut self, name: &str, x: ValueId, filters: usize, kernel: usize) -> ValueId {
        self.convolution(name, x, filters, kernel, kernel / 2)
    }

    fn convolution(&mut self, name: &str, x: ValueId, filters: usize, kernel: usize, pad: usize) -> ValueId {
        let channels = self.graph.fact(x).shape[1].as_usize().unwrap();
        let w = self.random(&format!("{name}.w"), &[filters, channels, kernel, kernel]);
        let mut window = Window::of(&[kernel, kernel]);
        window.padding = Padding::Explicit { begin: vec![pad; 2], end: vec![pad; 2] };
        self.add(name, Conv { window, groups: 1, epilogue: Epilogue::default() }, &[x, w])
    }

    /// A BatchNorm with random statistics: `NAME.scale`, `.shift`, `.mean`, `.variance`.
    pub fn batch_norm(&mut self, name: &str, x: ValueId) -> ValueId {
        let channels = self.graph.fact(x).shape[1].as_usize().unwrap();
        let mut inputs = vec![x];
        for what in ["scale", "shift", "mean", "variance"] {
            inputs.push(self.random(&format!("{name}.{what}"), &[channels]));
        }
        let variance: Vec<f32> = random(&[channels], self.seed).to_f32().into_iter().map(|v| v.abs() + 0.1).collect();
        self.set(&format!("{name}.variance"), Tensor::new(&[channels], variance).unwrap());
        self.add(name, BatchNorm { epsilon: 1e-5 }, &inputs)
    }

    /// `NAME.q` and `NAME`: quantized and dequantized again.
    pub fn pair(&mut self, name: &str, x: ValueId, params: &QuantParams) -> ValueId {
        let q = self.add(&format!("{name}.q"), Quantize { params: params.clone() }, &[x]);
        self.add(name, Dequantize { params: params.clone(), to: DType::F32 }, &[q])
    }

    /// Integers as the constant `NAME.q`, dequantized to `NAME`.
    pub fn quantized_weights(&mut self, name: &str, shape: &[usize], axis: usize) -> ValueId {
        self.seed += 1;
        let values = random(shape, self.seed).to_f32().into_iter().map(|v| (127.0 * v) as i8).collect();
        let q = self.graph.add_constant(&format!("{name}.q"), Tensor::new(shape, values).unwrap());
        let scales = (0..shape[axis]).map(|k| 0.01 + 0.001 * k as f32).collect();
        self.add(name, Dequantize { params: QuantParams::per_axis(scales, axis), to: DType::F32 }, &[q])
    }

    /// A pointwise convolution with quantized weights.
    pub fn quantized_conv(&mut self, name: &str, x: ValueId, filters: usize) -> ValueId {
        let channels = self.graph.fact(x).shape[1].as_usize().unwrap();
        let w = self.quantized_weights(&format!("{name}.w"), &[filters, channels, 1, 1], 0);
        self.add(name, Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() }, &[x, w])
    }

    /// The epilogue of the node that makes a value, to change.
    pub fn epilogue(&mut self, value: ValueId) -> &mut Epilogue {
        let (id, _) = self.graph.producer(value).unwrap();
        self.graph.node_mut(id).op.as_operator_mut().epilogue_mut().unwrap()
    }

    pub fn finish(mut self, outputs: &[ValueId]) -> Self {
        self.graph.outputs = outputs.to_vec();
        self.graph.drop_unused_values();
        self
    }

    /// Applies the rules; the result must compute the same and account for every node.
    pub fn rewrite(mut self, rules: &[&dyn Rule]) -> Rewritten {
        let before = self.graph.clone();
        Driver::new(rules, &[]).unwrap().run(&mut self.graph, &mut self.ledger).unwrap();
        same_results(&before, &self.graph);
        accounted(&self.graph, &self.ledger);
        Rewritten { graph: self.graph, ledger: self.ledger }
    }
}

impl Rewritten {
    /// The canonical print must be this, indentation aside.
    pub fn is(&self, want: &str) -> &Self {
        let lines = |text: &str| text.lines().map(|l| l.trim().to_owned()).collect::<Vec<_>>().join("\n");
        assert_eq!(lines(&self.graph.to_string()), lines(want));
        self
    }

    /// The operators left, in order.
    pub fn holds(&self, want: &[&str]) -> &Self {
        let order = self.graph.topological_order().unwrap();
        let names: Vec<&str> = order.iter().map(|&id| self.graph.node(id).op.name()).collect();
        assert_eq!(names, want, "{}", self.graph);
        self
    }

    /// The book must hold this refusal at this node.
    pub fn declined(&self, node: &str, reason: &str) -> &Self {
        let found = self.ledger.records().iter().filter(|r| r.verdict == Verdict::Declined && r.node == node);
        let reasons: Vec<&str> = found.map(|r| r.detail.as_str()).collect();
        assert!(reasons.contains(&reason), "{reasons:?}");
        self
    }
}

/// Both graphs on the same random inputs, batch 2.
pub fn same_results(before: &Graph, after: &Graph) {
    let mut bindings = crate::tensor::Bindings::new();
    bindings.bind(Symbol::new("N"), 2);
    let inputs = before.inputs.iter().enumerate().map(|(i, &v)| {
        let shape = before.fact(v).shape.eval(&bindings).unwrap();
        random(&shape, 1000 + i as u64)
    });
    let inputs: Vec<Tensor> = inputs.collect();
    let run = |graph: &Graph| Interpreter::new(graph).unwrap().run(&inputs).unwrap();
    let (want, got) = (run(before), run(after));
    assert_eq!(want.len(), got.len());
    for (index, (want, got)) in want.iter().zip(&got).enumerate() {
        assert_eq!(want.shape(), got.shape());
        let error = relative_l2(&got.to_f32(), &want.to_f32());
        assert!(error < 1e-5, "output {index} is off by {error:e}\n{before}\n{after}");
        let name = |g: &Graph| g.value(g.outputs[index]).name.clone();
        assert_eq!(name(before), name(after), "an output changed its name");
    }
}

/// Every ONNX node must be in one group, or gone with a reason.
pub fn accounted(graph: &Graph, ledger: &Ledger) {
    let mut homes: BTreeMap<_, usize> = BTreeMap::new();
    for origin in graph.nodes().flat_map(|(_, n)| &n.origins) {
        *homes.entry(*origin).or_default() += 1;
    }
    for (index, account) in ledger.account(graph).iter().enumerate() {
        let gone = matches!(account.fate, Fate::Folded { .. } | Fate::Removed { .. });
        assert_eq!(account.group.is_none(), gone, "{account:?}");
        let homes = homes.get(&crate::ir::OriginId(index as u32)).copied().unwrap_or(0);
        assert_eq!(homes, usize::from(!gone), "{account:?} is part of {homes} nodes");
    }
}

/// Reproducible numbers in [-1, 1), different for each seed.
pub fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    Tensor::new(shape, (0..shape.iter().product()).map(draw).collect::<Vec<f32>>()).unwrap()
}

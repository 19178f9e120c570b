//! A small graph for every operator, and for the settings of it that ONNX says otherwise than limpid.
#![allow(dead_code)] // each test program uses part of it

mod elementwise;
mod products;
mod shapes;

use limpid_graph::ir::{Fact, Graph, ValueId};
use limpid_graph::ops::*;
use limpid_graph::tensor::{Bindings, DType, Dim, Shape, Symbol, Tensor};

/// A graph and inputs for it.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
}

/// A graph under construction. The first extent of its inputs is the symbol `N`, here 2; others may be open, too.
pub struct Net {
    pub graph: Graph,
    inputs: Vec<Tensor>,
    seed: u64,
}

impl Net {
    /// An input of random numbers in [-1, 1); extents given as symbols are bound as `bindings` says.
    pub fn open(&mut self, dims: &[Dim], bindings: &Bindings) -> ValueId {
        let shape = Shape::new(dims.iter().cloned());
        let values = self.random(&shape.eval(bindings).expect("all symbols bound"));
        self.inputs.push(values);
        let name = format!("x{}", self.inputs.len());
        self.graph.add_input(&name, Fact::new(DType::F32, shape))
    }

    /// An input with a batch of 2, which the graph leaves open.
    pub fn x(&mut self, sample: &[usize]) -> ValueId {
        let dims: Vec<Dim> = std::iter::once(symbol("N")).chain(sample.iter().map(|&d| Dim::from(d))).collect();
        self.open(&dims, Bindings::new().bind(Symbol::new("N"), 2))
    }

    /// A constant of random numbers.
    pub fn w(&mut self, shape: &[usize]) -> ValueId {
        let values = self.random(shape);
        self.constant(values)
    }

    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("w{}", self.graph.values().count());
        self.graph.add_constant(&name, tensor)
    }

    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.add_all(op, inputs)[0]
    }

    pub fn add_all(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Vec<ValueId> {
        let name = format!("node{}", self.graph.nodes().count());
        let node = self.graph.add_node(&name, op.into(), inputs).unwrap_or_else(|e| panic!("{e}"));
        self.graph.node(node).outputs.clone()
    }

    /// |x|, for functions that want that.
    fn positive(&mut self, sample: &[usize]) -> ValueId {
        let x = self.x(sample);
        self.add(Unary { function: UnaryFunction::Abs }, &[x])
    }

    fn random(&mut self, shape: &[usize]) -> Tensor {
        let mut draw = || {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        Tensor::new(shape, (0..shape.iter().product::<usize>()).map(|_| draw()).collect::<Vec<f32>>()).expect("filled")
    }
}

pub fn symbol(name: &str) -> Dim {
    Dim::symbol(Symbol::new(name))
}

/// A graph built by `build`, which returns what it gives out.
pub fn case(name: &str, build: impl FnOnce(&mut Net) -> Vec<ValueId>) -> Case {
    let mut net = Net { graph: Graph::new(name), inputs: Vec::new(), seed: 1 };
    net.graph.outputs = build(&mut net);
    net.graph.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
    Case { name: name.to_owned(), graph: net.graph, inputs: net.inputs }
}

/// Every operator.
pub fn cases() -> Vec<Case> {
    let all = [
        products::products(),
        products::pools(),
        elementwise::elementwise(),
        elementwise::normalizations(),
        shapes::resizes(),
        shapes::shapes(),
    ];
    all.into_iter().flatten().collect()
}

/// Every activation, bounds missing and not.
pub const ACTIVATIONS: [Activation; 10] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { alpha: 0.3 },
    Activation::Clip { min: -0.5, max: f32::INFINITY },
    Activation::Clip { min: 0.0, max: 0.25 },
    Activation::Sigmoid,
    Activation::HardSigmoid { alpha: 0.3, beta: 0.4 },
    Activation::HardSwish,
    Activation::Silu,
    Activation::Tanh,
];

//! One operator at a time through lowering, tactic selection, memory layout and the emulated kernels, against the
//! interpreter: from row-major memory and from images, in f32 and in f16.

#[path = "../support/emulation.rs"]
mod emulation;
mod functions;
mod lines;
mod movement;
mod products;
mod resizes;

use emulation::{emulator, error_on, random_input};
use limpid_graph::ir::{Fact, Graph, ValueId};
use limpid_graph::ops::{Op, Pool, PoolKind, Window};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{DType, Tensor};
use limpid_kernels::target::Arch;

/// Builds the operator under test on the inputs it is given.
type Build<'a> = &'a dyn Fn(&mut Graph, &[ValueId]) -> ValueId;

/// Adds a node with one output.
fn node(graph: &mut Graph, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
    let name = format!("node{}", graph.nodes().count());
    let id = graph.add_node(&name, op.into(), inputs).unwrap_or_else(|error| panic!("{error}"));
    graph.node(id).outputs[0]
}

fn constant(graph: &mut Graph, tensor: Tensor) -> ValueId {
    let name = format!("constant{}", graph.values().count());
    graph.add_constant(&name, tensor)
}

/// A graph of inputs of these shapes. Where `images` is set, those of two spatial axes are images before the operator
/// reads them: a pool made them.
fn graph(shapes: &[&[usize]], images: bool, build: Build<'_>) -> Graph {
    let mut graph = Graph::new("test");
    let mut values = Vec::new();
    for (index, shape) in shapes.iter().enumerate() {
        let input = graph.add_input(&format!("x{index}"), Fact::of(DType::F32, shape));
        let window = Window::of(&[1, 1]);
        let pool = Pool { kind: PoolKind::Max, window, ceil_mode: false, count_include_pad: false };
        values.push(if images && shape.len() == 4 { node(&mut graph, pool, &[input]) } else { input });
    }
    let output = build(&mut graph, &values);
    graph.outputs.push(output);
    graph
}

/// Holds an operator against the interpreter in both layouts and precisions. One operator rounds a few times at most,
/// so the errors are a few units of the type, whatever is summed.
fn check(what: &str, shapes: &[&[usize]], build: Build<'_>) {
    let Some(emulator) = emulator() else { return };
    // Apart from each other, so that an operand taken for another shows.
    let inputs: Vec<Tensor> = (shapes.iter().enumerate())
        .map(|(index, shape)| {
            let shift = index as f32 * 0.25;
            let values = random_input(shape).to_f32().into_iter().map(|v| v + shift).collect::<Vec<f32>>();
            Tensor::new(shape, values).expect("it has that size")
        })
        .collect();
    for images in [false, true] {
        if images && shapes.iter().all(|shape| shape.len() != 4) {
            continue;
        }
        let single = graph(shapes, images, build);
        let mut half = single.clone();
        limpid_quant::fp16::convert(&mut half, &mut Ledger::default(), None, &|_| true).expect("it converts");
        for (graph, bound) in [(single, 2e-6), (half, 1e-3)] {
            let error = error_on(&graph, Arch(80), &inputs, &emulator);
            assert!(error <= bound, "{what}, images: {images}: relative L2 {error} is above {bound}");
        }
    }
}

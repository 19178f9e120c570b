//! Graphs through lowering, tactic selection, memory layout and the emulated kernels, against the interpreter.

use limpid::plan::plan;
use limpid::port::Layouts;
use limpid::runtime::emulated::EmulatedSession;
use limpid_graph::ir::Graph;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{Tensor, relative_l2};
use limpid_kernels::emulator::Emulator;
use limpid_kernels::target::{Arch, Target};

#[path = "emulator.rs"]
mod emulator;

pub use emulator::{emulator, random_input};

/// Runs a graph planned for `arch` through the emulator and returns the largest relative L2 error of its outputs.
pub fn error_on(graph: &Graph, arch: Arch, inputs: &[Tensor], emulator: &Emulator) -> f64 {
    let want = Interpreter::new(graph).expect("a sound graph").run(inputs).expect("it runs");
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
    let bindings = graph.bind(&shapes).expect("the shapes fit");
    let plan = plan(graph, &bindings, &Layouts::default(), &Target::typical(arch), None)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut session = EmulatedSession::new(graph, &plan, emulator).expect("constants fit");
    let got = session.run(inputs).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(got.len(), want.len());
    let error = |(got, want): (&Tensor, &Tensor)| {
        assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()));
        relative_l2(&got.to_f32(), &want.to_f32())
    };
    got.iter().zip(&want).map(error).fold(0.0, f64::max)
}

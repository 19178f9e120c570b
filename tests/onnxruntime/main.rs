//! What limpid exports, checked by ONNX and run by ONNX Runtime.

mod half;
mod int8;
#[path = "../../graph/tests/support/operators/mod.rs"]
mod operators;
mod runner;

use limpid::input::random;
use limpid::zoo;
use limpid_graph::ir::Graph;
use limpid_graph::onnx;
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor, relative_l2};
use operators::Case;
use runner::{Models, Python};
use std::path::{Path, PathBuf};

/// Two computations of a network in f32, each summing in its own order, differ by no more than this in L2.
const FP32_NETWORK: f64 = 1e-5;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn reference(graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    Interpreter::new(graph).and_then(|interpreter| interpreter.run(inputs)).unwrap_or_else(|e| panic!("{e}\n{graph}"))
}

/// The relative difference of the outputs in L2; integers and booleans must be equal.
fn difference(got: &[Tensor], want: &[Tensor]) -> f64 {
    assert_eq!(got.len(), want.len());
    let one = |(got, want): (&Tensor, &Tensor)| {
        assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()));
        match got.dtype().is_float() {
            true => relative_l2(&got.to_f32(), &want.to_f32()),
            false if got == want => 0.0,
            false => f64::INFINITY,
        }
    };
    got.iter().zip(want).map(one).fold(0.0, f64::max)
}

/// Holds what ONNX Runtime makes of exported graphs of reals against the interpreter.
fn agree(cases: &[Case]) {
    let Some(python) = Python::find() else { return };
    let mut models = Models::new();
    cases.iter().for_each(|case| models.add(&case.name, &case.graph, &case.inputs));
    let failures: Vec<String> = cases
        .iter()
        .zip(models.run(&python))
        .map(|(case, answer)| {
            let want = reference(&case.graph, &case.inputs);
            (&case.name, difference(&answer.plain, &want), difference(&answer.fused, &want))
        })
        .filter(|(_, plain, fused)| plain.max(*fused) > FP32_NETWORK || plain.is_nan() || fused.is_nan())
        .map(|(name, plain, fused)| format!("{name}: {plain:e} as it stands, {fused:e} fused"))
        .collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// An optimized network and a random input, its open extents being 2 for the batch and as PyTorch's example has them.
fn network(name: &str, mut model: onnx::Model, shape: &[usize]) -> Case {
    passes::optimize(&mut model.graph, &mut model.ledger, &[]).expect("rules keep graphs valid");
    Case { name: name.to_owned(), graph: model.graph, inputs: vec![random(DType::F32, shape, 1)] }
}

#[test]
fn every_operator_is_taken_and_answered_alike() {
    agree(&operators::cases());
}

#[test]
fn networks_of_the_zoo_are_taken_and_answered_alike() {
    let small = [("mlp", 28), ("resnet18", 32), ("mobilenetv2", 32), ("unet", 16), ("deeplabv3plus", 32)];
    let case = |(name, size): (&str, usize)| {
        let network_of_zoo = zoo::find(name).expect("it is there");
        let bytes = network_of_zoo.build_for(size, 0).expect("a size it takes").model.to_bytes().expect("a model");
        let model = onnx::load_bytes(&bytes, Path::new("zoo.onnx"), None).expect("its own file");
        network(name, model, &[2, network_of_zoo.channels, size, size])
    };
    agree(&small.map(case));
}

#[test]
fn exports_of_pytorch_are_taken_again_and_answered_alike() {
    let files = std::fs::read_dir(data("exports")).expect("the folder").map(|entry| entry.expect("an entry").path());
    let supported =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "onnx") && !path.ends_with("shuffle.raw.onnx");
    let cases: Vec<Case> = files
        .filter(supported)
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let stem = name.split('.').next().unwrap_or_default();
            let arrays = limpid::input::npy::read(&path.with_file_name(format!("{stem}.npz"))).expect("the example");
            let input = arrays.into_iter().find(|a| a.name.as_deref() == Some("input")).expect("its input").tensor;
            let case = network(&name, onnx::load(&path).expect("limpid reads it"), input.shape());
            Case { inputs: vec![input], ..case }
        })
        .collect();
    assert_eq!(cases.len(), 54, "exports were added or lost");
    agree(&cases);
}

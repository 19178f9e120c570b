//! FP16 graphs as ONNX has it: ONNX's own type inference holds each node to one type of reals, and ONNX Runtime answers
//! what limpid does but for rounding.

use super::operators::{self, Case};
use super::runner::{Models, Python};
use super::{difference, network, reference};
use limpid::zoo;
use limpid_graph::ir::{Graph, Node, Precision};
use limpid_graph::onnx;
use limpid_graph::ops::{Op, ReduceFunction};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::DType;
use std::path::Path;

/// Rounding to FP16 errs by at most 2⁻¹¹ of a value. Each node rounds once on either side; but a product of many numbers
/// that is kept in FP16 does with every factor.
fn rounding(graph: &Graph) -> f64 {
    let roundings = |node: &Node| match &node.op {
        Op::Reduce(op) if op.function == ReduceFunction::Prod => {
            let shape = &graph.fact(node.inputs[0]).shape;
            op.axes.iter().map(|&axis| shape[axis].as_usize().unwrap_or(2)).product()
        }
        _ => 1,
    };
    2.0 * graph.nodes().map(|(_, node)| roundings(node)).sum::<usize>() as f64 / 2048.0
}

/// The case in FP16 where `wanted` says so.
fn halved(case: Case, wanted: &dyn Fn(&Node) -> bool) -> Case {
    let Case { name, mut graph, inputs } = case;
    limpid_quant::fp16::convert(&mut graph, &mut Ledger::default(), None, wanted).expect("a sound graph");
    Case { name, graph, inputs }
}

/// Holds what ONNX Runtime makes of graphs in FP16 against the interpreter.
fn agree(cases: &[Case]) {
    let Some(python) = Python::find() else { return };
    let mut models = Models::new();
    cases.iter().for_each(|case| models.add_typed(&case.name, &case.graph, &case.inputs));
    let answers = models.run(&python);
    let failures: Vec<String> = cases
        .iter()
        .zip(answers)
        .map(|(case, answer)| (case, difference(&answer.plain, &reference(&case.graph, &case.inputs))))
        .filter(|(case, apart)| apart.is_nan() || *apart > rounding(&case.graph))
        .map(|(case, apart)| format!("{}: {apart:e}, {:e} allowed", case.name, rounding(&case.graph)))
        .collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn in_zoo(name: &str, size: usize) -> Case {
    let network_of_zoo = zoo::find(name).expect("it is there");
    let bytes = network_of_zoo.build_for(size, 0).expect("a size it takes").model.to_bytes().expect("a model");
    let model = onnx::load_bytes(&bytes, Path::new("zoo.onnx"), None).expect("its own file");
    network(name, model, &[2, network_of_zoo.channels, size, size])
}

#[test]
fn networks_of_the_zoo_are_taken_in_fp16() {
    let cases = [("mlp", 28), ("resnet18", 32), ("mobilenetv2", 32), ("unet", 16), ("deeplabv3plus", 32)];
    let cases = cases.map(|(name, size)| halved(in_zoo(name, size), &|_| true));
    for Case { name, graph, .. } in &cases {
        assert!(graph.nodes().any(|(_, node)| node.precision == Precision::Fp16), "{name} is not in FP16");
    }
    agree(&cases);
}

#[test]
fn casts_stand_where_precisions_meet() {
    let convolutions = |node: &Node| node.op.name() == "Conv";
    agree(&[halved(in_zoo("resnet18", 32), &convolutions), halved(in_zoo("unet", 16), &|node| !convolutions(node))]);
}

#[test]
fn every_operator_is_taken_in_fp16() {
    // Integers have no halves, and what lies on a step falls to either side.
    let steps = ["Floor", "Ceil", "Round", "Sign", "ArgMax", "Equal", "Less", "Greater", "Not", "Quantize", "Cast"];
    let fits = |case: &Case| {
        let reals = case.graph.outputs.iter().all(|&output| case.graph.fact(output).dtype == DType::F32);
        reals && !case.graph.nodes().any(|(_, node)| steps.iter().any(|step| node.op.name().contains(step)))
    };
    let cases: Vec<Case> = operators::cases().into_iter().filter(fits).map(|case| halved(case, &|_| true)).collect();
    assert!(cases.len() > 60, "only {} cases", cases.len());
    agree(&cases);
}

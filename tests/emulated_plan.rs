//! Whole small networks through lowering, tactic selection, memory layout and the emulated kernels, against the
//! interpreter: what a GPU would run, without one.

#[path = "support/emulation.rs"]
mod emulation;

use emulation::{emulator, error_on, random_input};
use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::DType;
use limpid_kernels::emulator::Emulator;
use limpid_kernels::target::Arch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn read(name: &str) -> (Graph, Ledger) {
    let mut model = onnx::load(&data(name)).expect("the model is fine");
    limpid_graph::passes::optimize(&mut model.graph, &mut model.ledger, &[]).expect("rules keep graphs valid");
    (model.graph, model.ledger)
}

/// Runs a network planned for `arch` through the emulator and returns its relative L2 error.
fn error_of(graph: &Graph, arch: Arch, shape: &[usize], emulator: &Emulator) -> f64 {
    error_on(graph, arch, &[random_input(shape)], emulator)
}

#[test]
fn the_trained_network_runs_as_planned() {
    let Some(emulator) = emulator() else { return };
    let (graph, ledger) = read("fashion/fashion.onnx");
    let single = error_of(&graph, Arch(80), &[1, 1, 28, 28], &emulator);
    assert!(single <= 1e-5, "fp32: relative L2 {single}");
    let (mut half, mut ledger) = (graph.clone(), ledger);
    limpid_quant::fp16::convert(&mut half, &mut ledger, None, &|_| true).expect("it converts");
    assert!(half.values().any(|(_, v)| v.fact.dtype == DType::F16));
    let error = error_of(&half, Arch(80), &[1, 1, 28, 28], &emulator);
    assert!(error <= 5e-3, "fp16: relative L2 {error}");
}

/// The network with every group in INT8 that can be, calibrated on noise.
fn int8(path: &str, seed_shape: &[usize]) -> Graph {
    let samples = Batches(vec![vec![random_input(seed_shape)]]);
    let options = Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() };
    let builder = Builder::new(Destination::Cpu).precision(Precision::Int8).int8(options);
    builder.build(&data(path), &mut ()).expect("it is built").graph
}

/// INT8 has the interpreter's bits, on every architecture's instructions.
#[test]
fn int8_networks_have_the_same_bits() {
    let Some(emulator) = emulator() else { return };
    let shape_of = |graph: &Graph| -> Vec<usize> {
        graph.fact(graph.inputs[0]).shape.iter().map(|d| d.as_usize().unwrap_or(1)).collect()
    };
    let networks = [
        "fashion/fashion.onnx",
        "exports/mobilenet.legacy.onnx",
        "exports/unet.legacy.onnx",
        "exports/resize.legacy.onnx",
        "exports/dilated.legacy.onnx",
    ];
    for (name, arch) in networks.into_iter().flat_map(|name| [(name, Arch(80)), (name, Arch(75))]) {
        let shape = shape_of(&read(name).0);
        let graph = int8(name, &shape);
        let integers = graph.nodes().filter(|(_, node)| node.precision == Precision::Int8).count();
        assert!(integers > 3, "{name}: {integers} groups are INT8");
        // What stays FP16 beside them has no bits to keep.
        let real = |(_, node): (_, &limpid_graph::ir::Node)| node.precision == Precision::Fp16;
        let exact = !graph.nodes().any(real);
        let error = error_of(&graph, arch, &shape, &emulator);
        println!("{name} {arch}: {integers} INT8 groups, exact: {exact}, relative L2 {error}");
        assert!(if exact { error == 0.0 } else { error < 1e-2 }, "{name} {arch}: relative L2 {error}");
    }
}

/// Every network that PyTorch exported, each about other operators and layouts, by every exporter; in FP16, by one.
/// Extents beside the batch are the file's.
#[test]
fn exported_networks_run_as_planned() {
    let Some(emulator) = emulator() else { return };
    let folder = std::fs::read_dir(data("exports")).expect("the folder is there");
    let mut names: Vec<String> = folder
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("names are ASCII"))
        // The one file that import refuses: it splits into a sequence.
        .filter(|name| name.ends_with(".onnx") && name != "shuffle.raw.onnx")
        .collect();
    names.sort();
    assert!(names.len() > 40, "only {} exports", names.len());
    for name in names {
        let (graph, mut ledger) = read(&format!("exports/{name}"));
        let open = |axis: usize| if axis < 1 { 1 } else { 24 };
        let dims = graph.fact(graph.inputs[0]).shape.iter().enumerate();
        let shape: Vec<usize> = dims.map(|(axis, d)| d.as_usize().unwrap_or(open(axis))).collect();
        let error = error_of(&graph, Arch(80), &shape, &emulator);
        assert!(error <= 1e-5, "{name}: relative L2 {error}");
        // A label is right or wrong; the reference rounds as kernels do, but not in their order.
        if name.starts_with("argmax") || !name.contains(".legacy") {
            continue;
        }
        let mut half = graph;
        limpid_quant::fp16::convert(&mut half, &mut ledger, None, &|_| true).expect("it converts");
        let error = error_of(&half, Arch(80), &shape, &emulator);
        assert!(error <= 5e-3, "{name} in fp16: relative L2 {error}");
    }
}

/// What normalizes before it activates keeps its BatchNorm as a scale and a shift; Turing has no `cp.async`.
#[test]
fn unfused_networks_run_as_planned_on_turing() {
    let Some(emulator) = emulator() else { return };
    let mut model = onnx::load(&data("fashion/fashion.onnx")).expect("the model is fine");
    let disabled: Vec<String> = ["fold_batch_norm", "fuse_activation", "fuse_residual"].map(str::to_owned).to_vec();
    limpid_graph::passes::optimize(&mut model.graph, &mut model.ledger, &disabled).expect("rules keep graphs valid");
    limpid_quant::fp16::convert(&mut model.graph, &mut model.ledger, None, &|_| true).expect("it converts");
    let error = error_of(&model.graph, Arch(75), &[1, 1, 28, 28], &emulator);
    assert!(error <= 5e-3, "relative L2 {error}");
}

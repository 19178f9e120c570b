//! Work that is done at once: what is taken, what is said of it, and that the numbers are those of the pieces.

#[path = "support/emulator.rs"]
mod emulator;
#[path = "support/measure.rs"]
mod measure;

use emulator::{emulator, random_input};
use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid::plan::{Plan, TimingCache, Tuner, Work, plan};
use limpid::port::Layouts;
use limpid::runtime::emulated::EmulatedSession;
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor, relative_l2};
use limpid_graph::{onnx, passes};
use limpid_kernels::launch::Candidate;
use limpid_kernels::site::Site;
use limpid_kernels::target::{Arch, Target};
use measure::Says;
use std::path::PathBuf;
use std::sync::Arc;

/// The zoo's 784-256-128-10 as a file, and what keeps the file.
fn mlp() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mlp.onnx");
    let built = limpid::zoo::find("mlp").expect("it is in the zoo").build(1).expect("it can be built");
    std::fs::write(&path, built.model.to_bytes().expect("it can be written")).expect("it is written");
    (folder, path)
}

fn half() -> Graph {
    let (_folder, path) = mlp();
    let onnx::Model { mut graph, mut ledger, .. } = onnx::load(&path).expect("the model is fine");
    passes::optimize(&mut graph, &mut ledger, &[]).expect("rules keep graphs valid");
    limpid_quant::fp16::convert(&mut graph, &mut ledger, None, &|_| true).expect("it converts");
    graph
}

fn int8() -> Graph {
    let (_folder, path) = mlp();
    let samples = Batches(vec![vec![random_input(&[8, 1, 28, 28])]]);
    let options = Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() };
    let builder = Builder::new(Destination::Cpu).precision(Precision::Int8).int8(options);
    builder.build(&path, &mut ()).expect("it is built").graph
}

/// The works of one kind take 1 µs, all other joins 100 and all other pieces 10.
fn planned(graph: &Graph, batch: usize, prefers: fn(&Site) -> bool) -> Plan {
    let bindings = graph.bind(&[&[batch, 1, 28, 28]]).expect("the shape fits");
    let target = Target::typical(Arch(90));
    let mut measure = Says(|work: &Work, _: &Candidate| match prefers(&work.site) {
        true => 1.0,
        false if work.parts.is_empty() => 10.0,
        false => 100.0,
    });
    let mut cache = TimingCache::new();
    let tuner = Tuner { measure: &mut measure, cache: &mut cache, larger: None, thorough: true, most: 2 };
    plan(graph, &bindings, &Layouts::default(), &target, Some(tuner)).unwrap_or_else(|error| panic!("{error}"))
}

/// No product reads f32 as anything else, and none is in a chain.
fn pieces(site: &Site) -> bool {
    match site {
        Site::Gemm(site) => site.dtype_a != DType::F32,
        Site::Chain(_) => false,
        _ => true,
    }
}

fn converting(site: &Site) -> bool {
    matches!(site, Site::Gemm(site) if site.dtype_a == DType::F32)
}

/// From f32 to the scores at once.
fn whole(site: &Site) -> bool {
    matches!(site, Site::Chain(site) if site.layers.len() == 3 && site.layers[0].dtype_a == DType::F32)
}

fn tail(site: &Site) -> bool {
    matches!(site, Site::Chain(site) if site.layers.len() == 2 && site.layers[0].k == 256)
}

#[test]
fn the_faster_way_is_taken_and_the_other_one_told() {
    for (graph, name) in [(half(), "fp16"), (int8(), "int8")] {
        let alone = planned(&graph, 70, pieces);
        let steps: Vec<&str> = alone.steps.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(steps.len(), 4, "{name}: a conversion of the input, three products, none of the output: {steps:?}");
        assert!(alone.steps.iter().all(|step| step.parts.is_empty()), "{name}");
        // Each join is told of at the step that it would end with: f32, then f32 and two, three layers, and so on.
        let told: Vec<usize> = alone.steps.iter().map(|step| step.instead.len()).collect();
        assert_eq!(told, [0, 1, 2, 3], "{name}");
        assert!(alone.steps[3].instead.iter().all(|other| other.measured_us == Some(100.0)), "{name}");

        let converted = planned(&graph, 70, converting);
        assert_eq!(converted.steps.len(), 3, "{name}");
        let first = &converted.steps[0];
        assert_eq!((first.parts.len(), first.offers[0].measured_us), (2, Some(1.0)), "{name}");
        let pieces = first.instead.iter().find(|other| other.tactics.len() == 2).expect("the pieces are told of");
        assert_eq!(pieces.measured_us, Some(20.0), "{name}");

        assert_eq!(planned(&graph, 70, whole).steps.len(), 1, "{name}");
        let fused = planned(&graph, 70, tail);
        assert_eq!(fused.steps.last().map(|step| step.parts.len()), Some(2), "{name}");
    }
}

/// However the network is cut, INT8 has the same bits, and FP16 is as near to the reference.
#[test]
fn joins_compute_what_their_pieces_do() {
    let Some(emulator) = emulator() else { return };
    for (graph, exact) in [(half(), false), (int8(), true)] {
        for (batch, ways) in [(1, &[pieces, converting, tail, whole][..]), (70, &[pieces, converting, tail, whole][..])]
        {
            let input = random_input(&[batch, 1, 28, 28]);
            let want =
                Interpreter::new(&graph).expect("a sound graph").run(std::slice::from_ref(&input)).expect("it runs");
            for (number, &way) in ways.iter().enumerate() {
                let plan = planned(&graph, batch, way);
                let mut session = EmulatedSession::new(&graph, &plan, &emulator).expect("constants fit");
                let got =
                    session.run(std::slice::from_ref(&input)).unwrap_or_else(|error| panic!("way {number}: {error}"));
                let numbers = |tensors: &[Tensor]| tensors[0].to_f32();
                let error = relative_l2(&numbers(&got), &numbers(&want));
                let bound = if exact { 0.0 } else { 2e-3 };
                assert!(error <= bound, "batch {batch}, way {number}, exact {exact}: relative L2 {error}");
            }
        }
    }
}

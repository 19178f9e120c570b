//! Any shape inside a profile runs and is right, and what is outside is refused with the range: on the CPU, and through
//! the emulated kernels with plans between those that kernels were chosen at.

#[path = "support/emulator.rs"]
mod emulator;
#[path = "support/measure.rs"]
mod measure;

use emulator::{emulator, random_input};
use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid::engine::{Engine, StoredCubin};
use limpid::input::random;
use limpid::plan::select::{MOST_MEASURED, Measure};
use limpid::plan::{Plan, Step, TimingCache, Tuner, Work, plan, units_within};
use limpid::runtime::emulated::EmulatedSession;
use limpid::runtime::shape_plans::ShapePlans;
use limpid::runtime::{Backend, RunError, Session};
use limpid::shapes::{ProfileRequest, Range, covers, volume};
use limpid_graph::ir::{Fact, Precision};
use limpid_graph::onnx::{ModelWriter, NodeWriter};
use limpid_graph::tensor::{Bindings, DType, Dim, Shape, Symbol, Tensor, relative_l2};
use limpid_kernels::catalog;
use limpid_kernels::device::{Cubin, Resources};
use limpid_kernels::emulator::Emulator;
use limpid_kernels::launch::{Candidate, CompileUnit, Tactic};
use limpid_kernels::target::{Arch, Target};
use measure::Says;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn range(text: &str) -> Range {
    text.parse().expect("a range")
}

fn extents(pairs: &[(&str, usize)]) -> Bindings {
    let mut extents = Bindings::new();
    for (name, extent) in pairs {
        extents.bind(Symbol::new(name), *extent as i64);
    }
    extents
}

/// Times that depend on the tactic in no way the cost model knows of.
fn by_name() -> impl Measure {
    Says(|_: &Work, candidate: &Candidate| {
        let hash = blake3::hash(candidate.tactic.to_string().as_bytes());
        1.0 + f64::from(hash.as_bytes()[0])
    })
}

/// Gives an engine the plans of its profiles that a build on a GPU would give it, and cubins that say nothing but what
/// they were compiled from. Kernels are chosen by `measure`, or by the cost model.
fn planned(mut engine: Engine, arch: Arch, mut measure: Option<&mut dyn Measure>) -> Arc<Engine> {
    let target = Target::typical(arch);
    let mut cache = TimingCache::new();
    let mut units = BTreeSet::new();
    let layouts = &engine.metadata.layouts;
    for profile in &engine.metadata.profiles {
        for extents in profile.tuned() {
            let tuner = measure.as_mut().map(|measure| Tuner {
                measure: &mut **measure,
                cache: &mut cache,
                larger: None,
                thorough: true,
                most: MOST_MEASURED,
            });
            engine.plans.push(plan(&engine.graph, &extents, layouts, &target, tuner).expect("it has a plan"));
        }
        units.extend(
            units_within(&engine.graph, profile, layouts, &target, &engine.plans).expect("all shapes have plans"),
        );
    }
    let cubin = Cubin { image: Vec::new(), log: String::new(), resources: Resources::default() };
    engine.cubins = units.into_iter().map(|unit| StoredCubin { unit, arch, cubin: cubin.clone() }).collect();
    Arc::new(engine)
}

/// Runs random inputs of these extents through the emulated kernels of the engine's plan for them, and through the CPU
/// session; returns the relative L2 error.
fn error_at(engine: &Arc<Engine>, arch: Arch, here: &Bindings, emulator: &Emulator) -> f64 {
    let graph = &engine.graph;
    let shape = graph.fact(graph.inputs[0]).shape.eval(here).expect("all is bound");
    let input = random_input(&shape);
    let mut cpu = Session::new(Arc::clone(engine), Backend::Cpu).expect("the CPU is there");
    let want = cpu.run(std::slice::from_ref(&input)).expect("it lies in the profile");
    let plans = ShapePlans::new(Arc::clone(engine), Target::typical(arch));
    let found = plans.at(here).expect("it has a plan");
    assert!(found.of_engine);
    let mut session = EmulatedSession::new(graph, &found.plan, emulator).expect("constants fit");
    let got = session.run(&[input]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(got[0].shape(), want[0].shape());
    relative_l2(&got[0].to_f32(), &want[0].to_f32())
}

/// A model of PyTorch's in every precision, with the error it may have against the CPU in that precision.
fn engines(name: &str, sample: &[usize], request: &ProfileRequest) -> Vec<(Engine, f64)> {
    let samples = Batches(vec![vec![random_input(sample)]]);
    let int8 = Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() };
    [(Precision::Fp32, 1e-5), (Precision::Fp16, 5e-3), (Precision::Int8, 0.0)]
        .map(|(precision, bound)| {
            let builder = Builder::new(Destination::Cpu).profile(request.clone());
            let engine = builder.precision(precision).int8(int8.clone()).build(&data(name), &mut ());
            (engine.expect("it is built"), bound)
        })
        .to_vec()
}

#[test]
fn every_batch_of_a_profile_is_right_on_emulated_kernels() {
    let Some(emulator) = emulator() else { return };
    let request = ProfileRequest::new().batch(range("1..2..20"));
    for (engine, bound) in engines("exports/residual.legacy.onnx", &[4, 1, 14, 14], &request) {
        let precision = engine.metadata.precision;
        let engine = planned(engine, Arch(80), None);
        assert_eq!(engine.plans.len(), 6, "1 2 4 8 16 20");
        for batch in [1, 2, 3, 4, 5, 6, 7, 9, 12, 15, 17, 20] {
            let error = error_at(&engine, Arch(80), &extents(&[("batch_size", batch)]), &emulator);
            assert!(error <= bound, "{precision}, batch {batch}: relative L2 {error}");
        }
    }
}

/// An encoder and a decoder that enlarges to the size of what it joins, as DeepLabV3+ does.
#[test]
fn five_resolutions_run_from_one_engine_on_emulated_kernels() {
    let Some(emulator) = emulator() else { return };
    let sides = range("16..24..40");
    let request = ProfileRequest::new().batch(range("1")).extent("height", sides).extent("width", sides);
    for (engine, bound) in engines("exports/resize_as_input.legacy.onnx", &[1, 3, 24, 24], &request) {
        let precision = engine.metadata.precision;
        let exact = engine.graph.nodes().all(|(_, node)| node.precision == precision);
        let bound = if exact { bound } else { 1e-2 };
        let engine = planned(engine, Arch(80), None);
        for (height, width) in [(16, 16), (17, 23), (24, 24), (39, 20), (40, 40)] {
            let here = extents(&[("batch_size", 1), ("height", height), ("width", width)]);
            let error = error_at(&engine, Arch(80), &here, &emulator);
            assert!(error <= bound, "{precision}, {height}x{width}: relative L2 {error}");
        }
    }
}

fn resnet18(batch: Range, size: usize) -> Engine {
    let network = limpid::zoo::find("resnet18").expect("it is in the zoo");
    let bytes = network.build_for(size, 0).expect("it is made").model.to_bytes().expect("it is written");
    let builder = Builder::new(Destination::Cpu).precision(Precision::Fp16).profile(ProfileRequest::new().batch(batch));
    builder.build_bytes(&bytes, Path::new("resnet18.onnx"), None, &mut ()).expect("it is built")
}

/// What a plan launches and moves, group by group: the sums over its steps.
fn work(plan: &Plan) -> [u64; 3] {
    let mut sums = [0; 3];
    for step in &plan.steps {
        let offers = catalog::offers(&step.site, &plan.target).candidates;
        let chosen = offers.into_iter().find(|candidate| candidate.tactic == step.tactic).expect("it is offered");
        let blocks = chosen.launches.iter().map(|launch| launch.blocks()).sum::<u64>();
        let own = [blocks, chosen.cost.flops, chosen.cost.bytes];
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    sums
}

/// At each batch the tactics are those that won at the next larger batch that kernels were timed at, and nothing they
/// do is more than there: so no batch is slower than its next larger tuned one. The engine carries all kernels.
#[test]
fn between_tuned_batches_the_tactics_of_the_next_larger_one_run() {
    for measured in [false, true] {
        let mut by_name = by_name();
        let measure: Option<&mut dyn Measure> = if measured { Some(&mut by_name) } else { None };
        let engine = planned(resnet18(Range::BATCH, 32), Arch(90), measure);
        let carried: BTreeSet<&CompileUnit> = engine.cubins.iter().map(|cubin| &cubin.unit).collect();
        let plans = ShapePlans::new(Arc::clone(&engine), Target::typical(Arch(90)));
        let (mut same, mut other) = (0, 0);
        for batch in 1..=32 {
            let here = extents(&[("N", batch)]);
            let found = plans.at(&here).expect("it has a plan").plan;
            assert!(found.units().all(|unit| carried.contains(unit)), "batch {batch} needs a compiler");
            let larger = engine.plans.iter().filter(|plan| covers(&plan.bindings, &here));
            let larger = larger.min_by_key(|plan| volume(&plan.bindings)).expect("32 is larger than all");
            assert_eq!(found.steps.len(), larger.steps.len());
            found.steps.iter().zip(&larger.steps).for_each(|(ours, theirs)| assert_closest(ours, theirs, batch));
            let equal =
                found.steps.iter().zip(&larger.steps).filter(|(ours, theirs)| ours.tactic == theirs.tactic).count();
            (same, other) = (same + equal, other + found.steps.len() - equal);
            if equal == found.steps.len() {
                let (ours, theirs) = (work(&found), work(larger));
                assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| ours <= theirs), "{batch}: {ours:?} {theirs:?}");
            }
        }
        println!("measured: {measured}; {same} steps run the tactic of the next larger batch, {other} another");
        assert!(same > 20 * other, "{same} the same, {other} others");
    }
}

/// Where the tactic of the larger batch is not offered but one with its tiles is, that with the nearest number of
/// shares of K runs: a third of them would leave most of the chip idle.
fn assert_closest(ours: &Step, theirs: &Step, batch: usize) {
    let distance = |tactic: &Tactic| {
        let [here, there] = [tactic, &theirs.tactic].map(|tactic| f64::from(tactic.shares_of_k()));
        (here / there).max(there / here)
    };
    let alike = ours.offers.iter().map(|offer| &offer.tactic).filter(|tactic| tactic.has_tiles_of(&theirs.tactic));
    if let Some(nearest) = alike.map(distance).min_by(f64::total_cmp) {
        let what = format!("batch {batch}, {}: {} for {}", ours.group, ours.tactic, theirs.tactic);
        assert!(ours.tactic.has_tiles_of(&theirs.tactic) && distance(&ours.tactic) <= nearest, "{what}");
    }
}

/// Where no tactic of a tuned batch is offered, the kernels that are in the engine do.
#[test]
fn what_no_neighbour_ran_is_done_by_kernels_that_are_carried() {
    let mut engine = Arc::unwrap_or_clone(planned(resnet18(range("1..4"), 32), Arch(80), None));
    let carried: BTreeSet<CompileUnit> = engine.cubins.iter().map(|cubin| cubin.unit.clone()).collect();
    for step in engine.plans.iter_mut().flat_map(|plan| &mut plan.steps) {
        step.tactic.kernel = "of/another_version".to_owned();
    }
    let plans = ShapePlans::new(Arc::new(engine), Target::typical(Arch(80)));
    let found = plans.at(&extents(&[("N", 3)])).expect("it has a plan");
    assert!(found.of_engine && found.plan.units().all(|unit| carried.contains(unit)));
    assert!(found.plan.steps.iter().all(|step| step.offers[0].tactic == step.tactic));
}

#[test]
fn what_is_outside_is_refused_with_the_range() {
    let mut session = Session::new(Arc::new(resnet18(range("2..8"), 32)), Backend::Cpu).expect("the CPU is there");
    let mut said = |batch: usize| match session.run(&[random(DType::F32, &[batch, 3, 32, 32], 1)]) {
        Ok(outputs) => outputs[0].shape()[0].to_string(),
        Err(error) => {
            assert!(matches!(error, RunError::OutsideProfile { .. }) && error.help().is_some(), "{error}");
            error.to_string()
        }
    };
    assert_eq!([said(2), said(5), said(8)], ["2", "5", "8"]);
    assert_eq!(said(64), "batch 64 is outside the profile 2..8");
    assert_eq!(said(1), "batch 1 is outside the profile 2..8");
}

#[test]
fn samples_are_run_in_batches_that_the_profiles_allow() {
    let builder = Builder::new(Destination::Cpu).batches(&[1, 4]);
    let network = limpid::zoo::find("mlp").expect("it is in the zoo");
    let bytes = network.build(1).expect("it is made").model.to_bytes().expect("it is written");
    let engine = builder.build_bytes(&bytes, Path::new("mlp.onnx"), None, &mut ()).expect("it is built");
    let mut session = Session::new(Arc::new(engine), Backend::Cpu).expect("the CPU is there");
    assert_eq!(session.largest_batch(), Some(4));
    let inputs = random(DType::F32, &[11, 1, 28, 28], 1);
    let mut heard = Vec::new();
    let all = session.run_batches(std::slice::from_ref(&inputs), &mut |done| heard.push(done)).expect("it runs");
    // The last three are filled up to four.
    assert_eq!((heard, all[0].shape()), (vec![4, 8, 11], &[11, 10][..]));
    let row = inputs.bytes().len() / 11;
    let last = Tensor::from_bytes(DType::F32, &[1, 1, 28, 28], &inputs.bytes()[10 * row..]).expect("one");
    let alone = session.run(&[last]).expect("it runs")[0].to_f32();
    assert!(relative_l2(&all[0].to_f32()[100..], &alone) < 1e-6);
}

#[test]
fn profiles_and_plans_survive_the_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("resnet18.engine");
    let engine = planned(resnet18(range("1..4..9"), 32), Arch(80), None);
    engine.write(&path).expect("it can be written");
    let read = Engine::read(&path).expect("an engine");
    assert_eq!(read.metadata.profiles, engine.metadata.profiles);
    assert_eq!(read.metadata.profiles[0].to_string(), "N=1..4..9");
    assert_eq!(read.plans, engine.plans);
    let at = |engine: Arc<Engine>| {
        ShapePlans::new(engine, Target::typical(Arch(80))).at(&extents(&[("N", 7)])).expect("a plan").plan.into_owned()
    };
    assert_eq!(at(Arc::new(read)), at(engine));
}

/// A model of one node, reading `x` of these dims: a name is open, a number is not.
fn one_node(dims: &[&str], node: NodeWriter, constants: &[(&str, Tensor)]) -> Vec<u8> {
    let dim = |text: &&str| text.parse::<i64>().map_or_else(|_| Dim::symbol(Symbol::new(text)), Dim::from);
    let fact = Fact::new(DType::F32, Shape::new(dims.iter().map(dim)));
    let mut model = ModelWriter::new("test", 17);
    model.add_input("x", &fact);
    for (name, tensor) in constants {
        model.add_initializer(name, tensor.clone());
    }
    model.add_node(node.outputs(["y"]));
    model.add_output("y", &fact);
    model.to_bytes().expect("a model")
}

/// Shapes that the network itself cannot take are found when it is built, and the operator that cannot is named.
#[test]
fn an_operator_that_cannot_take_a_shape_is_named() {
    let said = |bytes: &[u8], extent: (&str, &str)| {
        let builder = Builder::new(Destination::Cpu).profile(ProfileRequest::new().extent(extent.0, range(extent.1)));
        let built = builder.build_bytes(bytes, Path::new("test.onnx"), None, &mut ());
        built.map(|engine| engine.metadata.profiles[0].to_string()).map_err(|error| error.to_string())
    };
    let pool = NodeWriter::new("MaxPool", "/pool").inputs(["x"]).attribute("kernel_shape", vec![3, 3]);
    let pool = one_node(&["N", "3", "H", "8"], pool, &[]);
    assert_eq!(said(&pool, ("H", "3..8")), Ok("H=3..8 N=1..32".to_owned()));
    let nothing = "node `/pool` (MaxPool) makes nothing at H=2 N=1: its output is [1, 3, 0, 6]";
    assert_eq!(said(&pool, ("H", "2..8")), Err(nothing.to_owned()));
    // A target of 2 rows holds for a batch of 2 alone, which the file should say.
    let target = Tensor::new(&[2], vec![2i64, 48]).expect("a shape");
    let reshape = NodeWriter::new("Reshape", "/flat").inputs(["x", "target"]);
    let error = said(&one_node(&["N", "3", "4", "4"], reshape, &[("target", target)]), ("N", "2")).expect_err("48·N");
    assert!(error.contains("/flat") && error.contains("Reshape"), "{error}");
}

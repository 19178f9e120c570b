//! Optimization profiles on a GPU: every shape is right, from kernels the engine carries, and no batch is slower than a
//! larger one. `cargo test --release --test gpu_shapes -- --ignored --nocapture` runs it;
//! `LIMPID_TIMING_CACHE=FILE` keeps the tactics' times.

use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid::engine::Engine;
use limpid::input::random;
use limpid::runtime::shape_plans::ShapePlans;
use limpid::runtime::{Backend, RunError, Session};
use limpid::shapes::{ProfileRequest, Range, covers, volume};
use limpid::zoo;
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor, relative_l2};
use limpid_kernels::device::Device;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Relative L2 error of FP16 against FP32 on the CPU.
const FP16_BOUND: f64 = 5e-3;

/// By how much a batch may seem slower than a larger one: what medians of one GPU differ by from run to run.
const NOISE: f64 = 1.03;

/// And by how many µs: the resolution of the GPU's events, twice.
const RESOLUTION_US: f64 = 1.0;

fn engine(bytes: &[u8], name: &str, precision: Precision, request: ProfileRequest, sample: &[usize]) -> Arc<Engine> {
    let samples = Batches(vec![vec![random(DType::F32, sample, 90)]]);
    let begin = Instant::now();
    let builder = Builder::new(Destination::Gpu { ordinal: 0 })
        .precision(precision)
        .profile(request)
        .int8(Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() })
        .timing_cache(std::env::var_os("LIMPID_TIMING_CACHE").map(PathBuf::from));
    let engine = builder.build_bytes(bytes, Path::new(name), None, &mut ()).expect("it is built");
    let (plans, seconds) = (engine.plans.len(), begin.elapsed().as_secs_f64());
    println!("{name} {precision}: {}, {plans} plans in {seconds:.1} s", engine.metadata.profiles[0]);
    Arc::new(engine)
}

/// The network in FP32, fused, for the CPU.
fn plain(bytes: &[u8]) -> Graph {
    let mut model = onnx::load_bytes(bytes, Path::new("plain"), None).expect("it is read");
    passes::optimize(&mut model.graph, &mut model.ledger, &[]).expect("it is fused");
    model.graph
}

/// The first `count` rows.
fn first(tensor: &Tensor, count: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let row = tensor.bytes().len() / shape[0];
    shape[0] = count;
    Tensor::from_bytes(tensor.dtype(), &shape, &tensor.bytes()[..count * row]).expect("whole rows")
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.to_f32().into_iter().map(f32::to_bits).collect()
}

/// All 32 batches against one run of the CPU with 32 pictures: a picture is answered alone as among others.
#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn every_batch_of_resnet18_is_right() {
    let network = zoo::find("resnet18").expect("it is in the zoo");
    let bytes = network.build(0).expect("it is made").model.to_bytes().expect("it is written");
    let input = random(DType::F32, &[32, 3, 224, 224], 17);
    let real = Interpreter::new(&plain(&bytes)).and_then(|graph| graph.run(std::slice::from_ref(&input)));
    let real = real.expect("the reference runs").swap_remove(0);
    let target = Device::open(0).expect("a GPU").target();
    let mut failures = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8] {
        let request = ProfileRequest::new().batch(Range::BATCH);
        let engine = engine(&bytes, "resnet18", precision, request, &[2, 3, 224, 224]);
        let want = match precision {
            Precision::Int8 => {
                let run = Interpreter::new(&engine.graph).and_then(|graph| graph.run(std::slice::from_ref(&input)));
                run.expect("the reference runs").swap_remove(0)
            }
            _ => real.clone(),
        };
        let carried: BTreeSet<_> = engine.cubins.iter().map(|cubin| &cubin.unit).collect();
        let plans = ShapePlans::new(Arc::clone(&engine), target.clone());
        let mut session = Session::new(Arc::clone(&engine), Backend::Cuda { ordinal: 0 }).expect("it opens");
        // Fewer than there are batches: recordings are dropped and made again on the way back.
        session.keep_shapes(5);
        for batch in (1..=32).chain((1..32).rev()) {
            let part = first(&input, batch);
            let got = session.run(std::slice::from_ref(&part)).expect("it lies in the profile").swap_remove(0);
            let right = match precision {
                Precision::Int8 => bits(&got) == bits(&first(&want, batch)),
                _ => relative_l2(&got.to_f32(), &first(&want, batch).to_f32()) <= FP16_BOUND,
            };
            if !right {
                failures.push(format!("{precision}, batch {batch}: wrong"));
            }
            let extents = engine.graph.bind(&[part.shape()]).expect("it fits");
            let found = plans.at(&extents).expect("it has a plan");
            if !found.of_engine || found.plan.units().any(|unit| !carried.contains(unit)) {
                failures.push(format!("{precision}, batch {batch}: it needs a compiler"));
            }
        }
        let error = session.run(&[random(DType::F32, &[33, 3, 224, 224], 1)]).expect_err("it is outside");
        assert!(matches!(error, RunError::OutsideProfile { .. }), "{error}");
        assert_eq!(error.to_string(), "batch 33 is outside the profile 1..32");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A table of latencies over the batch. No batch may be slower than the next larger one that kernels were timed at.
#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn no_batch_is_slower_than_its_next_larger_tuned_one() {
    let network = zoo::find("resnet18").expect("it is in the zoo");
    let bytes = network.build(0).expect("it is made").model.to_bytes().expect("it is written");
    let mut failures = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8] {
        let request = ProfileRequest::new().batch(Range::BATCH);
        let engine = engine(&bytes, "resnet18", precision, request, &[2, 3, 224, 224]);
        let mut session = Session::new(Arc::clone(&engine), Backend::Cuda { ordinal: 0 }).expect("it opens");
        let mut times = Vec::new();
        for batch in 1..=32 {
            let input = random(DType::F32, &[batch, 3, 224, 224], 1);
            let latency = session.measure(&[input], 20, 200).expect("it runs");
            times.push(latency.device.expect("a GPU has a clock").median());
        }
        println!("{:>5} {:>10} {:>14}   {precision}", "batch", "median µs", "samples/s");
        for (batch, time) in (1..).zip(&times) {
            let extents = engine.graph.bind(&[&[batch, 3, 224, 224]]).expect("it fits");
            let tuned = engine.plans.iter().any(|plan| plan.bindings == extents);
            let larger =
                engine.plans.iter().filter(|plan| plan.bindings != extents && covers(&plan.bindings, &extents));
            let larger = larger.min_by_key(|plan| volume(&plan.bindings)).map(|plan| plan.inputs[0].shape[0]);
            println!(
                "{batch:>5} {time:>10.1} {:>14.0} {}",
                batch as f64 / time * 1e6,
                if tuned { "tuned" } else { "" }
            );
            if let Some(bound) =
                larger.map(|larger| times[larger - 1] * NOISE + RESOLUTION_US).filter(|bound| time > bound)
            {
                failures.push(format!("{precision}, batch {batch}: {time:.1} µs, at most {bound:.1} µs"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn five_resolutions_of_deeplab_run_from_one_engine() {
    let network = zoo::find("deeplabv3plus").expect("it is in the zoo");
    let built = network.build_for_any_size(0).expect("it takes any size");
    let bytes = built.model.to_bytes().expect("it is written");
    let graph = plain(&bytes);
    let reference = Interpreter::new(&graph).expect("it is sound");
    let sides = Range::new(128, 256, 384).expect("they are in order");
    let mut failures = Vec::new();
    for precision in [Precision::Fp16, Precision::Int8] {
        let one = Range::exactly(1).expect("it is not 0");
        let request = ProfileRequest::new().batch(one).extent("H", sides).extent("W", sides);
        let engine = engine(&bytes, "deeplabv3plus", precision, request, &[1, 3, 128, 128]);
        let mut session = Session::new(Arc::clone(&engine), Backend::Cuda { ordinal: 0 }).expect("it opens");
        for (height, width) in [(128, 128), (200, 150), (256, 256), (129, 383), (384, 384)] {
            let input = random(DType::F32, &[1, 3, height, width], 5);
            let got = session.run(std::slice::from_ref(&input)).expect("it lies in the profile").swap_remove(0);
            assert_eq!(got.shape(), [1, 32, height, width]);
            let (right, error) = match precision {
                Precision::Int8 => {
                    let run = Interpreter::new(&engine.graph).and_then(|graph| graph.run(std::slice::from_ref(&input)));
                    let want = run.expect("the reference runs").swap_remove(0);
                    (bits(&got) == bits(&want), relative_l2(&got.to_f32(), &want.to_f32()))
                }
                _ => {
                    let want = reference.run(std::slice::from_ref(&input)).expect("the reference runs").swap_remove(0);
                    let error = relative_l2(&got.to_f32(), &want.to_f32());
                    (error <= FP16_BOUND, error)
                }
            };
            println!("deeplabv3plus {precision} {height}x{width}: relative L2 {error:.2e}");
            if !right {
                failures.push(format!("{precision}, {height}x{width}: relative L2 {error:.2e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

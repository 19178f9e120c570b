//! The measuring loop, sessions side by side, pipelines: on the CPU backend.

use limpid::engine::Engine;
use limpid::input::random;
use limpid::measure::{self, Options, Profile, Summary};
use limpid::runtime::{Backend, LaneOptions, Pipeline, RunError, Session};
use limpid::tensor::{DType, Tensor};
use limpid::{Builder, Destination};
use std::path::Path;
use std::sync::Arc;

fn session() -> Session {
    let network = limpid::zoo::find("mlp").expect("it is in the zoo");
    let model = network.build(1).expect("it can be built").model.to_bytes().expect("it can be written");
    let engine = Builder::new(Destination::Cpu).build_bytes(&model, Path::new("mlp.onnx"), None, &mut ());
    Session::new(Arc::new(engine.expect("it builds")), Backend::Cpu).expect("the CPU is there")
}

fn picture(seed: u64) -> Vec<Tensor> {
    vec![random(DType::F32, &[1, 1, 28, 28], seed)]
}

#[test]
fn engines_and_sessions_go_from_thread_to_thread() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Engine>();
    shared::<limpid::runtime::cuda::Constants>();
    shared::<limpid::device::Stream>();
    shared::<limpid::device::DeviceSlice<'static>>();
    sent::<Session>();
    sent::<Pipeline>();
}

#[test]
fn every_query_has_a_trace_whose_parts_follow_one_another() {
    for (streams, threads) in [(1, false), (3, false), (3, true)] {
        let options =
            Options { warm_up_ms: 5.0, duration_s: 0.02, iterations: 6, streams, threads, ..Options::default() };
        let measurement = measure::run(&mut session(), &picture(1), &options).expect("it runs");
        let traces = &measurement.traces;
        assert!(traces.len() >= 6 * streams, "{} queries on {streams} streams", traces.len());
        assert!(measurement.warm_up_queries > 0 && measurement.walltime_ms > 0.0 && measurement.clocks.is_none());
        for trace in traces {
            let order = [trace.h2d_start, trace.h2d_end, trace.compute_start, trace.compute_end, trace.d2h_start];
            assert!(order.is_sorted() && trace.d2h_start <= trace.d2h_end, "{trace:?}");
            assert!(trace.compute_start >= options.warm_up_ms && trace.compute() > 0.0, "{trace:?}");
            // The CPU copies nothing.
            assert_eq!((trace.h2d(), trace.d2h(), trace.latency()), (0.0, 0.0, trace.compute()));
        }
        assert!(traces.is_sorted_by(|a, b| a.h2d_start <= b.h2d_start));
        let summary = Summary::of(&measurement, &[99.0]).expect("there are traces");
        let wall = traces.iter().map(|t| t.d2h_end).fold(0.0, f64::max) - traces[0].h2d_start;
        assert!((summary.walltime_ms - wall).abs() < 1e-9);
        assert!((summary.throughput - traces.len() as f64 / wall * 1e3).abs() < 1e-6);
        // One thread computes one query at a time, whatever the streams.
        assert!(threads || summary.busy <= 1.0 + 1e-9, "{}", summary.busy);
    }
}

#[test]
fn as_many_queries_count_as_were_asked_for() {
    let options = Options { warm_up_ms: 0.0, duration_s: 0.0, iterations: 9, ..Options::default() };
    let measurement = measure::run(&mut session(), &picture(1), &options).expect("it runs");
    assert_eq!((measurement.traces.len(), measurement.warm_up_queries), (9, 0));
    let error = measure::run(&mut session(), &[], &options).expect_err("there is no input");
    assert!(matches!(error, RunError::InputCount { expected: 1, got: 0, .. }), "{error}");
    let error = measure::run(&mut session(), &[Tensor::zeros(DType::F32, &[1, 2])], &options).expect_err("a wrong one");
    assert!(matches!(error, RunError::Input { .. }), "{error}");
}

#[test]
fn sets_of_a_lane_keep_their_inputs_apart() {
    let mut session = session();
    let mut lane = session.lane(&picture(1), &LaneOptions { sets: 2, ..LaneOptions::default() }).expect("it opens");
    lane.load(1, &picture(2)).expect("it fits");
    for set in [0, 1, 0] {
        lane.submit(set).expect("it runs");
        assert_eq!(lane.finish().expect("it runs"), None, "without an origin nothing is timed");
    }
    assert_eq!(lane.finish().expect("nothing is under way"), None);
    for (set, seed) in [(0, 1), (1, 2)] {
        assert_eq!(lane.outputs(set).expect("they are there"), session.run(&picture(seed)).expect("it runs"));
    }
    let written = picture(3);
    lane.write(0, &mut |slices| slices[0].copy_from_slice(written[0].bytes())).expect("it fits");
    lane.submit(0).expect("it runs");
    assert_eq!(lane.outputs(0).expect("they are there"), session.run(&written).expect("it runs"));
}

#[test]
fn pipelines_answer_in_order_and_refuse_what_does_not_fit() {
    let mut session = session();
    for sets in [0, 1, 2, 3] {
        let mut pipeline = session.pipeline(&picture(0), sets).expect("it opens");
        let mut answers = Vec::new();
        for seed in 0..5 {
            answers.extend(pipeline.push(&picture(seed)).expect("it runs"));
            assert_eq!(answers.len() + pipeline.under_way(), seed as usize + 1);
        }
        assert_eq!(pipeline.under_way(), sets.max(1));
        while let Some(answer) = pipeline.pop().expect("it runs") {
            answers.push(answer);
        }
        let expected: Vec<_> = (0..5).map(|seed| session.run(&picture(seed)).expect("it runs")).collect();
        assert_eq!(answers, expected, "{sets} sets");
    }
    let mut pipeline = session.pipeline(&picture(0), 2).expect("it opens");
    assert!(matches!(pipeline.push(&[]), Err(RunError::InputCount { expected: 1, got: 0, .. })));
    let error = pipeline.push(&[Tensor::zeros(DType::F32, &[2, 1, 28, 28])]).expect_err("another batch");
    assert!(error.to_string().contains("as the pipeline was made for, got f32[2, 1, 28, 28]"), "{error}");
    assert_eq!(pipeline.under_way(), 0);
}

#[test]
fn a_profile_has_every_node_once_and_adds_up() {
    let mut session = session();
    let profile = Profile::of(&mut session, &picture(1), 20, &[90.0]).expect("it runs");
    let mut names: Vec<&str> = profile.layers.iter().map(|layer| layer.group.as_str()).collect();
    let mut nodes: Vec<&str> = session.engine().graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    names.sort();
    nodes.sort();
    assert_eq!(names, nodes);
    assert!(profile.layers.iter().all(|layer| layer.time.median > 0.0 && layer.bound.is_none()), "{profile:?}");
    // Multiplications and additions of the first of its three products alone.
    assert!(profile.layers.iter().map(|layer| layer.flops).sum::<u64>() > 2 * 784 * 256, "{profile:?}");
    assert!(profile.sum_us() > 0.0 && profile.whole.min > 0.0 && profile.bound_us().is_none());
    assert!(matches!(Profile::of(&mut session, &[], 1, &[]), Err(RunError::InputCount { .. })));
}

//! Streams, copies and pipelines on a GPU. `cargo test --release --test gpu_streams -- --ignored --nocapture --test-threads=1`

use limpid::builder::{Batches, Int8};
use limpid::device::{DeviceBuffer, Stream};
use limpid::input::random;
use limpid::measure::{self, Options, Summary};
use limpid::runtime::{Backend, DeviceTensor, RunError, Session};
use limpid::tensor::{DType, Tensor};
use limpid::{Builder, Destination, Precision};
use std::path::Path;
use std::sync::Arc;

const GPU: Backend = Backend::Cuda { ordinal: 0 };

fn session(name: &str, batch: usize, precision: Precision) -> (Session, Vec<Tensor>) {
    let network = limpid::zoo::find(name).expect("it is in the zoo");
    let model = network.build(1).expect("it can be built").model.to_bytes().expect("it can be written");
    let shape = [batch, network.channels, network.size, network.size];
    let samples = Batches(vec![vec![random(DType::F32, &[2, shape[1], shape[2], shape[3]], 9)]]);
    let builder = Builder::new(Destination::Gpu { ordinal: 0 }).precision(precision).batches(&[batch]);
    let builder = match precision {
        Precision::Int8 => builder.int8(Int8 { samples: Some(Arc::new(samples)), ..Int8::default() }),
        _ => builder,
    };
    let engine = builder.build_bytes(&model, Path::new(name), None, &mut ()).expect("it builds");
    (Session::new(Arc::new(engine), GPU).expect("a GPU"), vec![random(DType::F32, &shape, 1)])
}

fn bytes(tensors: &[Tensor]) -> Vec<Vec<u8>> {
    tensors.iter().map(|tensor| tensor.bytes().to_vec()).collect()
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn every_way_through_gives_the_same_bits() {
    let (mut session, inputs) = session("resnet18", 4, Precision::Fp16);
    let other = vec![random(DType::F32, inputs[0].shape(), 2)];
    let (want, want_other) =
        (bytes(&session.run(&inputs).expect("it runs")), bytes(&session.run(&other).expect("it runs")));
    assert_ne!(want, want_other);
    for pinned in [false, true] {
        for overlap in [false, true] {
            for (default_stream, cuda_graph) in [(false, true), (true, true), (false, false), (true, false)] {
                let options = limpid::runtime::LaneOptions {
                    sets: 2,
                    pinned,
                    overlap,
                    default_stream,
                    cuda_graph,
                    ..Default::default()
                };
                let mut lane = session.lane(&inputs, &options).expect("it opens");
                lane.load(1, &other).expect("it fits");
                for _ in 0..10 {
                    lane.submit(0).and_then(|()| lane.submit(1)).expect("they run");
                }
                for _ in 0..20 {
                    lane.finish().expect("they ran");
                }
                assert_eq!(bytes(&lane.outputs(0).expect("they are there")), want, "{options:?}");
                assert_eq!(bytes(&lane.outputs(1).expect("they are there")), want_other, "{options:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn the_callers_streams_and_memory_serve() {
    let (mut session, inputs) = session("resnet18", 1, Precision::Fp16);
    let want = bytes(&session.run(&inputs).expect("it runs"));
    let device = session.device().expect("it is a GPU").clone();
    let (own, legacy) = (Stream::new(&device).expect("a stream"), Stream::legacy_default(&device));
    // More sets than recordings are kept of.
    for round in 0..12 {
        let stream = if round % 2 == 0 { &own } else { &legacy };
        let x = DeviceBuffer::from_slice(stream, inputs[0].as_slice::<f32>().expect("floats")).expect("room");
        let y = DeviceBuffer::alloc(&device, want[0].len()).expect("room");
        y.enqueue_fill(0xFF, stream).expect("poisoned");
        let input = DeviceTensor { memory: x.as_slice(), shape: inputs[0].shape().to_vec() };
        for _ in 0..3 {
            session.enqueue(std::slice::from_ref(&input), &[y.as_slice()], stream).expect("it is enqueued");
        }
        let got: Vec<u8> = y.to_vec(stream).expect("copied");
        assert_eq!(got, want[0], "round {round}");
        let small = session.enqueue(&[input], &[x.as_slice()], stream).expect_err("the output is another size");
        assert!(matches!(small, RunError::Memory { what: "outputs", .. }), "{small}");
    }
    assert_eq!(bytes(&session.run(&inputs).expect("it runs")), want);
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn siblings_share_weights_and_run_at_once() {
    let (mut session, inputs) = session("vgg16", 1, Precision::Fp16);
    let want = bytes(&session.run(&inputs).expect("it runs"));
    let device = session.device().expect("it is a GPU").clone();
    let weights: u64 = session.engine().plans.iter().map(|plan| plan.constant_bytes).max().expect("a plan");
    let free = device.memory().expect("it tells").free;
    let mut siblings: Vec<Session> = (0..3).map(|_| session.sibling().expect("room")).collect();
    let (inputs, want) = (&inputs, &want);
    std::thread::scope(|scope| {
        for sibling in &mut siblings {
            scope.spawn(move || {
                for _ in 0..20 {
                    assert_eq!(&bytes(&sibling.run(inputs).expect("it runs")), want);
                }
            });
        }
    });
    let taken = free.saturating_sub(device.memory().expect("it tells").free) as u64;
    println!("three siblings took {taken} bytes beside {weights} of weights");
    assert!(taken < weights, "the weights are on the GPU once");
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn large_answers_are_lent_and_stay_as_they_are() {
    let (mut session, inputs) = session("unet", 4, Precision::Fp16);
    let mut kept = Vec::new();
    for seed in 0..6 {
        let input = vec![random(DType::F32, inputs[0].shape(), seed)];
        let outputs = session.run(&input).expect("it runs");
        assert!(outputs[0].bytes().len() > 1 << 20, "large enough to be lent");
        kept.push((input, bytes(&outputs), outputs));
    }
    for (input, copied, lent) in &kept {
        assert_eq!(&bytes(lent), copied, "later runs leave it alone");
        assert_eq!(&bytes(&session.run(input).expect("it runs")), copied);
    }
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC, and measures"]
fn the_parts_add_up_to_the_whole() {
    let (mut session, inputs) = session("resnet18", 32, Precision::Fp16);
    let quiet = Options { transfers: false, duration_s: 1.0, ..Options::default() };
    let measurement = measure::run(&mut session, &inputs, &quiet).expect("it runs");
    let summary = Summary::of(&measurement, &[99.0]).expect("there are queries");
    let gaps: f64 = measurement.traces.windows(2).map(|pair| pair[1].compute_start - pair[0].compute_end).sum();
    let explained = (summary.total_compute_ms + gaps) / summary.walltime_ms;
    println!("compute and gaps are {:.2} % of the wall time, gaps alone {gaps:.2} ms", explained * 100.0);
    assert!((explained - 1.0).abs() < 0.03, "{explained}");
    assert!(measurement.traces.iter().all(|trace| trace.h2d() == 0.0 && trace.d2h() == 0.0));
    let alone = session.measure(&inputs, 20, 500).expect("it runs").device.expect("a GPU has a clock").median();
    let ratio = summary.compute.median * 1e3 / alone;
    println!("{:.1} µs in the flow, {alone:.1} µs alone", summary.compute.median * 1e3);
    assert!((ratio - 1.0).abs() < 0.03, "{ratio}");
    // Host and GPU are on one clock: an inference begins after the host began to enqueue it.
    let early = measurement.traces.iter().filter(|trace| trace.compute_start < trace.enqueue_start - 0.05).count();
    assert_eq!(early, 0);
}

/// At least 90 % of the larger of what copies and what inferences alone allow.
#[test]
#[ignore = "needs a CUDA GPU and NVRTC, and measures"]
fn a_pipeline_hides_the_smaller_part() {
    let (mut session, inputs) = session("resnet18", 32, Precision::Int8);
    let serial = Options { pinned: true, duration_s: 1.0, ..Options::default() };
    let run = |session: &mut Session, options: &Options| {
        Summary::of(&measure::run(session, &inputs, options).expect("it runs"), &[99.0]).expect("there are queries")
    };
    let alone = run(&mut session, &serial);
    let piped = run(&mut session, &Options { pipeline: 2, ..serial });
    let (part, bound) = alone.bound();
    println!(
        "serial {:.0} queries/s, pipeline {:.0}, {part} alone {bound:.0}; busy {:.2} and {:.2}",
        alone.throughput, piped.throughput, alone.busy, piped.busy
    );
    assert!(piped.throughput >= 0.9 * bound, "{:.1} % of {part}", piped.throughput / bound * 100.0);
}

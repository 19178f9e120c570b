//! What needs a GPU. `cargo test -p limpid-kernels -- --ignored --test-threads=1` runs these: one at a time, since
//! one of them measures.

use crate::programs::{BLOCK, SCALE, ScaleParams, program, unit};
use limpid_kernels::device::{
    Compiler, Cubin, Device, DeviceBuffer, DeviceError, DevicePtr, Event, Function, GraphExec, HostBuffer,
    PreparedLaunch, Repetitions, Stream, Timer,
};
use limpid_kernels::launch::{Arg, Launch, Role};

const N: usize = 100_003;

fn open() -> (Device, Stream) {
    let device = Device::open(0).expect("a GPU");
    let stream = Stream::new(&device).expect("a stream");
    (device, stream)
}

fn compile(device: &Device, entry: &str) -> Cubin {
    let compiler = Compiler::new().expect("NVRTC");
    compiler.compile_program(&program(SCALE), &unit(entry), device.target().arch).expect("it compiles")
}

fn scale_launch(n: usize, alpha: f32, bias: bool) -> Launch {
    Launch {
        unit: unit("scale"),
        grid: [(n as u32).div_ceil(BLOCK), 1, 1],
        block: [BLOCK, 1, 1],
        cluster: Launch::ALONE,
        shared_bytes: 0,
        args: vec![
            Arg::Pointer(Role::Input(0)),
            Arg::optional(Role::Bias, bias),
            Arg::Pointer(Role::Output(0)),
            Arg::params(&ScaleParams { n: n as i32, alpha }),
        ],
        dependent: false,
    }
}

fn prepare(device: &Device, cubin: &Cubin, launch: &Launch, x: &DeviceBuffer, y: &DeviceBuffer) -> PreparedLaunch {
    let resolve = |role| match role {
        Role::Input(0) | Role::Bias => Some(x.ptr()),
        Role::Output(0) => Some(y.ptr()),
        _ => None,
    };
    device.prepare(launch, cubin, &resolve).expect("it fits")
}

fn ramp() -> Vec<f32> {
    (0..N).map(|i| i as f32).collect()
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_gpu_describes_itself() {
    let (device, _) = open();
    let target = device.target();
    println!("{target:?}, driver {}, clocks {:?}", device.driver_version(), device.clocks());
    assert!(target.arch.0 >= 75 && target.multiprocessors > 0 && target.l2_bytes > 0);
    assert!(target.shared_per_block >= 48 * 1024 && target.bandwidth > 1e11 && target.clock > 5e8, "{target:?}");
    let memory = device.memory().expect("it tells");
    assert!(memory.free <= memory.total && memory.total > 1 << 30);
    assert_eq!(device.name(), target.name);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn bytes_come_back_as_they_went() {
    let (device, stream) = open();
    let contents = ramp();
    let buffer = DeviceBuffer::from_slice(&stream, &contents).expect("room");
    assert_eq!(buffer.to_vec::<f32>(&stream).expect("copied"), contents);
    buffer.copy_from_host(8, &[1, 2, 3], &stream).expect("inside");
    let mut part = [0; 5];
    buffer.copy_to_host(7, &mut part, &stream).expect("inside");
    assert_eq!(part[1..4], [1, 2, 3]);
    assert!(matches!(buffer.copy_from_host(N * 4 - 1, &[0; 2], &stream), Err(DeviceError::OutOfBounds { .. })));
    assert!(DeviceBuffer::alloc(&device, 0).expect("an empty one").to_vec::<f32>(&stream).expect("nothing").is_empty());
    let second = DeviceBuffer::alloc(&device, N * 4).expect("room");
    second.enqueue_copy_within_device(4, &buffer, 0, 400, &stream).expect("inside");
    assert_eq!(second.to_vec::<f32>(&stream).expect("copied")[4..101], contents[3..100]);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn poison_is_nan() {
    let (device, stream) = open();
    let buffer = DeviceBuffer::alloc(&device, 4 * 33).expect("room");
    buffer.enqueue_fill(0xFF, &stream).expect("filled");
    assert!(buffer.to_vec::<f32>(&stream).expect("copied").iter().all(|x| x.is_nan()));
    assert!(buffer.to_vec::<u16>(&stream).expect("copied").iter().all(|&bits| half::f16::from_bits(bits).is_nan()));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn pinned_memory_waits_for_its_copies() {
    let (device, stream) = open();
    let mut host = HostBuffer::pinned(&device, 64 << 20).expect("memory to lock");
    let buffer = DeviceBuffer::alloc(&device, 64 << 20).expect("room");
    assert!(host.bytes().expect("nothing is under way").iter().all(|&byte| byte == 0));
    for round in 1..4u8 {
        host.bytes_mut().expect("it waits").fill(round);
        buffer.enqueue_copy_from(0, &mut host, 0..64 << 20, &stream).expect("inside");
        host.bytes_mut().expect("it waits").fill(0xEE);
        buffer.enqueue_copy_to(0, &mut host, 0..64 << 20, &stream).expect("inside");
        assert!(host.bytes().expect("it waits").iter().all(|&byte| byte == round), "round {round}");
    }
    assert!(matches!(buffer.enqueue_copy_to(1, &mut host, 0..64 << 20, &stream), Err(DeviceError::OutOfBounds { .. })));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn kernels_get_their_arguments() {
    let (device, stream) = open();
    let cubin = compile(&device, "scale");
    let x = DeviceBuffer::from_slice(&stream, &ramp()).expect("room");
    let y = DeviceBuffer::alloc(&device, N * 4).expect("room");
    for bias in [false, true] {
        y.enqueue_fill(0xFF, &stream).expect("poisoned");
        prepare(&device, &cubin, &scale_launch(N, 3.0, bias), &x, &y).enqueue(&stream).expect("launched");
        let factor = if bias { 4.0 } else { 3.0 };
        let expected: Vec<f32> = ramp().iter().map(|x| x * factor).collect();
        assert_eq!(y.to_vec::<f32>(&stream).expect("copied"), expected, "bias {bias}");
    }
    let mut short = scale_launch(N, 3.0, false);
    short.args[3] = Arg::Bytes(vec![0; 4]);
    let refused = device.prepare(&short, &cubin, &|_| Some(DevicePtr::default()));
    assert!(matches!(refused, Err(DeviceError::Arguments { .. })));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn large_shared_memory_is_asked_for_and_bounded() {
    let (device, stream) = open();
    let cubin = compile(&device, "through_shared");
    let most = device.target().shared_per_block;
    let n = most as usize / 4;
    let contents: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let x = DeviceBuffer::from_slice(&stream, &contents).expect("room");
    let y = DeviceBuffer::alloc(&device, n * 4).expect("room");
    let launch = |shared_bytes| Launch {
        unit: unit("through_shared"),
        grid: [1; 3],
        block: [BLOCK, 1, 1],
        cluster: Launch::ALONE,
        shared_bytes,
        args: vec![
            Arg::Pointer(Role::Input(0)),
            Arg::Pointer(Role::Output(0)),
            Arg::Bytes((n as i32).to_ne_bytes().to_vec()),
        ],
        dependent: false,
    };
    let prepared = prepare(&device, &cubin, &launch(most), &x, &y);
    // A smaller request later must not take back what was allowed.
    prepare(&device, &cubin, &launch(1024), &x, &y);
    prepared.enqueue(&stream).expect("launched");
    let reversed: Vec<f32> = contents.into_iter().rev().collect();
    assert_eq!(y.to_vec::<f32>(&stream).expect("copied"), reversed);
    let function = Function::new(&device, &cubin, "through_shared", most).expect("loaded");
    assert_eq!(function.blocks_per_multiprocessor(BLOCK, most).expect("asked"), 1);
    assert!(function.blocks_per_multiprocessor(BLOCK, 1024).expect("asked") > 4);
    let refused = Function::new(&device, &cubin, "through_shared", most + 4);
    assert!(matches!(refused, Err(DeviceError::Dimensions { .. })));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_cubin_for_another_gpu_is_refused_in_words() {
    let (device, _) = open();
    let arch = device.target().arch;
    let other = limpid_kernels::target::Arch(if arch.0 == 75 { 90 } else { 75 });
    let compiler = Compiler::new().expect("NVRTC");
    let cubin = compiler.compile_program(&program(SCALE), &unit("scale"), other).expect("it compiles");
    let error = Function::new(&device, &cubin, "scale", 0).expect_err("it is for another GPU");
    assert!(matches!(error, DeviceError::Image { .. }), "{error}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_graph_repeats_what_was_recorded() {
    let (device, stream) = open();
    let cubin = compile(&device, "scale");
    let x = DeviceBuffer::from_slice(&stream, &ramp()).expect("room");
    let y = DeviceBuffer::alloc(&device, N * 4).expect("room");
    let double = prepare(&device, &cubin, &scale_launch(N, 2.0, false), &x, &y);
    let back = prepare(&device, &cubin, &scale_launch(N, 1.0, false), &y, &x);
    let graph = GraphExec::capture(&stream, |stream| {
        double.enqueue(stream)?;
        back.enqueue(stream)
    })
    .expect("recorded");
    assert_eq!(graph.nodes(), 2);
    assert_eq!(x.to_vec::<f32>(&stream).expect("copied"), ramp(), "recording runs nothing");
    for _ in 0..3 {
        graph.launch(&stream).expect("launched");
    }
    let expected: Vec<f32> = ramp().iter().map(|x| x * 8.0).collect();
    assert_eq!(x.to_vec::<f32>(&stream).expect("copied"), expected);
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn a_failed_recording_leaves_the_stream_as_it_was() {
    let (device, stream) = open();
    let buffer = DeviceBuffer::alloc(&device, 1024).expect("room");
    let stopped = GraphExec::capture(&stream, |stream| {
        buffer.enqueue_fill(1, stream)?;
        Err(DeviceError::Clock)
    });
    assert!(matches!(stopped, Err(DeviceError::Clock)));
    // Waiting cannot be recorded; the driver spoils the recording.
    let waited = GraphExec::capture(&stream, |stream| stream.synchronize());
    assert!(matches!(waited, Err(DeviceError::Cuda { .. })));
    let swallowed = GraphExec::capture(&stream, |stream| {
        assert!(stream.synchronize().is_err());
        Ok(())
    });
    assert!(matches!(swallowed, Err(DeviceError::Cuda { .. })));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        GraphExec::capture(&stream, |_| panic!("on purpose"))
    }));
    assert!(panicked.is_err());

    buffer.enqueue_fill(7, &stream).expect("an ordinary stream");
    assert!(buffer.to_vec::<u8>(&stream).expect("copied").iter().all(|&byte| byte == 7));
    let graph = GraphExec::capture(&stream, |stream| buffer.enqueue_fill(9, stream)).expect("recorded");
    graph.launch(&stream).expect("launched");
    assert!(buffer.to_vec::<u8>(&stream).expect("copied").iter().all(|&byte| byte == 9));
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn streams_wait_for_events() {
    let (device, first) = open();
    let second = Stream::new(&device).expect("a stream");
    let cubin = compile(&device, "scale");
    let n = 1 << 24;
    let x = DeviceBuffer::from_slice(&first, &vec![1.0f32; n]).expect("room");
    let y = DeviceBuffer::alloc(&device, n * 4).expect("room");
    let z = DeviceBuffer::alloc(&device, n * 4).expect("room");
    let done = Event::ordering(&device).expect("an event");
    for round in 1..20 {
        prepare(&device, &cubin, &scale_launch(n, round as f32, false), &x, &y).enqueue(&first).expect("launched");
        done.record(&first).expect("recorded");
        second.wait(&done).expect("waits");
        prepare(&device, &cubin, &scale_launch(n, 2.0, false), &y, &z).enqueue(&second).expect("launched");
        second.synchronize().expect("done");
        assert!(second.is_idle().expect("asked"));
        let last = z.to_vec::<f32>(&second).expect("copied")[n - 1];
        assert_eq!(last, 2.0 * round as f32);
    }
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn the_timer_measures_the_gpu() {
    let (device, stream) = open();
    let cubin = compile(&device, "scale");
    let n = 1 << 26;
    let x = DeviceBuffer::from_slice(&stream, &vec![1.0f32; n]).expect("room");
    let y = DeviceBuffer::alloc(&device, n * 4).expect("room");
    let whole = prepare(&device, &cubin, &scale_launch(n, 2.0, false), &x, &y);
    let half = prepare(&device, &cubin, &scale_launch(n / 2, 2.0, false), &x, &y);
    let mut timer = Timer::new(&device);
    let repetitions = Repetitions { warm_up: 3, samples: 20, calls: 2 };
    let direct = timer.measure(&stream, repetitions, |stream, _| whole.enqueue(stream)).expect("timed");
    let graph = timer.measure_graph(&stream, repetitions, |stream, _| whole.enqueue(stream)).expect("timed");
    let shorter = timer.measure_graph(&stream, repetitions, |stream, _| half.enqueue(stream)).expect("timed");
    println!("whole {direct}, as a graph {graph}, half {shorter}");
    // Reads and writes 512 MiB: no GPU moves that faster than 20 TB/s, or twice as fast as half of it.
    assert!(graph.min() > (n * 8) as f64 / 20e12 * 1e6, "{graph}");
    assert!((1.5..2.5).contains(&(graph.median() / shorter.median())), "{graph} against {shorter}");
    assert!((0.8..1.25).contains(&(direct.median() / graph.median())), "{direct} against {graph}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn too_much_memory_is_refused_with_what_there_is() {
    let (device, _) = open();
    let error = DeviceBuffer::alloc(&device, 1 << 50).expect_err("a pebibyte");
    assert!(matches!(error, DeviceError::OutOfMemory { wanted, .. } if wanted == 1 << 50), "{error}");
}

#[test]
#[ignore = "needs a CUDA GPU"]
fn threads_share_a_device() {
    let (device, stream) = open();
    let cubin = compile(&device, "scale");
    let x = DeviceBuffer::from_slice(&stream, &ramp()).expect("room");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (device, cubin, x) = (&device, &cubin, &x);
            scope.spawn(move || {
                let stream = Stream::new(device).expect("a stream");
                let y = DeviceBuffer::alloc(device, N * 4).expect("room");
                let launch = prepare(device, cubin, &scale_launch(N, thread as f32, false), x, &y);
                // Other threads allocate and load meanwhile; a thread-local recording does not mind.
                let graph = GraphExec::capture(&stream, |stream| launch.enqueue(stream)).expect("recorded");
                graph.launch(&stream).expect("launched");
                let expected: Vec<f32> = ramp().iter().map(|x| x * thread as f32).collect();
                assert_eq!(y.to_vec::<f32>(&stream).expect("copied"), expected);
            });
        }
    });
}

//! Programmatic dependent launch on a GPU: grids that start early see what the grids before them wrote, and overwrite
//! nothing that those still read.

use limpid_kernels::device::{
    Compiler, Device, DeviceBuffer, GraphExec, PreparedLaunch, Program, Repetitions, Stream, Timer,
};
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};
use limpid_kernels::source;
use std::borrow::Cow;

/// `y[i] = x[n-1-i] + 1`, by threads that take their time behind the wait: whoever does not wait for them reads old
/// numbers, or replaces those that they have yet to read.
const TURN: &str = r#"
#include "include/ptx.cuh"

extern "C" __global__ void turn(const uint32_t* x, uint32_t* y, const uint32_t clocks) {
    griddepcontrol_launch_dependents();
    griddepcontrol_wait();
    const int64_t begin = clock64();
    while (clock64() - begin < clocks * (1 + blockIdx.x % 4)) {
    }
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[gridDim.x * blockDim.x - 1 - i] + 1;
}
"#;

const BLOCKS: u32 = 96;
const THREADS: u32 = 64;
const N: u32 = BLOCKS * THREADS;

fn turn(device: &Device, x: &DeviceBuffer, y: &DeviceBuffer, clocks: u32, dependent: bool) -> PreparedLaunch {
    let unit = CompileUnit::new::<&str, u32>("test/turn.cu", "turn", []);
    let header = source::text("include/ptx.cuh").expect("a header");
    let program = Program {
        name: Cow::Borrowed("test/turn.cu"),
        text: Cow::Borrowed(TURN),
        headers: vec![(Cow::Borrowed("include/ptx.cuh"), Cow::Borrowed(header))],
    };
    let compiler = Compiler::new().expect("NVRTC");
    let cubin = compiler.compile_program(&program, &unit, device.target().arch).expect("it compiles");
    let launch = Launch {
        unit,
        grid: [BLOCKS, 1, 1],
        block: [THREADS, 1, 1],
        cluster: Launch::ALONE,
        shared_bytes: 0,
        args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&clocks)],
        dependent,
    };
    let resolve = |role| match role {
        Role::Input(0) => Some(x.ptr()),
        Role::Output(0) => Some(y.ptr()),
        _ => None,
    };
    device.prepare(&launch, &cubin, &resolve).expect("it fits")
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn dependent_grids_share_buffers_as_if_they_ran_in_turn() {
    let device = Device::open(0).expect("a GPU");
    if !device.target().arch.has_dependent_launch() {
        println!("SKIPPED: {} has no dependent launches", device.target().arch);
        return;
    }
    let stream = Stream::new(&device).expect("a stream");
    let start: Vec<u32> = (0..N).collect();
    let buffers: Vec<DeviceBuffer> = (0..3).map(|_| DeviceBuffer::from_slice(&stream, &start).expect("room")).collect();
    // Slow and fast grids in turn, around three buffers: each overwrites what the grid before the last one read.
    let clocks = [20_000, 0, 5_000, 0, 0];
    let chain: Vec<PreparedLaunch> = (0..60)
        .map(|i| turn(&device, &buffers[i % 3], &buffers[(i + 1) % 3], clocks[i % clocks.len()], true))
        .collect();
    // Turned round an even number of times, 60 more.
    let expected: Vec<u32> = (0..N).map(|i| i + 60).collect();
    let refill = |stream: &Stream| buffers[0].copy_from_host(0, bytemuck::cast_slice(&start), stream);
    let graph = GraphExec::capture(&stream, |stream| chain.iter().try_for_each(|launch| launch.enqueue(stream)))
        .expect("recorded");
    for round in 0..20 {
        refill(&stream).expect("copied");
        if round % 2 == 0 {
            graph.launch(&stream).expect("launched");
        } else {
            chain.iter().try_for_each(|launch| launch.enqueue(&stream)).expect("launched");
        }
        // The copy back is no grid: it comes behind the end of the last one.
        assert_eq!(buffers[0].to_vec::<u32>(&stream).expect("copied"), expected, "round {round}");
    }
    // A fill between two grids is waited for, too.
    let filled = GraphExec::capture(&stream, |stream| {
        chain[0].enqueue(stream)?;
        buffers[1].enqueue_fill(0, stream)?;
        chain[1].enqueue(stream)
    })
    .expect("recorded");
    filled.launch(&stream).expect("launched");
    assert_eq!(buffers[2].to_vec::<u32>(&stream).expect("copied"), vec![1; N as usize]);
}

#[test]
#[ignore = "needs a CUDA GPU and NVRTC"]
fn dependent_grids_follow_each_other_faster() {
    let device = Device::open(0).expect("a GPU");
    if !device.target().arch.has_dependent_launch() {
        println!("SKIPPED: {} has no dependent launches", device.target().arch);
        return;
    }
    let stream = Stream::new(&device).expect("a stream");
    let x = DeviceBuffer::from_slice(&stream, &vec![0u32; N as usize]).expect("room");
    let y = DeviceBuffer::alloc(&device, N as usize * 4).expect("room");
    let mut timer = Timer::new(&device);
    let mut time = |dependent| {
        let launch = turn(&device, &x, &y, 0, dependent);
        let repetitions = Repetitions { warm_up: 5, samples: 50, calls: 64 };
        timer.measure_graph(&stream, repetitions, |stream, _| launch.enqueue(stream)).expect("timed")
    };
    let (in_turn, dependent) = (time(false), time(true));
    println!("a grid in a graph: {in_turn} in turn, {dependent} dependent");
    assert!(dependent.median() < in_turn.median(), "{dependent} against {in_turn}");
}

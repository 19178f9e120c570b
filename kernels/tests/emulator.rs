//! The emulator itself: small kernels whose answers are known, and planted faults that it must name.

#[path = "support/emulator.rs"]
mod emulated;

use emulated::emulator;
use half::f16;
use limpid_graph::ops::{Activation, exact};
use limpid_kernels::emulator::{Buffer, EmulatorError, Fault, FaultKind, Memory, Traffic};
use limpid_kernels::epilogue::ActivationParams;
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};
use limpid_kernels::target::Arch;

const SOUND: &str = include_str!("emulator/sound.cu");
const ACTIVATIONS: &str = include_str!("emulator/activations.cu");
const PLANTED: &str = include_str!("emulator/planted.cu");

struct Case {
    text: &'static str,
    unit: CompileUnit,
    block: u32,
    grid: u32,
    shared_bytes: u32,
    args: Vec<Arg>,
}

impl Case {
    fn run(self, memory: &mut Memory) -> Result<Option<Traffic>, Box<Fault>> {
        let Some(emulator) = emulator() else { return Ok(None) };
        let program = emulator.compile_text(&self.unit, self.text, Arch(80)).unwrap_or_else(|e| panic!("{e}"));
        let launch = Launch {
            unit: self.unit,
            grid: [self.grid, 1, 1],
            block: [self.block, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: self.shared_bytes,
            args: self.args,
            dependent: false,
        };
        match program.run(&launch, memory) {
            Ok(traffic) => Ok(Some(traffic)),
            Err(EmulatorError::Fault(fault)) => Err(fault),
            Err(error) => panic!("{error}"),
        }
    }
}

fn sound(entry: &str, grid: u32, block: u32, shared_bytes: u32, args: Vec<Arg>) -> Case {
    let unit = CompileUnit::new::<&str, u32>("tests/sound.cu", entry, []);
    Case { text: SOUND, unit, block, grid, shared_bytes, args }
}

fn input<T: bytemuck::NoUninit>(values: &[T]) -> Buffer {
    Buffer::input(bytemuck::cast_slice(values).to_vec())
}

fn floats(memory: &Memory, role: Role) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(&memory[&role].bytes)
}

const X: Role = Role::Input(0);
const B: Role = Role::Input(1);
const Y: Role = Role::Output(0);

#[test]
fn threads_meet_in_barriers_and_shuffles() {
    let x: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let mut memory = Memory::from([(X, input(&x)), (Y, Buffer::output(400))]);
    let params = [100i32.to_le_bytes(), 0.5f32.to_le_bytes()].concat();
    let args = vec![Arg::Pointer(X), Arg::Pointer(Y), Arg::Bytes(params)];
    let Some(traffic) = sound("warp_sum", 2, 64, 0, args).run(&mut memory).unwrap_or_else(|f| panic!("{f}")) else {
        return;
    };
    let sum = |range: std::ops::Range<usize>| range.filter(|&i| i < 100).map(|i| i as f32 * 0.5).sum::<f32>();
    let y = floats(&memory, Y);
    for (i, got) in y.iter().enumerate().take(100) {
        let base = i / 64 * 64;
        // Reversed: the lower warp of a block sums the upper half.
        let want = if i % 64 < 32 { sum(base + 32..base + 64) } else { sum(base..base + 32) };
        assert_eq!(*got, want, "y[{i}]");
    }
    assert_eq!(traffic.buffers[&X].total(), (400, 0));
    assert_eq!(traffic.buffers[&Y].total(), (0, 400));
    assert_eq!(traffic.shared.total(), (512, 512));
}

/// The kernels' activations of INT8 against their definition, for every 10007th f32: the stride walks through all
/// exponents and signs. `ops/exact.rs` holds the same numbers to recorded fingerprints.
#[test]
fn exact_activations_are_their_definition() {
    let x: Vec<f32> = (0..=u32::MAX).step_by(10_007).map(f32::from_bits).collect();
    let functions = [
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Clip { min: -1.5, max: 6.0 },
        Activation::Sigmoid,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Silu,
        Activation::Tanh,
    ];
    for function in functions {
        let params = Arg::params(&ActivationParams::new(function));
        let args = vec![Arg::Pointer(X), Arg::Pointer(Y), params, Arg::Bytes((x.len() as i32).to_le_bytes().to_vec())];
        let unit = CompileUnit::new::<&str, u32>("tests/activations.cu", "activations", []);
        let grid = x.len().div_ceil(256) as u32;
        let case = Case { text: ACTIVATIONS, unit, block: 256, grid, shared_bytes: 0, args };
        let mut memory = Memory::from([(X, input(&x)), (Y, Buffer::output(4 * x.len()))]);
        if case.run(&mut memory).unwrap_or_else(|f| panic!("{f}")).is_none() {
            return;
        }
        for (x, got) in x.iter().zip(floats(&memory, Y)) {
            let want = exact::activate(function, *x);
            let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            assert!(same, "{function}({x:e}): got {got:e}, want {want:e}");
        }
    }
}

/// Small integers: products and sums are exact, so the order of additions does not matter.
fn matrices(k: usize) -> (Vec<f16>, Vec<f16>, Vec<f32>) {
    let a: Vec<f16> = (0..16 * k).map(|i| f16::from_f32(((i * 7 + i / 5) % 11) as f32 - 5.0)).collect();
    let b: Vec<f16> = (0..k * 8).map(|i| f16::from_f32(((i * 5 + i / 3) % 9) as f32 - 4.0)).collect();
    let mut y = vec![0.0; 128];
    for (row, column) in (0..16).flat_map(|row| (0..8).map(move |column| (row, column))) {
        y[row * 8 + column] = (0..k).map(|i| a[row * k + i].to_f32() * b[i * 8 + column].to_f32()).sum();
    }
    (a, b, y)
}

#[test]
fn a_warp_multiplies_matrices() {
    let (a, b, want) = matrices(16);
    let mut memory = Memory::from([(X, input(&a)), (B, input(&b)), (Y, Buffer::output(512))]);
    let args = vec![Arg::Pointer(X), Arg::Pointer(B), Arg::Pointer(Y)];
    if sound("matrix", 1, 32, 768, args).run(&mut memory).unwrap_or_else(|f| panic!("{f}")).is_some() {
        assert_eq!(floats(&memory, Y), want);
    }
}

#[test]
fn atomics_add_up() {
    let x: Vec<i32> = (0..1000).map(|i| i * i % 16).collect();
    let mut counts = input(&[0i32; 16]);
    counts.read_only = false;
    let mut memory = Memory::from([(X, input(&x)), (Y, counts)]);
    let args = vec![Arg::Pointer(X), Arg::Pointer(Y), Arg::Bytes(1000i32.to_le_bytes().to_vec())];
    if sound("histogram", 3, 128, 0, args).run(&mut memory).unwrap_or_else(|f| panic!("{f}")).is_some() {
        let counts: Vec<i32> = bytemuck::pod_collect_to_vec(&memory[&Y].bytes);
        let want: Vec<i32> = (0..16).map(|bin| x.iter().filter(|&&v| v == bin).count() as i32).collect();
        assert_eq!(counts, want);
    }
}

/// Runs `planted.cu` with this fault in it: what came, and whether it is right.
fn plant(name: &str) -> Option<Result<bool, Box<Fault>>> {
    let steps = 4;
    let (a, b, want) = matrices(16 * steps);
    let mut memory = Memory::from([(X, input(&a)), (B, input(&b)), (Y, Buffer::output(512))]);
    let unit = CompileUnit::new("tests/planted.cu", "planted", [("PLANT", name)]);
    let args =
        vec![Arg::Pointer(X), Arg::Pointer(B), Arg::Pointer(Y), Arg::Bytes((steps as i32).to_le_bytes().to_vec())];
    let case = Case { text: PLANTED, unit, block: 64, grid: 1, shared_bytes: 2 * 384 * 2, args };
    match case.run(&mut memory) {
        Ok(None) => None,
        Ok(Some(_)) => Some(Ok(floats(&memory, Y) == want)),
        Err(fault) => Some(Err(fault)),
    }
}

/// Asserts that the planted fault is found, and found for what it is, with its line.
fn assert_found(name: &str, kind: FaultKind) {
    let Some(outcome) = plant(name) else { return };
    let fault = outcome.expect_err("the planted fault was not found");
    assert_eq!(fault.kind, kind, "{name}: {fault}");
    assert!(fault.place.iter().any(|frame| frame.file == "tests/planted.cu" && frame.line > 0), "{name}: {fault}");
    println!("{name}: {fault}");
}

#[test]
fn the_unspoilt_kernel_is_right() {
    if let Some(outcome) = plant("NONE") {
        assert!(outcome.unwrap_or_else(|f| panic!("{f}")));
    }
}

#[test]
fn finds_synchronisation_faults() {
    assert_found("MISSING_BARRIER", FaultKind::DataRace);
    assert_found("NO_REDUCTION_BARRIER", FaultKind::DataRace);
    assert_found("MISSING_WAIT", FaultKind::MissingWait);
    assert_found("MISSING_LANES", FaultKind::MissingLanes);
    assert_found("DIVERGENT_BARRIER", FaultKind::BarrierNotReached);
}

#[test]
fn finds_wrong_addresses() {
    assert_found("LOOP_TOO_LONG", FaultKind::OutOfBounds);
    assert_found("OUT_OF_SHARED", FaultKind::OutOfBounds);
    assert_found("OUT_OF_Y", FaultKind::OutOfBounds);
    assert_found("MISALIGNED", FaultKind::Misaligned);
    assert_found("MISALIGNED_LOAD", FaultKind::Misaligned);
}

#[test]
fn finds_what_was_never_written() {
    assert_found("LOST_PART", FaultKind::NeverWritten);
    assert_found("UNINITIALISED", FaultKind::NeverWritten);
}

/// Faults that no single access shows: the answer is wrong.
#[test]
fn wrong_fragments_give_wrong_answers() {
    if let Some(outcome) = plant("WRONG_ROW") {
        assert!(!outcome.unwrap_or_else(|f| panic!("{f}")), "WRONG_ROW went unnoticed");
    }
}

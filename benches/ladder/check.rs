//! Every step against plain loops, to the bit: in the emulator, and on a GPU before it is timed. And through NVRTC.

use crate::problem::Problem;
use crate::steps::{STEPS, Step};
use limpid_kernels::device::{Compiler, CubinCache, CubinKey, DeviceError};
use limpid_kernels::emulator::{Buffer, Emulator, EmulatorError, Memory};
use limpid_kernels::launch::Role;
use limpid_kernels::target::Arch;
use rayon::prelude::*;
use std::path::Path;

const ARCHS: [Arch; 2] = [Arch(80), Arch(90)];
const CACHE_BYTES: u64 = 64 << 20;

/// More than one block tile in each direction, none of them full; padding, a stride, and images side by side.
pub fn problems() -> [Problem; 2] {
    [Problem::gemm(130, 136, 72), Problem::conv(3, 13, 8, 136, 3, 2)]
}

/// Runs every step in the emulator; false if one is wrong.
pub fn emulate() -> bool {
    let emulator = match Emulator::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator")) {
        Ok(emulator) => emulator,
        Err(error @ (EmulatorError::NoCompiler { .. } | EmulatorError::NotLinux)) => {
            println!("SKIPPED, nothing was emulated: {error}");
            return std::env::var_os("LIMPID_REQUIRE_CXX").is_none();
        }
        Err(error) => {
            println!("the emulator does not work: {error}");
            return false;
        }
    };
    let run = |step: &Step, problem: &Problem| {
        let (x, b) = problem.integers();
        let input = |values: &[half::f16]| Buffer::input(bytemuck::cast_slice(values).to_vec());
        let output = Buffer::output(2 * (problem.params.m * problem.params.n) as usize);
        let (role_x, role_b, role_y) = (Role::Input(0), Role::Input(1), Role::Output(0));
        let mut memory = Memory::from([(role_x, input(&x)), (role_b, input(&b)), (role_y, output)]);
        let launch = problem.launch(step);
        let program = emulator.compile_text(&launch.unit, &step.text(), Arch(80)).map_err(|e| e.to_string())?;
        program.run(&launch, &mut memory).map_err(|e| e.to_string())?;
        compare(problem, &bytemuck::pod_collect_to_vec(&memory[&role_y].bytes))
    };
    report("emulated", run)
}

/// Compiles every step; false if one fails, warns or spills.
pub fn compile() -> bool {
    let compiler = match Compiler::new() {
        Ok(compiler) => compiler,
        Err(error @ DeviceError::NoNvrtc { .. }) => {
            println!("SKIPPED, nothing was compiled with NVRTC: {error}");
            return std::env::var_os("LIMPID_REQUIRE_NVRTC").is_none();
        }
        Err(error) => {
            println!("NVRTC does not work: {error}");
            return false;
        }
    };
    let cache = CubinCache::in_folder(concat!(env!("CARGO_TARGET_TMPDIR"), "/ladder"), CACHE_BYTES);
    report("compiled", |step, problem| {
        let unit = step.unit(problem.left);
        let program = step.program(&unit);
        for arch in ARCHS {
            let key = CubinKey::new(&program, &unit, arch, compiler.version());
            let compiled = cache.get_or_insert_with(key, || compiler.compile_program(&program, &unit, arch));
            let cubin = compiled.map_err(|error| format!("{arch}: {error}"))?;
            if let Some(warning) = cubin.log.lines().find(|line| line.contains("warning")) {
                return Err(format!("{arch}: {warning}"));
            }
            if cubin.resources.spill_bytes != Some(0) {
                return Err(format!("{arch}: it spills: {:?}", cubin.resources));
            }
        }
        Ok(())
    })
}

/// The first number that is not what plain loops give.
pub fn compare(problem: &Problem, got: &[half::f16]) -> Result<(), String> {
    let (x, b) = problem.integers();
    let want = problem.reference(&x, &b);
    let wrong = got.iter().zip(&want).position(|(got, want)| got != want);
    wrong.map_or(Ok(()), |i| {
        let (row, column) = (i / problem.params.n as usize, i % problem.params.n as usize);
        Err(format!("y({row},{column}) is {}, not {}", got[i], want[i]))
    })
}

/// Does `what` with every step and problem and prints how it went.
fn report(verb: &str, what: impl Fn(&Step, &Problem) -> Result<(), String> + Sync) -> bool {
    let problems = problems();
    let all: Vec<(&Step, &Problem)> = STEPS.iter().flat_map(|step| problems.iter().map(move |p| (step, p))).collect();
    let outcomes: Vec<Result<(), String>> = all.par_iter().map(|(step, problem)| what(step, problem)).collect();
    for ((step, problem), outcome) in all.iter().zip(&outcomes) {
        match outcome {
            Ok(()) => println!("{verb} {:16} {:4}  ok", step.name, problem.name),
            Err(error) => println!("{verb} {:16} {:4}  FAILED: {error}", step.name, problem.name),
        }
    }
    outcomes.iter().all(Result::is_ok)
}

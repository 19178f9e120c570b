//! Times every step on the GPU at hand, after holding it to plain loops there.

use crate::check;
use crate::problem::Problem;
use crate::production;
use crate::steps::{STEPS, Step};
use half::f16;
use limpid_graph::ir::Precision;
use limpid_kernels::device::{
    Compiler, Device, DeviceBuffer, DeviceError, PreparedLaunch, Repetitions, Samples, Stream, Timer,
};
use limpid_kernels::launch::Role;
use serde_json::{Value, json};
use std::error::Error;

/// µs that the samples of one step may take together.
const BUDGET_US: f64 = 200_000.0;

/// The GPU with what it takes to compile for it and to time on it.
pub struct Chip {
    pub device: Device,
    pub stream: Stream,
    pub compiler: Compiler,
    timer: Timer,
}

/// x, b and y on the GPU.
pub struct Memory {
    pub x: DeviceBuffer,
    pub b: DeviceBuffer,
    pub y: DeviceBuffer,
}

impl Chip {
    fn open() -> Result<Self, DeviceError> {
        let device = Device::open(0)?;
        let (stream, timer) = (Stream::new(&device)?, Timer::new(&device));
        Ok(Self { device, stream, compiler: Compiler::new()?, timer })
    }

    /// Times launches that follow one another.
    pub fn time(&mut self, launches: &[PreparedLaunch]) -> Result<Samples, Box<dyn Error>> {
        let Self { timer, stream, .. } = self;
        let mut measure = |repetitions| {
            timer.measure_graph(stream, repetitions, |stream, _| {
                launches.iter().try_for_each(|launch| launch.enqueue(stream))
            })
        };
        let once = measure(Repetitions { warm_up: 1, samples: 1, calls: 1 })?.median();
        Ok(measure(Repetitions::for_budget(once, BUDGET_US))?)
    }

    fn memory(&self, problem: &Problem, (x, b): (Vec<f16>, Vec<f16>)) -> Result<Memory, DeviceError> {
        let y = vec![f16::NAN; (problem.params.m * problem.params.n) as usize];
        Ok(Memory {
            x: DeviceBuffer::from_slice(&self.stream, &x)?,
            b: DeviceBuffer::from_slice(&self.stream, &b)?,
            y: DeviceBuffer::from_slice(&self.stream, &y)?,
        })
    }

    fn prepare(&self, step: &Step, problem: &Problem, memory: &Memory) -> Result<PreparedLaunch, DeviceError> {
        let launch = problem.launch(step);
        let program = step.program(&launch.unit);
        let cubin = self.compiler.compile_program(&program, &launch.unit, self.device.target().arch)?;
        let resolve = |role: Role| match role {
            Role::Input(0) => Some(memory.x.ptr()),
            Role::Input(1) => Some(memory.b.ptr()),
            Role::Output(0) => Some(memory.y.ptr()),
            _ => None,
        };
        self.device.prepare(&launch, &cubin, &resolve)
    }
}

/// Prints a table and writes it to `file` as JSON.
pub fn measure(file: &str) -> Result<(), Box<dyn Error>> {
    let mut chip = Chip::open()?;
    for problem in check::problems() {
        for step in &STEPS {
            let memory = chip.memory(&problem, problem.integers())?;
            chip.prepare(step, &problem, &memory)?.enqueue(&chip.stream)?;
            check::compare(&problem, &memory.y.to_vec(&chip.stream)?).map_err(|e| format!("{}: {e}", step.name))?;
        }
    }
    let mut rows = Vec::new();
    // A product of which nothing is too small, and the 3×3 convolutions of ResNet-50's third stage, widened.
    for problem in [Problem::gemm(4096, 4096, 4096), Problem::conv(64, 28, 256, 256, 3, 1)] {
        let memory = chip.memory(&problem, problem.random())?;
        for step in &STEPS {
            let launch = chip.prepare(step, &problem, &memory)?;
            let samples = chip.time(&[launch])?;
            rows.push(row(&chip, &problem, step.name, "", &samples));
        }
        for (tactic, samples) in production::measure(&mut chip, &problem, &memory)? {
            let name = tactic.split(' ').next().unwrap_or(&tactic).to_owned();
            rows.push(row(&chip, &problem, &name, &tactic, &samples));
        }
    }
    let clocks = chip.device.clocks();
    let clocks = clocks.map(|c| json!({ "multiprocessor": c.multiprocessor_mhz, "memory": c.memory_mhz }));
    let machine = json!({
        "gpu": chip.device.name(), "arch": chip.device.target().arch.to_string(), "clocks_mhz": clocks,
        "driver": chip.device.driver_version().to_string(), "nvrtc": chip.compiler.version().to_string(),
    });
    std::fs::write(file, serde_json::to_string_pretty(&json!({ "machine": machine, "rows": rows }))? + "\n")?;
    Ok(())
}

/// A step's figures. The limit is that of the chip's data sheet: tensor cores at the highest clock, or memory.
fn row(chip: &Chip, problem: &Problem, step: &str, tactic: &str, samples: &Samples) -> Value {
    let (target, us) = (chip.device.target(), samples.median());
    let compute = problem.flops() / target.peak(Precision::Fp16) * 1e6;
    let limit = compute.max(problem.bytes() / target.bandwidth * 1e6);
    let tflops = problem.flops() / us / 1e6;
    println!("{:5} {step:18} {us:12.1} µs {tflops:8.2} TFLOP/s {:6.2} %", problem.name, limit / us * 100.0);
    json!({
        "problem": problem.name, "shape": problem.shape(), "step": step, "tactic": tactic, "us": us,
        "spread": samples.spread(), "tflops": tflops, "limit_us": limit, "share": limit / us,
    })
}

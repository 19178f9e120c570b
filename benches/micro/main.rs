//! What the chip itself can do, measured by kernels that do nothing else: the limits that networks are held against.
//!
//! `cargo bench --bench micro [-- FILE]` prints a table, and writes it with its samples to FILE as JSON. Where there is
//! no GPU, it compiles the kernels for sm_90 and says so.

mod chip;
mod launches;
mod memory;
mod peaks;
mod report;

use chip::{Chip, Kernel};
use limpid_kernels::device::{Compiler, Device, DeviceError};
use limpid_kernels::target::Arch;
use report::Report;
use serde_json::json;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench`.
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match Device::count() {
        Ok(count) if count > 0 => measure(file.as_deref()),
        Ok(_) | Err(DeviceError::NoDriver { .. }) => Ok(compile(Arch(90))?),
        Err(error) => Err(error.into()),
    }
}

/// Measures everything.
fn measure(file: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut chip = Chip::open()?;
    let mut report = Report::default();
    launches::measure(&mut chip, &mut report)?;
    memory::measure(&mut chip, &mut report)?;
    peaks::measure(&mut chip, &mut report)?;
    let clocks =
        chip.device.clocks().map(|c| json!({ "multiprocessor": c.multiprocessor_mhz, "memory": c.memory_mhz }));
    let machine = json!({
        "name": chip.device.name(), "arch": chip.target.arch.to_string(), "driver": chip.device.driver_version().to_string(),
        "multiprocessors": chip.target.multiprocessors, "clocks_mhz_after": clocks,
    });
    if let Some(file) = file {
        std::fs::write(file, serde_json::to_string_pretty(&report.json(machine))?)?;
    }
    Ok(())
}

/// Compiles everything.
fn compile(arch: Arch) -> Result<(), DeviceError> {
    let compiler = Compiler::new()?;
    let kernels: Vec<Kernel> =
        [launches::kernels(), memory::kernels(), peaks::kernels(arch)].into_iter().flatten().collect();
    for kernel in &kernels {
        let registers = kernel.compile(&compiler, arch)?.resources.registers.unwrap_or(0);
        println!("{:12} {:8} {:?}: {registers} registers", kernel.unit.source, kernel.unit.entry, kernel.unit.defines);
    }
    println!("{} kernels compiled for {arch}; there is no GPU to measure", kernels.len());
    Ok(())
}

//! Every kernel of the catalog, every tactic, at its edge sites, on the CPU by the emulator, against the reference. What a
//! CPU has no time for is left to the GPU: see [`Extent::Sampled`].
//!
//! `cargo test -p limpid-kernels --test emulated_catalog` runs all; names select kernels, as in
//! `… --test emulated_catalog -- conv/mma pool`. It has its own `main` so that kernels are listed with their counts
//! and times, and share all cores. `gpu_catalog.rs` runs the same on a GPU.

mod banks;
mod choices;
#[path = "../support/emulator.rs"]
mod emulated;
mod planted;
mod spoilt;
#[path = "../support/mod.rs"]
mod support;
mod verdict;

use emulated::emulator;
use limpid_kernels::catalog::{KERNELS, Kernel};
use limpid_kernels::emulator::{Emulator, Memory};
use limpid_kernels::launch::Launch;
use limpid_kernels::target::{Arch, Target};
use std::process::ExitCode;
use std::time::Instant;
use support::catalog::check_kernel;
use support::choice::Extent;
use support::executor::Executor;
use support::infinite::stays_in_its_channel;

/// The code paths that differ: with `cp.async` and dependent launches, and without.
const ARCHS: [Arch; 2] = [Arch(90), Arch(75)];

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let flag = |name: &str| std::env::args().any(|arg| arg == name);
    if flag("--ignored") {
        // `cargo test -- --ignored` asks for what needs a GPU; nothing here does.
        return ExitCode::SUCCESS;
    }
    let selected =
        KERNELS.iter().filter(|k| filters.is_empty() || filters.iter().any(|f| k.name().contains(f.as_str())));
    if flag("--list") {
        selected.for_each(|kernel| println!("{}: test", kernel.name()));
        return ExitCode::SUCCESS;
    }
    if !choices::leave_nothing_out() {
        return ExitCode::FAILURE;
    }
    let Some(emulator) = emulator() else { return ExitCode::SUCCESS };
    let start = Instant::now();
    let blind = !spoilt::are_found(emulator) | !planted::are_found(emulator) | !banks::are_met_once(emulator);
    let spreads = !ARCHS.into_iter().all(|arch| stays_in_its_channel(emulator, arch));
    let failed =
        selected.filter(|kernel| !check_kernel(emulator, **kernel, &targets(**kernel), Extent::Sampled)).count();
    println!("emulated catalog: {failed} kernels failed, {:.1} s", start.elapsed().as_secs_f32());
    if failed == 0 && !blind && !spreads { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Those of [`ARCHS`] that the kernel can be compiled for. Hopper's own kernels stay on their multiprocessors, so they
/// are also asked to do everything on one.
fn targets(kernel: &dyn Kernel) -> Vec<Target> {
    let archs: Vec<Arch> = ARCHS.into_iter().filter(|&arch| !kernel.units(arch).is_empty()).collect();
    let one = (archs == [Arch(90)]).then(|| Target { multiprocessors: 1, ..Target::typical(Arch(90)) });
    archs.into_iter().map(Target::typical).chain(one).collect()
}

impl Executor for Emulator {
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String> {
        launches.iter().try_for_each(|launch| {
            let program = self.compile(&launch.unit, arch).map_err(|e| e.to_string())?;
            program.run(launch, memory).map(drop).map_err(|e| e.to_string())
        })
    }

    fn knows_written(&self) -> bool {
        true
    }
}

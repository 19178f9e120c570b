//! Every kernel and every tactic of the catalog through real NVRTC, without a GPU: it compiles without a warning, keeps
//! everything in registers, and takes the arguments that its launches pass.
//!
//! `cargo test -p limpid-kernels --test nvrtc_catalog` compiles all of it for sm_75, sm_90 and sm_120, and each unit for
//! one of sm_80, sm_86 and sm_89 in turn, which are alike to our kernels. Names select kernels and architectures, as in
//! `… --test nvrtc_catalog -- softmax sm_90`, and `all` takes every unit for every architecture. What is compiled is kept
//! under `target/tmp`, so that only what changed is compiled again. It has its own `main` so that it can list kernels with
//! their counts and times.

use limpid_kernels::catalog::{KERNELS, Kernel};
use limpid_kernels::device::{Compiler, CubinCache, DeviceError};
use limpid_kernels::launch::{Arg, CompileUnit, Launch};
use limpid_kernels::target::{Arch, Target};
use limpid_kernels::tensor_map::TensorMap;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

/// Room for the cubins of all kernels, several versions of them.
const CACHE_BYTES: u64 = 1 << 30;
/// Architectures with the same instructions, as far as our kernels go.
const ALIKE: [Arch; 3] = [Arch(80), Arch(86), Arch(89)];
/// Failures shown of one kernel; more of them say little more.
const SHOWN: usize = 8;

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (all, names): (Vec<_>, Vec<_>) = filters.iter().partition(|filter| *filter == "all");
    let (arch_filters, kernel_filters): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with("sm_"));
    let in_turn = all.is_empty() && arch_filters.is_empty();
    let kernels = || {
        let wanted = |name: &str| kernel_filters.is_empty() || kernel_filters.iter().any(|f| name.contains(f.as_str()));
        KERNELS.iter().filter(move |kernel| wanted(kernel.name()))
    };
    if std::env::args().any(|arg| arg == "--list") {
        kernels().for_each(|kernel| println!("{}: test", kernel.name()));
        return ExitCode::SUCCESS;
    }
    let compiler = match Compiler::new() {
        Ok(compiler) => compiler,
        Err(error @ DeviceError::NoNvrtc { .. }) if std::env::var_os("LIMPID_REQUIRE_NVRTC").is_none() => {
            println!("SKIPPED, this test compiles with NVRTC: {error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            println!("NVRTC is needed and does not work: {error}");
            return ExitCode::FAILURE;
        }
    };
    let cache = CubinCache::in_folder(concat!(env!("CARGO_TARGET_TMPDIR"), "/nvrtc_catalog"), CACHE_BYTES);
    let start = Instant::now();
    let wanted = |arch: &&Arch| arch_filters.is_empty() || arch_filters.iter().any(|f| **f == arch.to_string());
    let archs: Vec<Arch> = Arch::TESTED.iter().filter(wanted).copied().collect();
    let failed = kernels().filter(|kernel| !check_kernel(&compiler, &cache, **kernel, &archs, in_turn)).count();
    println!("nvrtc catalog: {failed} kernels failed, {:.1} s", start.elapsed().as_secs_f32());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// True if every unit compiles as it should for each of the architectures, or `in_turn` for one of those that are alike.
fn check_kernel(compiler: &Compiler, cache: &CubinCache, kernel: &dyn Kernel, archs: &[Arch], in_turn: bool) -> bool {
    let start = Instant::now();
    let mut jobs: Vec<(Arch, CompileUnit, Vec<Launch>)> = Vec::new();
    for &arch in archs {
        let launches = edge_launches(kernel, arch);
        let units: BTreeSet<CompileUnit> = kernel.units(arch).into_iter().collect();
        let turn = ALIKE.iter().position(|alike| *alike == arch).filter(|_| in_turn);
        let units =
            units.into_iter().enumerate().filter(|(number, _)| turn.is_none_or(|turn| number % ALIKE.len() == turn));
        jobs.extend(units.map(|(_, unit)| {
            let own = launches.iter().filter(|launch| launch.unit == unit).cloned().collect();
            (arch, unit, own)
        }));
    }
    let check = |(arch, unit, launches): &(Arch, CompileUnit, Vec<Launch>)| {
        check_unit(compiler, cache, *arch, unit, launches)
            .err()
            .map(|what| format!("{arch} {:?}: {what}", unit.defines))
    };
    let failures: Vec<String> = jobs.par_iter().filter_map(check).collect();
    // A kernel of one architecture has nothing for the others; of all of them, it must have something.
    let nothing = jobs.is_empty() && archs.len() == Arch::TESTED.len();
    let word = if failures.is_empty() && !nothing { "ok" } else { "FAILED" };
    println!("{:24} {:4} units {:6.1} s  {word}", kernel.name(), jobs.len(), start.elapsed().as_secs_f32());
    for failure in failures.iter().take(SHOWN) {
        println!("  {failure}");
    }
    if failures.len() > SHOWN {
        println!("  … and {} more", failures.len() - SHOWN);
    }
    failures.is_empty() && !nothing
}

/// What the kernel launches at its edge sites.
fn edge_launches(kernel: &dyn Kernel, arch: Arch) -> Vec<Launch> {
    let target = Target::typical(arch);
    let candidates = kernel.edge_sites().into_iter().filter_map(|site| kernel.candidates(&site, &target).ok());
    candidates.flatten().flat_map(|candidate| candidate.launches).collect()
}

fn check_unit(
    compiler: &Compiler,
    cache: &CubinCache,
    arch: Arch,
    unit: &CompileUnit,
    launches: &[Launch],
) -> Result<(), String> {
    let cubin = cache.get(compiler, unit, arch).map_err(|error| describe(&error))?;
    // ptxas calls it information where it makes wgmma wait for each product.
    let advises = |line: &&str| line.contains("warning") || line.contains("Performance Loss");
    if let Some(warning) = cubin.log.lines().find(advises) {
        return Err(warning.to_owned());
    }
    let resources = &cubin.resources;
    let registers = resources.registers.unwrap_or(0);
    if (resources.spill_bytes, resources.stack_bytes) != (Some(0), Some(0)) {
        let [spilled, stack] = [resources.spill_bytes, resources.stack_bytes].map(|bytes| bytes.unwrap_or(0));
        return Err(format!("{spilled} bytes spilled, {stack} bytes of stack, {registers} registers"));
    }
    for launch in launches {
        let sizes: Vec<u32> = launch.args.iter().map(size).collect();
        if sizes != resources.parameters {
            return Err(format!("takes parameters of {:?} bytes, is passed {sizes:?}", resources.parameters));
        }
        let threads: u32 = launch.block.iter().product();
        if registers.next_multiple_of(8) * threads.next_multiple_of(128) > 65_536 {
            return Err(format!("{threads} threads of {registers} registers do not fit"));
        }
    }
    Ok(())
}

/// Bytes of an argument.
fn size(arg: &Arg) -> u32 {
    match arg {
        Arg::Pointer(_) | Arg::Null => 8,
        Arg::Bytes(bytes) => bytes.len() as u32,
        Arg::TensorMap(_) => TensorMap::BYTES as u32,
        Arg::Ahead { .. } => 24,
    }
}

/// The part of a compiler's message that fits under a kernel's line.
fn describe(error: &DeviceError) -> String {
    match error {
        DeviceError::Compile { log, .. } => log.lines().find(|line| line.contains("error")).unwrap_or(log).to_owned(),
        other => other.to_string(),
    }
}

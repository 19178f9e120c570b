//! Every kernel of the catalog, every tactic, at every edge site, on the CPU by the emulator, against the reference.
//!
//! `cargo test -p limpid-kernels --test emulated_catalog` runs all; names select kernels, as in
//! `… --test emulated_catalog -- conv/mma pool`. It has its own `main` so that kernels are listed with their counts
//! and times, and share all cores.

mod support;

use limpid_kernels::catalog::{KERNELS, Kernel};
use limpid_kernels::emulator::Emulator;
use limpid_kernels::target::{Arch, Target};
use rayon::prelude::*;
use std::process::ExitCode;
use std::time::Instant;
use support::check::{Verdict, check_site};
use support::problem::Problem;

/// The code paths that differ: with `cp.async` and without.
const ARCHS: [Arch; 2] = [Arch(80), Arch(75)];

/// Failures shown of one kernel; more of them say little more.
const SHOWN: usize = 8;

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let listing = std::env::args().any(|arg| arg == "--list");
    let selected =
        KERNELS.iter().filter(|k| filters.is_empty() || filters.iter().any(|f| k.name().contains(f.as_str())));
    if listing {
        selected.for_each(|kernel| println!("{}: test", kernel.name()));
        return ExitCode::SUCCESS;
    }
    let Some(emulator) = support::executor::emulator() else { return ExitCode::SUCCESS };
    let start = Instant::now();
    let failed = selected.filter(|kernel| !check_kernel(&emulator, **kernel)).count();
    println!("emulated catalog: {failed} kernels failed, {:.1} s", start.elapsed().as_secs_f32());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// True if every candidate of every edge site is right.
fn check_kernel(emulator: &Emulator, kernel: &dyn Kernel) -> bool {
    let start = Instant::now();
    let sites = kernel.edge_sites();
    let check = |site| {
        let problem = Problem::new(site);
        let verdicts: Vec<Verdict> =
            ARCHS.iter().map(|&arch| check_site(emulator, kernel, site, &problem, &Target::typical(arch))).collect();
        let mut failures: Vec<String> = verdicts.iter().flat_map(|verdict| verdict.failures.clone()).collect();
        if verdicts.iter().all(|verdict| verdict.candidates == 0) {
            let reasons: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.refusal.as_deref()).collect();
            failures.push(format!("offers nothing for its own edge site: {}", reasons.join("; ")));
        }
        failures.iter_mut().for_each(|failure| *failure = format!("{site:?}\n    {failure}"));
        (verdicts.iter().map(|verdict| verdict.candidates).sum::<usize>(), failures)
    };
    let outcomes: Vec<(usize, Vec<String>)> = sites.par_iter().map(check).collect();
    let candidates: usize = outcomes.iter().map(|(count, _)| count).sum();
    let failures: Vec<&String> = outcomes.iter().flat_map(|(_, failures)| failures).collect();
    let word = if failures.is_empty() && candidates > 0 { "ok" } else { "FAILED" };
    let seconds = start.elapsed().as_secs_f32();
    println!("{:24} {:3} sites {candidates:5} candidates {seconds:6.1} s  {word}", kernel.name(), sites.len());
    for failure in failures.iter().take(SHOWN) {
        println!("  {failure}");
    }
    if failures.len() > SHOWN {
        println!("  … and {} more", failures.len() - SHOWN);
    }
    failures.is_empty() && candidates > 0
}

//! Walks the catalog.

use super::check::{Turn, Verdict, check_site};
use super::executor::Executor;
use super::problem::Problem;
use limpid_kernels::catalog::{self, Kernel};
use limpid_kernels::target::Target;
use rayon::prelude::*;
use std::time::Instant;

/// Failures shown of one kernel; more of them say little more.
const SHOWN: usize = 8;

/// Candidates of which one is tried at a site on targets beside the first.
const BESIDE: usize = 4;
/// Candidates of all sites together from which on every third is tried at a site, where a run takes long.
const MANY: usize = 500;

/// Holds every candidate of every edge site of a kernel against the reference and prints a line about it. True if
/// all are right. `whole` is for someone quick, who tries every candidate at every site; of others, each candidate has its
/// turn at every fourth of the sites on targets beside the first. Of a kernel with many, each has its turn at every third
/// site on the first, and a fourth of the tactics are tried on those beside it.
/// For the same ones an edge site for which no target gets a candidate is a failure.
pub fn check_kernel(executor: &dyn Executor, kernel: &dyn Kernel, targets: &[Target], whole: bool) -> bool {
    let start = Instant::now();
    let sites = kernel.edge_sites();
    let offered = |site| catalog::candidates(kernel, site, &targets[0]).map_or(0, |candidates| candidates.len());
    let many = !whole && sites.iter().map(offered).sum::<usize>() > MANY;
    let must_offer = !whole;
    let check = |(number, site)| {
        let problem = Problem::new(site);
        let verdict = |(beside, target): (usize, &Target)| {
            let turn = match (beside, many) {
                (0, false) => Turn::ALL,
                (0, true) => Turn { of: 3, site: number, names: 1 },
                (_, false) => Turn { of: BESIDE, site: number, names: 1 },
                // Most of the time goes into compiling them.
                (_, true) => Turn { of: 1, site: 0, names: BESIDE },
            };
            check_site(executor, kernel, site, &problem, target, turn)
        };
        let verdicts: Vec<Verdict> = targets.iter().enumerate().map(verdict).collect();
        let mut failures: Vec<String> = verdicts.iter().flat_map(|verdict| verdict.failures.clone()).collect();
        if must_offer && verdicts.iter().all(|verdict| verdict.candidates == 0) {
            let reasons: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.refusal.as_deref()).collect();
            failures.push(format!("offers nothing for its own edge site: {}", reasons.join("; ")));
        }
        failures.iter_mut().for_each(|failure| *failure = format!("{site:?}\n    {failure}"));
        (verdicts.iter().map(|verdict| verdict.candidates).sum::<usize>(), failures)
    };
    let outcomes: Vec<(usize, Vec<String>)> = sites.par_iter().enumerate().map(check).collect();
    let candidates: usize = outcomes.iter().map(|(count, _)| count).sum();
    let failures: Vec<&String> = outcomes.iter().flat_map(|(_, failures)| failures).collect();
    let right = failures.is_empty() && (candidates > 0 || !must_offer);
    let word = if right { "ok" } else { "FAILED" };
    let seconds = start.elapsed().as_secs_f32();
    println!("{:24} {:3} sites {candidates:5} candidates {seconds:6.1} s  {word}", kernel.name(), sites.len());
    for failure in failures.iter().take(SHOWN) {
        println!("  {failure}");
    }
    if failures.len() > SHOWN {
        println!("  … and {} more", failures.len() - SHOWN);
    }
    right
}

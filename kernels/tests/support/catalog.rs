//! Walks the catalog.

use super::check::check_candidates;
use super::choice::{Choice, Extent, choose};
use super::executor::Executor;
use super::problem::Problem;
use limpid_kernels::catalog::Kernel;
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;
use rayon::prelude::*;
use std::time::Instant;

/// Failures shown of one kernel; more of them say little more.
const SHOWN: usize = 8;

/// Holds candidates of a kernel at its edge sites against the reference and prints a line about it. True if all are
/// right. Of a sample an edge site for which no target gets a candidate is a failure.
pub fn check_kernel(executor: &dyn Executor, kernel: &dyn Kernel, targets: &[Target], extent: Extent) -> bool {
    let start = Instant::now();
    let sites = kernel.edge_sites();
    let choices = choose(kernel, &sites, targets, extent);
    let must_offer = extent == Extent::Sampled;
    let check = |(number, site): (usize, &Site)| {
        let problem = Problem::new(site);
        let here: Vec<&Choice> = choices.iter().map(|choices| &choices[number]).collect();
        let chosen = targets.iter().zip(&here);
        let mut failures: Vec<String> = chosen
            .flat_map(|(target, choice)| check_candidates(executor, &choice.candidates, &problem, target))
            .collect();
        if must_offer && here.iter().all(|choice| choice.offered == 0) {
            let reasons: Vec<_> = here.iter().filter_map(|choice| choice.refusal.as_deref()).collect();
            failures.push(format!("offers nothing for its own edge site: {}", reasons.join("; ")));
        }
        failures.iter_mut().for_each(|failure| *failure = format!("{site:?}\n    {failure}"));
        (here.iter().map(|choice| choice.candidates.len()).sum::<usize>(), failures)
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

//! What is chosen to run leaves nothing out: every tactic that an edge site offers runs at one of them, and every site.

use crate::support::choice::{Choice, Extent, choose};
use crate::targets;
use limpid_kernels::catalog::{KERNELS, Kernel, candidates};
use limpid_kernels::launch::{Candidate, Tactic};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// True if that holds of every kernel on its first target, and beside it of a fourth of its tactics.
pub fn leave_nothing_out() -> bool {
    let outcomes: Vec<(usize, Vec<String>)> = KERNELS.par_iter().map(|kernel| check(*kernel)).collect();
    let tactics: usize = outcomes.iter().map(|(tactics, _)| tactics).sum();
    let failures: Vec<&String> = outcomes.iter().flat_map(|(_, failures)| failures).collect();
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    println!("{:24} {tactics:3} tactics                     {word}", "choices");
    failures.iter().for_each(|failure| println!("  {failure}"));
    failures.is_empty()
}

fn tactics<'c>(candidates: impl IntoIterator<Item = &'c Candidate>) -> BTreeSet<&'c Tactic> {
    candidates.into_iter().map(|candidate| &candidate.tactic).collect()
}

/// The kernel's tactics on its first target, and what is left out.
fn check(kernel: &dyn Kernel) -> (usize, Vec<String>) {
    let (sites, targets) = (kernel.edge_sites(), targets(kernel));
    let (mut count, mut failures) = (0, Vec::new());
    let chosen = [Extent::Whole, Extent::Sampled, Extent::Least]
        .map(|extent| (extent, choose(kernel, &sites, &targets, extent)));
    for (beside, target) in targets.iter().enumerate() {
        let offered: Vec<_> = sites.iter().flat_map(|site| candidates(kernel, site, target)).flatten().collect();
        let offered = tactics(&offered);
        for (extent, chosen) in &chosen {
            let chosen = &chosen[beside];
            let run = tactics(chosen.iter().flat_map(|choice| &choice.candidates));
            let idle = |choice: &&Choice| choice.offered > 0 && choice.candidates.is_empty();
            let idle = chosen.iter().filter(idle).count();
            let right = if beside == 0 { run == offered && idle == 0 } else { 4 * run.len() >= offered.len() };
            if !right {
                let missed: Vec<String> = offered.difference(&run).map(|tactic| tactic.to_string()).collect();
                failures.push(format!("{extent:?} on target {beside}: {idle} sites are left out, and {missed:?}"));
            }
        }
        if beside == 0 {
            count = offered.len();
        }
    }
    failures.iter_mut().for_each(|failure| *failure = format!("{}, {failure}", kernel.name()));
    (count, failures)
}

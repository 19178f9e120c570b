//! Which of a kernel's candidates run at which of its sites: chosen before anything runs, so that no tactic is left out.

use limpid_kernels::catalog::{self, Kernel};
use limpid_kernels::launch::{Candidate, Tactic};
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;
use std::collections::BTreeMap;

/// Candidates of all sites on the first target, of more than which a kernel has many.
const MANY: usize = 500;

/// How much runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every candidate at every site.
    Whole,
    /// What a CPU has time for. The first target runs every candidate, or a fourth of a site's if the kernel has many. The
    /// others run a fourth of a site's, and of a kernel with many only those of every fourth tactic. All this beside the
    /// first turn, which each tactic has.
    Sampled,
    /// The first turn of every tactic, and at every site one candidate.
    Least,
}

/// What a kernel offers for a site on a target.
pub struct Choice {
    /// Candidates that it offers.
    pub offered: usize,
    /// Those that run.
    pub candidates: Vec<Candidate>,
    /// Its own reason for offering nothing.
    pub refusal: Option<String>,
}

/// The choices for each target, site by site.
pub fn choose(kernel: &dyn Kernel, sites: &[Site], targets: &[Target], extent: Extent) -> Vec<Vec<Choice>> {
    let offers = |target| sites.iter().map(|site| catalog::candidates(kernel, site, target)).collect::<Vec<_>>();
    let offers: Vec<_> = targets.iter().map(offers).collect();
    let many = offers[0].iter().flatten().map(Vec::len).sum::<usize>() > MANY;
    let choices = |(beside, offers)| match (extent, beside, many) {
        (Extent::Whole, ..) | (Extent::Sampled, 0, false) => take_turns(offers, 1, 1),
        (Extent::Sampled, 0, true) | (Extent::Sampled, 1.., false) => take_turns(offers, 1, 4),
        // Most of the time goes into compiling them.
        (Extent::Sampled, 1.., true) => take_turns(offers, 4, 4),
        (Extent::Least, ..) => take_turns(offers, 1, usize::MAX),
    };
    offers.into_iter().enumerate().map(choices).collect()
}

/// Walks the sites in order. Of the tactics, numbered as they first appear, every `tactics`-th takes part. At each site
/// the `candidates`-th part of those that take part runs, rounded up: the ones that have run least so far. Those that
/// have not run at all do so in any case, so **every tactic that takes part runs where it first appears**.
fn take_turns(offers: Vec<Result<Vec<Candidate>, String>>, tactics: usize, candidates: usize) -> Vec<Choice> {
    // How often each has run; nothing for one that takes no part.
    let mut runs: BTreeMap<Tactic, Option<usize>> = BTreeMap::new();
    let choice = |offers: Result<Vec<Candidate>, String>| {
        let (mut chosen, refusal) = match offers {
            Ok(offered) => (offered, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let offered = chosen.len();
        for candidate in &chosen {
            let number = runs.len();
            runs.entry(candidate.tactic.clone()).or_insert(number.is_multiple_of(tactics).then_some(0));
        }
        chosen.retain(|candidate| runs[&candidate.tactic].is_some());
        chosen.sort_by_key(|candidate| runs[&candidate.tactic]);
        let new = chosen.iter().filter(|candidate| runs[&candidate.tactic] == Some(0)).count();
        chosen.truncate(new.max(chosen.len().div_ceil(candidates)));
        for candidate in &chosen {
            runs.entry(candidate.tactic.clone()).and_modify(|count| *count = count.map(|count| count + 1));
        }
        Choice { offered, candidates: chosen, refusal }
    };
    offers.into_iter().map(choice).collect()
}

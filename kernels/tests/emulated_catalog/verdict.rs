//! All that a kernel offers for one site, judged.

use crate::support::check::check_candidates;
use crate::support::executor::Executor;
use crate::support::problem::Problem;
use limpid_kernels::catalog::{self, Kernel};
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;

/// What became of a site's candidates.
pub struct Verdict {
    /// Candidates that ran.
    pub candidates: usize,
    /// What was wrong, each with the tactic's name.
    pub failures: Vec<String>,
    /// The kernel's own reason for offering nothing on this target.
    pub refusal: Option<String>,
}

/// Holds every candidate that a kernel offers for a site against the reference.
pub fn check_site(
    executor: &dyn Executor,
    kernel: &dyn Kernel,
    site: &Site,
    problem: &Problem,
    target: &Target,
) -> Verdict {
    let (candidates, refusal) = match catalog::candidates(kernel, site, target) {
        Ok(candidates) => (candidates, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let failures = check_candidates(executor, &candidates, problem, target);
    Verdict { candidates: candidates.len(), failures, refusal }
}

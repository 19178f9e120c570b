//! Which candidate does the work of a site: the fastest as measured, or as the cost model has it.

use super::cost_model::estimate;
use super::lower::Lowered;
use super::timing_cache::TimingCache;
use super::types::{Buffer, Offer, Work};
use limpid_graph::ir::Precision;
use limpid_kernels::catalog;
use limpid_kernels::launch::{Candidate, CompileUnit, Refusal};
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;

/// Candidates of one site that are timed, the most promising by the cost model first.
const MOST_MEASURED: usize = 24;

/// Why a candidate could not be timed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MeasureError(pub String);

/// Someone with a GPU who can time candidates.
pub trait Measure {
    /// What identifies the device and its software in a timing cache: name, driver, compiler.
    fn identity(&self) -> String;

    /// Compiles these, in parallel, before they are timed. A unit that fails is reported when it is timed.
    fn prepare(&mut self, units: &[CompileUnit]);

    /// Median time of one run with operands that do not stay in cache, µs.
    fn measure(&mut self, work: &Work, buffers: &[Buffer], candidate: &Candidate) -> Result<f64, MeasureError>;

    /// Called after each site, for progress: how many of how many are done.
    fn progress(&mut self, _done: usize, _of: usize) {}
}

/// Times candidates and remembers.
pub struct Tuner<'a> {
    /// Who measures.
    pub measure: &'a mut dyn Measure,
    /// What was measured before.
    pub cache: &'a mut TimingCache,
}

/// A site with its winner.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The work.
    pub work: Work,
    /// The winner.
    pub candidate: Candidate,
    /// Everyone asked, the winner first.
    pub offers: Vec<Offer>,
    /// Everyone who declined.
    pub refusals: Vec<Refusal>,
}

/// All sites with their winners.
#[derive(Clone, Debug)]
pub struct Selected {
    /// In order of execution.
    pub choices: Vec<Choice>,
    /// What operands point to.
    pub buffers: Vec<Buffer>,
}

/// No kernel for a site.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// Every kernel declined.
    #[error("group `{group}` ({what}): no kernel takes it on {target}: {}", reasons(.refusals))]
    NoKernel {
        /// The group.
        group: String,
        /// What it does.
        what: String,
        /// The target.
        target: String,
        /// Everyone's reason.
        refusals: Vec<Refusal>,
    },
    /// Every candidate failed when it was timed.
    #[error("group `{group}`: none of {count} candidates ran; the first failed so: {first}")]
    NoneRan {
        /// The group.
        group: String,
        /// How many were tried.
        count: usize,
        /// The first failure.
        first: String,
    },
}

fn reasons(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("{}: {}", r.kernel, r.reason)).collect::<Vec<_>>().join("; ")
}

/// Picks a candidate for each site.
pub fn select(lowered: Lowered, target: &Target, mut tuner: Option<Tuner<'_>>) -> Result<Selected, SelectError> {
    let Lowered { work, buffers } = lowered;
    let count = work.len();
    let mut choices: Vec<Choice> = Vec::with_capacity(count);
    for (index, work) in work.into_iter().enumerate() {
        let choice = choose(work, &buffers, target, tuner.as_mut())?;
        choices.push(choice);
        if let Some(tuner) = &mut tuner {
            tuner.measure.progress(index + 1, count);
        }
    }
    Ok(Selected { choices, buffers })
}

fn choose(
    work: Work,
    buffers: &[Buffer],
    target: &Target,
    tuner: Option<&mut Tuner<'_>>,
) -> Result<Choice, SelectError> {
    let offers = catalog::offers(&work.site, target);
    let precision = precision_of(&work.site);
    let mut ranked: Vec<(Candidate, Offer)> = offers
        .candidates
        .into_iter()
        .map(|candidate| {
            let estimated_us = estimate(&candidate, precision, target);
            let offer = Offer { tactic: candidate.tactic.clone(), estimated_us, measured_us: None };
            (candidate, offer)
        })
        .collect();
    if ranked.is_empty() {
        let (group, what, target) = (work.group, work.what, target.arch.to_string());
        return Err(SelectError::NoKernel { group, what, target, refusals: offers.refusals });
    }
    ranked.sort_by(|a, b| a.1.estimated_us.total_cmp(&b.1.estimated_us));
    if let Some(tuner) = tuner {
        time(&work, buffers, &mut ranked, tuner)?;
        // Those that were not timed come after those that were, in the model's order.
        ranked.sort_by(|a, b| {
            let key = |offer: &Offer| offer.measured_us.unwrap_or(f64::INFINITY);
            key(&a.1).total_cmp(&key(&b.1))
        });
    }
    let offers_made = ranked.iter().map(|(_, offer)| offer.clone()).collect();
    let candidate = ranked.swap_remove(0).0;
    Ok(Choice { work, candidate, offers: offers_made, refusals: offers.refusals })
}

fn time(
    work: &Work,
    buffers: &[Buffer],
    ranked: &mut [(Candidate, Offer)],
    tuner: &mut Tuner<'_>,
) -> Result<(), SelectError> {
    let identity = tuner.measure.identity();
    let field = ranked.len().min(MOST_MEASURED);
    let keys: Vec<String> = ranked[..field].iter().map(|(c, _)| key(&identity, &work.site, c)).collect();
    let units: Vec<CompileUnit> = ranked[..field]
        .iter()
        .zip(&keys)
        .filter(|(_, key)| tuner.cache.get(key).is_none())
        .flat_map(|((candidate, _), _)| candidate.launches.iter().map(|l| l.unit.clone()))
        .collect();
    tuner.measure.prepare(&units);
    let mut first_failure = None;
    for ((candidate, offer), key) in ranked[..field].iter_mut().zip(keys) {
        if let Some(known) = tuner.cache.get(&key) {
            offer.measured_us = Some(known);
            continue;
        }
        match tuner.measure.measure(work, buffers, candidate) {
            Ok(time) => {
                tuner.cache.insert(key, time);
                offer.measured_us = Some(time);
            }
            Err(error) => {
                tracing::warn!(group = work.group, tactic = %candidate.tactic, "not timed: {error}");
                first_failure.get_or_insert(error.to_string());
            }
        }
    }
    match first_failure {
        Some(first) if ranked.iter().all(|(_, offer)| offer.measured_us.is_none()) => {
            Err(SelectError::NoneRan { group: work.group.clone(), count: field, first })
        }
        _ => Ok(()),
    }
}

/// Same device, same numbers, same tactic: same time.
fn key(identity: &str, site: &Site, candidate: &Candidate) -> String {
    let units: Vec<String> = candidate.launches.iter().map(|l| limpid_kernels::source::fingerprint(&l.unit)).collect();
    let text = format!("{identity}|{site:?}|{}|{}", candidate.tactic, units.join(","));
    format!("{} {}", blake3::hash(text.as_bytes()).to_hex(), candidate.tactic)
}

fn precision_of(site: &Site) -> Precision {
    match site {
        Site::Conv(s) | Site::ConvTranspose(s) => s.precision,
        Site::Gemm(s) => s.precision,
        _ => Precision::Fp32,
    }
}

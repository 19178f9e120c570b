//! Which candidate does the work of a site: the fastest as measured, or as the cost model has it.

mod whole;

use super::cost_model::estimate;
use super::counterparts::Counterparts;
use super::join::choose;
use super::lower::Lowered;
use super::timing_cache::TimingCache;
use super::types::{Buffer, Instead, Offer, Plan, Step, Work};
use limpid_graph::ir::Precision;
use limpid_kernels::catalog;
use limpid_kernels::launch::{Candidate, CompileUnit, Refusal, Tactic};
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;
use std::collections::BTreeSet;
use std::ops::Range;
use whole::{Whole, assemble};

/// Candidates of one site that are timed where nothing else is said, the most promising by the cost model first.
pub const MOST_MEASURED: usize = 24;

/// Those of the cost model that are timed where the next larger extents were timed before.
const MOST_MEASURED_NEAR: usize = 4;

/// Those that were fastest at the next larger extents and are timed again: the winner, so that no extents are slower
/// than the next larger ones, and who came close.
const MOST_SEEDS: usize = 4;

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
    fn measure(
        &mut self,
        work: &Work,
        buffers: &[Buffer],
        candidate: &Candidate,
        best: Option<f64>,
    ) -> Result<f64, MeasureError>;

    /// Called after each site, for progress: how many of how many are done.
    fn progress(&mut self, _done: usize, _of: usize) {}
}

/// Times candidates and remembers.
pub struct Tuner<'a> {
    /// Who measures.
    pub measure: &'a mut dyn Measure,
    /// What was measured before.
    pub cache: &'a mut TimingCache,
    /// The plan for the next larger extents, if they were timed before: its fastest candidates are timed here, too.
    pub larger: Option<&'a Plan>,
    /// Whether as many candidates are timed as if nothing were known of larger extents.
    pub thorough: bool,
    /// Candidates of one site that are timed at most, but for those of `larger`; [`MOST_MEASURED`] is a good number.
    pub most: usize,
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
    /// Other ways to do the work, alone or with what is before it.
    pub instead: Vec<Instead>,
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

/// Picks a candidate for each site, and does those together that are faster so.
pub fn select(lowered: Lowered, target: &Target, mut tuner: Option<Tuner<'_>>) -> Result<Selected, SelectError> {
    let Lowered { work, buffers, joins } = lowered;
    let mut pieces = work.into_iter().map(|work| Field::new(work, target)).collect::<Result<Vec<_>, _>>()?;
    let mut wholes = Whole::all(joins, target);
    if let Some(tuner) = &mut tuner {
        let larger = tuner.larger.map(Counterparts::new);
        let mut fields: Vec<&mut Field> =
            pieces.iter_mut().chain(wholes.iter_mut().filter_map(|whole| whole.field.as_mut().ok())).collect();
        for field in &mut fields {
            field.enter(larger.as_ref().and_then(|larger| larger.of(&field.work)), tuner.thorough, tuner.most);
        }
        compile(&fields, tuner);
        let count = fields.len();
        for (index, field) in fields.into_iter().enumerate() {
            let outcome = field.time(&buffers, tuner);
            // Without a whole its pieces remain.
            if field.work.parts.is_empty() {
                outcome?;
            }
            tuner.measure.progress(index + 1, count);
        }
    }
    let times: Vec<f64> = pieces.iter().map(Field::time_us).collect();
    let stretches: Vec<(Range<usize>, f64)> =
        wholes.iter().map(|whole| (whole.pieces.clone(), whole.time_us(tuner.is_some()))).collect();
    let taken = choose(&times, &stretches);
    Ok(Selected { choices: assemble(pieces, wholes, &taken), buffers })
}

/// Picks a candidate for each site by the plans of other extents, `near` first: the tactic that was chosen for the
/// same work there, or else the closest of its tiles, if it is offered here and `allowed`. Where no such tactic is, the
/// best by the cost model of those that are `carried`, and the best of all if none is.
pub(super) fn select_like(
    lowered: Lowered,
    target: &Target,
    near: &[&Plan],
    allowed: &dyn Fn(&Candidate) -> bool,
    carried: &dyn Fn(&Candidate) -> bool,
) -> Result<Selected, SelectError> {
    let Lowered { work, buffers, joins } = lowered;
    let near: Vec<Counterparts<'_>> = near.iter().map(|plan| Counterparts::new(plan)).collect();
    let known = |field: &Field| {
        let tactics: Vec<&Tactic> = near.iter().filter_map(|plan| Some(&plan.of(&field.work)?.tactic)).collect();
        tactics.iter().find_map(|tactic| field.closest_to(tactic, allowed))
    };
    let piece = |work: Work| {
        let mut field = Field::new(work, target)?;
        let best = known(&field).or_else(|| field.ranked.iter().position(|(candidate, _)| carried(candidate)));
        field.prefer(best.unwrap_or(0));
        Ok(field)
    };
    let pieces = work.into_iter().map(piece).collect::<Result<Vec<_>, _>>()?;
    // What is done together there is done so here, where it can be; no plan's joins overlap.
    let mut wholes = Whole::all(joins, target);
    let (mut taken, mut end) = (Vec::new(), 0);
    for (number, whole) in wholes.iter_mut().enumerate() {
        let Ok(field) = &mut whole.field else { continue };
        let together = near.first().is_some_and(|plan| plan.of(&field.work).is_some()) && whole.pieces.start >= end;
        if let Some(best) = known(field).filter(|_| together) {
            field.prefer(best);
            taken.push(number);
            end = whole.pieces.end;
        }
    }
    Ok(Selected { choices: assemble(pieces, wholes, &taken), buffers })
}

/// True if some kernel takes a site within the target's limits.
pub(super) fn takes(site: &Site, target: &Target) -> bool {
    let mut offers = catalog::offers(site, target);
    decline_hungry(&mut offers, target.workspace_limit);
    !offers.candidates.is_empty()
}

/// Compiles what will be timed, of all sites together: one site alone does not keep all cores busy.
fn compile(fields: &[&mut Field], tuner: &mut Tuner<'_>) {
    let identity = tuner.measure.identity();
    let unknown =
        |field: &Field, candidate: &Candidate| tuner.cache.get(&key(&identity, &field.work.site, candidate)).is_none();
    let units: BTreeSet<CompileUnit> = fields
        .iter()
        .flat_map(|field| field.contenders().map(move |(candidate, _)| (field, candidate)))
        .filter(|(field, candidate)| unknown(field, candidate))
        .flat_map(|(_, candidate)| candidate.launches.iter().map(|launch| launch.unit.clone()))
        .collect();
    tuner.measure.prepare(&units.into_iter().collect::<Vec<_>>());
}

/// A site with those who offer to do it, the best first.
struct Field {
    work: Work,
    ranked: Vec<(Candidate, Offer)>,
    /// How many of them are timed.
    timed: usize,
    refusals: Vec<Refusal>,
}

impl Field {
    /// Everyone who offers, in the cost model's order.
    fn new(work: Work, target: &Target) -> Result<Self, SelectError> {
        let mut offers = catalog::offers(&work.site, target);
        decline_hungry(&mut offers, target.workspace_limit);
        let precision = precision_of(&work.site);
        let ranked = offers.candidates.into_iter().map(|candidate| {
            let estimated_us = estimate(&candidate, precision, target);
            let offer = Offer { tactic: candidate.tactic.clone(), estimated_us, measured_us: None };
            (candidate, offer)
        });
        let mut ranked: Vec<_> = ranked.collect();
        if ranked.is_empty() {
            let (group, what, target) = (work.group, work.what, target.arch.to_string());
            return Err(SelectError::NoKernel { group, what, target, refusals: offers.refusals });
        }
        ranked.sort_by(|a, b| a.1.estimated_us.total_cmp(&b.1.estimated_us));
        Ok(Self { work, ranked, timed: 0, refusals: offers.refusals })
    }

    /// Puts those in front who were fastest in the same work at larger extents, and settles how many are timed.
    fn enter(&mut self, larger: Option<&Step>, thorough: bool, most: usize) {
        self.timed = most.min(self.ranked.len());
        let Some(larger) = larger else { return };
        let seeds: Vec<&Tactic> = larger.offers.iter().take(MOST_SEEDS).map(|offer| &offer.tactic).collect();
        // Stable: both parts keep the cost model's order.
        self.ranked.sort_by_key(|(candidate, _)| !seeds.contains(&&candidate.tactic));
        let seeded = self.ranked.iter().filter(|(candidate, _)| seeds.contains(&&candidate.tactic)).count();
        let others = if thorough { most } else { MOST_MEASURED_NEAR.min(most) };
        self.timed = seeded.saturating_add(others).min(self.ranked.len());
    }

    /// Who has this tactic, or else its tiles and the nearest number of shares of K, the larger of two: what numbers are
    /// offered depends on how many tiles there are, and with the nearest about as many blocks are at work.
    fn closest_to(&self, tactic: &Tactic, allowed: &dyn Fn(&Candidate) -> bool) -> Option<usize> {
        let distance = |candidate: &Candidate| {
            let [here, there] = [candidate.tactic.shares_of_k(), tactic.shares_of_k()].map(f64::from);
            (candidate.tactic != *tactic, (here / there).ln().abs(), -here)
        };
        let alike = self.ranked.iter().map(|(candidate, _)| candidate).enumerate();
        let alike = alike.filter(|(_, candidate)| candidate.tactic.has_tiles_of(tactic) && allowed(candidate));
        let nearest = alike.min_by(|(_, a), (_, b)| {
            let [a, b] = [distance(a), distance(b)];
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
        });
        nearest.map(|(index, _)| index)
    }

    /// Those who are timed.
    fn contenders(&self) -> impl Iterator<Item = &(Candidate, Offer)> {
        self.ranked.iter().take(self.timed)
    }

    /// Times the contenders and sorts anew.
    fn time(&mut self, buffers: &[Buffer], tuner: &mut Tuner<'_>) -> Result<(), SelectError> {
        let identity = tuner.measure.identity();
        let (mut best, mut first_failure) = (None::<f64>, None);
        let count = self.timed;
        for (candidate, offer) in &mut self.ranked[..count] {
            let key = key(&identity, &self.work.site, candidate);
            let time = match tuner.cache.get(&key) {
                Some(known) => Ok(known),
                None => tuner.measure.measure(&self.work, buffers, candidate, best),
            };
            match time {
                Ok(time) => {
                    tuner.cache.insert(key, time);
                    offer.measured_us = Some(time);
                    best = Some(best.map_or(time, |best| best.min(time)));
                }
                Err(error) => {
                    tracing::warn!(group = self.work.group, tactic = %candidate.tactic, "not timed: {error}");
                    first_failure.get_or_insert(error.to_string());
                }
            }
        }
        if let (None, Some(first)) = (best, first_failure) {
            return Err(SelectError::NoneRan { group: self.work.group.clone(), count, first });
        }
        // Those that were not timed come after those that were, in the model's order.
        let time = |offer: &Offer| offer.measured_us.unwrap_or(f64::INFINITY);
        self.ranked.sort_by(|a, b| time(&a.1).total_cmp(&time(&b.1)));
        Ok(())
    }

    /// What the choice goes by: the winner's time.
    fn time_us(&self) -> f64 {
        let best = &self.ranked[0].1;
        best.measured_us.unwrap_or(best.estimated_us)
    }

    /// Makes this candidate the winner; the others keep their order.
    fn prefer(&mut self, index: usize) {
        self.ranked[..=index].rotate_right(1);
    }

    fn winner(mut self) -> Choice {
        let offers = self.ranked.iter().map(|(_, offer)| offer.clone()).collect();
        // `Field::new` refuses an empty one.
        let candidate = self.ranked.swap_remove(0).0;
        Choice { work: self.work, candidate, offers, refusals: self.refusals, instead: Vec::new() }
    }
}

/// Candidates that need more scratch memory than they may have become refusals.
fn decline_hungry(offers: &mut catalog::Offers, limit: u64) {
    let catalog::Offers { candidates, refusals } = offers;
    candidates.retain(|candidate| {
        let bytes = candidate.workspace as u64;
        if bytes > limit {
            let reason = format!("{} needs {bytes} bytes of workspace, {limit} are allowed", candidate.tactic);
            refusals.push(Refusal { kernel: candidate.tactic.kernel.clone(), reason });
        }
        bytes <= limit
    });
}

/// Same device, same numbers, same tactic: same time.
fn key(identity: &str, site: &Site, candidate: &Candidate) -> String {
    let units: Vec<String> = candidate.launches.iter().map(|l| limpid_kernels::source::fingerprint(&l.unit)).collect();
    let site = site.unscaled();
    let text = format!("{identity}|{site:?}|{}|{}", candidate.tactic, units.join(","));
    format!("{} {}", blake3::hash(text.as_bytes()).to_hex(), candidate.tactic)
}

/// What a site multiplies in; FP32 where it multiplies no matrices.
pub(crate) fn precision_of(site: &Site) -> Precision {
    match site {
        Site::Conv(s) | Site::ConvTranspose(s) => s.precision,
        Site::Stem(s) => s.conv.precision,
        Site::Gemm(s) => s.precision,
        Site::Chain(s) => s.layers.first().map_or(Precision::Fp32, |layer| layer.precision),
        _ => Precision::Fp32,
    }
}

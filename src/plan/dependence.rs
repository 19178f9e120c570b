//! Which grids may start before the one before them has ended.
//!
//! Programmatic dependent launch hides what lies between two kernels. But a grid that waits holds shared memory, and its
//! blocks lie where the one at work has left room; what that comes to depends on the chain and shows in no kernel's
//! own time. So the network is timed as a whole: with every launch dependent, with none, and then, from the faster of the
//! two, with each kernel in turn the other way round, which is kept where it is faster.

use super::types::Plan;
use limpid_kernels::launch::Launch;
use std::collections::BTreeSet;

/// A change is kept if the network takes no more than this share of the time it took: less is noise.
const WORTHWHILE: f64 = 0.995;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The plan, with the launches dependent that are to be.
    pub plan: Plan,
    /// The network's time with every launch dependent, with none, and as it is now, µs.
    pub all_us: f64,
    /// See `all_us`.
    pub none_us: f64,
    /// See `all_us`.
    pub settled_us: f64,
}

/// Times the plan in different ways by `time`, which answers in µs, and keeps the fastest. `None` if no launch is
/// dependent to begin with.
///
/// # Errors
/// Those of `time`.
pub fn settle<E>(plan: Plan, time: &mut dyn FnMut(&Plan) -> Result<f64, E>) -> Result<Option<Settled>, E> {
    let all: BTreeSet<String> = dependent(&plan);
    if all.is_empty() {
        return Ok(None);
    }
    let mut plan = plan;
    let mut timed = |sources: &BTreeSet<String>| {
        set(&mut plan, &|launch| sources.contains(&launch.unit.source));
        time(&plan)
    };
    let (all_us, none_us) = (timed(&all)?, timed(&BTreeSet::new())?);
    let (mut best, mut settled_us) = if all_us <= none_us { (all.clone(), all_us) } else { (BTreeSet::new(), none_us) };
    // A single kernel the other way round is one of the two that were timed.
    for source in all.iter().filter(|_| all.len() > 1) {
        let mut other = best.clone();
        if !other.remove(source) {
            other.insert(source.clone());
        }
        let other_us = timed(&other)?;
        if other_us < WORTHWHILE * settled_us {
            (best, settled_us) = (other, other_us);
        }
    }
    set(&mut plan, &|launch| best.contains(&launch.unit.source));
    Ok(Some(Settled { plan, all_us, none_us, settled_us }))
}

impl Settled {
    /// What was found, for people; `None` where all launches are dependent, as one would expect.
    pub fn note(&self) -> Option<String> {
        let launches = || self.plan.steps.iter().flat_map(|step| &step.launches);
        let (kept, all) = (launches().filter(|launch| launch.dependent).count(), launches().count());
        let Self { all_us, none_us, settled_us, .. } = self;
        (kept < all).then(|| {
            format!(
                "{kept} of {all} launches start before the one before them has ended: {settled_us:.1} µs, with all of \
                 them {all_us:.1} µs, with none {none_us:.1} µs"
            )
        })
    }
}

impl Plan {
    /// Lets every grid start only when the one before it has ended, to see what programmatic dependent launch gives.
    pub fn without_dependent_launches(mut self) -> Self {
        set(&mut self, &|_| false);
        self
    }

    /// Lets the kernels start early that do so in another plan; those it does not have, as they are.
    pub(super) fn start_as(&mut self, other: &Plan) {
        let early = dependent(other);
        let known: BTreeSet<&str> = sources(other).collect();
        set(self, &|launch| match known.contains(launch.unit.source.as_str()) {
            true => early.contains(&launch.unit.source),
            false => launch.dependent,
        });
    }
}

fn sources(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.steps.iter().flat_map(|step| &step.launches).map(|launch| launch.unit.source.as_str())
}

/// Sources of kernels that start early.
fn dependent(plan: &Plan) -> BTreeSet<String> {
    let launches = plan.steps.iter().flat_map(|step| &step.launches);
    launches.filter(|launch| launch.dependent).map(|launch| launch.unit.source.clone()).collect()
}

fn set(plan: &mut Plan, dependent: &dyn Fn(&Launch) -> bool) {
    for launch in plan.steps.iter_mut().flat_map(|step| &mut step.launches) {
        launch.dependent = dependent(launch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::port::Layouts;
    use limpid_graph::{onnx, passes};
    use limpid_kernels::target::{Arch, Target};
    use std::convert::Infallible;
    use std::path::Path;

    fn network(arch: Arch) -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion/fashion.onnx");
        let onnx::Model { mut graph, mut ledger, .. } = onnx::load(&path).expect("the model is fine");
        passes::optimize(&mut graph, &mut ledger, &[]).expect("rules keep graphs valid");
        let bindings = graph.bind(&[&[1, 1, 28, 28]]).expect("the shape fits");
        plan(&graph, &bindings, &Layouts::default(), &Target::typical(arch), None).expect("it can be planned")
    }

    /// The time on a chip where each kernel that starts early costs or gains this.
    fn chip(cost: impl Fn(&str) -> f64) -> impl FnMut(&Plan) -> Result<f64, Infallible> {
        move |plan| Ok(100.0 + dependent(plan).iter().map(|source| cost(source)).sum::<f64>())
    }

    fn settled(cost: impl Fn(&str) -> f64) -> Settled {
        let Ok(settled) = settle(network(Arch(90)), &mut chip(cost));
        settled.expect("sm_90 can do it")
    }

    #[test]
    fn kernels_start_early_where_the_network_gains() {
        let (kernels, convolutions) = (dependent(&network(Arch(90))), |source: &str| source.starts_with("conv/"));
        assert!(kernels.len() > 2 && kernels.iter().any(|source| convolutions(source)), "{kernels:?}");
        let all = settled(|_| -1.0);
        assert_eq!((dependent(&all.plan), all.note()), (kernels.clone(), None));
        let none = settled(|_| 1.0);
        assert_eq!((dependent(&none.plan).len(), none.settled_us), (0, 100.0));
        for lost in [5.0, 500.0] {
            let some = settled(|source| if convolutions(source) { lost } else { -1.0 });
            let early = dependent(&some.plan);
            assert_eq!(early, kernels.iter().filter(|source| !convolutions(source)).cloned().collect());
            assert!(some.settled_us < some.none_us && some.settled_us < some.all_us, "{some:?}");
            assert!(some.note().is_some_and(|note| note.contains("with none 100.0 µs")));
        }
        let noise = settled(|source| if convolutions(source) { 0.1 } else { -1.0 });
        assert_eq!(dependent(&noise.plan), kernels, "a tenth of a percent is noise");
    }

    #[test]
    fn older_chips_have_nothing_to_settle() {
        assert_eq!(settle(network(Arch(80)), &mut chip(|_| -1.0)), Ok(None));
    }

    #[test]
    fn a_derived_plan_starts_kernels_as_the_one_it_comes_from() {
        let mut derived = network(Arch(90));
        let none = derived.clone().without_dependent_launches();
        derived.start_as(&none);
        assert_eq!(derived, none);
        derived.start_as(&network(Arch(90)));
        assert_eq!(derived, network(Arch(90)));
    }
}

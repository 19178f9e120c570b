//! The network timed as a whole, for what does not show in its kernels' own times.

use crate::plan::dependence::{self, Settled};
use crate::plan::{Plan, TimingCache};
use crate::runtime::RunError;
use crate::runtime::cuda::{Common, Constants, CudaSession};
use crate::runtime::kernels::Kernels;
use limpid_graph::ir::Graph;
use limpid_kernels::device::{CubinCache, Device, Repetitions};
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::source;
use std::collections::BTreeSet;
use std::sync::Arc;

/// GPU time spent on one way to run the network, µs.
const BUDGET_US: f64 = 20_000.0;

/// Lets those kernels start early that make the network faster; see [`dependence`]. `None` where none can. Times are
/// taken from the cache, and left there.
pub(super) fn settle_dependence(
    device: &Device,
    cubins: &CubinCache,
    timings: &mut TimingCache,
    graph: &Graph,
    plan: &Plan,
) -> Result<Option<Settled>, RunError> {
    let mut kernels = Kernels::of_this_binary(plan.target.arch, cubins);
    // The first session holds the constants on the GPU for those that follow.
    let mut opened: Option<(Common, CudaSession)> = None;
    let estimate: f64 = plan.steps.iter().filter_map(|step| step.offers.first()?.measured_us).sum();
    let repetitions = Repetitions::for_budget(estimate, BUDGET_US);
    dependence::settle(plan.clone(), &mut |plan| {
        let key = key(device, plan);
        if let Some(time) = timings.get(&key) {
            return Ok(time);
        }
        let time = match &mut opened {
            Some((common, _)) => {
                CudaSession::sharing(common, device, graph, plan, &mut kernels)?.time(repetitions)?.median()
            }
            None => {
                let constants = Arc::new(Constants::new(device));
                let mut common = Common::new(device, constants, plan.arena_bytes as usize)?;
                let mut session = CudaSession::sharing(&mut common, device, graph, plan, &mut kernels)?;
                let time = session.time(repetitions)?.median();
                opened = Some((common, session));
                time
            }
        };
        timings.insert(key, time);
        Ok(time)
    })
}

/// What a time depends on: the GPU, its driver, every launch, every kernel's text.
fn key(device: &Device, plan: &Plan) -> String {
    let mut hash = blake3::Hasher::new();
    let launches: Vec<_> = plan.steps.iter().flat_map(|step| &step.launches).collect();
    for launch in &launches {
        hash.update(format!("{launch:?}").as_bytes());
    }
    for unit in plan.units().collect::<BTreeSet<&CompileUnit>>() {
        hash.update(source::fingerprint(unit).as_bytes());
    }
    let (name, driver) = (device.name(), device.driver_version());
    format!("{name}, driver {driver}: network of {} launches, {}", launches.len(), &hash.finalize().to_hex()[..32])
}

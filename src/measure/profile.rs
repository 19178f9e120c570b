//! Where the time goes: each group's share, and how near it comes to what the chip could do.

use super::Statistic;
use crate::plan::Step;
use crate::plan::select::precision_of;
use crate::runtime::{RunError, Session, StepTimes};
use limpid_graph::ir::{Graph, Node, Precision};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::target::Target;
use serde::Serialize;

/// What keeps a chip from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Operations: the peak of the units that can do them.
    Compute,
    /// Bytes: the memory's bandwidth.
    Memory,
}

impl Limit {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Compute => "compute",
            Limit::Memory => "memory",
        }
    }
}

/// The least time that a piece of work takes on a chip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// What bounds it.
    pub limit: Limit,
    /// That time, µs.
    pub us: f64,
}

impl Bound {
    /// The roofline: operations at their peak, or every byte moved once, whichever takes longer.
    fn of(flops: u64, bytes: u64, precision: Precision, target: &Target) -> Self {
        let compute = flops as f64 / target.peak(precision) * 1e6;
        let memory = bytes as f64 / target.bandwidth * 1e6;
        match compute >= memory {
            true => Self { limit: Limit::Compute, us: compute },
            false => Self { limit: Limit::Memory, us: memory },
        }
    }
}

/// One piece of work: a step of a plan, or a node on the CPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// The group's name: its leading ONNX node's.
    pub group: String,
    /// What it does.
    pub what: String,
    /// The kernel that does it; `None` on the CPU.
    pub tactic: Option<String>,
    /// How long it takes alone, µs.
    pub time: Statistic,
    /// The least operations it must do.
    pub flops: u64,
    /// The least bytes it must move.
    pub bytes: u64,
    /// The least time it takes; `None` on the CPU, whose peaks nobody tells.
    pub bound: Option<Bound>,
}

/// Where the time of a network goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// In the order they run.
    pub layers: Vec<Layer>,
    /// The whole network at once, copies left out, µs.
    pub whole: Statistic,
}

impl Profile {
    /// Times the network as a whole, then each piece of work alone, on these inputs.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn of(session: &mut Session, inputs: &[Tensor], iterations: u32, percents: &[f64]) -> Result<Self, RunError> {
        let latency = session.measure(inputs, 2, iterations)?;
        let whole = latency.device.as_ref().unwrap_or(&latency.host);
        let statistic = |values: &[f64]| Statistic::of(values.to_vec(), percents).ok_or(RunError::NoTimes);
        let whole = statistic(whole.sorted())?;
        let layers = match session.step_times(inputs, iterations)? {
            StepTimes::Plan { plan, times } => {
                let steps = plan.steps.iter().zip(&times);
                let layers = steps.map(|(step, times)| Ok(planned(step, statistic(times.sorted())?, &plan.target)));
                layers.collect::<Result<_, RunError>>()?
            }
            StepTimes::Nodes { extents, times } => {
                let graph = &session.engine().graph;
                let layers = times
                    .into_iter()
                    .map(|(id, times)| interpreted(graph, graph.node(id), statistic(times.sorted())?, &extents));
                layers.collect::<Result<_, RunError>>()?
            }
        };
        Ok(Self { layers, whole })
    }

    /// All layers' medians together, µs: more than the whole takes by what launching them at once saves.
    pub fn sum_us(&self) -> f64 {
        self.layers.iter().map(|layer| layer.time.median).sum()
    }

    /// All layers' bounds together, µs; `None` where any has none.
    pub fn bound_us(&self) -> Option<f64> {
        self.layers.iter().map(|layer| Some(layer.bound?.us)).sum()
    }
}

/// A step's bound is that of its least work: operations in the precision it multiplies in, on the units that are there
/// for it; all else runs in FP32.
fn planned(step: &Step, time: Statistic, target: &Target) -> Layer {
    Layer {
        group: step.group.clone(),
        what: step.what.clone(),
        tactic: Some(step.tactic.to_string()),
        time,
        flops: step.flops,
        bytes: step.bytes,
        bound: Some(Bound::of(step.flops, step.bytes, precision_of(&step.site), target)),
    }
}

/// A node's work by the operator's own account; nobody tells what a CPU could do at most.
fn interpreted(graph: &Graph, node: &Node, time: Statistic, extents: &Bindings) -> Result<Layer, RunError> {
    let (reads, writes) = (specs_of(graph, &node.inputs, extents)?, specs_of(graph, &node.outputs, extents)?);
    let cost = node.op.as_operator().cost(&reads, &writes);
    let (group, what) = (node.name.clone(), node.op.name().to_owned());
    Ok(Layer { group, what, tactic: None, time, flops: cost.flops, bytes: cost.bytes, bound: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_kernels::target::Arch;

    #[test]
    fn the_slower_of_operations_and_bytes_is_the_bound() {
        let target = Target::typical(Arch(90));
        let memory = Bound::of(1_000, 48_000_000, Precision::Fp16, &target);
        assert_eq!(memory.limit, Limit::Memory);
        assert!((memory.us - 10.0).abs() < 1e-9, "48 MB at 4.8 TB/s");
        let compute = Bound::of(1_000_000_000_000, 1, Precision::Int8, &target);
        // 8192 operations a clock on each of 132 multiprocessors at 1.98 GHz.
        assert_eq!(compute.limit, Limit::Compute);
        assert!((compute.us - 1e18 / (8192.0 * 132.0 * 1.98e9)).abs() < 1e-6);
    }
}

//! A plan whose kernels and constants are on the GPU: what lanes of the same network share.

use super::constants::{Constants, Resident};
use crate::plan::{Bound, Location, Plan, Port};
use crate::runtime::RunError;
use crate::runtime::kernels::Kernels;
use limpid_graph::ir::Graph;
use limpid_kernels::device::{Cubin, Device, DeviceError, DevicePtr, GraphExec, PreparedLaunch, Range, Stream};
use limpid_kernels::launch::{Launch, Role};
use std::sync::Arc;

/// Everything of a plan that does not depend on where inputs, outputs and activations lie.
pub(super) struct Loaded {
    pub device: Device,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub arena_bytes: usize,
    steps: Vec<Step>,
    constants: Resident,
}

struct Step {
    group: String,
    operands: Vec<Bound>,
    launches: Vec<(Launch, Arc<Cubin>)>,
}

/// Where the memory of one inference lies.
pub(super) struct Places<'a> {
    pub arena: DevicePtr,
    pub inputs: &'a [DevicePtr],
    pub outputs: &'a [DevicePtr],
}

/// An inference in its places, ready to be enqueued.
pub(super) struct Inference {
    /// Launches of each step, with its group's name, in order.
    pub steps: Vec<(String, Vec<PreparedLaunch>)>,
    /// All of them as one.
    pub whole: GraphExec,
}

impl Loaded {
    /// Brings constants and kernels.
    pub fn new(
        device: &Device,
        graph: &Graph,
        plan: &Plan,
        kernels: &mut Kernels,
        constants: &Constants,
        stream: &Stream,
    ) -> Result<Self, RunError> {
        let constants = constants.bring(stream, graph, plan)?;
        kernels.prepare(plan)?;
        let steps = plan.steps.iter().map(|step| {
            let launches = step.launches.iter().map(|launch| {
                let cubin = kernels.cubin(&launch.unit)?;
                Ok((launch.clone(), Arc::clone(cubin)))
            });
            let launches = launches.collect::<Result<_, RunError>>()?;
            Ok(Step { group: step.group.clone(), operands: step.operands.clone(), launches })
        });
        Ok(Self {
            device: device.clone(),
            inputs: plan.inputs.clone(),
            outputs: plan.outputs.clone(),
            arena_bytes: plan.arena_bytes as usize,
            steps: steps.collect::<Result<_, RunError>>()?,
            constants,
        })
    }

    /// Fills in the addresses of every launch and records them as a graph; nothing runs.
    pub fn bind(&self, places: &Places) -> Result<Inference, RunError> {
        let address = |location: &Location| match *location {
            Location::Arena(offset) => places.arena.offset(offset as usize),
            Location::Constants(offset) => self.constants.at(offset),
            Location::Input(index, offset) => places.inputs[index as usize].offset(offset as usize),
            Location::Output(index, offset) => places.outputs[index as usize].offset(offset as usize),
        };
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let resolve = |role: Role| step.operands.iter().find(|b| b.role == role).map(|b| address(&b.location));
            let launches = step.launches.iter().map(|(launch, cubin)| self.device.prepare(launch, cubin, &resolve));
            steps.push((step.group.clone(), launches.collect::<Result<Vec<_>, DeviceError>>()?));
        }
        // On a stream of its own, since nothing can be recorded on the default stream.
        let stream = Stream::new(&self.device)?;
        let whole = GraphExec::capture(&stream, |stream| enqueue(&steps, stream))?;
        stream.synchronize()?;
        Ok(Inference { steps, whole })
    }
}

impl Inference {
    /// Enqueues it, as one graph or kernel by kernel.
    pub fn enqueue(&self, stream: &Stream, as_graph: bool) -> Result<(), DeviceError> {
        let _range = Range::new("limpid inference");
        if as_graph { self.whole.launch(stream) } else { enqueue(&self.steps, stream) }
    }
}

fn enqueue(steps: &[(String, Vec<PreparedLaunch>)], stream: &Stream) -> Result<(), DeviceError> {
    steps.iter().try_for_each(|(node, launches)| {
        let _range = Range::new(node);
        launches.iter().try_for_each(|launch| launch.enqueue(stream))
    })
}

//! What a session runs on, seen from the session.

use super::RunError;
use super::lane::{Lane, LaneOptions, Origin};
use crate::plan::Plan;
use limpid_graph::ir::NodeId;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::{Clocks, Device, DeviceSlice, Samples, Stream};
use std::collections::BTreeMap;

/// How long each piece of work of a network takes.
#[derive(Clone, Debug)]
pub enum StepTimes {
    /// On a GPU: the plan, and a time for each of its steps, in order.
    Plan {
        /// The plan that ran.
        plan: Box<Plan>,
        /// Its steps' times, each measured alone.
        times: Vec<Samples>,
    },
    /// On the CPU: the graph's nodes in the order they ran.
    Nodes {
        /// The extents of the inputs.
        extents: Bindings,
        /// Each node's times.
        times: Vec<(NodeId, Samples)>,
    },
}

/// An input in the caller's device memory.
#[derive(Clone, Debug)]
pub struct DeviceTensor<'a> {
    /// Its elements, dense, of the type the network takes.
    pub memory: DeviceSlice<'a>,
    /// Its extents.
    pub shape: Vec<usize>,
}

/// Runs one engine on one device.
pub trait Executor: Send {
    /// Runs the network; the inputs have been checked.
    ///
    /// # Errors
    /// [`RunError::Plan`] where the network cannot be run at the inputs' extents; what went wrong on the device.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError>;

    /// The device, for people.
    fn name(&self) -> String;

    /// How many shapes' worth of what a run needs beside the weights is kept, where there is any.
    fn keep_shapes(&mut self, count: usize) {
        let _ = count;
    }

    /// Another of its kind for the same engine on the same device, with a stream and activations of its own; constants
    /// and kernels are shared.
    ///
    /// # Errors
    /// No room on the device.
    fn sibling(&self) -> Result<Box<dyn Executor>, RunError>;

    /// A lane for inputs of these extents, with buffers of its own.
    ///
    /// # Errors
    /// As [`Executor::run`].
    fn lane(&mut self, inputs: &[Tensor], options: &LaneOptions) -> Result<Box<dyn Lane>, RunError>;

    /// Enqueues the network on a caller's stream and memory.
    ///
    /// # Errors
    /// [`RunError::NeedsGpu`] elsewhere; as [`Executor::run`]; [`RunError::Memory`].
    fn enqueue(&mut self, inputs: &[DeviceTensor], outputs: &[DeviceSlice], stream: &Stream) -> Result<(), RunError> {
        let _ = (inputs, outputs, stream);
        Err(RunError::NeedsGpu { what: "enqueueing on a stream" })
    }

    /// The GPU, if it is one.
    fn device(&self) -> Option<&Device> {
        None
    }

    /// Now, for traces to count from.
    ///
    /// # Errors
    /// What went wrong on the device before.
    fn origin(&mut self) -> Result<Origin, RunError> {
        Ok(Origin::of_host())
    }

    /// Runs the network of the last [`Executor::run`] this many times, inputs and outputs left where they are, and
    /// returns the device's own times in µs; `None` if it has no clock of its own.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn device_times(&mut self, iterations: u32) -> Result<Option<Vec<f64>>, RunError> {
        let _ = iterations;
        Ok(None)
    }

    /// Times each piece of work alone, on these inputs.
    ///
    /// # Errors
    /// As [`Executor::run`].
    fn step_times(&mut self, inputs: &[Tensor], iterations: u32) -> Result<StepTimes, RunError>;

    /// The GPU's clocks now, if it has any and tells.
    fn clocks(&self) -> Option<Clocks> {
        None
    }

    /// What times depend on beside the device: its driver and compiler, by name; for records.
    fn versions(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::new()
    }
}

//! A lane: buffers that stay where they are, and queries that follow one another through them.

use super::RunError;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Event;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// When the parts of one query began and ended, ms since the [`Origin`]; host and GPU on one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// The host began to enqueue the inference.
    pub enqueue_start: f64,
    /// It had done so and was free to go on.
    pub enqueue_end: f64,
    /// Inputs began to move to the device.
    pub h2d_start: f64,
    /// They were there.
    pub h2d_end: f64,
    /// The network began.
    pub compute_start: f64,
    /// It was done.
    pub compute_end: f64,
    /// Outputs began to move to the host.
    pub d2h_start: f64,
    /// They were there.
    pub d2h_end: f64,
}

impl Trace {
    /// Host time to enqueue the inference, ms.
    pub fn enqueue(&self) -> f64 {
        self.enqueue_end - self.enqueue_start
    }

    /// Time of the inputs' copies, ms.
    pub fn h2d(&self) -> f64 {
        self.h2d_end - self.h2d_start
    }

    /// Time of the network, ms.
    pub fn compute(&self) -> f64 {
        self.compute_end - self.compute_start
    }

    /// Time of the outputs' copies, ms.
    pub fn d2h(&self) -> f64 {
        self.d2h_end - self.d2h_start
    }

    /// What the query took of copy engines and multiprocessors, ms: `h2d + compute + d2h`. Time spent waiting for
    /// other queries is left out, as trtexec leaves it out.
    pub fn latency(&self) -> f64 {
        self.h2d() + self.compute() + self.d2h()
    }
}

/// The moment that traces count from: noted on the host and, where there is a GPU, marked on it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// By the host's clock.
    pub host: Instant,
    pub(super) device: Option<Arc<Event>>,
}

impl Origin {
    /// Now, on the host only.
    pub fn of_host() -> Self {
        Self { host: Instant::now(), device: None }
    }

    /// Milliseconds since then, by the host's clock.
    pub fn elapsed_ms(&self) -> f64 {
        self.host.elapsed().as_secs_f64() * 1e3
    }
}

/// How a lane is laid out. The CPU reads inputs where they lie, so nothing but `sets` and `origin` matters to it.
#[derive(Clone, Debug)]
pub struct LaneOptions {
    /// Sets of input and output buffers, at least 1; queries through different sets need not wait for each other's copies.
    pub sets: usize,
    /// Host memory is page-locked.
    pub pinned: bool,
    /// Each query copies its inputs to the device and its outputs back.
    pub transfers: bool,
    /// Copies in, inferences and copies out have a stream each, ordered by events; else one stream has them all.
    pub overlap: bool,
    /// An inference is one launch of a recorded graph; else its kernels are launched one by one.
    pub cuda_graph: bool,
    /// Runs on the legacy default stream, unless copies overlap.
    pub default_stream: bool,
    /// Waiting for a query keeps a core busy and ends some microseconds sooner.
    pub spin_wait: bool,
    /// What traces count from; without it no query is timed.
    pub origin: Option<Origin>,
}

impl Default for LaneOptions {
    /// One set in pinned memory, transfers, graph, a stream of its own, nothing timed.
    fn default() -> Self {
        Self {
            sets: 1,
            pinned: true,
            transfers: true,
            overlap: false,
            cuda_graph: true,
            default_stream: false,
            spin_wait: true,
            origin: None,
        }
    }
}

/// One network at one set of extents with buffers of its own. Queries run in the order they are submitted; any number
/// may be under way.
pub trait Lane: Send {
    /// Lets `fill` write the host memory of a set's inputs, one slice an input, once no query reads it any more.
    ///
    /// # Errors
    /// What went wrong on the device before.
    fn write(&mut self, set: usize, fill: &mut dyn FnMut(&mut [&mut [u8]])) -> Result<(), RunError>;

    /// Puts these tensors into a set's inputs. They were checked.
    ///
    /// # Errors
    /// As [`Lane::write`].
    fn load(&mut self, set: usize, inputs: &[Tensor]) -> Result<(), RunError>;

    /// Begins a query with what the set's inputs hold.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn submit(&mut self, set: usize) -> Result<(), RunError>;

    /// Waits until the oldest query is done, and returns its times if the lane has an origin to count from. `None`, too,
    /// if no query is under way.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn finish(&mut self) -> Result<Option<Trace>, RunError>;

    /// What the last query left in a set's outputs.
    ///
    /// # Errors
    /// What went wrong on the device.
    fn outputs(&mut self, set: usize) -> Result<Vec<Tensor>, RunError>;
}

//! CUDA graphs: a stream's work recorded once, then launched as a whole. A launch of many kernels costs the CPU as
//! much as that of one, and the GPU goes from kernel to kernel without waiting for it.

use super::context::Device;
use super::driver::{check, check_on_drop};
use super::error::DeviceError;
use super::stream::Stream;
use cudarc::driver::sys;
use std::fmt;
use std::ptr;

/// A graph ready to be launched. Threads may pass it on, but not launch it at once (the driver's rule).
pub struct GraphExec {
    device: Device,
    raw: sys::CUgraphExec,
    nodes: usize,
}

// SAFETY: the raw graph is a handle, not memory of this process, and bound to no thread.
unsafe impl Send for GraphExec {}

impl GraphExec {
    /// Records what `enqueue` puts on the stream, without running it. Whatever the outcome, the stream is an ordinary
    /// one again afterwards. The memory the work refers to must stay as long as the graph is launched.
    ///
    /// # Errors
    /// Those of `enqueue`; or the driver's, if it did something that cannot be recorded, such as waiting.
    pub fn capture(
        stream: &Stream,
        enqueue: impl FnOnce(&Stream) -> Result<(), DeviceError>,
    ) -> Result<Self, DeviceError> {
        let capture = Capture::begin(stream)?;
        enqueue(stream)?;
        let graph = capture.end()?;
        let nodes = graph.nodes()?;
        let mut raw = ptr::null_mut();
        // SAFETY: the graph exists, and the pointer leads to a CUgraphExec.
        let code = unsafe { sys::cuGraphInstantiateWithFlags(&mut raw, graph.0, 0) };
        check("cuGraphInstantiate", code)?;
        let exec = Self { device: stream.device().clone(), raw, nodes };
        // Otherwise the first launch would pay for moving the graph to the GPU.
        // SAFETY: graph and stream exist.
        check("cuGraphUpload", unsafe { sys::cuGraphUpload(exec.raw, stream.raw()) })?;
        Ok(exec)
    }

    /// Kernels, copies and fills in it.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Enqueues all of it.
    ///
    /// # Errors
    /// The driver's. An error of a kernel shows at the next synchronisation.
    pub fn launch(&self, stream: &Stream) -> Result<(), DeviceError> {
        self.device.bind()?;
        // SAFETY: graph and stream exist; `Self` is not Sync, so no other thread launches it at once.
        check("cuGraphLaunch", unsafe { sys::cuGraphLaunch(self.raw, stream.raw()) })
    }
}

impl Drop for GraphExec {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: instantiated in `capture`, destroyed here and nowhere else; a launch under way runs to its end.
            check_on_drop("cuGraphExecDestroy", unsafe { sys::cuGraphExecDestroy(self.raw) });
        }
    }
}

impl fmt::Debug for GraphExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphExec({} nodes on {:?})", self.nodes, self.device)
    }
}

/// A recording under way. Dropped early, by an error or a panic, it ends the recording and throws it away.
struct Capture<'a> {
    stream: &'a Stream,
    ended: bool,
}

impl<'a> Capture<'a> {
    fn begin(stream: &'a Stream) -> Result<Self, DeviceError> {
        stream.device().bind()?;
        // Thread-local: what other threads do meanwhile, allocate above all, neither disturbs nor is disturbed.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream exists.
        check("cuStreamBeginCapture", unsafe { sys::cuStreamBeginCapture_v2(stream.raw(), mode) })?;
        Ok(Self { stream, ended: false })
    }

    fn end(mut self) -> Result<Graph, DeviceError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<Graph, DeviceError> {
        self.ended = true;
        self.stream.device().bind()?;
        let mut graph = ptr::null_mut();
        // SAFETY: the stream exists, and the pointer leads to a CUgraph. The driver ends the recording even if it was
        // spoilt, and then answers null.
        let code = unsafe { sys::cuStreamEndCapture(self.stream.raw(), &mut graph) };
        let graph = Graph(graph);
        check("cuStreamEndCapture", code).map(|()| graph)
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.finish()
        {
            tracing::debug!("while giving up a capture: {error}");
        }
    }
}

/// A recorded graph, before it is made launchable; null after a spoilt recording.
struct Graph(sys::CUgraph);

impl Graph {
    fn nodes(&self) -> Result<usize, DeviceError> {
        let mut count = 0;
        // SAFETY: the graph exists; a null array asks for the count alone.
        check("cuGraphGetNodes", unsafe { sys::cuGraphGetNodes(self.0, ptr::null_mut(), &mut count) })?;
        Ok(count)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it came from cuStreamEndCapture, and is destroyed here and nowhere else.
            check_on_drop("cuGraphDestroy", unsafe { sys::cuGraphDestroy(self.0) });
        }
    }
}

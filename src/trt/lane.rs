use super::{Engine, LayerTimes, QueryTimes, TrtError};
use crate::runtime::LaneOptions;
use limpid_graph::tensor::{DType, Tensor};
use limpid_kernels::device::{DeviceBuffer, DeviceError, Event, GraphExec, HostBuffer, Stream};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// An engine with buffers of its own that queries go through one by one, as through limpid's own lanes: page-locked or
/// pageable host memory, copies or none, a CUDA graph or none, all as the options say. Of these, sets and overlapping
/// copies are for limpid's lanes alone.
pub struct TensorRtLane {
    /// Recorded from `engine`, so it goes first.
    graph: Option<GraphExec>,
    engine: Engine,
    inputs: Vec<Buffers>,
    outputs: Vec<Buffers>,
    stream: Stream,
    marks: Marks,
    transfers: bool,
    layers: Option<Told>,
}

/// An input or output on both sides of the bus.
struct Buffers {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    device: DeviceBuffer,
    host: HostBuffer,
}

/// Where the parts of a query begin and end.
struct Marks {
    copy_in: (Event, Event),
    compute: (Event, Event),
    copy_out: (Event, Event),
}

impl Engine {
    /// Buffers for queries with these inputs, by name, which are in them already.
    ///
    /// # Errors
    /// [`TrtError::Ports`] for other inputs than the engine's, [`TrtError::Type`], [`TrtError::OpenOutput`];
    /// [`TrtError::Refused`] for extents outside of its profile; the driver's.
    pub fn lane(mut self, inputs: &[(String, Tensor)], options: &LaneOptions) -> Result<TensorRtLane, TrtError> {
        let wanted: Vec<String> = self.ports().iter().filter(|port| port.input).map(|port| port.name.clone()).collect();
        let given: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
        if wanted.iter().any(|name| !given.contains(&name.as_str())) || given.len() != wanted.len() {
            return Err(TrtError::Ports { expected: wanted.join(", "), got: given.join(", ") });
        }
        for (name, tensor) in inputs {
            self.set_shape(name, tensor.shape())?;
        }
        let stream = match options.default_stream {
            true => Stream::legacy_default(&self.device),
            false => Stream::new(&self.device)?,
        };
        let (mut ins, mut outs) = (Vec::new(), Vec::new());
        for port in self.ports().to_vec() {
            let Some(dtype) = port.dtype else {
                return Err(TrtError::Type { name: port.name, type_name: port.type_name });
            };
            let tensor = inputs.iter().find(|(name, _)| *name == port.name).map(|(_, tensor)| tensor);
            if let Some(tensor) = tensor.filter(|tensor| tensor.dtype() != dtype) {
                let [expected, got] = [dtype, tensor.dtype()].map(|dtype| format!("{dtype} for `{}`", port.name));
                return Err(TrtError::Ports { expected, got });
            }
            let shape = tensor.map_or_else(|| self.shape_of(&port.name), |tensor| Ok(tensor.shape().to_vec()))?;
            let bytes = shape.iter().product::<usize>() * dtype.size();
            let host = if options.pinned { HostBuffer::pinned } else { HostBuffer::pageable };
            let (device, mut host) = (DeviceBuffer::alloc(&self.device, bytes)?, host(&self.device, bytes)?);
            if let Some(tensor) = tensor {
                host.bytes_mut()?.copy_from_slice(tensor.bytes());
                device.copy_from_host(0, tensor.bytes(), &stream)?;
            }
            // SAFETY: it has just the tensor's bytes; the lane keeps buffers until its stream is idle.
            unsafe { self.set_address(&port.name, &device)? };
            let buffers = Buffers { name: port.name, dtype, shape, device, host };
            if port.input { ins.push(buffers) } else { outs.push(buffers) }
        }
        let marks = Marks::new(&self, options.spin_wait)?;
        let (transfers, layers) = (options.transfers, None);
        let mut lane =
            TensorRtLane { graph: None, engine: self, inputs: ins, outputs: outs, stream, marks, transfers, layers };
        // What is made on the first run, kernels above all, is no part of any query.
        lane.run()?;
        lane.stream.synchronize()?;
        if options.cuda_graph {
            lane.record()?;
        }
        Ok(lane)
    }
}

impl Marks {
    fn new(engine: &Engine, spin: bool) -> Result<Self, DeviceError> {
        let event = || if spin { Event::timing(&engine.device) } else { Event::timing_asleep(&engine.device) };
        let pair = || Ok::<_, DeviceError>((event()?, event()?));
        Ok(Self { copy_in: pair()?, compute: pair()?, copy_out: pair()? })
    }
}

impl TensorRtLane {
    /// One query from host to host.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn query(&mut self) -> Result<QueryTimes, TrtError> {
        let start = Instant::now();
        if self.transfers {
            self.marks.copy_in.0.record(&self.stream)?;
            for Buffers { device, host, .. } in &mut self.inputs {
                let range = 0..host.len();
                device.enqueue_copy_from(0, host, range, &self.stream)?;
            }
            self.marks.copy_in.1.record(&self.stream)?;
        }
        self.marks.compute.0.record(&self.stream)?;
        self.run()?;
        self.marks.compute.1.record(&self.stream)?;
        if self.transfers {
            self.marks.copy_out.0.record(&self.stream)?;
            for Buffers { device, host, .. } in &mut self.outputs {
                let range = 0..host.len();
                device.enqueue_copy_to(0, host, range, &self.stream)?;
            }
            self.marks.copy_out.1.record(&self.stream)?;
        }
        let last = if self.transfers { &self.marks.copy_out.1 } else { &self.marks.compute.1 };
        last.synchronize()?;
        let host = start.elapsed().as_secs_f64() * 1e6;
        let span = |(start, end): &(Event, Event)| Ok::<_, DeviceError>(f64::from(start.elapsed_ms(end)?) * 1e3);
        let copy = |marks| if self.transfers { span(marks) } else { Ok(0.0) };
        let (h2d, d2h) = (copy(&self.marks.copy_in)?, copy(&self.marks.copy_out)?);
        Ok(QueryTimes { host, h2d, compute: span(&self.marks.compute)?, d2h })
    }

    /// What the last query answered, by the outputs' names.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn outputs(&mut self) -> Result<Vec<(String, Tensor)>, TrtError> {
        let stream = &self.stream;
        let tensor = |port: &mut Buffers| {
            let mut bytes = vec![0; port.device.len()];
            port.device.copy_to_host(0, &mut bytes, stream)?;
            Ok((port.name.clone(), Tensor::from_bytes(port.dtype, &port.shape, &bytes)?))
        };
        self.outputs.iter_mut().map(tensor).collect()
    }

    /// Runs that the library's own profiler times, layer by layer. Layers wait for each other here, and no CUDA graph is
    /// used from now on.
    ///
    /// # Errors
    /// [`TrtError::Refused`]; what went wrong on the device.
    pub fn profile(&mut self, runs: u32) -> Result<Vec<LayerTimes>, TrtError> {
        self.graph = None;
        let told = match &self.layers {
            Some(told) => Arc::clone(told),
            None => {
                let told = Arc::new(Mutex::new(Vec::new()));
                let listener = Box::new(Listener(Arc::clone(&told)));
                let context = &mut self.engine.context;
                self.engine.speaker.ask("takes no profiler", || context.set_profiler(listener))?;
                self.layers = Some(Arc::clone(&told));
                told
            }
        };
        let mut layers: Vec<LayerTimes> = Vec::new();
        // The first run is to get there.
        for run in 0..=runs.max(1) {
            self.run()?;
            self.stream.synchronize()?;
            let times = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
            for (name, ms) in times.into_iter().filter(|_| run > 0) {
                let us = f64::from(ms) * 1e3;
                // Two layers of one name run in the same order each time.
                match layers.iter_mut().find(|layer| layer.name == name && layer.us.len() < run as usize) {
                    Some(layer) => layer.us.push(us),
                    None => layers.push(LayerTimes { name, us: vec![us] }),
                }
            }
        }
        Ok(layers)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn run(&mut self) -> Result<(), TrtError> {
        match &self.graph {
            Some(graph) => Ok(graph.launch(&self.stream)?),
            // SAFETY: `Engine::lane` gave every tensor a buffer of its size, and the lane has them still.
            None => unsafe { self.engine.enqueue(&self.stream) },
        }
    }

    /// Records the inference. What TensorRT refuses while recording comes back as its own words.
    fn record(&mut self) -> Result<(), TrtError> {
        // The default stream cannot be recorded, but launches what was recorded elsewhere.
        let stream = Stream::new(&self.engine.device)?;
        let mut refused = None;
        let recorded = GraphExec::capture(&stream, |stream| {
            // SAFETY: as in `run`.
            let enqueued = unsafe { self.engine.enqueue(stream) };
            match enqueued {
                Ok(()) | Err(TrtError::Device(_)) => {}
                Err(error) => refused = Some(error),
            }
            Ok(())
        });
        match (refused, recorded) {
            (Some(error), _) => Err(error),
            (None, recorded) => {
                self.graph = Some(recorded?);
                Ok(stream.synchronize()?)
            }
        }
    }
}

impl Drop for TensorRtLane {
    /// A query under way uses the buffers.
    fn drop(&mut self) {
        if let Err(error) = self.stream.synchronize() {
            tracing::debug!("while closing a lane of TensorRT: {error}");
        }
    }
}

impl fmt::Debug for TensorRtLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TensorRtLane({:?})", self.engine)
    }
}

/// Writes down what the library's profiler tells.
struct Listener(Told);

/// Layers and their times in ms, in the order they ran.
type Told = Arc<Mutex<Vec<(String, f32)>>>;

impl trtx::interfaces::ReportLayerTime for Listener {
    fn report_layer_time(&self, layer_name: &str, ms: f32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((layer_name.to_owned(), ms));
    }
}

//! A lane on a GPU.
//!
//! On one stream a query's three parts follow one another, and the next query's follow those. With a stream for each
//! part, and events between them, the copies of some queries run beside the inference of another:
//!
//! ```text
//! copy in    | 0 | 1 | 2   | 3   |
//! compute        | 0     | 1     | 2     | 3     |
//! copy out               |0|     |1|     |2|     |3|
//! ```
//!
//! With two sets of buffers, query 2 may be copied in as soon as inference 0, which read the same set, is done. All
//! inferences share one arena, so they never run beside each other.

use super::loaded::Loaded;
use super::set::{Set, Streams};
use crate::runtime::lane::{Lane, LaneOptions, Origin, Trace};
use crate::runtime::{RunError, copy};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{Device, DeviceBuffer, DeviceError, Event, Stream};
use std::collections::VecDeque;
use std::sync::Arc;

/// Sets of buffers, the streams their queries run on, and the queries under way.
pub(super) struct CudaLane {
    pub device: Device,
    pub sets: Vec<Set>,
    pub compute: Arc<Stream>,
    /// For copies in and out, where they overlap with inferences.
    copies: Option<(Stream, Stream)>,
    pub arena: Arc<DeviceBuffer>,
    options: LaneOptions,
    under_way: VecDeque<Marks>,
    /// Marks of queries that are over, for those to come.
    spare: Vec<Marks>,
}

impl CudaLane {
    /// Buffers and streams for a loaded plan. Inferences use `arena`, on `stream` if it is given.
    pub fn new(
        loaded: &Loaded,
        options: &LaneOptions,
        arena: Arc<DeviceBuffer>,
        stream: Option<Arc<Stream>>,
    ) -> Result<Self, RunError> {
        let device = &loaded.device;
        let sets = (0..options.sets.max(1)).map(|_| Set::new(loaded, arena.ptr(), options.pinned));
        let sets = sets.collect::<Result<_, _>>()?;
        let compute = match stream {
            Some(stream) => stream,
            None if options.default_stream && !options.overlap => Arc::new(Stream::legacy_default(device)),
            None => Arc::new(Stream::new(device)?),
        };
        let copies = match options.overlap {
            true => Some((Stream::new(device)?, Stream::new(device)?)),
            false => None,
        };
        let (under_way, spare) = (VecDeque::new(), Vec::new());
        Ok(Self { device: device.clone(), sets, compute, copies, arena, options: options.clone(), under_way, spare })
    }

    fn marks(&mut self) -> Result<Marks, DeviceError> {
        match self.spare.pop() {
            Some(marks) => Ok(marks),
            None => Marks::new(&self.device, self.options.spin_wait),
        }
    }
}

impl Lane for CudaLane {
    fn write(&mut self, set: usize, fill: &mut dyn FnMut(&mut [&mut [u8]])) -> Result<(), RunError> {
        let inputs = &mut self.sets[set].inputs;
        let mut slices = inputs.iter_mut().map(|port| port.host.bytes_mut()).collect::<Result<Vec<_>, _>>()?;
        fill(&mut slices);
        if !self.options.transfers {
            // Queries do not copy, so it is done here, before any that is submitted from now on.
            for port in inputs {
                let range = 0..port.host.len();
                port.device.enqueue_copy_from(0, &mut port.host, range, &self.compute)?;
            }
        }
        Ok(())
    }

    fn load(&mut self, set: usize, inputs: &[Tensor]) -> Result<(), RunError> {
        self.write(set, &mut |slices| {
            slices.iter_mut().zip(inputs).for_each(|(slice, tensor)| copy::copy(tensor.bytes(), slice));
        })
    }

    fn submit(&mut self, set: usize) -> Result<(), RunError> {
        let mut marks = self.marks()?;
        let Self { sets, compute, copies, options, .. } = self;
        let set = &mut sets[set];
        let streams = match copies {
            Some((input, output)) => Streams { input, compute, output, overlap: true },
            None => Streams { input: compute, compute, output: compute, overlap: false },
        };
        let timed = options.origin.is_some();
        let note = |event: &Event, stream: &Stream| if timed { event.record(stream) } else { Ok(()) };
        if options.transfers {
            note(&marks.copy_in.0, streams.input)?;
            set.copy_in(&streams)?;
            note(&marks.copy_in.1, streams.input)?;
        }
        set.await_inputs(&streams)?;
        note(&marks.compute.0, streams.compute)?;
        let now = || options.origin.as_ref().map_or(0.0, Origin::elapsed_ms);
        let start = now();
        set.inference.enqueue(streams.compute, options.cuda_graph)?;
        marks.enqueue = (start, now());
        if options.transfers {
            note(&marks.compute.1, streams.compute)?;
            set.await_outputs(&streams)?;
            note(&marks.copy_out.0, streams.output)?;
            set.copy_out(&streams)?;
            marks.copy_out.1.record(streams.output)?;
        } else {
            marks.compute.1.record(streams.compute)?;
        }
        self.under_way.push_back(marks);
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Trace>, RunError> {
        let Some(marks) = self.under_way.pop_front() else { return Ok(None) };
        let last = if self.options.transfers { &marks.copy_out.1 } else { &marks.compute.1 };
        last.synchronize()?;
        let origin = self.options.origin.as_ref().and_then(|origin| origin.device.as_deref());
        let trace = origin.map(|origin| marks.trace(origin, self.options.transfers)).transpose()?;
        self.spare.push(marks);
        Ok(trace)
    }

    fn outputs(&mut self, set: usize) -> Result<Vec<Tensor>, RunError> {
        let tensors = self.sets[set].outputs.iter_mut().map(|port| {
            if !self.options.transfers {
                let range = 0..port.host.len();
                port.device.enqueue_copy_to(0, &mut port.host, range, &self.compute)?;
            }
            Ok(copy::tensor(port.port.dtype, &port.port.shape, port.host.bytes()?)?)
        });
        tensors.collect()
    }
}

impl Drop for CudaLane {
    /// Queries under way use the buffers.
    fn drop(&mut self) {
        let streams = self.copies.iter().flat_map(|(input, output)| [input, output]).chain([&*self.compute]);
        for stream in streams {
            if let Err(error) = stream.synchronize() {
                tracing::debug!("while closing a lane: {error}");
            }
        }
    }
}

/// Marks of one query in its streams: where each part begins and ends.
struct Marks {
    copy_in: (Event, Event),
    compute: (Event, Event),
    copy_out: (Event, Event),
    /// When the host began and ended to enqueue the inference, ms since the origin.
    enqueue: (f64, f64),
}

impl Marks {
    fn new(device: &Device, spin: bool) -> Result<Self, DeviceError> {
        let event = || if spin { Event::timing(device) } else { Event::timing_asleep(device) };
        let pair = || Ok::<_, DeviceError>((event()?, event()?));
        Ok(Self { copy_in: pair()?, compute: pair()?, copy_out: pair()?, enqueue: (0.0, 0.0) })
    }

    /// The driver gives times between events as f32, which after some seconds resolve a quarter of a microsecond. So
    /// only starts are counted from the origin, and ends from their starts.
    fn trace(&self, origin: &Event, transfers: bool) -> Result<Trace, DeviceError> {
        let span = |(start, end): &(Event, Event)| {
            let from = f64::from(origin.elapsed_ms(start)?);
            Ok::<_, DeviceError>((from, from + f64::from(start.elapsed_ms(end)?)))
        };
        let compute = span(&self.compute)?;
        let (copy_in, copy_out) = match transfers {
            true => (span(&self.copy_in)?, span(&self.copy_out)?),
            false => ((compute.0, compute.0), (compute.1, compute.1)),
        };
        Ok(Trace {
            enqueue_start: self.enqueue.0,
            enqueue_end: self.enqueue.1,
            h2d_start: copy_in.0,
            h2d_end: copy_in.1,
            compute_start: compute.0,
            compute_end: compute.1,
            d2h_start: copy_out.0,
            d2h_end: copy_out.1,
        })
    }
}

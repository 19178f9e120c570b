//! How fast a network is: queries one after another, each timed in its parts, in the sense of TensorRT's trtexec.
//!
//! ```text
//! query    | inputs to the device | inference | outputs to the host |     on the GPU's clock
//!            h2d                    compute     d2h
//! ```
//!
//! [`run`] keeps queries coming for a while and returns a [`Trace`] of each; a [`Summary`] says what they amount to.
//! Nothing waits between queries, so throughput is that of a busy device, and a query's latency is the sum of its parts,
//! without the time it waited for others.
//!
//! On the CPU inputs are read where they lie, so both copies take no time, and the inference is timed by the host.
//!
//! ```
//! use limpid::measure::{self, Options, Summary};
//! # use limpid::{Backend, Builder, Destination, Session, input::random, tensor::DType};
//! # let model = limpid::zoo::find("mlp").ok_or("not in the zoo")?.build(1)?.model.to_bytes()?;
//! # let engine = Builder::new(Destination::Cpu).build_bytes(&model, "mlp.onnx".as_ref(), None, &mut ())?;
//! # let mut session = Session::new(engine.into(), Backend::Cpu)?;
//! let inputs = [random(DType::F32, &[1, 1, 28, 28], 7)];
//! let options = Options { warm_up_ms: 0.0, duration_s: 0.0, iterations: 5, ..Options::default() };
//! let measurement = measure::run(&mut session, &inputs, &options)?;
//! let summary = Summary::of(&measurement, &[90.0, 99.0]).ok_or("nothing was measured")?;
//! assert_eq!(summary.queries, 5);
//! println!("{:.1} queries/s, median {:.3} ms", summary.throughput, summary.latency.median);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod profile;
mod queries;
mod summary;

pub use crate::runtime::Trace;
pub use profile::{Bound, Layer, Limit, Profile};
pub use summary::{Part, Percentile, Statistic, Summary};

use crate::runtime::{LaneOptions, RunError, Session};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Clocks;

/// How to measure. Of the CPU only `warm_up_ms`, `duration_s`, `iterations`, `streams` and `threads` can be said.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Queries begun in the first milliseconds are not measured: clocks rise, caches fill.
    pub warm_up_ms: f64,
    /// Measured time, s. Longer if `iterations` take longer.
    pub duration_s: f64,
    /// Queries measured on each stream at least.
    pub iterations: u32,
    /// Streams that queries run on at once, each with activations of its own.
    pub streams: usize,
    /// A host thread for each stream; else one thread serves them in turn.
    pub threads: bool,
    /// Each query copies its inputs to the device and its outputs back.
    pub transfers: bool,
    /// Host memory is page-locked, else pageable.
    pub pinned: bool,
    /// Copies run beside inferences: this many sets of buffers on each stream, copies in, inferences and copies out on
    /// CUDA streams of their own. 0 and 1 leave everything in order on one stream.
    pub pipeline: usize,
    /// Sets of inputs that queries take in turn where nothing is pipelined, so that the second-level cache does not hold
    /// the last query's; see [`rotation`].
    pub rotate: usize,
    /// An inference is one launch of a CUDA graph.
    pub cuda_graph: bool,
    /// Use the legacy default stream.
    pub default_stream: bool,
    /// Keep a core busy waiting, which ends some microseconds sooner.
    pub spin_wait: bool,
}

impl Default for Options {
    /// 200 ms of warm-up, then 3 s and 10 queries at least, as trtexec has it; one stream of its own, pageable transfers,
    /// a CUDA graph.
    fn default() -> Self {
        Self {
            warm_up_ms: 200.0,
            duration_s: 3.0,
            iterations: 10,
            streams: 1,
            threads: false,
            transfers: true,
            pinned: false,
            pipeline: 0,
            rotate: 1,
            cuda_graph: true,
            default_stream: false,
            spin_wait: false,
        }
    }
}

impl Options {
    /// Sets of buffers of each stream.
    fn sets(&self) -> usize {
        if self.pipeline > 1 { self.pipeline } else { self.rotate.max(1) }
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// One for each measured query, in the order they began.
    pub traces: Vec<Trace>,
    /// Queries before them.
    pub warm_up_queries: usize,
    /// From the first measured query's beginning to the last one's end, ms.
    pub walltime_ms: f64,
    /// What the GPU's clocks stood at right after, if NVML tells.
    pub clocks: Option<Clocks>,
}

/// Runs queries with these inputs, which all streams read.
///
/// # Errors
/// Those of [`Session::run`].
pub fn run(session: &mut Session, inputs: &[Tensor], options: &Options) -> Result<Measurement, RunError> {
    run_rotating(session, &[inputs.to_vec()], options)
}

/// As [`run`], with several inputs of the same extents that the sets of buffers begin with, in turn. Values matter to a
/// GPU's clock: multiplying zeros takes less power than multiplying noise.
///
/// # Errors
/// Those of [`Session::run`].
pub fn run_rotating(session: &mut Session, inputs: &[Vec<Tensor>], options: &Options) -> Result<Measurement, RunError> {
    let Some(first) = inputs.first() else { return run_rotating(session, &[Vec::new()], options) };
    // So that the device has what belongs to these extents, and is awake.
    session.run(first)?;
    let origin = session.origin()?;
    let layout = LaneOptions {
        sets: options.sets(),
        pinned: options.pinned,
        transfers: options.transfers,
        overlap: options.pipeline > 1,
        cuda_graph: options.cuda_graph,
        default_stream: options.default_stream,
        spin_wait: options.spin_wait,
        origin: Some(origin.clone()),
    };
    let mut lanes = Vec::with_capacity(options.streams.max(1));
    for _ in 0..options.streams.max(1) {
        let mut lane = session.lane(first, &layout)?;
        for (set, inputs) in (0..layout.sets).zip(inputs.iter().cycle()).skip(1) {
            session.check(inputs)?;
            lane.load(set, inputs)?;
        }
        lanes.push(lane);
    }
    let outcome = queries::run(&mut lanes, options, &origin)?;
    Ok(outcome.measurement(session.clocks()))
}

/// How many sets of inputs of these bytes it takes until twice a cache of `cache_bytes` is filled, at least 1 and at most
/// 16. Each set costs a recorded graph; inputs so small that 16 of them fit into the cache are read in a fraction of a
/// microsecond from anywhere.
pub fn rotation(input_bytes: u64, cache_bytes: u64) -> usize {
    const MOST: u64 = 16;
    (2 * cache_bytes).div_ceil(input_bytes.max(1)).clamp(1, MOST) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_rotate_until_the_cache_is_too_small() {
        assert_eq!(rotation(19_267_584, 50 << 20), 6, "a batch of 32 pictures");
        assert_eq!((rotation(602_112, 50 << 20), rotation(1 << 30, 50 << 20), rotation(0, 0)), (16, 1, 1));
    }
}

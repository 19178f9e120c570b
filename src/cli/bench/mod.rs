//! `limpid bench`: one latency, a flow of queries, a profile, or a table of several.

mod flow;
mod inputs;
mod latency;
mod precisions;
mod profile;
mod streams;

pub(super) use inputs::random_inputs;

use super::console::Console;
use super::source::{self, ModelOptions, precision_parser};
use super::{CommandError, chrome};
use crate::chrome_trace::ChromeTrace;
use crate::engine::Engine;
use crate::measure::{self, Options};
use crate::plan::Plan;
use crate::runtime::{Backend, Session, gpu_missing};
use clap::Args;
use flow::FlowArgs;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::Tensor;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Queries in a Chrome trace: enough to see how they overlap.
const QUERIES_DRAWN: u32 = 20;

/// Measure latency and throughput
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Inputs are random numbers. `host` is from the call to the answer, transfers included; `device` is the network
alone, by the GPU's clock, its inputs rotating through a ring larger than the second-level cache. The options under
\"A flow of queries\" keep queries coming instead, each timed in its parts.

Examples:
  limpid bench resnet18.engine
  limpid bench resnet18.engine --profile                 where the time goes, and how near the chip's limits it is
  limpid bench resnet18.engine --pipeline --pinned       copies beside inferences
  limpid bench resnet18.engine --compare-streams         default or own stream, pageable or pinned memory
  limpid bench resnet18.onnx --precisions fp32,fp16,int8 --batch 1,32")]
pub(super) struct BenchArgs {
    /// The engine, or an ONNX model to build in memory
    engine: PathBuf,

    /// Samples of a run [default: the batch the engine was built for]; several with --precisions
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    batch: Vec<u32>,

    /// Runs to measure [default: as many as fit into 3 seconds, at least 10 and at most 1000]; of a flow, queries of
    /// each stream at least
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    iterations: Option<u32>,

    /// Runs before measuring
    #[arg(long, value_name = "N", default_value_t = 5)]
    warmup: u32,

    /// What to run on: auto, cpu, cuda, cuda:N
    #[arg(long, default_value_t = Backend::Auto)]
    backend: Backend,

    /// Let each kernel start only when the one before it has ended
    #[arg(long)]
    no_dependent_launch: bool,

    /// What to multiply in, for a model
    #[arg(long, value_parser = precision_parser())]
    precision: Option<Precision>,

    /// Build the model in each of these precisions and compare their speed with FP32
    #[arg(long, value_name = "P,..", value_delimiter = ',', value_parser = precision_parser(), conflicts_with = "precision")]
    precisions: Vec<Precision>,

    /// Time each group, and hold it against the chip's peak operations and bandwidth
    #[arg(long, conflicts_with_all = ["precisions", "compare_streams"])]
    profile: bool,

    /// Compare the default stream with one of its own, for pageable and pinned memory, and a pipeline
    #[arg(long, conflicts_with_all = ["precisions"], help_heading = "A flow of queries")]
    compare_streams: bool,

    /// Write some queries in their parts, and each layer's time, for chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE", conflicts_with = "precisions")]
    chrome_trace: Option<PathBuf>,

    #[command(flatten)]
    flow: FlowArgs,
}

/// A network that is ready to be measured.
struct Bench {
    engine: Arc<Engine>,
    session: Session,
    inputs: Vec<Tensor>,
    batch: usize,
}

/// Runs the network on random inputs and prints how long it took.
pub(super) fn run(args: &BenchArgs, console: &mut Console) -> Result<(), CommandError> {
    if !args.precisions.is_empty() {
        return precisions::run(args, console);
    }
    if args.batch.len() > 1 {
        return Err(CommandError::usage("several batches are for --precisions; give --batch one number"));
    }
    let flow = args.flow.asks_for_flow() || args.compare_streams;
    if flow && (args.backend == Backend::Cpu || args.backend == Backend::Auto && gpu_missing().is_some()) {
        // Before a model is built in vain.
        args.flow.refuse_on_cpu(args.compare_streams)?;
    }
    let mut bench = args.open(args.precision, args.batch.first().copied(), console)?;
    if let Some(note) = bench.session.note() {
        console.note(format_args!("note: running on the CPU: {note}"));
    }
    if flow && bench.session.device().is_none() {
        args.flow.refuse_on_cpu(args.compare_streams)?;
    }
    if args.profile {
        profile::run(args, &mut bench, console)?;
    } else if args.compare_streams {
        streams::run(args, &mut bench, console)?;
    } else if flow || (bench.session.device().is_some() && flow::by_environment()?) {
        flow::run(args, &mut bench, console)?;
    } else {
        latency::run(args, &mut bench, console)?;
    }
    match &args.chrome_trace {
        Some(path) => draw(args, &mut bench, path, console),
        None => Ok(()),
    }
}

/// Queries in their parts, and under the first one's inference its layers.
fn draw(args: &BenchArgs, bench: &mut Bench, path: &Path, console: &mut Console) -> Result<(), CommandError> {
    let options = args.flow.options(Some(QUERIES_DRAWN), bench)?;
    let options = Options { duration_s: 0.0, warm_up_ms: 0.0, ..options };
    let traces = measure::run(&mut bench.session, &bench.inputs, &options)?.traces;
    let mut trace = ChromeTrace::new(&format!("limpid bench {}", bench.network()));
    trace.queries(&traces, 0.0);
    let first = traces.first().map_or(0.0, |query| query.compute_start * 1e3);
    chrome::draw_layers(&mut trace, &mut bench.session, &bench.inputs, first)?;
    chrome::write(&trace, path, console)
}

impl BenchArgs {
    /// Reads or builds the engine and opens a session.
    fn open(
        &self,
        precision: Option<Precision>,
        batch: Option<u32>,
        console: &mut Console,
    ) -> Result<Bench, CommandError> {
        let options = ModelOptions { precision, batch: batch.map_or(1, |b| b as usize), backend: self.backend };
        let mut engine = source::open(&self.engine, options, console)?;
        if self.no_dependent_launch {
            engine.plans = engine.plans.into_iter().map(Plan::without_dependent_launches).collect();
        }
        let engine = Arc::new(engine);
        let inputs = inputs::random_inputs(&engine, batch, 0)?;
        let session = Session::new(Arc::clone(&engine), self.backend)?;
        let batch = inputs::batch_of(&inputs);
        Ok(Bench { engine, session, inputs, batch })
    }

    /// Runs to measure: those asked for, or as many as fit into three seconds.
    fn runs(&self, bench: &mut Bench) -> Result<u32, CommandError> {
        if let Some(iterations) = self.iterations {
            return Ok(iterations);
        }
        let once = bench.session.measure(&bench.inputs, self.warmup.min(1), 1)?.host.median();
        Ok((3e6 / once).clamp(10.0, 1000.0) as u32)
    }
}

impl Bench {
    /// The network's name and what it multiplies in.
    fn network(&self) -> String {
        format!("{}, {}", self.engine.metadata.name, self.engine.metadata.precision)
    }

    /// The device's name, and what its clocks stand at if it tells.
    fn device(&self) -> String {
        let clocks = self.session.clocks();
        let clocks =
            clocks.map_or(String::new(), |c| format!(", {} MHz, memory {} MHz", c.multiprocessor_mhz, c.memory_mhz));
        self.session.backend_name() + &clocks
    }

    /// What every record says of where it was measured.
    fn record(&self) -> Map<String, Value> {
        let clocks = self.session.clocks();
        let clocks = clocks.map(|c| json!({ "multiprocessor": c.multiprocessor_mhz, "memory": c.memory_mhz }));
        let record = [
            ("versions", json!(self.session.versions())),
            ("clocks_mhz", json!(clocks)),
            ("network", json!(self.engine.metadata.name)),
            ("precision", json!(self.engine.metadata.precision.name())),
            ("backend", json!(self.session.backend_name())),
            ("batch", json!(self.batch)),
        ];
        record.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

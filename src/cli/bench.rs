use super::console::{Console, pairs, table};
use super::source::{self, ModelOptions, precision_parser};
use super::{CommandError, units};
use crate::engine::Engine;
use crate::input::random;
use crate::plan::Plan;
use crate::runtime::{Backend, Latency, Session};
use clap::Args;
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::device::Samples;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Measure latency and throughput
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Inputs are random numbers. `host` is from the call to the answer, transfers included; `device` is the network
alone, by the GPU's clock.")]
pub(super) struct BenchArgs {
    /// The engine, or an ONNX model to build in memory
    engine: PathBuf,

    /// Samples of a run [default: the batch the engine was built for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,

    /// Runs to measure [default: as many as fit into 3 seconds, at least 10 and at most 1000]
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
}

/// Runs the network on random inputs and prints how long it took.
pub(super) fn run(args: &BenchArgs, console: &mut Console) -> Result<(), CommandError> {
    let options =
        ModelOptions { precision: args.precision, batch: args.batch.map_or(1, |b| b as usize), backend: args.backend };
    let mut engine = source::open(&args.engine, options, console)?;
    if args.no_dependent_launch {
        engine.plans = engine.plans.into_iter().map(Plan::without_dependent_launches).collect();
    }
    let engine = Arc::new(engine);
    let inputs = random_inputs(&engine, args.batch)?;
    let mut session = Session::new(Arc::clone(&engine), args.backend)?;
    if let Some(note) = session.note() {
        console.note(format_args!("note: running on the CPU: {note}"));
    }
    let iterations = match args.iterations {
        Some(iterations) => iterations,
        None => {
            let once = session.measure(&inputs, args.warmup.min(1), 1)?.host.median();
            (3e6 / once).clamp(10.0, 1000.0) as u32
        }
    };
    let latency = session.measure(&inputs, args.warmup, iterations)?;
    let batch = inputs.first().and_then(|t| t.shape().first()).copied().unwrap_or(1);
    report(&engine, &session, batch, iterations, &latency, console)
}

/// Random inputs of the extents that were asked for, or that the engine was built for.
fn random_inputs(engine: &Engine, batch: Option<u32>) -> Result<Vec<Tensor>, CommandError> {
    let graph = &engine.graph;
    let mut bindings = engine.metadata.opt();
    if let Some(batch) = batch {
        bind_batch(graph, &mut bindings, batch)?;
    }
    let specs = specs_of(graph, &graph.inputs, &bindings).map_err(crate::runtime::RunError::from)?;
    let inputs: Vec<Tensor> = specs.iter().zip(1..).map(|(spec, seed)| random(spec.dtype, &spec.shape, seed)).collect();
    Ok(engine.to_memory(&inputs).map_err(crate::runtime::RunError::from)?)
}

fn bind_batch(graph: &Graph, bindings: &mut Bindings, batch: u32) -> Result<(), CommandError> {
    let Some(first) = graph.inputs.first().and_then(|&v| graph.fact(v).shape.first()) else { return Ok(()) };
    match (first.as_symbol(), first.as_usize()) {
        (Some(symbol), _) => {
            bindings.bind(symbol.clone(), i64::from(batch));
            Ok(())
        }
        (None, Some(fixed)) if fixed == batch as usize => Ok(()),
        _ => Err(CommandError::usage(format!("the model's batch is fixed at {first}; leave --batch out"))),
    }
}

fn report(
    engine: &Engine,
    session: &Session,
    batch: usize,
    iterations: u32,
    latency: &Latency,
    console: &mut Console,
) -> Result<(), CommandError> {
    let best = latency.device.as_ref().unwrap_or(&latency.host);
    let throughput = batch as f64 / best.median() * 1e6;
    let backend = session.backend_name();
    console.json(|| {
        let clocks = latency.clocks.map(|c| json!({ "multiprocessor": c.multiprocessor_mhz, "memory": c.memory_mhz }));
        json!({
            "versions": session.versions(), "clocks_mhz": clocks,
            "network": engine.metadata.name, "precision": engine.metadata.precision.name(), "backend": backend,
            "batch": batch, "iterations": iterations, "samples_per_second": throughput,
            "host_us": statistics(&latency.host), "device_us": latency.device.as_ref().map(statistics),
        })
    })?;
    let clocks = latency
        .clocks
        .map_or(String::new(), |c| format!(", {} MHz, memory {} MHz", c.multiprocessor_mhz, c.memory_mhz));
    console.print(pairs([
        ("network", format!("{}, {}", engine.metadata.name, engine.metadata.precision)),
        ("device", backend + &clocks),
        ("batch", format!("{batch}, {iterations} runs")),
        ("throughput", format!("{throughput:.1} samples/s")),
    ]))?;
    let mut rows = table(["", "median", "mean", "p90", "p95", "p99", "min", "max"], &[1, 2, 3, 4, 5, 6, 7]);
    let named = [("device", latency.device.as_ref()), ("host", Some(&latency.host))];
    for (name, samples) in named.into_iter().filter_map(|(name, samples)| Some((name, samples?))) {
        let times = [samples.median(), samples.mean(), samples.quantile(0.9), samples.quantile(0.95)];
        let ends = [samples.quantile(0.99), samples.min(), samples.max()];
        rows.add_row([name.to_owned()].into_iter().chain(times.into_iter().chain(ends).map(units::duration)));
    }
    console.print(format_args!("\n{}", rows.trim_fmt()))?;
    Ok(())
}

fn statistics(samples: &Samples) -> Value {
    json!({
        "median": samples.median(), "mean": samples.mean(), "p90": samples.quantile(0.9),
        "p95": samples.quantile(0.95), "p99": samples.quantile(0.99), "min": samples.min(), "max": samples.max(),
        "spread": samples.spread(),
    })
}

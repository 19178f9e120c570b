use super::network::NetworkArgs;
use super::running::{self, QueryArgs, named, warn};
use crate::cli::bench::random_inputs;
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::duel::Timing;
use crate::trt::{LayerTimes, Library, Marks, QueryTimes};
use clap::Args;
use serde_json::json;

/// Measure TensorRT alone: latency in its parts, and its layers
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Inputs are random numbers at the profile's optimum. `host` is from the call to the answer; the rest is by the GPU's clock.

Examples:
  limpid trt bench resnet50.onnx --precision fp16 --batch 8
  limpid trt bench resnet50.onnx --precision fp16 --profile        its layers, as its own profiler times them")]
pub(super) struct BenchArgs {
    #[command(flatten)]
    network: NetworkArgs,

    /// Queries to measure
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,

    /// Queries before measuring
    #[arg(long, value_name = "N", default_value_t = 50)]
    warmup: u32,

    /// Time each layer, too
    #[arg(long)]
    profile: bool,

    #[command(flatten)]
    queries: QueryArgs,
}

/// A part of a query by name.
type Part = (&'static str, fn(&QueryTimes) -> f64);

const PARTS: [Part; 4] = [
    ("host", |times| times.host),
    ("h2d", |times| times.h2d),
    ("compute", |times| times.compute),
    ("d2h", |times| times.d2h),
];

/// Builds, runs, and says how long it took.
pub(super) fn run(args: &BenchArgs, console: &mut Console) -> Result<(), CommandError> {
    let library = Library::load()?;
    let device = running::gpu()?;
    let network = args.network.open(console)?;
    let built = library.build(&network.stated.request(None, Marks::None))?;
    warn(&built, console);
    let inputs = random_inputs(&network.reference, None, 0)?;
    let engine = library.open(&built.plan, &device)?;
    let mut lane = engine.lane(&named(&network.reference.graph, &inputs), &args.queries.options(None))?;
    for _ in 0..args.warmup {
        lane.query()?;
    }
    let times = (0..args.iterations).map(|_| lane.query()).collect::<Result<Vec<QueryTimes>, _>>()?;
    let clocks = device.clocks();
    let layers = if args.profile { lane.profile(args.iterations.min(100))? } else { Vec::new() };
    let timing = |part: fn(&QueryTimes) -> f64| Timing::of(&times.iter().map(part).collect::<Vec<_>>());
    let batch = inputs.first().and_then(|input| input.shape().first()).copied().unwrap_or(1);
    console.json(|| {
        let parts: serde_json::Map<_, _> =
            PARTS.iter().map(|(name, part)| ((*name).to_owned(), json!(timing(*part)))).collect();
        json!({
            "network": args.network.stem(), "precision": args.network.precision.name(), "batch": batch,
            "library": running::record(&library), "device": running::describe(&device),
            "clocks_mhz": clocks.map(|c| json!({ "multiprocessor": c.multiprocessor_mhz, "memory": c.memory_mhz })),
            "queries": args.queries.describe(), "times_us": parts, "layers": layers,
        })
    })?;
    let mut rows = running::rows(&library);
    rows.push(("network", format!("{}, {}", args.network.stem(), args.network.precision)));
    rows.push(("device", running::describe(&device)));
    rows.push(("batch", format!("{batch}, {} queries", args.iterations)));
    rows.push(("queries", args.queries.describe()));
    console.print(pairs(rows))?;
    let mut lines = table(["", "median", "spread"], &[1, 2]);
    for (name, part) in PARTS {
        if let Some(timing) = timing(part) {
            let spread = timing.spread.unwrap_or(0.0) * 50.0;
            lines.add_row([name.to_owned(), units::duration(timing.median_us), format!("±{spread:.1} %")]);
        }
    }
    console.print(format_args!("\n{}", lines.trim_fmt()))?;
    if args.profile {
        console.print(format_args!("\n{}", layer_table(&layers)))?;
    }
    Ok(())
}

fn layer_table(layers: &[LayerTimes]) -> String {
    let mut lines = table(["layer", "median"], &[1]);
    for (layer, timing) in layers.iter().filter_map(|layer| Some((layer, Timing::of(&layer.us)?))) {
        lines.add_row([layer.name.clone(), units::duration(timing.median_us)]);
    }
    lines.trim_fmt()
}

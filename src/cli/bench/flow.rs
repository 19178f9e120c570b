use super::{Bench, BenchArgs, inputs};
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, environment, units};
use crate::measure::{self, Options, Part, Statistic, Summary};
use crate::runtime::RunError;
use clap::Args;
use serde_json::json;

/// Percentiles in the table.
const PERCENTS: [f64; 3] = [90.0, 95.0, 99.0];

/// Options of queries that follow one another without waiting.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "A flow of queries")]
pub(super) struct FlowArgs {
    /// Keep queries coming for this long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<f64>,

    /// Queries run on this many streams at once, each with activations of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    streams: Option<u32>,

    /// A host thread for each stream
    #[arg(long)]
    threads: bool,

    /// Copy from and to page-locked host memory, else pageable [env: USE_PINNED=1]
    #[arg(long)]
    pinned: bool,

    /// Copy beside inferences, on streams of their own, through this many sets of buffers
    #[arg(long, value_name = "SETS", num_args = 0..=1, require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(2..=16), conflicts_with = "default_stream")]
    pipeline: Option<u32>,

    /// Run on the legacy default stream [env: USE_DEFAULT_STREAM=1]
    #[arg(long)]
    default_stream: bool,

    /// Leave inputs and outputs on the device
    #[arg(long, conflicts_with_all = ["pinned", "pipeline"])]
    no_transfers: bool,

    /// Launch kernels one by one instead of as a CUDA graph
    #[arg(long)]
    no_graph: bool,

    /// Take inputs in turn from as many buffers as fill twice the second-level cache, at most 16
    #[arg(long, conflicts_with = "pipeline")]
    rotate_inputs: bool,

    /// Keep a core busy while waiting for the GPU
    #[arg(long)]
    spin_wait: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok().filter(|s: &f64| (0.0..=86_400.0).contains(s));
    value.ok_or_else(|| "expected a number of seconds, at most a day".to_owned())
}

/// Whether the environment asks for what only a flow of queries has.
pub(super) fn by_environment() -> Result<bool, CommandError> {
    Ok(environment::flag(environment::USE_PINNED)? || environment::flag(environment::USE_DEFAULT_STREAM)?)
}

impl FlowArgs {
    /// Any of these options is given.
    pub(super) fn asks_for_flow(&self) -> bool {
        let gpu = self.gpu_only().into_iter().any(|(_, given)| given);
        gpu || self.duration.is_some() || self.streams.is_some() || self.threads || self.no_transfers
    }

    fn gpu_only(&self) -> [(&'static str, bool); 6] {
        [
            ("--pinned", self.pinned),
            ("--pipeline", self.pipeline.is_some()),
            ("--default-stream", self.default_stream),
            ("--no-graph", self.no_graph),
            ("--rotate-inputs", self.rotate_inputs),
            ("--spin-wait", self.spin_wait),
        ]
    }

    /// Names the options that mean nothing on a CPU.
    pub(super) fn refuse_on_cpu(&self, compare_streams: bool) -> Result<(), CommandError> {
        let flags = self.gpu_only().into_iter().chain([("--compare-streams", compare_streams)]);
        let given: Vec<&str> = flags.filter(|(_, given)| *given).map(|(flag, _)| flag).collect();
        if given.is_empty() {
            return Ok(());
        }
        Err(CommandError::Usage {
            message: format!("{} needs a GPU, and this runs on the CPU, which copies nothing", given.join(", ")),
            help: Some("--streams, --threads, --duration and --iterations mean something on the CPU, too".to_owned()),
        })
    }

    /// As the measuring loop wants them.
    pub(super) fn options(&self, iterations: Option<u32>, bench: &Bench) -> Result<Options, CommandError> {
        let gpu = bench.session.device();
        let by_environment = |name| Ok::<_, CommandError>(gpu.is_some() && environment::flag(name)?);
        let bytes: usize = bench.inputs.iter().map(|tensor| tensor.bytes().len()).sum();
        let cache = gpu.filter(|_| self.rotate_inputs).map_or(0, |gpu| gpu.target().l2_bytes);
        let default = Options::default();
        Ok(Options {
            duration_s: self.duration.unwrap_or(default.duration_s),
            iterations: iterations.unwrap_or(default.iterations),
            streams: self.streams.map_or(1, |n| n as usize),
            threads: self.threads,
            transfers: !self.no_transfers,
            pinned: self.pinned || by_environment(environment::USE_PINNED)?,
            pipeline: self.pipeline.map_or(0, |n| n as usize),
            rotate: if self.rotate_inputs { measure::rotation(bytes as u64, cache) } else { 1 },
            cuda_graph: !self.no_graph,
            default_stream: self.default_stream
                || self.pipeline.is_none() && by_environment(environment::USE_DEFAULT_STREAM)?,
            spin_wait: self.spin_wait,
            ..default
        })
    }
}

impl Bench {
    /// Keeps queries coming, with other random numbers in each set of inputs.
    pub(super) fn flow(&mut self, options: &Options) -> Result<Summary, CommandError> {
        let batch = u32::try_from(self.batch).ok();
        let mut sets = vec![self.inputs.clone()];
        for seed in 1..options.rotate.max(1) as u64 {
            sets.push(inputs::random_inputs(&self.engine, batch, seed)?);
        }
        let measurement = measure::run_rotating(&mut self.session, &sets, options)?;
        Ok(Summary::of(&measurement, &PERCENTS).ok_or(RunError::NoTimes)?)
    }
}

/// Runs and reports.
pub(super) fn run(args: &BenchArgs, bench: &mut Bench, console: &mut Console) -> Result<(), CommandError> {
    let options = args.flow.options(args.iterations, bench)?;
    // What overlaps is held against what each part takes by itself.
    let alone = match options.pipeline {
        0 | 1 => None,
        _ => Some(bench.flow(&Options { pipeline: 0, duration_s: options.duration_s.min(1.0), ..options.clone() })?),
    };
    let summary = bench.flow(&options)?;
    let samples = summary.throughput * bench.batch as f64;
    let bound = alone.as_ref().map(Summary::bound);
    let reached = bound.map(|(_, throughput)| summary.throughput / throughput);
    console.json(|| {
        let mut record = bench.record();
        let flow = [
            ("streams", json!(options.streams)),
            ("pinned", json!(options.pinned)),
            ("pipeline", json!(options.pipeline)),
            ("default_stream", json!(options.default_stream)),
            ("transfers", json!(options.transfers)),
            ("cuda_graph", json!(options.cuda_graph)),
            ("input_sets", json!(options.rotate)),
            ("samples_per_second", json!(samples)),
            ("summary_ms", json!(summary)),
            ("alone_ms", json!(alone)),
            ("bound", json!(bound.map(|(part, throughput)| json!({ "part": part, "queries_per_second": throughput })))),
            ("reached", json!(reached)),
        ];
        record.extend(flow.map(|(key, value)| (key.to_owned(), value)));
        record
    })?;
    let wall = units::duration(summary.walltime_ms * 1e3);
    let mut rows = vec![
        ("network", bench.network()),
        ("device", bench.device()),
        ("queries", format!("{} of batch {} in {wall}, {}", summary.queries, bench.batch, describe(&options))),
        ("throughput", format!("{samples:.1} samples/s, {:.1} queries/s", summary.throughput)),
        ("busy", busy(&summary, &options)),
    ];
    if let (Some((part, throughput)), Some(reached)) = (bound, reached) {
        let alone = match part {
            Part::Compute => "the network alone allows",
            Part::CopyIn | Part::CopyOut => "the bus alone allows",
        };
        let most = throughput * bench.batch as f64;
        rows.push(("bound", format!("{part}: {:.1} % of what {alone}, {most:.1} samples/s", reached * 100.0)));
    }
    console.print(pairs(rows))?;
    let mut rows = table(["", "median", "mean", "p90", "p95", "p99", "min", "max"], &[1, 2, 3, 4, 5, 6, 7]);
    let parts = [
        ("latency", &summary.latency),
        ("h2d", &summary.h2d),
        ("compute", &summary.compute),
        ("d2h", &summary.d2h),
        ("enqueue", &summary.enqueue),
    ];
    for (name, statistic) in parts {
        rows.add_row([name.to_owned()].into_iter().chain(cells(statistic)));
    }
    console.print(format_args!("\n{}", rows.trim_fmt()))?;
    Ok(())
}

fn cells(statistic: &Statistic) -> impl Iterator<Item = String> {
    let percentiles: Vec<f64> = statistic.percentiles.iter().map(|p| p.value).collect();
    let ends = [statistic.min, statistic.max];
    let times = [statistic.median, statistic.mean].into_iter().chain(percentiles).chain(ends);
    times.map(|ms| units::duration(ms * 1e3))
}

/// How queries flowed, in words.
pub(super) fn describe(options: &Options) -> String {
    let threads = if options.threads { ", a thread each" } else { "" };
    let stream = if options.default_stream { "the default stream" } else { "streams of their own" };
    let copies = match (options.transfers, options.pipeline > 1, options.pinned) {
        (false, ..) => "no copies".to_owned(),
        (true, true, true) => format!("{} sets of pinned buffers, copies beside inferences", options.pipeline),
        (true, true, false) => format!("{} sets of pageable buffers, copies beside inferences", options.pipeline),
        (true, false, true) => "pinned memory".to_owned(),
        (true, false, false) => "pageable memory".to_owned(),
    };
    format!("{}{threads} on {stream}, {copies}", units::count(options.streams, "lane"))
}

/// What share of the time the device did something, or how much it did at once.
fn busy(summary: &Summary, options: &Options) -> String {
    let share = summary.busy * 100.0;
    match options.pipeline > 1 || options.streams > 1 {
        true => format!("all parts together are {share:.1} % of the wall time; more than 100 % is overlap"),
        false => format!("{share:.1} % of the wall time; the rest are gaps between queries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_told_in_words() {
        let options = Options { pipeline: 2, pinned: true, streams: 3, threads: true, ..Options::default() };
        let told = "3 lanes, a thread each on streams of their own, 2 sets of pinned buffers, copies beside inferences";
        assert_eq!(describe(&options), told);
        let plain = Options { default_stream: true, transfers: false, ..Options::default() };
        assert_eq!(describe(&plain), "1 lane on the default stream, no copies");
    }

    #[test]
    fn durations_are_numbers_of_seconds() {
        assert_eq!((seconds("0.5"), seconds("0")), (Ok(0.5), Ok(0.0)));
        assert!(["-1", "nan", "inf", "x", "1e9"].iter().all(|text| seconds(text).is_err()));
    }
}

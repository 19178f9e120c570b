//! What was measured, as trtexec tells it: trace averages, the summary, warnings, and what the words mean.

use super::log::{Log, number};
use super::options::{InferenceOptions, ReportingOptions};
use crate::measure::{Measurement, Statistic, Summary, Trace};
use std::fmt::Write;
use std::io;

/// Lines of averages at the beginning and at the end; a long run has no more.
const SHOWN: usize = 200;

/// Prints everything there is to tell of a measurement.
pub(super) fn print(
    measurement: &Measurement,
    on_gpu: bool,
    inference: &InferenceOptions,
    reporting: &ReportingOptions,
    log: &Log,
) -> io::Result<()> {
    let Some(summary) = Summary::of(measurement, &reporting.percentiles) else {
        log.warning("no query was completed after the warm-up; there is nothing to report");
        return Ok(());
    };
    let (warm_ups, warm_up) = (measurement.warm_up_queries, number(inference.warm_up));
    log.info(format_args!("Warmup completed {warm_ups} queries over {warm_up} ms"))?;
    let seconds = number(summary.walltime_ms / 1e3);
    log.info(format_args!("Timing trace has {} queries over {seconds} s", summary.queries))?;
    log.info("")?;
    log.info("=== Trace details ===")?;
    log.info(averages(&measurement.traces, reporting.average_runs as usize))?;
    log.info("")?;
    log.info(performance(&summary))?;
    // On the CPU nothing is enqueued or transferred, and there is no GPU to be kept busy.
    let warnings = if on_gpu { warnings(&summary, inference) } else { concurrency(inference).into_iter().collect() };
    warnings.iter().for_each(|warning| log.warning(warning));
    log.info("Explanations of the performance metrics are printed in the verbose logs.")?;
    log.verbose(EXPLANATIONS)?;
    log.info("")
}

/// A line for every so many queries, with their means.
fn averages(traces: &[Trace], runs: usize) -> String {
    let lines = traces.chunks_exact(runs).map(|traces| {
        let mean = |part: fn(&Trace) -> f64| number(traces.iter().map(part).sum::<f64>() / runs as f64);
        let (compute, latency, enqueue) = (mean(Trace::compute), mean(Trace::latency), mean(Trace::enqueue));
        format!(
            "Average on {runs} runs - GPU latency: {compute} ms - Host latency: {latency} ms (enqueue {enqueue} ms)"
        )
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.len() > 2 * SHOWN {
        let omitted = format!("... Omitting {} lines", lines.len() - 2 * SHOWN);
        lines.splice(SHOWN..lines.len() - SHOWN, [omitted]);
    }
    lines.insert(0, format!("Trace averages of {runs} runs:"));
    lines.join("\n")
}

/// The summary that scripts read.
fn performance(summary: &Summary) -> String {
    let line = |name: &str, statistic: &Statistic| format!("{name}: {}", spread(statistic));
    [
        "=== Performance summary ===".to_owned(),
        format!("Throughput: {} qps", number(summary.throughput)),
        line("Latency", &summary.latency),
        line("Enqueue Time", &summary.enqueue),
        line("H2D Latency", &summary.h2d),
        line("GPU Compute Time", &summary.compute),
        line("D2H Latency", &summary.d2h),
        format!("Total Host Walltime: {} s", number(summary.walltime_ms / 1e3)),
        format!("Total GPU Compute Time: {} s", number(summary.total_compute_ms / 1e3)),
    ]
    .join("\n")
}

fn spread(statistic: &Statistic) -> String {
    let Statistic { min, max, mean, median, .. } = *statistic;
    let [min, max, mean, median] = [min, max, mean, median].map(number);
    let mut text = format!("min = {min} ms, max = {max} ms, mean = {mean} ms, median = {median} ms");
    for percentile in &statistic.percentiles {
        // Writing into memory does not fail.
        let _ = write!(text, ", percentile({}%) = {} ms", number(percentile.percent), number(percentile.value));
    }
    text
}

/// What keeps the figures from being what the network could do.
fn warnings(summary: &Summary, inference: &InferenceOptions) -> Vec<String> {
    // trtexec's thresholds.
    const ENQUEUE_BOUND: f64 = 0.8;
    const UNSTABLE_PERCENT: f64 = 2.5;
    let compute = summary.compute.median;
    let mut warnings = Vec::new();
    let mut warn = |lines: [&str; 2]| warnings.push(format!("* {}\n  {}", lines[0], lines[1]));
    if summary.enqueue.median > ENQUEUE_BOUND * compute {
        warn([
            "Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized.",
            "If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may increase the throughput.",
        ]);
    }
    if summary.h2d.median >= compute {
        warn([
            "Throughput may be bound by host-to-device transfers for the inputs rather than GPU Compute and the GPU may be \
             under-utilized.",
            "Add --noDataTransfers flag to disable data transfers.",
        ]);
    }
    if summary.d2h.median >= compute {
        warn([
            "Throughput may be bound by device-to-host transfers for the outputs rather than GPU Compute and the GPU may be \
             under-utilized.",
            "Add --noDataTransfers flag to disable data transfers.",
        ]);
    }
    let percent = summary.compute.variation * 100.0;
    if percent > UNSTABLE_PERCENT {
        warn([
            &format!("GPU compute time is unstable, with coefficient of variance = {}%.", number(percent)),
            "If not already in use, locking GPU clock frequency or adding --useSpinWait may improve the stability.",
        ]);
    }
    warnings.extend(concurrency(inference));
    warnings
}

/// That queries ran side by side, if they did.
fn concurrency(inference: &InferenceOptions) -> Option<String> {
    (inference.streams > 1).then(|| {
        "* Multiple inference streams are used. Latencies may not be accurate since inferences may run in parallel.\n  \
         Please use \"Throughput\" as the performance metric instead."
            .to_owned()
    })
}

const EXPLANATIONS: &str = "
=== Explanations of the performance metrics ===
Total Host Walltime: from when the first query after the warm-up begins to when the last one is completed.
GPU Compute Time: the time the GPU takes for the kernels of a query.
Total GPU Compute Time: the GPU Compute Times of all queries together. Far less than Total Host Walltime means a GPU that \
waits, for the host or for transfers.
Throughput: the number of queries by the Total Host Walltime. Far less than the reciprocal of GPU Compute Time means a GPU \
that waits, for the host or for transfers.
Enqueue Time: the time the host takes to enqueue a query. More than GPU Compute Time means a GPU that waits for the host.
H2D Latency: the time to copy a query's inputs from host to device.
D2H Latency: the time to copy a query's outputs from device to host.
Latency: H2D Latency, GPU Compute Time and D2H Latency together: the time to infer a single query.";

#[cfg(test)]
mod tests {
    use super::*;

    /// Queries one behind the other: 0.1 ms in, the given times of computing, 0.05 ms out.
    fn measured(computes: &[f64]) -> Measurement {
        let mut traces = Vec::new();
        let mut now = 200.0;
        for compute in computes {
            let (there, done) = (now + 0.1, now + 0.1 + compute);
            traces.push(Trace {
                enqueue_start: now,
                enqueue_end: now + 0.02,
                h2d_start: now,
                h2d_end: there,
                compute_start: there,
                compute_end: done,
                d2h_start: done,
                d2h_end: done + 0.05,
            });
            now = done + 0.05;
        }
        Measurement { traces, warm_up_queries: 7, walltime_ms: now - 200.0, clocks: None }
    }

    /// The numbers behind `key = ` and `key: ` in a line.
    fn values(line: &str) -> Vec<f64> {
        let numbers = line.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok());
        numbers.collect()
    }

    #[test]
    fn the_summary_obeys_the_laws_of_its_figures() {
        let computes: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i * 37 % 100) / 100.0).collect();
        let measurement = measured(&computes);
        let text = performance(&Summary::of(&measurement, &[50.0, 90.0, 99.0]).expect("100 queries"));
        let line = |name: &str| values(text.lines().find(|line| line.starts_with(name)).expect(name));
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(b.abs());

        let (throughput, walltime) = (line("Throughput:")[0], line("Total Host Walltime:")[0]);
        assert!(close(throughput * walltime, 100.0), "{text}");
        for name in ["Latency:", "Enqueue Time:", "H2D Latency:", "GPU Compute Time:", "D2H Latency:"] {
            let [min, max, mean, median, p50, p90, p99] = line(name)[..] else { panic!("{text}") };
            assert!([min, median, max].is_sorted() && [min, mean, max].is_sorted(), "{name} {text}");
            assert!([min, p50, p90, p99, max].is_sorted(), "{name} {text}");
        }
        // The parts add up, of every statistic that is linear.
        let mean = |name: &str| line(name)[2];
        assert!(close(mean("Latency:"), mean("H2D Latency:") + mean("GPU Compute Time:") + mean("D2H Latency:")));
        assert!(close(line("Total GPU Compute Time:")[0], 100.0 * mean("GPU Compute Time:") / 1e3));
        // 1.00 to 1.99 in some order: of 100 values the 90th, the ten largest left out.
        let [min, max, _, median, _, p90, p99] = line("GPU Compute Time:")[..] else { panic!("{text}") };
        assert_eq!([min, max, median], [1.0, 1.99, 1.495]);
        assert!([1.89, 1.9].contains(&p90) && [1.98, 1.99].contains(&p99), "{text}");
    }

    #[test]
    fn averages_are_of_whole_groups_and_long_traces_are_cut() {
        let text = averages(&measured(&[1.0; 25]).traces, 10);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Trace averages of 10 runs:");
        let line = "Average on 10 runs - GPU latency: 1 ms - Host latency: 1.15 ms (enqueue 0.02 ms)";
        assert_eq!(lines[1..], [line, line]);

        let long = averages(&measured(&[1.0; 1000]).traces, 2);
        assert_eq!(long.lines().count(), 1 + 200 + 1 + 200);
        assert_eq!(long.lines().nth(201), Some("... Omitting 100 lines"));
    }

    #[test]
    fn warnings_say_what_bounds_the_throughput() {
        let inference = InferenceOptions::default();
        let of = |computes: &[f64], inference: &InferenceOptions| {
            warnings(&Summary::of(&measured(computes), &[]).expect("queries"), inference)
        };
        assert_eq!(of(&[1.0; 10], &inference), [""; 0]);
        let bound = of(&[0.02; 10], &inference);
        assert_eq!(bound.len(), 3, "{bound:?}");
        assert!(bound[0].contains("--useCudaGraph") && bound[1].contains("host-to-device"), "{bound:?}");
        let unstable = of(&[1.0, 2.0], &inference);
        assert!(unstable[0].contains("unstable") && unstable[0].contains("33.3333%"), "{unstable:?}");
        let streams = InferenceOptions { streams: 2, ..InferenceOptions::default() };
        assert!(of(&[1.0; 10], &streams)[0].contains("Multiple inference streams"));
    }
}

use super::{Bench, BenchArgs};
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use limpid_kernels::device::Samples;
use serde_json::{Value, json};

/// One run after another, each waited for.
pub(super) fn run(args: &BenchArgs, bench: &mut Bench, console: &mut Console) -> Result<(), CommandError> {
    let iterations = args.runs(bench)?;
    let latency = bench.session.measure(&bench.inputs, args.warmup, iterations)?;
    let best = latency.device.as_ref().unwrap_or(&latency.host);
    let throughput = bench.batch as f64 / best.median() * 1e6;
    console.json(|| {
        let mut record = bench.record();
        record.extend(
            [
                ("iterations", json!(iterations)),
                ("samples_per_second", json!(throughput)),
                ("host_us", statistics(&latency.host)),
                ("device_us", latency.device.as_ref().map_or(Value::Null, statistics)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        record
    })?;
    console.print(pairs([
        ("network", bench.network()),
        ("device", bench.device()),
        ("batch", format!("{}, {iterations} runs", bench.batch)),
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

pub(super) fn statistics(samples: &Samples) -> Value {
    json!({
        "median": samples.median(), "mean": samples.mean(), "p90": samples.quantile(0.9),
        "p95": samples.quantile(0.95), "p99": samples.quantile(0.99), "min": samples.min(), "max": samples.max(),
        "spread": samples.spread(),
    })
}

use super::{Bench, BenchArgs};
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::measure::Options;
use serde_json::{Value, json};

/// The same network on the default stream and on streams of its own.
pub(super) fn run(args: &BenchArgs, bench: &mut Bench, console: &mut Console) -> Result<(), CommandError> {
    let given = args.flow.options(args.iterations, bench)?;
    let memory = |name, pinned, transfers| (name, Options { pinned, transfers, pipeline: 0, ..given.clone() });
    let memories = [
        memory("pageable memory", false, true),
        memory("pinned memory", true, true),
        memory("no copies", false, false),
    ];
    let mut rows = table(["host", "stream", "latency", "h2d", "compute", "d2h", "samples/s", "Δ"], &[2, 3, 4, 5, 6, 7]);
    let mut records: Vec<Value> = Vec::new();
    for (name, options) in memories {
        let mut base = None;
        let kinds = [("default", true, 0), ("own", false, 0), ("own, pipeline", false, given.pipeline.max(2))];
        for (stream, default_stream, pipeline) in kinds {
            if pipeline > 0 && !options.transfers {
                continue;
            }
            let summary = bench.flow(&Options { default_stream, pipeline, ..options.clone() })?;
            let base = *base.get_or_insert(summary.throughput);
            let change = summary.throughput / base - 1.0;
            let times = [&summary.latency, &summary.h2d, &summary.compute, &summary.d2h];
            let samples = summary.throughput * bench.batch as f64;
            rows.add_row(
                [name.to_owned(), stream.to_owned()]
                    .into_iter()
                    .chain(times.map(|statistic| units::duration(statistic.median * 1e3)))
                    .chain([format!("{samples:.1}"), change_text(default_stream, change)]),
            );
            records.push(json!({
                "host": name, "stream": stream, "samples_per_second": samples, "change": change, "summary_ms": summary,
            }));
        }
    }
    console.json(|| {
        let mut record = bench.record();
        record.insert("streams".to_owned(), records.into());
        record
    })?;
    console.print(pairs([
        ("network", bench.network()),
        ("device", bench.device()),
        ("batch", bench.batch.to_string()),
    ]))?;
    console.print(format_args!("\n{}", rows.trim_fmt()))?;
    console.print("\nmedians; Δ is the throughput against the default stream with the same host memory")?;
    Ok(())
}

fn change_text(is_base: bool, change: f64) -> String {
    if is_base { String::new() } else { format!("{:+.1} %", change * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(change_text(false, 0.1234), "+12.3 %");
        assert_eq!(change_text(false, -0.05), "-5.0 %");
        assert_eq!(change_text(true, 0.0), "");
    }
}

use super::{Bench, BenchArgs, latency::statistics};
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, source, units};
use limpid_graph::ir::Precision;
use limpid_kernels::device::Samples;
use serde_json::{Value, json};

/// One engine's speed.
struct Row {
    batch: usize,
    precision: Precision,
    /// By the device's clock where it has one, µs.
    times: Samples,
}

impl Row {
    fn samples_per_second(&self) -> f64 {
        self.batch as f64 / self.times.median() * 1e6
    }
}

/// Builds the model in each precision and for each batch, and compares with FP32.
pub(super) fn run(args: &BenchArgs, console: &mut Console) -> Result<(), CommandError> {
    if source::is_engine(&args.engine) {
        let message = format!("`{}` is an engine, built in one precision", args.engine.display());
        return Err(CommandError::Usage { message, help: Some("give --precisions the ONNX model".to_owned()) });
    }
    if args.flow.asks_for_flow() {
        return Err(CommandError::usage("--precisions measures latencies; leave out the options of a flow of queries"));
    }
    let batches: Vec<Option<u32>> = match args.batch.is_empty() {
        true => vec![None],
        false => args.batch.iter().map(|&batch| Some(batch)).collect(),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut last = None;
    for &batch in &batches {
        for &precision in &precisions(&args.precisions) {
            let mut bench = args.open(Some(precision), batch, console)?;
            if let (Some(note), None) = (bench.session.note(), &last) {
                console.note(format_args!("note: running on the CPU: {note}"));
            }
            let iterations = args.runs(&mut bench)?;
            let latency = bench.session.measure(&bench.inputs, args.warmup, iterations)?;
            rows.push(Row { batch: bench.batch, precision, times: latency.device.unwrap_or(latency.host) });
            last = Some(bench);
        }
    }
    match last {
        Some(bench) => report(&rows, &bench, console),
        None => Ok(()),
    }
}

/// What is asked for, each once, and FP32 first, which the others are compared with.
fn precisions(asked: &[Precision]) -> Vec<Precision> {
    let mut list = vec![Precision::Fp32];
    for &precision in asked {
        if !list.contains(&precision) {
            list.push(precision);
        }
    }
    list
}

/// How much faster than FP32 at the same batch.
fn speed_up(row: &Row, rows: &[Row]) -> Option<f64> {
    let base = rows.iter().find(|other| other.batch == row.batch && other.precision == Precision::Fp32)?;
    Some(base.times.median() / row.times.median())
}

fn report(rows: &[Row], bench: &Bench, console: &mut Console) -> Result<(), CommandError> {
    console.json(|| {
        let row = |row: &Row| {
            json!({
                "batch": row.batch, "precision": row.precision.name(), "time_us": statistics(&row.times),
                "samples_per_second": row.samples_per_second(), "speed_up": speed_up(row, rows),
            })
        };
        let mut record = bench.record();
        record.remove("precision");
        record.remove("batch");
        record.insert("precisions".to_owned(), rows.iter().map(row).collect::<Vec<Value>>().into());
        record
    })?;
    console.print(pairs([("network", bench.engine.metadata.name.clone()), ("device", bench.device())]))?;
    let mut lines = table(["batch", "precision", "latency", "spread", "samples/s", "speed-up"], &[0, 2, 3, 4, 5]);
    for row in rows {
        lines.add_row([
            row.batch.to_string(),
            row.precision.to_string(),
            units::duration(row.times.median()),
            format!("±{:.1} %", row.times.spread() * 50.0),
            format!("{:.1}", row.samples_per_second()),
            speed_up(row, rows).map_or_else(String::new, |times| format!("{times:.2}x")),
        ]);
    }
    console.print(format_args!("\n{}", lines.trim_fmt()))?;
    let clock = if bench.session.device().is_some() { "the GPU's clock, copies left out" } else { "the host's clock" };
    console.print(format_args!(
        "\nmedians by {clock}, with half the distance of the quartiles; speed-up is against fp32"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fp32_comes_first_and_each_once() {
        use Precision::{Fp16, Fp32, Int8};
        assert_eq!(precisions(&[Fp16, Int8, Fp16]), [Fp32, Fp16, Int8]);
        assert_eq!(precisions(&[Int8, Fp32]), [Fp32, Int8]);
    }

    #[test]
    fn speed_ups_compare_the_same_batch() {
        let row = |batch, precision, us| Row { batch, precision, times: Samples::new(vec![us]).expect("a time") };
        let rows = [row(1, Precision::Fp32, 10.0), row(8, Precision::Fp32, 60.0), row(8, Precision::Fp16, 20.0)];
        assert_eq!(rows.each_ref().map(|row| speed_up(row, &rows)), [Some(1.0), Some(1.0), Some(3.0)]);
        assert!((rows[2].samples_per_second() - 400_000.0).abs() < 1e-6);
    }
}

//! What was measured, as a table and as JSON.

use limpid_kernels::device::Samples;
use serde_json::{Value, json};

/// One measurement.
pub struct Row {
    benchmark: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    microseconds: Samples,
}

/// All of them, in order.
#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    /// Adds a measurement and prints it; `value` is what `microseconds` come down to, in `unit`.
    pub fn add(
        &mut self,
        benchmark: &'static str,
        what: String,
        value: f64,
        unit: &'static str,
        microseconds: Samples,
    ) {
        println!("{benchmark:10} {what:56} {value:9.2} {unit:8} ± {:.1}%", 100.0 * microseconds.spread());
        self.0.push(Row { benchmark, what, value, unit, microseconds });
    }

    /// For files.
    pub fn json(&self, machine: Value) -> Value {
        let row = |row: &Row| {
            json!({
                "benchmark": row.benchmark, "what": row.what, "value": row.value, "unit": row.unit,
                "us": { "median": row.microseconds.median(), "min": row.microseconds.min(),
                        "max": row.microseconds.max(), "samples": row.microseconds.sorted().len() },
            })
        };
        json!({ "machine": machine, "rows": self.0.iter().map(row).collect::<Vec<_>>() })
    }
}

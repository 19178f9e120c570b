//! The table of benches/ladder/README.md: each step's time, speed and share of the chip's limit.

use crate::results_if_there;
use serde_json::Value;
use std::fmt::Write;

/// The table, or that there is nothing to make it of.
pub fn table(name: &str) -> String {
    let Some(file) = results_if_there(name) else {
        return "Not measured yet; `benches/gpu_round.sh run OUT ladder` does.\n".to_owned();
    };
    let text = |value: &Value, key: &str| value[key].as_str().expect("a text").to_owned();
    let mut out =
        format!("{}, driver {}, random numbers.\n", text(&file["machine"], "gpu"), text(&file["machine"], "driver"));
    let rows = file["rows"].as_array().expect("a list");
    for problem in ["gemm", "conv"] {
        let own: Vec<&Value> = rows.iter().filter(|row| row["problem"] == problem).collect();
        let Some(first) = own.first() else { continue };
        write!(out, "\n`{problem}`, {}:\n\n", text(first, "shape")).expect("text");
        out.push_str(
            "| step | µs | TFLOP/s | of the limit | faster than the step before |\n|---|---:|---:|---:|---:|\n",
        );
        let mut before = None;
        for row in own {
            let number = |key: &str| row[key].as_f64().expect("a number");
            let gain = before.map_or(String::new(), |before: f64| format!("{:.2}×", before / number("us")));
            before = Some(number("us"));
            let (us, tflops, share) = (number("us"), number("tflops"), number("share") * 100.0);
            writeln!(out, "| {} | {us:.1} | {tflops:.2} | {share:.1} % | {gain} |", text(row, "step")).expect("text");
        }
    }
    out
}

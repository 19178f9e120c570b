//! README's tables are those of the files in benches/results/. After new measurements
//! `LIMPID_BLESS=1 cargo test --test readme` writes them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

mod ladder;
mod peers;

/// Columns of the tables; INT8 has no tolerance to report.
const TIMED: &[&str] = &["fp32", "tf32", "fp16", "int8"];
const MEASURED: &[&str] = &["fp32", "tf32", "fp16"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn results(name: &str) -> Value {
    results_if_there(name).expect("the results are there")
}

/// `None` where nobody has measured yet.
fn results_if_there(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(root().join("benches/results").join(name)).ok()?;
    Some(serde_json::from_str(&text).expect("they are JSON"))
}

/// Rows of `list` by network, in the file's order, and batch; each holds one value for each precision.
fn by_network<'a>(
    list: &'a Value,
    precisions: &[&str],
    cell: impl Fn(&'a Value) -> String,
) -> Vec<(String, u64, Vec<String>)> {
    let mut order: Vec<(String, u64)> = Vec::new();
    let mut cells: BTreeMap<(String, u64, String), String> = BTreeMap::new();
    for row in list.as_array().expect("a list") {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let key = (text("network"), row["batch"].as_u64().expect("a number"));
        cells.insert((key.0.clone(), key.1, text("precision")), cell(row));
        if !order.contains(&key) {
            order.push(key);
        }
    }
    let of = |name: &str, batch: u64, precision: &str| {
        cells.get(&(name.to_owned(), batch, precision.to_owned())).cloned().unwrap_or_else(|| "not measured".to_owned())
    };
    let row = |(name, batch): (String, u64)| {
        let cells = precisions.iter().map(|precision| of(&name, batch, precision)).collect();
        (name, batch, cells)
    };
    order.into_iter().map(row).collect()
}

fn table(rows: Vec<(String, u64, Vec<String>)>, precisions: &[&str], unit: &str) -> String {
    let mut out = String::new();
    let heads: Vec<String> = precisions.iter().map(|precision| format!("{precision} {unit}")).collect();
    writeln!(out, "| network | batch | {} |", heads.join(" | ").replace("  ", " ").trim()).expect("text");
    writeln!(out, "|---|---:|{}", "---:|".repeat(precisions.len())).expect("text");
    for (name, batch, cells) in rows {
        writeln!(out, "| {name} | {batch} | {} |", cells.join(" | ")).expect("text");
    }
    out
}

/// limpid's own rows of the round with its peers.
fn latency() -> String {
    let file = results("peers_h200.json");
    let machine = &file["machine"];
    let timed = |row: &&Value| row["peer"] == "limpid" && row["device_us"].is_object();
    let own: Vec<Value> = file["rows"].as_array().expect("a list").iter().filter(timed).cloned().collect();
    let own = Value::Array(own);
    let clocks: Vec<u64> =
        own.as_array().expect("a list").iter().filter_map(|row| row["clocks_mhz"]["multiprocessor"].as_u64()).collect();
    let (low, high) = (clocks.iter().min().expect("clocks"), clocks.iter().max().expect("clocks"));
    let cell = |row: &Value| {
        let device = &row["device_us"];
        let (median, spread) = (device["median"].as_f64().expect("µs"), device["spread"].as_f64().expect("a share"));
        format!("{median:.1} ±{:.1} %", spread * 50.0)
    };
    let rows = by_network(&own, TIMED, cell);
    format!(
        "{} ({}), driver {}, {low} to {high} MHz, random inputs, transfers left out; median of up to 1000 runs and half the \
         distance of the quartiles.\n\n{}",
        machine["gpu"].as_str().expect("a name"),
        file["date"].as_str().expect("a date"),
        machine["driver"].as_str().expect("a version"),
        table(rows, TIMED, "µs")
    )
}

fn errors() -> String {
    let file = results("h200.json");
    let cell = |row: &Value| format!("{:.1e}", row["relative_l2"].as_f64().expect("a number"));
    table(by_network(&file["errors"], MEASURED, cell), MEASURED, "")
}

fn calibrators() -> String {
    let file = results("calibrators.json");
    let mut out =
        "| calibrator | Acc@1 fp32 | Acc@1 int8 | same class | mean cosine |\n|---|---:|---:|---:|---:|\n".to_owned();
    for row in file["rows"].as_array().expect("a list") {
        let classes = &row["classification"];
        let share = |value: &Value| format!("{:.2} %", value.as_f64().expect("a share") * 100.0);
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.5} |",
            row["calibrator"].as_str().expect("a name"),
            share(&classes["baseline"]["top_1"]),
            share(&classes["test"]["top_1"]),
            share(&classes["top_1_agreement"]),
            row["outputs"][0]["mean_cosine"].as_f64().expect("a cosine"),
        )
        .expect("text");
    }
    out
}

/// The text between `<!-- NAME -->` and `<!-- end -->` replaced.
fn replaced(readme: &str, name: &str, table: &str) -> String {
    let opening = format!("<!-- {name} -->\n");
    let (before, rest) = readme.split_once(&opening).unwrap_or_else(|| panic!("README has no {opening}"));
    let (_, after) = rest.split_once("<!-- end -->").expect("README's table ends");
    format!("{before}{opening}{table}<!-- end -->{after}")
}

/// README says of INT8 that no bit differs.
#[test]
fn int8_has_the_bits_of_the_cpu() {
    let file = results("h200.json");
    let rows = file["int8"].as_array().expect("a list");
    assert_eq!(rows.len(), 14, "seven networks, two batches");
    assert!(rows.iter().all(|row| row["other_bits"] == 0), "{rows:?}");
}

/// Writes the tables of a file anew, or holds the file to them.
fn hold(file: &str, tables: &[(&str, String)]) {
    let path = root().join(file);
    let readme = std::fs::read_to_string(&path).expect("there is a README");
    let wanted = tables.iter().fold(readme.clone(), |text, (name, table)| replaced(&text, name, table));
    if std::env::var_os("LIMPID_BLESS").is_some() {
        std::fs::write(&path, wanted).expect("README is written");
    } else {
        assert!(wanted == readme, "{file}'s tables are not those of benches/results; LIMPID_BLESS=1 writes them");
    }
}

#[test]
fn tables_are_those_of_the_results() {
    let speed = peers::tables("peers_h200.json");
    let fp16_io = peers::table_of_fp16_io(&results("peers_h200_fp16_io.json"));
    hold(
        "README.md",
        &[
            ("speed", speed),
            ("fp16_io", fp16_io),
            ("latency", latency()),
            ("errors", errors()),
            ("calibrators", calibrators()),
        ],
    );
    hold("benches/ladder/README.md", &[("ladder", ladder::table("ladder_h200.json"))]);
}

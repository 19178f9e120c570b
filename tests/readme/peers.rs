//! The speed table: limpid beside every peer that benches/peers/run.py measured. A row that limpid loses says so.

use crate::results_if_there;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const LIMPID: &str = "limpid";
/// The peer that every row is to be won against.
const BASELINE: &str = "cudnn";
/// INT8 is limpid's alone, so there is nothing to compare it with.
const COMPARED: [&str; 3] = ["fp16", "tf32", "fp32"];

/// Network and batch, then precision, then peer: its row of the file.
type Rows<'a> = BTreeMap<(&'a str, u64, &'a str, &'a str), &'a Value>;

/// Both tables, or that there is nothing to make them of.
pub fn tables(name: &str) -> String {
    match results_if_there(name) {
        Some(file) => Speed::new(&file).tables(),
        None => "Not measured yet; `benches/peers/run.py` does.\n".to_owned(),
    }
}

/// The table of FP16 whose inputs and outputs are FP16 too, of a file that has nothing else.
pub fn table_of_fp16_io(file: &Value) -> String {
    let mut out = String::new();
    Speed::new(file).device("fp16_io", &mut out);
    out
}

struct Speed<'a> {
    file: &'a Value,
    rows: Rows<'a>,
    /// Networks and batches in the file's order.
    order: Vec<(&'a str, u64)>,
}

impl<'a> Speed<'a> {
    fn new(file: &'a Value) -> Self {
        let list = file["rows"].as_array().expect("a list");
        let text = |row: &'a Value, key: &str| row[key].as_str().expect("a text");
        let place = |row: &'a Value| (text(row, "network"), row["batch"].as_u64().expect("a number"));
        let mut order: Vec<(&str, u64)> = Vec::new();
        for row in list {
            if !order.contains(&place(row)) {
                order.push(place(row));
            }
        }
        // A network's batches side by side, whatever the order they were measured in.
        let first = |name: &str| order.iter().position(|(other, _)| *other == name);
        let mut sorted = order.clone();
        sorted.sort_by_key(|(name, batch)| (first(name), *batch));
        let key = |row: &'a Value| (place(row).0, place(row).1, text(row, "precision"), text(row, "peer"));
        Self { file, rows: list.iter().map(|row| (key(row), row)).collect(), order: sorted }
    }

    fn tables(&self) -> String {
        let machine = |key: &str| self.file["machine"][key].as_str().unwrap_or("unknown");
        let mut out = format!(
            "{} ({}), driver {}. Medians in µs of one inference on the GPU, FP32 in and out, transfers left out; every \
             answer was held to PyTorch's in FP32. The last column is the time of the best peer over limpid's.\n",
            machine("gpu"),
            self.file["date"].as_str().expect("a date"),
            machine("driver"),
        );
        for precision in COMPARED {
            self.device(precision, &mut out);
        }
        self.host(&mut out);
        out
    }

    /// The row's median of `clock`, if it was measured and the answer was right.
    fn median(&self, place: (&str, u64), precision: &str, peer: &str, clock: &str) -> Option<f64> {
        self.rows.get(&(place.0, place.1, precision, peer))?[clock]["median"].as_f64()
    }

    /// Peers that were measured by this clock in this precision, limpid first.
    fn columns(&self, precision: &str, clock: &str) -> Vec<&'a str> {
        let measured = self.rows.iter().filter(|((_, _, p, _), row)| *p == precision && row[clock].is_object());
        let found: BTreeSet<&str> = measured.map(|((_, _, _, peer), _)| *peer).collect();
        self.peers().map(|(name, _)| name).filter(|peer| found.contains(peer)).collect()
    }

    /// Names and titles, in the file's order.
    fn peers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let list = self.file["peers"].as_array().expect("peers in order");
        list.iter().map(|peer| (peer["name"].as_str().expect("a name"), peer["title"].as_str().expect("a title")))
    }

    /// What peers on the CPU have of it. Rows from before there were workers do not tell, and had all.
    fn threads(&self) -> String {
        let told: BTreeSet<u64> = self.rows.values().filter_map(|row| row["threads"].as_u64()).collect();
        let told: Vec<String> = told.iter().map(u64::to_string).collect();
        if told.is_empty() { "all its cores".to_owned() } else { format!("{} threads", told.join(" or ")) }
    }

    fn heads(&self, columns: &[&str]) -> String {
        let title = |name: &&str| self.peers().find(|(known, _)| known == name).expect("a known peer").1;
        columns.iter().map(title).collect::<Vec<_>>().join(" | ")
    }

    fn cell(&self, place: (&str, u64), precision: &str, peer: &str, clock: &str) -> String {
        let row = self.rows.get(&(place.0, place.1, precision, peer));
        let why = ["wrong", "failed"].into_iter().find(|key| row.is_some_and(|row| row[key].is_string()));
        match self.median(place, precision, peer, clock) {
            Some(median) => format!("{median:.1}"),
            None => why.unwrap_or("not measured").to_owned(),
        }
    }

    fn device(&self, precision: &str, out: &mut String) {
        let columns = self.columns(precision, "device_us");
        let peers: Vec<&str> = columns.iter().copied().filter(|peer| *peer != LIMPID).collect();
        if peers.len() == columns.len() {
            return;
        }
        let (mut body, mut best_ratios, mut baseline_ratios) = (String::new(), Vec::new(), Vec::new());
        for &place in &self.order {
            let time = |peer: &str| self.median(place, precision, peer, "device_us");
            if columns.iter().all(|peer| time(peer).is_none()) {
                continue;
            }
            let cells: Vec<String> =
                columns.iter().map(|peer| self.cell(place, precision, peer, "device_us")).collect();
            let best = peers.iter().filter_map(|peer| Some((time(peer)?, *peer))).min_by(|a, b| a.0.total_cmp(&b.0));
            let ratio = time(LIMPID).zip(best).map(|(own, (least, peer))| (least / own, peer));
            best_ratios.extend(ratio.map(|(ratio, _)| ratio));
            baseline_ratios.extend(time(LIMPID).zip(time(BASELINE)).map(|(own, theirs)| theirs / own));
            let verdict = match ratio {
                Some((ratio, peer)) if ratio < 1.0 => format!("**lost** to {} {ratio:.2}", self.heads(&[peer])),
                Some((ratio, _)) => format!("{ratio:.2}"),
                None => "not compared".to_owned(),
            };
            writeln!(body, "| {} | {} | {} | {verdict} |", place.0, place.1, cells.join(" | ")).expect("text");
        }
        let lost = best_ratios.iter().filter(|ratio| **ratio < 1.0).count();
        writeln!(
            out,
            "\n**{precision}**: {} times as fast as cuDNN + CUDA graph and {} times as fast as the best peer of each row \
             (geometric means of {} and {} rows); {lost} lost.\n",
            mean(&baseline_ratios),
            mean(&best_ratios),
            baseline_ratios.len(),
            best_ratios.len(),
        )
        .expect("text");
        writeln!(out, "| network | batch | {} | best / limpid |", self.heads(&columns)).expect("text");
        writeln!(out, "|---|---:|{}", "---:|".repeat(columns.len() + 1)).expect("text");
        out.push_str(&body);
    }

    /// From host to host: all that counts for a network as small as the MLP, and all that there is of peers on the CPU.
    fn host(&self, out: &mut String) {
        let columns = self.columns("fp32", "host_us");
        if columns.len() < 2 {
            return;
        }
        writeln!(
            out,
            "\nIn fp32 from an array on the host to an answer on the host, transfers included, µs; ONNX Runtime and tract on \
             the CPU have {}:\n",
            self.threads(),
        )
        .expect("text");
        writeln!(out, "| network | batch | {} |", self.heads(&columns)).expect("text");
        writeln!(out, "|---|---:|{}", "---:|".repeat(columns.len())).expect("text");
        for &place in &self.order {
            if columns.iter().all(|peer| self.median(place, "fp32", peer, "host_us").is_none()) {
                continue;
            }
            let cells: Vec<String> = columns.iter().map(|peer| self.cell(place, "fp32", peer, "host_us")).collect();
            writeln!(out, "| {} | {} | {} |", place.0, place.1, cells.join(" | ")).expect("text");
        }
    }
}

/// The geometric mean, to two places.
fn mean(ratios: &[f64]) -> String {
    if ratios.is_empty() {
        return "(not measured)".to_owned();
    }
    format!("{:.2}", (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp())
}

/// A loss is told apart from a win, from a wrong answer and from what was not measured.
#[test]
fn rows_that_are_lost_say_so() {
    let row = |batch: u64, peer: &str, us: f64| {
        let median = serde_json::json!({ "median": us });
        serde_json::json!({ "network": "mlp", "batch": batch, "precision": "fp16", "peer": peer, "device_us": median })
    };
    let wrong =
        serde_json::json!({ "network": "mlp", "batch": 8, "precision": "fp16", "peer": "xla", "wrong": "by 1" });
    let file = serde_json::json!({
        "date": "2026-01-01", "machine": { "gpu": "a GPU", "driver": "1" },
        "peers": [{ "name": "limpid", "title": "limpid" }, { "name": "cudnn", "title": "cuDNN" },
                  { "name": "xla", "title": "XLA" }],
        "rows": [row(8, "limpid", 10.0), row(1, "limpid", 10.0), row(1, "cudnn", 20.0), row(1, "xla", 5.0),
                 row(8, "cudnn", 40.0), wrong],
    });
    let text = Speed::new(&file).tables();
    assert!(
        text.contains(
            "| mlp | 1 | 10.0 | 20.0 | 5.0 | **lost** to XLA 0.50 |\n| mlp | 8 | 10.0 | 40.0 | wrong | 4.00 |"
        )
    );
    assert!(text.contains("**fp16**: 2.83 times as fast as cuDNN + CUDA graph and 1.41 times"), "{text}");
    assert!(text.contains("1 lost."), "{text}");
    assert!(!text.contains("**tf32**"), "{text}");
}

/// Peers without a clock of the GPU's are in the table of times from host to host, for every network that was measured.
#[test]
fn every_network_is_told_from_host_to_host() {
    let row = |network: &str, batch: u64, precision: &str, peer: &str, us: f64| {
        let median = serde_json::json!({ "median": us });
        serde_json::json!({ "network": network, "batch": batch, "precision": precision, "peer": peer, "host_us": median })
    };
    let mut file = serde_json::json!({
        "date": "2026-01-01", "machine": { "gpu": "a GPU", "driver": "1" },
        "peers": [{ "name": "limpid", "title": "limpid" }, { "name": "tract_cpu", "title": "tract, CPU" }],
        "rows": [row("mlp", 8192, "fp32", "limpid", 500.0), row("mlp", 1, "fp32", "limpid", 30.0),
                 row("mlp", 1, "fp32", "tract_cpu", 90.0), row("unet", 1, "fp32", "tract_cpu", 7e6),
                 row("vgg16", 1, "fp16", "limpid", 1.0)],
    });
    let text = Speed::new(&file).tables();
    assert!(text.contains("the CPU have all its cores:\n\n| network"), "{text}");
    let rows =
        "| mlp | 1 | 30.0 | 90.0 |\n| mlp | 8192 | 500.0 | not measured |\n| unet | 1 | not measured | 7000000.0 |\n";
    assert!(text.ends_with(rows), "{text}");
    for (row, threads) in [(2, 16), (3, 8)] {
        file["rows"][row]["threads"] = threads.into();
    }
    let text = Speed::new(&file).tables();
    assert!(text.contains("the CPU have 8 or 16 threads:\n"), "{text}");
}

//! `limpid trt report` as its users run it, on a machine without a GPU.

use crate::imitation::{Imitation, Quantizer, Version, imitate, nodes};
use crate::workplace::Workplace;
use crate::{holds, schema, tests};
use limpid_graph::onnx;
use serde_json::Value;
use std::path::Path;

/// A trained network of 18 groups.
fn model() -> String {
    tests("data/fashion/fashion.onnx").to_string_lossy().into_owned()
}

fn imitation(model: &Path, version: Version) -> Imitation {
    imitate(&nodes(&onnx::load(model).expect("a model")), version, Quantizer::None)
}

/// A workplace with what trtexec would have exported for a model.
fn place(model: &Path, version: Version) -> Workplace {
    let (work, imitation) = (Workplace::new(), imitation(model, version));
    work.write("layers.json", imitation.layers.to_string().as_bytes());
    work.write("profile.json", imitation.profile.to_string().as_bytes());
    std::fs::copy(tests("fixtures/trtexec/10/times.json"), work.path("times.json")).expect("it is copied");
    work
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value["alignment"][key].as_array().unwrap_or_else(|| panic!("no list {key}: {value:#}"))
}

#[test]
fn a_model_is_put_beside_what_trtexec_exported() {
    let model = model();
    let work = place(Path::new(&model), Version::Detailed8);
    let files = ["trt", "report", "layers.json", "times.json", "profile.json", "--model", &model, "--backend", "cpu"];
    let duel = work.json(&files);
    holds(&schema("trt/duel"), &duel);
    let onnx_nodes = onnx::load(Path::new(&model)).expect("a model").ledger.account(&Default::default()).len();
    let in_rows: usize = list(&duel, "rows").iter().map(|row| row["nodes"].as_array().map_or(0, Vec::len)).sum();
    let loose = ["limpid_only", "tensorrt_only", "neither"].map(|key| list(&duel, key).len());
    assert_eq!(in_rows + loose.iter().sum::<usize>(), onnx_nodes, "{duel:#}");
    assert!(in_rows * 10 > onnx_nodes * 9 && list(&duel, "rows").len() > 10, "{in_rows} of {onnx_nodes}");
    assert_eq!((duel["network"].as_str(), duel["tensorrt"]["compute"]["samples"].as_u64()), (Some("fashion"), Some(5)));
    assert!(duel["limpid"]["absent"].as_str().is_some_and(|why| why.contains("GPU")), "{}", duel["limpid"]);

    let text = work.ok(&files);
    for words in
        ["network", "TensorRT / limpid", "sum, what is alone included", "not measured", "ONNX nodes aligned in", "by"]
    {
        assert!(text.contains(words), "`{words}` is missing:\n{text}");
    }
    for node in list(&duel, "limpid_only").iter().chain(list(&duel, "neither")) {
        let name = node["name"].as_str().expect("a name");
        assert!(text.contains(name), "{name} is not listed:\n{text}");
    }
}

#[test]
fn times_of_both_meet_in_a_row() {
    let model = model();
    let work = place(Path::new(&model), Version::Names8);
    work.ok(&["build", &model, "-o", "net.engine", "--backend", "cpu", "--batch", "1"]);
    let bench = work.ok(&["bench", "net.engine", "--backend", "cpu", "--profile", "--iterations", "3", "--json"]);
    work.write("bench.json", bench.as_bytes());
    let files = ["trt", "report", "profile.json", "--engine", "net.engine", "--limpid-profile", "bench.json"];
    let duel = work.json(&files);
    holds(&schema("trt/duel"), &duel);
    let bench: Value = serde_json::from_str(&bench).expect("JSON");
    let median = |time: &Value| time["median_us"].as_f64().unwrap_or(0.0);
    let sum = |key: &str| list(&duel, "rows").iter().map(|row| median(&row[key])).sum::<f64>();
    let alone = |key: &str| list(&duel, key).iter().map(|one| median(&one["time"])).sum::<f64>();
    let ours = bench["sum_us"].as_f64().expect("a sum");
    assert!((sum("limpid") + alone("groups_alone") - ours).abs() < 1e-6 * ours, "{ours}");
    let layers = imitation(Path::new(&model), Version::Names8).profile.as_array().expect("a list").len() - 1;
    // The imitation gives its first layer 1 µs, its second 2 µs, and so on.
    assert!((sum("tensorrt") + alone("layers_alone") - (layers * (layers + 1) / 2) as f64).abs() < 1e-6);
    assert_eq!(duel["limpid"]["compute"]["median_us"], bench["profile_us"]["whole"]["median"]);
    let notes = duel["notes"].as_array().expect("notes");
    assert!(notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains("names alone"))), "{notes:?}");
}

#[test]
fn an_exported_int8_network_is_aligned_by_groups() {
    let model = model();
    let work = place(Path::new(&model), Version::Detailed8);
    let images = tests("data/fashion/calib_200.npz").to_string_lossy().into_owned();
    let pixels = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530", "--calib-max", "8"];
    let build = ["build", &model, "-o", "int8.engine", "--precision", "int8", "--backend", "cpu", "--calib", &images];
    work.ok(&[&build[..], &pixels].concat());
    work.ok(&["export", "int8.engine", "-o", "qdq.onnx"]);
    let imitation = imitation(&work.path("qdq.onnx"), Version::Detailed8);
    work.write("qdq.json", imitation.layers.to_string().as_bytes());
    let exported = work.json(&["trt", "report", "qdq.json", "--engine", "int8.engine", "--exported"]);
    holds(&schema("trt/duel"), &exported);
    assert_eq!((list(&exported, "limpid_only").len(), list(&exported, "strangers").len()), (0, 0), "{exported:#}");
    // Without that word, what was unrolled from a group goes by names that the model does not have.
    let plain = work.json(&["trt", "report", "qdq.json", "--engine", "int8.engine"]);
    assert!(!list(&plain, "limpid_only").is_empty(), "{plain:#}");
}

#[test]
fn what_is_no_export_is_refused_with_a_reason() {
    let model = model();
    let work = place(Path::new(&model), Version::V10);
    let report = |files: &[&'static str], more: &[&str]| -> Vec<String> {
        ["trt", "report"].iter().chain(files).chain(more).map(|word| (*word).to_owned()).collect()
    };
    let fails = |code: i32, words: &[&str], line: Vec<String>| {
        work.fails(code, words, &line.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let by_model = ["--model", model.as_str()];
    fails(1, &["absent.json", "cannot read"], report(&["absent.json"], &by_model));
    fails(1, &["both of --exportProfile"], report(&["profile.json", "profile.json"], &by_model));
    work.write("text.json", b"no JSON");
    fails(1, &["text.json", "no export of trtexec's", "--exportLayerInfo"], report(&["text.json"], &by_model));
    work.write("list.json", b"[{\"count\": 3}]");
    fails(1, &["list.json", "nothing was measured"], report(&["list.json"], &by_model));
    fails(2, &["is no engine", "--model"], report(&["layers.json"], &["--engine", model.as_str()]));
    fails(2, &["--model"], report(&["layers.json"], &[]));
    fails(
        1,
        &["layers.json", "no profile of limpid's", "bench"],
        report(&["profile.json"], &[&by_model[..], &["--limpid-profile", "layers.json"]].concat()),
    );
    let other = r#"{"network":"n","precision":"fp16","backend":"b","batch":1,"versions":{},"profile_us":{"whole":{"median":1,"spread":0},
        "layers":[{"group":"elsewhere","what":"Conv","tactic":null,"time":{"median":1,"spread":0}}]}}"#;
    work.write("other.json", other.as_bytes());
    fails(
        1,
        &["elsewhere", "same network"],
        report(&["profile.json"], &[&by_model[..], &["--limpid-profile", "other.json"]].concat()),
    );
    work.write("elsewhere.json", br#"{"Layers": ["/elsewhere/Conv + /elsewhere/Relu"], "Bindings": []}"#);
    let stranger = work.json(&["trt", "report", "elsewhere.json", "--model", &model, "--backend", "cpu"]);
    let notes = stranger["notes"].to_string();
    assert!(notes.contains("same model"), "{notes}");
    let names: Vec<&str> = list(&stranger, "strangers").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!((names, list(&stranger, "rows").len()), (vec!["/elsewhere/Conv", "/elsewhere/Relu"], 0));
}

//! `limpid export` as its users run it. That ONNX Runtime takes what it writes is held in tests/onnxruntime.

use std::path::Path;
use workplace::Workplace;

mod workplace;

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion").join(name).to_string_lossy().into_owned()
}

const FASHION_PIXELS: [&str; 6] = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530"];

#[test]
fn an_exported_network_is_read_again_and_answers_the_same() {
    let work = Workplace::new();
    let model = data("fashion.onnx");
    let exported = work.json(&["export", &model, "-o", "fused.onnx"]);
    assert_eq!((exported["groups"].as_u64(), exported["int8"].as_u64()), (Some(18), Some(0)), "{exported}");
    let images = data("test_1000.npz");
    for (network, logits) in [(model.as_str(), "before.npy"), ("fused.onnx", "after.npy")] {
        let run = ["run", network, "--backend", "cpu", "-i", &images, "-o", logits];
        work.ok(&[&run[..], &FASHION_PIXELS].concat());
    }
    let [before, after] = ["before.npy", "after.npy"].map(|f| std::fs::read(work.path(f)).expect("logits"));
    assert!(before == after, "the bits of 1000 answers");

    work.ok(&["build", &model, "-o", "fp16.engine", "--precision", "fp16", "--backend", "cpu"]);
    work.fails(1, &["is in fp16", "fp32 or int8"], &["export", "fp16.engine", "-o", "x.onnx"]);
    work.fails(2, &["built in fp16", "no scales"], &["export", "fp16.engine", "-o", "x.onnx", "--qdq"]);
    work.fails(1, &["INT8 needs samples", "a cache"], &["export", &model, "-o", "x.onnx", "--qdq"]);
    work.write("text.onnx", b"<no model>");
    work.fails(1, &["text.onnx", "HTML or XML"], &["export", "text.onnx", "-o", "x.onnx"]);
    work.fails(1, &["cannot write", "folder"], &["export", &model, "-o", "no/such/folder/x.onnx"]);
}

#[test]
fn scales_are_exported_from_samples_from_a_cache_and_from_an_engine_alike() {
    let work = Workplace::new();
    let (model, images) = (data("fashion.onnx"), data("calib_200.npz"));
    let cache = ["--calibration-cache", "scales.cache"];
    let calib = [&["--calib", &images, "--calib-max", "16"], &cache[..], &FASHION_PIXELS].concat();
    let exported = work.json(&[&["export", &model, "-o", "samples.onnx", "--qdq"], &calib[..]].concat());
    assert!(exported["int8"].as_u64() >= Some(17), "{exported}");
    work.ok(&[&["export", &model, "-o", "cache.onnx", "--qdq"], &cache[..]].concat());
    let build = ["build", &model, "-o", "int8.engine", "--precision", "int8", "--backend", "cpu"];
    work.ok(&[&build[..], &calib].concat());
    work.ok(&["export", "int8.engine", "-o", "engine.onnx"]);
    let [samples, cache, engine] =
        ["samples.onnx", "cache.onnx", "engine.onnx"].map(|f| std::fs::read(work.path(f)).expect("a model"));
    assert!(samples == cache && samples == engine, "the same file by three ways");
    assert!(samples.len() < std::fs::read(&model).expect("the model").len() / 3, "weights take a byte each");

    let kept = [&calib[..], &["--layer-precision", "/stem/*=fp32"]].concat();
    let mixed = work.json(&[&["export", &model, "-o", "mixed.onnx", "--qdq"], &kept[..]].concat());
    assert!(mixed["int8"].as_u64() < exported["int8"].as_u64(), "{mixed}");
    work.fails(2, &["is an engine"], &[&["export", "int8.engine", "-o", "x.onnx"], &calib[..]].concat());
    work.fails(2, &["go with --qdq"], &[&["export", &model, "-o", "x.onnx"], &calib[..]].concat());
}

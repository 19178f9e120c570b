//! `limpid export` as its users run it. That ONNX Runtime takes what it writes is held in tests/onnxruntime.

use limpid::builder::{Batches, Builder, Destination, Int8, SampleSource};
use limpid::input::npy;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::Tensor;
use std::path::Path;
use std::sync::Arc;
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
fn scales_are_exported_from_a_cache_and_from_an_engine_alike() {
    let work = Workplace::new();
    let model = data("fashion.onnx");
    let images = npy::read(Path::new(&data("calib_200.npz"))).expect("images").swap_remove(0).tensor;
    let pixels = images.to_f32()[..20 * 28 * 28].iter().map(|pixel| (pixel / 255.0 - 0.2860) / 0.3530).collect();
    let batch = Tensor::new::<f32>(&[20, 1, 28, 28], pixels).expect("20 images");
    let samples: Arc<dyn SampleSource> = Arc::new(Batches(vec![vec![batch]]));
    let int8 = Int8 { samples: Some(samples), cache: Some(work.path("scales.cache")), ..Int8::default() };
    let builder = Builder::new(Destination::Cpu).precision(Precision::Int8).int8(int8);
    let engine = builder.build(Path::new(&model), &mut ()).expect("it can be built");
    engine.write(&work.path("int8.engine")).expect("it can be written");

    let from_engine = work.json(&["export", "int8.engine", "-o", "engine.onnx", "--qdq"]);
    assert!(from_engine["int8"].as_u64() >= Some(17), "{from_engine}");
    work.ok(&["export", &model, "-o", "cache.onnx", "--qdq", "--calibration-cache", "scales.cache"]);
    work.ok(&["export", "int8.engine", "-o", "again.onnx"]);
    let [engine, cache, again] =
        ["engine.onnx", "cache.onnx", "again.onnx"].map(|f| std::fs::read(work.path(f)).expect("a model"));
    assert!(engine == cache && engine == again, "the same file by three ways");
    assert!(engine.len() < std::fs::read(model).expect("the model").len() / 3, "weights take a byte each");
}

//! INT8 from the command line: calibration, caches, single groups, budgets, sensitivity.

mod workplace;

use serde_json::Value;
use std::path::Path;
use workplace::Workplace;

const PICTURES: [&str; 6] = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530"];

fn fashion(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion").join(name).to_string_lossy().into_owned()
}

/// `limpid build` of the trained network in INT8 for the CPU, on 50 calibration images.
fn build<'a>(model: &'a str, samples: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = ["build", model, "-o", output, "--backend", "cpu", "--precision", "int8"];
    let samples: &[&str] = if samples.is_empty() { &[] } else { &["--calib", samples, "--calib-max", "50"] };
    [&common, &PICTURES[..], samples, more].concat()
}

fn precisions(engine: &str, work: &Workplace) -> Vec<(String, String)> {
    let text = work.ok(&["inspect", engine, "--graph"]);
    let line = |line: &str| Some((line.to_owned(), line.split(' ').find(|w| w.starts_with("int8"))?.to_owned()));
    text.lines().filter_map(line).collect()
}

#[test]
fn a_cache_is_used_again_while_nothing_has_changed() {
    let work = Workplace::new();
    let (model, samples) = (fashion("fashion.onnx"), fashion("calib_200.npz"));
    let cached = |output, more: &[&'static str]| {
        let more = [&["--calibration-cache", "scales.cache"], more].concat();
        let said = work.run(&build(&model, &samples, output, &more));
        assert_eq!(said.code, 0, "{}", said.err);
        said.err
    };
    cached("first.engine", &[]);
    let text = std::fs::read_to_string(work.path("scales.cache")).expect("a cache");
    assert!(text.starts_with("TRT-8601-EntropyCalibration2\n"), "{text}");
    assert!(!cached("second.engine", &[]).contains("calibrating anew"));
    let scales = |engine| work.json(&["inspect", engine, "--scales"])["tensors"].clone();
    let by_name = |tensors: Value| -> Vec<(String, f64)> {
        let tensors = tensors.as_array().expect("tensors").clone();
        let of = |t: &Value| (t["name"].as_str().expect("a name").to_owned(), t["scale"].as_f64().expect("a scale"));
        tensors.iter().map(of).collect()
    };
    assert_eq!(by_name(scales("first.engine")), by_name(scales("second.engine")));

    let said = cached("third.engine", &["--calibrator", "minmax"]);
    assert!(said.contains("calibrating anew") && said.contains("minmax"), "{said}");
    assert_ne!(by_name(scales("first.engine")), by_name(scales("third.engine")));
    // TensorRT's own, taken on the caller's word where there are no samples.
    std::fs::remove_file(work.path("scales.cache.json")).expect("the description");
    let said = work.run(&build(&model, "", "fourth.engine", &["--calibration-cache", "scales.cache"]));
    assert!(said.code == 0 && said.err.contains("not compared with any samples"), "{}", said.err);
}

#[test]
fn what_cannot_be_calibrated_on_is_refused() {
    let work = Workplace::new();
    let (model, samples) = (fashion("fashion.onnx"), fashion("calib_200.npz"));
    let refused = |words: &[&str], samples: &str, more: &[&str]| {
        work.fails(1, words, &build(&model, samples, "x.engine", more));
    };
    refused(&["needs samples", "--calib"], "", &[]);
    std::fs::create_dir(work.path("empty")).expect("a folder");
    refused(&["empty"], "empty", &[]);
    refused(&["cannot read `nowhere`"], "nowhere", &[]);
    refused(&["300"], &samples, &["--calib-min", "300"]);
    let header = "TRT-8601-EntropyCalibration2\n";
    for (name, scale, word) in
        [("zero", 0.0f32, "zero"), ("nan", f32::NAN, "NaN"), ("infinite", f32::INFINITY, "infinite")]
    {
        work.write(name, format!("{header}image: {:08x}\n", scale.to_bits()).as_bytes());
        refused(&[word], "", &["--calibration-cache", name]);
    }
    work.write("other", format!("{header}data: 3c010a14\nprob: 3c010a14\n").as_bytes());
    refused(&["another model"], "", &["--calibration-cache", "other"]);
    work.fails(
        1,
        &["no group is called", "/stem/Conv"],
        &build(&model, &samples, "x.engine", &["--layer-precision", "/stm/Conv=fp16"]),
    );
    work.fails(2, &["fp8"], &build(&model, &samples, "x.engine", &["--layer-precision", "/stem/Conv=fp8"]));
}

#[test]
fn groups_have_the_precision_that_was_asked_for() {
    let work = Workplace::new();
    let (model, samples) = (fashion("fashion.onnx"), fashion("calib_200.npz"));
    work.ok(&build(&model, &samples, "all.engine", &[]));
    let more = ["--layer-precision", "/blocks/*=fp16", "--layer-precision", "/blocks/blocks.0/conv1/Conv=int8"];
    work.ok(&build(&model, &samples, "some.engine", &more));
    let (all, some) = (precisions("all.engine", &work), precisions("some.engine", &work));
    let has = |list: &[(String, String)], name: &str| list.iter().any(|(line, _)| line.contains(name));
    assert!(has(&all, "/blocks/blocks.3/conv1/Conv") && has(&all, "/stem/Conv"), "{all:?}");
    assert!(has(&some, "/stem/Conv") && has(&some, "/blocks/blocks.0/conv1/Conv"), "{some:?}");
    assert!(!has(&some, "/blocks/blocks.3/conv1/Conv"), "{some:?}");
    let why = work.ok(&["inspect", "some.engine", "--why", "/blocks/blocks.3/conv1/Conv"]);
    assert!(why.contains("fp16 is asked for by `/blocks/*=fp16`"), "{why}");
}

#[test]
fn a_budget_is_kept_and_its_way_told() {
    let work = Workplace::new();
    let (model, samples) = (fashion("fashion.onnx"), fashion("calib_200.npz"));
    // All INT8 has a mean cosine of about 0.9998; one of 0.99995 takes some groups back.
    let more = ["--min-cosine", "0.99995", "--eval", &samples, "--eval-max", "32"];
    let said = work.ok(&build(&model, &samples, "mix.engine", &more));
    assert!(said.contains("the way to the mix") && said.contains("outside") && said.contains("inside"), "{said}");
    let cosine = |engine: &str| {
        let real = ["build", &model, "-o", "fp32.engine", "--backend", "cpu"];
        work.ok(&[&real, &PICTURES[..]].concat());
        let compared = work.json(&["compare", "fp32.engine", engine, &samples, "--max", "32", "--backend", "cpu"]);
        compared["outputs"][0]["mean_cosine"].as_f64().expect("a cosine")
    };
    assert!(cosine("mix.engine") >= 0.99995);
    let integers = precisions("mix.engine", &work).len();
    assert!(integers > 0, "something is still INT8");
    work.fails(2, &["--eval"], &build(&model, &samples, "x.engine", &["--min-cosine", "0.9"]));
    let impossible = ["--min-cosine", "1.0", "--eval", &samples, "--eval-max", "8"];
    work.fails(1, &["even with every group in FP16"], &build(&model, &samples, "x.engine", &impossible));
}

#[test]
fn sensitivity_names_every_group_and_curves_are_kept() {
    let work = Workplace::new();
    let (model, samples) = (fashion("fashion.onnx"), fashion("calib_200.npz"));
    let measured =
        work.json(&[&["sensitivity", &model, "--calib", &samples, "--calib-max", "8"], &PICTURES[..]].concat());
    let groups = measured["groups"].as_array().expect("groups");
    assert_eq!((groups.len(), measured["samples"].as_u64()), (16, Some(8)));
    let hurt: Vec<f64> = groups.iter().map(|g| g["network"]["sqnr_db"].as_f64().expect("dB")).collect();
    assert!(hurt.is_sorted(), "the most sensitive first: {hurt:?}");
    // One group alone cannot hurt as much as all together.
    assert!(hurt[0] > measured["network"]["sqnr_db"].as_f64().expect("dB"));

    work.ok(&build(&model, &samples, "int8.engine", &[]));
    let table = work.ok(&["inspect", "int8.engine", "--scales"]);
    assert!(table.contains("/Relu_output_0") && table.contains("entropy of 50 sample(s)"), "{table}");
    let curve = work.ok(&["inspect", "int8.engine", "--curve", "/Relu_output_0"]);
    assert!(curve.starts_with("threshold,cost\n") && curve.lines().count() > 100, "{curve}");
    work.fails(1, &["calibrated tensor", "/Relu_output_0"], &["inspect", "int8.engine", "--curve", "/Relu_output"]);
}

/// Speed needs no samples, as with trtexec; that the scales mean nothing is said.
#[test]
fn a_model_is_timed_in_int8_without_samples() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let said =
        work.run(&["bench", "mlp.onnx", "--precision", "int8", "--backend", "cpu", "--iterations", "2", "--json"]);
    assert!(said.code == 0 && said.err.contains("scales from random numbers"), "{}", said.err);
    let timed: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(timed["precision"], "int8");
}

//! The command, run as its users run it. Everything here is on the CPU.

use limpid::input::npy;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use workplace::{Said, Workplace};

mod workplace;

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion").join(name).to_string_lossy().into_owned()
}

const FASHION_PIXELS: [&str; 6] = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530"];

#[test]
fn help_names_every_command_and_gives_examples() {
    let work = Workplace::new();
    let help = work.ok(&["--help"]);
    for word in
        ["demo", "build", "run", "bench", "compare", "inspect", "export", "labels", "zoo", "Examples:", "exit code"]
    {
        assert!(help.contains(word), "{help}");
    }
    for command in ["demo", "build", "run", "bench", "compare", "inspect", "export", "labels", "zoo"] {
        assert!(work.ok(&[command, "--help"]).contains("Usage: limpid"), "{command}");
    }
    assert!(work.ok(&["--version"]).starts_with("limpid "));
}

#[test]
fn wrong_usage_exits_with_2() {
    let work = Workplace::new();
    let model = data("fashion.onnx");
    let build = ["build", &model, "-o", "x.engine"];
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["build"],
        &["run", &model],
        &["bench", &model, "--iterations", "0"],
        &["inspect", &model, "--passes", "--tactics"],
        &["--quiet", "--verbose", "demo"],
        &[&build[..], &["--precision", "int9"]].concat(),
        &[&build[..], &["--target", "sm_20"]].concat(),
        &[&build[..], &["--target", "sm_90", "--backend", "cpu"]].concat(),
        &[&build[..], &["--backend", "cpu", "--disable-rule", "no_such_rule"]].concat(),
        &[&build[..], &["--backend", "cpu", "--batch", "0"]].concat(),
        &[&build[..], &["--backend", "cpu", "--std", "0"]].concat(),
    ] {
        let said = work.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {}", said.err);
    }
    work.fails(
        2,
        &["no rule `fold_batchnorm`", "fold_batch_norm"],
        &[&build[..], &["--backend", "cpu", "--disable-rule", "fold_batchnorm"]].concat(),
    );
    work.fails(2, &["no kernel `conv/wgma`", "conv/wgmma"], &[&build[..], &["--kernels", "+conv/wgma"]].concat());
    work.fails(2, &["write +conv/wgmma"], &[&build[..], &["--kernels", "conv/wgmma"]].concat());
}

#[test]
fn from_the_zoo_through_an_engine_to_numbers() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx", "--seed", "3"]);
    let built = work.json(&["build", "mlp.onnx", "-o", "mlp.engine", "--precision", "fp16", "--backend", "cpu"]);
    assert_eq!(built["summary"]["precision"], "fp16");
    assert!(built["bytes"].as_u64().is_some_and(|bytes| bytes > 400_000), "{built}");

    let bench = work.json(&["bench", "mlp.engine", "--batch", "4", "--iterations", "7", "--warmup", "1"]);
    assert_eq!((bench["batch"].as_u64(), bench["iterations"].as_u64()), (Some(4), Some(7)));
    let host = &bench["host_us"];
    let time = |name: &str| host[name].as_f64().unwrap_or(f64::NAN);
    let order = ["min", "median", "p90", "p95", "p99", "max"].map(time);
    assert!(order.is_sorted() && order[0] > 0.0, "{bench}");
    assert!((bench["samples_per_second"].as_f64().unwrap_or(0.0) - 4e6 / time("median")).abs() < 1.0, "{bench}");
    assert!(work.ok(&["bench", "mlp.engine", "--iterations", "3"]).contains("CPU reference"));

    // The engine and the model it was built from answer the same, and a picture is an input, too.
    let picture = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * 6 + y) as u8]));
    picture.save(work.path("picture.png")).expect("a picture");
    let from_engine = work.json(&["run", "mlp.engine", "-i", "picture.png", "--top", "3"]);
    let top = from_engine["samples"][0]["top"].as_array().expect("a ranking");
    assert_eq!(top.len(), 3);
    let from_model =
        work.json(&["run", "mlp.onnx", "-i", "picture.png", "--top", "3", "--precision", "fp16", "--backend", "cpu"]);
    assert_eq!(from_model["samples"], from_engine["samples"]);
}

#[test]
fn flows_of_queries_are_measured_on_a_cpu_too() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let bench = ["bench", "mlp.onnx", "--backend", "cpu"];
    let flow =
        work.json(&[&bench[..], &["--streams", "2", "--threads", "--duration", "0.05", "--batch", "3"]].concat());
    assert_eq!((flow["streams"].as_u64(), flow["batch"].as_u64()), (Some(2), Some(3)));
    let summary = &flow["summary_ms"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    assert!(number(&summary["walltime_ms"]) > 0.0 && summary["queries"].as_u64() >= Some(20), "{flow}");
    let throughput = number(&summary["queries"]) / number(&summary["walltime_ms"]) * 1e3;
    assert!((number(&summary["throughput"]) / throughput - 1.0).abs() < 1e-9, "{flow}");
    assert!((number(&flow["samples_per_second"]) / (3.0 * throughput) - 1.0).abs() < 1e-9, "{flow}");
    assert_eq!(summary["latency"]["median"], summary["compute"]["median"], "the CPU copies nothing");
    let percents: Vec<f64> =
        summary["latency"]["percentiles"].as_array().expect("a list").iter().map(|p| number(&p["percent"])).collect();
    assert_eq!(percents, [90.0, 95.0, 99.0]);
    assert!(work.ok(&[&bench[..], &["--duration", "0"]].concat()).contains("10 of batch 1 in "));

    for flag in ["--pinned", "--pipeline", "--pipeline=3", "--default-stream", "--no-graph", "--compare-streams"] {
        let name = flag.split('=').next().expect("a name");
        work.fails(2, &[name, "needs a GPU", "--streams"], &[&bench[..], &[flag]].concat());
    }
    // What the environment asks for, unlike a flag, only counts where it means something.
    let said = work.command(&[&bench[..], &["--iterations", "2"]].concat()).env("USE_PINNED", "1").output();
    assert!(said.is_ok_and(|output| output.status.success()));
    for wrong in [&["--pipeline=1"][..], &["--streams", "0"], &["--duration", "-1"], &["--batch", "1,2"]] {
        assert_eq!(work.run(&[&bench[..], wrong].concat()).code, 2, "{wrong:?}");
    }
}

#[test]
fn precisions_and_profiles_are_tables() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let bench = ["bench", "mlp.onnx", "--backend", "cpu", "--iterations", "3"];
    let table = work.json(&[&bench[..], &["--precisions", "fp16,int8", "--batch", "1,4"]].concat());
    let rows = table["precisions"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|r| (r["batch"].as_u64(), r["precision"].as_str())).collect();
    let of = |batch| ["fp32", "fp16", "int8"].map(|precision| (Some(batch), Some(precision)));
    assert_eq!(names, [of(1), of(4)].concat());
    for row in rows {
        let base = rows.iter().find(|r| r["batch"] == row["batch"] && r["precision"] == "fp32").expect("fp32");
        let median = |row: &Value| row["time_us"]["median"].as_f64().unwrap_or(f64::NAN);
        let expected = median(base) / median(row);
        assert!((row["speed_up"].as_f64().unwrap_or(f64::NAN) / expected - 1.0).abs() < 1e-9, "{row}");
    }
    work.ok(&["build", "mlp.onnx", "-o", "mlp.engine", "--backend", "cpu"]);
    work.fails(2, &["is an engine", "ONNX model"], &["bench", "mlp.engine", "--precisions", "fp16"]);

    let profile = work.json(&["bench", "mlp.engine", "--profile", "--iterations", "5"]);
    let layers = profile["profile_us"]["layers"].as_array().expect("layers");
    let sum: f64 = layers.iter().filter_map(|layer| layer["time"]["median"].as_f64()).sum();
    assert!((profile["sum_us"].as_f64().unwrap_or(f64::NAN) / sum - 1.0).abs() < 1e-9, "{profile}");
    assert!(layers.iter().any(|layer| layer["flops"].as_u64() > Some(100_000)) && profile["bound_us"].is_null());
    let told = work.ok(&["bench", "mlp.engine", "--profile", "--iterations", "5"]);
    assert!(["GFLOP", "of limit", "end to end"].iter().all(|word| told.contains(word)), "{told}");
}

#[test]
fn the_trained_network_answers_as_pytorch_did() {
    let work = Workplace::new();
    let build = ["build", &data("fashion.onnx"), "-o", "fashion.engine", "--backend", "cpu"];
    let summary = work.ok(&[&build[..], &FASHION_PIXELS].concat());
    assert!(summary.contains("CPU reference") && summary.contains("(pixel/255 - 0.286) / 0.353"), "{summary}");

    work.write("labels.txt", b"T-shirt\ntrouser\npullover\ndress\ncoat\nsandal\nshirt\nsneaker\nbag\nankle boot\n");
    let images = data("test_1000.npz");
    let run = ["run", "fashion.engine", "-i", &images, "--top", "1", "--labels", "labels.txt", "-o", "out.npz"];
    let text = work.ok(&run);
    let first = text.lines().find(|line| line.contains("test_1000.npz[0]")).expect("a line for the first image");
    assert!(first.contains("ankle boot"), "{first}");

    let logits = npy::read(&work.path("out.npz")).expect("the outputs").swap_remove(0);
    assert_eq!(logits.name.as_deref(), Some("logits"));
    let expected = npy::read(Path::new(&data("expected_1000.npy"))).expect("PyTorch's").swap_remove(0);
    let classes = |t: &limpid_graph::tensor::Tensor| -> Vec<usize> {
        let best = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        t.to_f32().chunks_exact(10).map(best).collect()
    };
    let theirs = classes(&expected.tensor);
    let same = |ours: &[usize]| ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
    let ours = classes(&logits.tensor);
    assert!(ours.len() == 1000 && same(&ours) >= 999, "{} of {}", same(&ours), ours.len());
    let error = limpid_graph::tensor::relative_l2(&logits.tensor.to_f32(), &expected.tensor.to_f32());
    assert!(error < 1e-5, "{error}");

    work.ok(&[&build[..], &["--precision", "fp16"], &FASHION_PIXELS].concat());
    work.ok(&run);
    let halves = npy::read(&work.path("out.npz")).expect("the outputs").swap_remove(0);
    assert!(same(&classes(&halves.tensor)) >= 995, "{} of 1000 in fp16", same(&classes(&halves.tensor)));
}

#[test]
fn every_onnx_node_is_accounted_for_once() {
    let work = Workplace::new();
    let (model, names) = (data("fashion.onnx"), |account: &Value| -> Vec<String> {
        let nodes = account["nodes"].as_array().expect("a list");
        nodes.iter().map(|n| n["node"].as_str().unwrap_or_default().to_owned()).collect()
    });
    let account = work.json(&["inspect", &model, "--passes"]);
    let mut listed = names(&account);
    let summary = &account["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap_or(u64::MAX);
    assert_eq!(count("onnx_nodes") as usize, listed.len());
    assert_eq!(count("kept") + count("fused") + count("folded") + count("removed"), count("onnx_nodes"));
    assert!(count("fused") > count("kept"), "{summary}");
    listed.sort();
    listed.dedup();
    assert_eq!(count("onnx_nodes") as usize, listed.len());

    // With a rule left out, the same nodes have other fates.
    let build = ["build", &model, "-o", "x.engine", "--backend", "cpu", "--disable-rule", "fold_batch_norm"];
    work.ok(&build);
    let other = work.json(&["inspect", "x.engine", "--passes"]);
    assert_eq!(names(&other), names(&account));
    assert!(other["summary"]["kept"].as_u64() > summary["kept"].as_u64(), "{other}");
}

#[test]
fn why_tells_the_rules_words_and_suggests_names() {
    let work = Workplace::new();
    let model = data("fashion.onnx");
    let text = work.ok(&["inspect", &model, "--why", "/blocks/blocks.0/bn2/BatchNormalization"]);
    assert!(text.contains("fused into `/blocks/blocks.0/conv2/Conv`") && text.contains("fold_batch_norm"), "{text}");
    let part = work.ok(&["inspect", &model, "--why", "blocks.0/conv2"]);
    assert!(part.starts_with("/blocks/blocks.0/conv2/Conv (Conv): kept") && part.contains("fuse_residual"), "{part}");
    work.fails(1, &["no node `/stem/Cnov`", "`/stem/Conv`"], &["inspect", &model, "--why", "/stem/Cnov"]);
    work.fails(1, &["no GPU plan", "--target"], &["inspect", &model, "--tactics"]);
    work.fails(1, &["no GPU plan"], &["inspect", &model, "--kernel", "/stem/Conv"]);
    assert!(work.ok(&["inspect", &model, "--graph"]).contains("input %image f32(batch_size,1,28,28)"));
    assert!(work.ok(&["inspect", &model]).contains("by pytorch"));
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let work = Workplace::new();
    work.ok(&[&["build", &data("fashion.onnx"), "-o", "f.engine", "--backend", "cpu"], &FASHION_PIXELS[..]].concat());
    work.write("text.png", b"this is no picture");
    work.write("empty.npy", b"");
    let run = |file: &str, words: &[&str]| work.fails(1, words, &["run", "f.engine", "-i", file]);
    run("text.png", &["text.png", "not a picture"]);
    run("empty.npy", &["empty.npy"]);
    run("nowhere.png", &["cannot read `nowhere.png`", "caused by:"]);
    run(&data("expected_1000.npy"), &["f32[1000, 10]", "f32(batch_size,1,28,28)"]);
    work.fails(1, &["cannot read `no.txt`"], &["run", "f.engine", "-i", "text.png", "--labels", "no.txt"]);
}

#[test]
fn engines_and_outputs_that_cannot_be_are_refused() {
    let work = Workplace::new();
    let model = data("fashion.onnx");
    let build = |output: &str, words: &[&str]| {
        work.fails(1, words, &["build", &model, "-o", output, "--backend", "cpu"]);
    };
    build("no/such/folder/x.engine", &["cannot write", "folder"]);
    build(".", &["cannot write", "directory"]);
    work.ok(&["build", &model, "-o", "whole.engine", "--backend", "cpu"]);
    let bytes = std::fs::read(work.path("whole.engine")).expect("the engine");
    work.write("cut.engine", &bytes[..bytes.len() / 2]);
    work.fails(1, &["truncated in section `weights`", "help:"], &["inspect", "cut.engine"]);
    let mut newer = bytes;
    newer[8] = 200;
    work.write("newer.engine", &newer);
    work.fails(1, &["engine format 200", "update limpid"], &["bench", "newer.engine"]);
    work.fails(1, &["is a limpid engine"], &["build", "whole.engine", "-o", "x.engine", "--backend", "cpu"]);
    work.fails(2, &["built in fp32"], &["bench", "whole.engine", "--precision", "fp16"]);
    work.fails(1, &["no GPU plan", "--backend cuda"], &["bench", "whole.engine", "--backend", "cuda"]);
}

#[test]
fn whoever_stops_reading_early_sees_no_error() {
    let work = Workplace::new();
    let mut child = work
        .command(&["inspect", &data("fashion.onnx"), "--graph"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be started");
    drop(child.stdout.take());
    let said = Said::of(child.wait_with_output().expect("it ends"));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

/// The GPU's kernel of a layer, on the CPU: right, its bytes as planned, its tensor-core fragments told.
#[test]
fn a_layer_is_emulated() {
    if limpid_kernels::emulator::Emulator::new(&limpid_kernels::emulator::Emulator::default_cache()).is_err() {
        assert!(std::env::var_os("LIMPID_REQUIRE_CXX").is_none(), "the emulator is demanded and not there");
        eprintln!("SKIPPED: no C++ compiler");
        return;
    }
    let place = Workplace::new();
    let model = data("fashion.onnx");
    let arguments =
        ["emulate", &model, "--precision", "fp16", "--node", "/blocks/blocks.1/conv1/Conv", "--thread", "5", "--trace"];
    let seen = place.json(&arguments);
    assert_eq!(seen["outputs"][0]["agrees"], true, "{seen}");
    let bytes = &seen["steps"][0]["bytes"];
    assert_eq!(bytes["agrees"], true, "{bytes}");
    // 16 channels fill whole vectors, so nothing is padded; the operator counts the bias, 16 floats, and the kernel does not.
    assert_eq!(bytes["least"].as_u64(), bytes["planned"].as_u64().map(|planned| planned + 64), "{bytes}");
    let trace = &seen["steps"][0]["launches"][0]["trace"];
    let instruction = &trace["told"][0];
    assert_eq!(instruction["name"], "mma.m16n8k16.f16");
    // Thread 5 is group 1, thread 1 of it: "Matrix Fragments for mma.m16n8k16 with floating point type".
    let held = |operand: &str| -> Vec<(u64, u64)> {
        let elements = instruction["elements"].as_array().expect("a list").iter();
        let place = |e: &Value| Some((e["row"].as_u64()?, e["column"].as_u64()?));
        elements.filter(|e| e["operand"] == operand).filter_map(place).collect()
    };
    assert_eq!(held("a"), [(1, 2), (1, 3), (9, 2), (9, 3), (1, 10), (1, 11), (9, 10), (9, 11)]);
    assert_eq!(held("b"), [(2, 1), (3, 1), (10, 1), (11, 1)]);
    assert_eq!(held("d"), [(1, 2), (1, 3), (9, 2), (9, 3)]);
    assert_eq!(trace["told"].as_array().map(|told| told.len() as u64), trace["instructions"].as_u64());
    let shared = trace["shared"].as_array().expect("a list");
    assert!(shared.iter().all(|s| s["transactions"].as_u64() >= s["ideal"].as_u64()), "{shared:?}");
    assert!(shared.iter().any(|s| s["place"][0]["file"].as_str().is_some_and(|f| f.ends_with(".cuh"))), "{shared:?}");
    assert!(shared.iter().all(|s| s["place"][0]["file"].as_str().is_some_and(|f| !f.starts_with('/'))), "{shared:?}");
    let told = place.ok(&arguments[..6]);
    for word in ["agrees with the plan", "transactions", "mma.m16n8k16.f16", "right: "] {
        assert!(told.contains(word), "{word}: {told}");
    }
    place.fails(
        2,
        &["--thread 9999"],
        &["emulate", &model, "--node", "/blocks/blocks.1/conv1/Conv", "--thread", "9999"],
    );
    place.fails(1, &["no node `nowhere`"], &["emulate", &model, "--node", "nowhere"]);
}

#[test]
fn an_engine_takes_the_shapes_of_its_profiles() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let build = ["build", "mlp.onnx", "-o", "mlp.engine", "--backend", "cpu", "--batch"];
    let built = work.json(&[&build[..], &["2..4..8,16"]].concat());
    let profiles = serde_json::json!([{ "ranges": { "N": [2, 4, 8] }, "tuned": [] }, { "ranges": { "N": [16, 16, 16] }, "tuned": [] }]);
    assert_eq!(built["summary"]["profiles"], profiles);
    let summary = work.ok(&["inspect", "mlp.engine"]);
    assert!(summary.contains("N=2..8 (opt 4)") && summary.contains("N=16"), "{summary}");
    let bench = |batch| ["bench", "mlp.engine", "--iterations", "1", "--batch", batch];
    for batch in ["2", "7", "16"] {
        assert_eq!(work.json(&bench(batch))["batch"].to_string(), batch);
    }
    work.fails(
        1,
        &["batch 64 is outside the profile 2..4..8; batch 64 is outside the profile 16", "--batch"],
        &bench("64"),
    );
    work.fails(2, &["1 <= min <= opt <= max"], &[&build[..], &["8..2"]].concat());

    // A picture whose size nobody gives is taken as most are, and the build says so.
    work.ok(&["zoo", "resnet18", "-o", "any.onnx", "--any-size"]);
    let build = ["build", "any.onnx", "-o", "any.engine", "--backend", "cpu"];
    let said = work.run(&build);
    assert!(
        said.code == 0 && said.err.contains("the model leaves `H` and `W` open; pictures are taken as 224x224"),
        "{}",
        said.err
    );
    let shapes =
        ["--min-shapes", "input:1x3x32x32", "--opt-shapes", "input:1x3x64x64", "--max-shapes", "input:2x3x96x96"];
    let ranges = &work.json(&[&build[..], &shapes].concat())["summary"]["profiles"][0]["ranges"];
    assert_eq!(*ranges, serde_json::json!({ "H": [32, 64, 96], "N": [1, 1, 2], "W": [32, 64, 96] }));
    work.fails(1, &["the model has no open extent `T`; it has H, N, W"], &[&build[..], &["--extent", "T=4"]].concat());
}

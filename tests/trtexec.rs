//! The command line of trtexec, run as its users run it, on the CPU.

use jsonschema::Validator;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use workplace::{Said, Workplace};

mod workplace;

fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn schema(name: &str) -> Validator {
    let schema = read(&tests(&format!("schemas/trtexec/{name}.json")));
    jsonschema::validator_for(&schema).expect("a schema")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails with everything that a document has against its schema.
fn holds(schema: &Validator, document: &Value) {
    let errors: Vec<String> = schema.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{document:#}", errors.join("\n"));
}

/// The program `trtexec`, in a workplace with a small network.
struct Trtexec(Workplace);

impl Trtexec {
    fn new() -> Self {
        let work = Workplace::new();
        work.json(&["zoo", "mlp", "-o", "mlp.onnx", "--seed", "3"]);
        Self(work)
    }

    fn run(&self, line: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trtexec"));
        command.args(line.split_whitespace()).current_dir(self.0.path(""));
        Said::of(command.output().expect("it can be started"))
    }

    fn passes(&self, line: &str) -> Said {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {}{}", said.out, said.err);
        let verdict = said.out.lines().last().unwrap_or_default();
        assert!(verdict.starts_with("&&&& PASSED limpid.trtexec [limpid v"), "{verdict}");
        assert!(verdict.ends_with(&format!("# trtexec {line}")), "{verdict}");
        said
    }

    fn fails(&self, code: i32, words: &[&str], line: &str) {
        let said = self.run(line);
        assert_eq!(said.code, code, "{line}: {}{}", said.out, said.err);
        for word in words {
            assert!(said.err.contains(word), "{line} does not say `{word}`: {}", said.err);
        }
        assert!(!said.err.contains("panicked"), "{line}: {}", said.err);
        assert!(said.out.contains("&&&& FAILED limpid.trtexec"), "{line}: {}", said.out);
    }

    fn json(&self, name: &str) -> Value {
        read(&self.0.path(name))
    }
}

/// What a line says behind its time and letter.
fn said(line: &str) -> Option<&str> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] [I] ")?;
    // MM/DD/YYYY-hh:mm:ss, which readers of trtexec's logs match.
    let digits: Vec<&str> = time.split(['/', '-', ':']).collect();
    let fits = digits.len() == 6 && digits.iter().all(|part| part.parse::<u32>().is_ok());
    fits.then_some(rest)
}

/// The numbers of a line of the summary.
fn figures(out: &str, name: &str) -> Vec<f64> {
    let line = out.lines().filter_map(said).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let line = line.unwrap_or_else(|| panic!("no line `{name}`: {out}"));
    line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect()
}

const SHORT: &str = "--warmUp=0 --duration=0 --iterations=20";

#[test]
fn what_trtexec_writes_and_what_limpid_writes_have_one_schema() {
    for name in ["times", "profile", "output", "layers"] {
        holds(&schema(name), &read(&tests(&format!("fixtures/trtexec/{name}.json"))));
    }
    let place = Trtexec::new();
    let exports = "--exportTimes=times.json --exportProfile=profile.json --exportOutput=output.json \
                   --exportLayerInfo=layers.json --profilingVerbosity=detailed --separateProfileRun";
    place.passes(&format!("--onnx=mlp.onnx --shapes=input:4x1x28x28 {SHORT} {exports}"));
    for name in ["times", "profile", "output", "layers"] {
        holds(&schema(name), &place.json(&format!("{name}.json")));
    }

    let times = place.json("times.json");
    let times = times.as_array().expect("a list");
    assert_eq!(times.len(), 20);
    for query in times {
        let time = |name: &str| query[name].as_f64().unwrap_or(f64::NAN);
        assert!((time("latencyMs") - (time("h2dMs") + time("computeMs") + time("d2hMs"))).abs() < 1e-9, "{query}");
        assert!((time("computeMs") - (time("endComputeMs") - time("startComputeMs"))).abs() < 1e-9, "{query}");
        let order = ["startH2dMs", "endH2dMs", "startComputeMs", "endComputeMs", "startD2hMs", "endD2hMs"];
        assert!(order.map(time).is_sorted(), "{query}");
    }

    let profile = place.json("profile.json");
    let profile = profile.as_array().expect("a list");
    let (count, layers) = (profile[0]["count"].as_f64().unwrap_or(0.0), &profile[1..]);
    let shares: f64 = layers.iter().filter_map(|layer| layer["percentage"].as_f64()).sum();
    assert!((shares - 100.0).abs() < 1e-6, "{shares}");
    for layer in layers {
        let time = |name: &str| layer[name].as_f64().unwrap_or(f64::NAN);
        assert!((time("timeMs") - count * time("averageMs")).abs() < 1e-6 * time("timeMs"), "{layer}");
    }
    let output = place.json("output.json");
    assert_eq!((&output[0]["dimensions"], output[0]["values"].as_array().map(Vec::len)), (&"4x10".into(), Some(40)));
    let info = place.json("layers.json");
    let names: Vec<&Value> = info["Layers"].as_array().expect("a list").iter().map(|layer| &layer["Name"]).collect();
    let timed: Vec<&Value> = layers.iter().map(|layer| &layer["name"]).collect();
    assert_eq!(names, timed, "the same layers are listed and timed");
}

#[test]
fn scripts_find_the_lines_they_look_for() {
    let place = Trtexec::new();
    let line = format!("--onnx=mlp.onnx {SHORT} --avgRuns=10 --percentile=50,99 --verbose --saveEngine=mlp.engine");
    let run = place.passes(&line);
    assert!(
        run.err.lines().next().is_some_and(|line| line.contains("[W] No GPU") && line.contains("CPU")),
        "{}",
        run.err
    );
    for header in [
        "=== Model Options ===",
        "=== Build Options ===",
        "=== System Options ===",
        "=== Inference Options ===",
        "=== Reporting Options ===",
        "=== Device Information ===",
        "=== Trace details ===",
        "Trace averages of 10 runs:",
        "=== Performance summary ===",
        "Precision: FP32",
        "Duration: 0s (+ 0ms warm up)",
        "Percentiles: 50,99",
        "Model: mlp.onnx",
    ] {
        assert!(run.out.lines().filter_map(said).any(|line| line == header), "no `{header}`: {}", run.out);
    }
    assert!(run.out.contains("[V] === Explanations of the performance metrics ==="), "{}", run.out);
    let averages =
        run.out.lines().filter_map(said).filter(|line| line.starts_with("Average on 10 runs - GPU latency: "));
    assert_eq!(averages.count(), 2);

    let (throughput, walltime) = (figures(&run.out, "Throughput")[0], figures(&run.out, "Total Host Walltime")[0]);
    assert!((throughput * walltime - 20.0).abs() < 0.01, "{throughput} {walltime}");
    for name in ["Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency"] {
        let [min, max, mean, median, p50, p99] = figures(&run.out, name)[..] else { panic!("{name}: {}", run.out) };
        assert!([min, median, max].is_sorted() && [min, mean, max].is_sorted() && [min, p50, p99, max].is_sorted());
    }
    let mean = |name: &str| figures(&run.out, name)[2];
    let parts = mean("H2D Latency") + mean("GPU Compute Time") + mean("D2H Latency");
    assert!((mean("Latency") - parts).abs() <= 1e-4 * parts, "{}", run.out);
    let total = figures(&run.out, "Total GPU Compute Time")[0];
    assert!((total - 20.0 * mean("GPU Compute Time") / 1e3).abs() <= 1e-4 * total, "{}", run.out);

    // The engine runs again, by the other name of the same program.
    let again = ["trtexec", "--loadEngine=mlp.engine", "--warmUp=0", "--duration=0", "--useRuntime=lean"];
    let again = place.0.run(&again);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(!again.out.contains("=== Build Options ===") && again.out.contains("Throughput: "), "{}", again.out);
    assert!(again.out.contains("&&&& PASSED"), "{}", again.out);
    assert!(place.passes("--loadEngine=mlp.engine --getPlanVersionOnly").out.contains("Plan was created with limpid"));
    assert!(place.passes("--loadEngine=mlp.engine --timeDeserialize").out.contains("in 20 iterations"));
}

#[test]
fn inputs_come_from_raw_files_and_outputs_are_held_against_others() {
    let place = Trtexec::new();
    let pixels: Vec<u8> = (0..784).flat_map(|i| (i as f32 / 784.0).to_le_bytes()).collect();
    place.0.write("x.bin", &pixels);
    let run = format!("--onnx=mlp.onnx {SHORT} --loadInputs=input:x.bin");
    let dumped = place.passes(&format!("{run} --dumpOutput --dumpRawBindingsToFile --exportOutput=out.json"));
    assert!(dumped.out.contains("Using values loaded from x.bin for input input"), "{}", dumped.out);
    let raw = |name: &str| std::fs::read(place.0.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(raw("input.input.1.1.28.28.FP32.raw"), pixels);
    let files = place.0.files();
    let output = files.iter().find(|f| f.to_string_lossy().ends_with(".output.1.10.FP32.raw")).expect("an output");
    let bytes = std::fs::read(output).expect("it is there");
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let exported = place.json("out.json");
    let listed = exported[0]["values"].as_array().expect("a list").iter();
    // Reading decimal digits may miss the last bit of an f64, and none of an f32.
    let listed: Vec<f32> = listed.filter_map(Value::as_f64).map(|value| value as f32).collect();
    assert_eq!(listed, values);
    let name = exported[0]["name"].as_str().expect("a name");

    // Against itself there is no loss; against other numbers there is.
    place.0.write("same.bin", &bytes);
    let judged = place.passes(&format!("{run} --loadRefOutputs={name}:same.bin --accuracyThreshold=1e-6"));
    assert!(judged.out.contains(&format!("Accuracy loss for tensor {name} (L0): 0.000000")), "{}", judged.out);
    place.0.write("other.bin", &vec![0; bytes.len()]);
    let judged = place.run(&format!("{run} --loadRefOutputs={name}:other.bin --accuracyThreshold=0.5"));
    assert_eq!(judged.code, 1, "{}", judged.out);
    assert!(judged.out.contains("[FAIL: >= threshold 0.5]") && judged.out.contains("&&&& FAILED"), "{}", judged.out);

    let run = format!("--onnx=mlp.onnx {SHORT}");
    place.0.write("short.bin", &pixels[..100]);
    place.fails(2, &["short.bin", "100 bytes", "3136"], &format!("{run} --loadInputs=input:short.bin"));
    place.fails(1, &["no input `x`", "input"], &format!("{run} --loadInputs=x:x.bin"));
    place.fails(1, &["nowhere.bin"], &format!("{run} --loadInputs=input:nowhere.bin"));
    let wrong = "--loadInputs=input:x.bin --accuracyThreshold=1 --loadRefOutputs=y:same.bin";
    place.fails(1, &["no output `y`"], &format!("{run} {wrong}"));
}

#[test]
fn precisions_and_layers_are_as_asked() {
    let place = Trtexec::new();
    let skip = "--onnx=mlp.onnx --skipInference";
    let said = place.passes(&format!("{skip} --int8"));
    assert!(said.err.contains("scales come from random numbers"), "{}", said.err);
    assert!(said.out.contains("Precision: FP32+INT8") && said.out.contains("Skipped inference phase"), "{}", said.out);
    assert!(!said.out.contains("Throughput"), "{}", said.out);

    let layers = |line: &str| -> Vec<(String, String)> {
        place.passes(&format!("{skip} --exportLayerInfo=l.json --profilingVerbosity=detailed {line}"));
        let info = place.json("l.json");
        let text = |layer: &Value, key: &str| layer[key].as_str().unwrap_or_default().to_owned();
        info["Layers"].as_array().expect("a list").iter().map(|l| (text(l, "Name"), text(l, "Precision"))).collect()
    };
    let halves = layers("--fp16");
    let gemms: Vec<String> = halves.iter().filter(|(_, p)| p == "fp16").map(|(name, _)| name.clone()).collect();
    assert!(gemms.len() >= 2, "{halves:?}");
    let constrained = format!("--fp16 --precisionConstraints=obey --layerPrecisions={}:fp32", gemms[0]);
    let mixed = layers(&constrained);
    let precision = |name: &str| mixed.iter().find(|(n, _)| n == name).map(|(_, p)| p.as_str());
    assert_eq!((precision(&gemms[0]), precision(&gemms[1])), (Some("fp32"), Some("fp16")));
    assert_eq!(layers(&format!("--fp16 --layerPrecisions={}:fp32", gemms[0])), halves, "constraints are off");
    let unknown = format!("{skip} --fp16 --precisionConstraints=obey --layerPrecisions=nowhere:fp32");
    place.fails(1, &["no group is called `nowhere`"], &unknown);
    place.fails(1, &["missing.cache", "is not there"], &format!("{skip} --int8 --calib=missing.cache"));
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let place = Trtexec::new();
    for (line, words) in [
        ("--onnx=mlp.onnx --useDLACore=0", ["--useDLACore is not supported", "DLA"]),
        ("--deploy=net.prototxt", ["--deploy is not supported", "--onnx"]),
        ("--onnx=mlp.onnx --safe", ["--safe is not supported", "TensorRT's safety runtime"]),
        ("--onnx=mlp.onnx --fp61", ["unknown flag --fp61", "did you mean --fp16?"]),
        ("--onnx=mlp.onnx --iterations=many", ["--iterations=many", "whole number"]),
        ("--fp16", ["no model", "--onnx=MODEL"]),
    ] {
        place.fails(2, &words, line);
        let said = place.run(line);
        assert_eq!(said.err.lines().count(), 1, "{line}: {}", said.err);
    }
    place.0.fails(2, &["cannot be used with"], &["--quiet", "--verbose", "trtexec", "--onnx=mlp.onnx"]);
    place.fails(1, &["nowhere.onnx"], "--onnx=nowhere.onnx");
    place.fails(1, &["mlp.onnx", "help: "], "--loadEngine=mlp.onnx");
    place.fails(1, &["input `input`", "4x1x28x99"], &format!("--onnx=mlp.onnx --shapes=input:4x1x28x99 {SHORT}"));
}

#[test]
fn the_help_is_the_same_by_both_names() {
    let place = Trtexec::new();
    let help = place.run("--help");
    assert_eq!(help.code, 0);
    for words in ["=== Build Options ===", "--onnx=FILE", "--useDLACore", "--infStreams=N, --streams"] {
        assert!(help.out.contains(words), "{words}: {}", help.out);
    }
    assert_eq!(place.0.ok(&["trtexec", "--help"]), help.out);
    assert_eq!(place.run("").out, help.out);
}

#[test]
fn flags_without_effect_are_taken_and_said_to_have_none() {
    let place = Trtexec::new();
    let said = place.passes("--onnx=mlp.onnx --skipInference --avgTiming=8 --explicitBatch --tacticSources=-CUDNN");
    assert_eq!(said.err.lines().filter(|line| line.contains("has no effect here: ")).count(), 3, "{}", said.err);
}

#[test]
fn profiles_say_which_shapes_an_engine_takes() {
    let place = Trtexec::new();
    let shapes = "--minShapes=input:1x1x28x28 --optShapes=input:4x1x28x28 --maxShapes=input:8x1x28x28";
    let built =
        place.passes(&format!("--onnx=mlp.onnx {shapes} --skipInference --saveEngine=e --dumpOptimizationProfile"));
    assert!(built.out.contains("Profile 0: ") && built.out.contains("1..4..8"), "{}", built.out);
    let run = place.passes(&format!("--loadEngine=e {SHORT} --exportOutput=o.json"));
    assert!(run.out.contains("with dimensions 4x1x28x28"), "{}", run.out);
    let run = place.passes(&format!("--loadEngine=e {SHORT} --shapes=input:8x1x28x28 --infStreams=2 --threads"));
    assert!(run.out.contains("with dimensions 8x1x28x28"), "{}", run.out);
    place.fails(1, &["9 is outside the profile 1..4..8"], &format!("--loadEngine=e {SHORT} --shapes=input:9x1x28x28"));
    place.fails(2, &["--useProfile=1", "1, counted from 0"], &format!("--loadEngine=e {SHORT} --useProfile=1"));
}

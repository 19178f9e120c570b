//! `limpid trt` where there is no TensorRT. With it, see tests/tensorrt.rs.

mod workplace;
use workplace::Workplace;

#[cfg(not(feature = "tensorrt"))]
#[test]
fn a_limpid_without_tensorrt_says_so_and_how_to_get_one_with_it() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let words = ["was built without TensorRT", "cargo install --path . --features tensorrt", "libclang", "trt report"];
    for command in ["build", "bench", "compare", "duel"] {
        work.fails(1, &words, &["trt", command, "mlp.onnx"]);
    }
    let said = work.run(&["trt", "build", "mlp.onnx", "--target", "sm_89"]);
    assert_eq!(said.err.lines().filter(|line| line.starts_with("error:")).count(), 1, "{}", said.err);
}

#[test]
fn what_tensorrt_gets_is_written_as_files_for_any_version() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let files = ["trt", "build", "mlp.onnx", "--files", "given", "--batch", "1..4..8"];
    let plain = work.json(&files);
    assert_eq!((plain["model"].as_str(), plain["cache"].as_str()), (Some("mlp.onnx"), None), "{plain}");
    let shapes = "--minShapes=input:1x1x28x28 --optShapes=input:4x1x28x28 --maxShapes=input:8x1x28x28";
    assert_eq!(plain["trtexec"], format!("trtexec --onnx=mlp.onnx {shapes}"), "{plain}");

    let int8 = work.json(&[&files[..], &["--precision", "int8", "--calib", "random:2"]].concat());
    assert_eq!(
        (int8["model"].as_str(), int8["cache"].as_str()),
        (Some("given/mlp.int8.onnx"), Some("given/mlp.int8.cache"))
    );
    assert_eq!(int8["trtexec"], format!("trtexec --onnx=given/mlp.int8.onnx {shapes}"));
    let before = int8["trtexec_to_10"].as_str().expect("a command");
    assert!(
        before.contains("--onnx=mlp.onnx")
            && before.contains("--int8")
            && before.ends_with("--calib=given/mlp.int8.cache"),
        "{before}"
    );
    let cache = std::fs::read_to_string(work.path("given/mlp.int8.cache")).expect("the scales");
    assert!(cache.starts_with("TRT-") && cache.contains("input: "), "{cache}");
    // The same scales stand in the model, whose tensors the cache names.
    let nodes = work.ok(&["inspect", "given/mlp.int8.onnx", "--passes"]);
    assert!(nodes.contains("QuantizeLinear"), "{nodes}");

    let fp16 = work.json(&[&files[..], &["--precision", "fp16"]].concat());
    assert_eq!(fp16["trtexec_to_10"], format!("trtexec --onnx=mlp.onnx {shapes} --fp16 --noTF32"), "{fp16}");
    let half = std::fs::metadata(work.path("given/mlp.fp16.onnx")).expect("the model").len();
    let single = std::fs::metadata(work.path("mlp.onnx")).expect("the model").len();
    assert!(half < single * 6 / 10, "{half} bytes for {single}");

    work.write("text.onnx", b"<no model>");
    work.fails(1, &["text.onnx"], &["trt", "build", "text.onnx", "--files", "x"]);
    work.ok(&["build", "mlp.onnx", "-o", "mlp.engine", "--backend", "cpu"]);
    work.fails(1, &["cannot write"], &["trt", "build", "mlp.onnx", "--files", "mlp.engine/given"]);
    work.fails(2, &["is an engine of limpid's", "name the model"], &["trt", "build", "mlp.engine", "--files", "x"]);
    work.fails(2, &["cannot be used with"], &["trt", "build", "mlp.onnx", "--files", "x", "--target", "sm_89"]);
}

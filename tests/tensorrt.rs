//! NVIDIA's library builds what limpid gives it. Needs the feature `tensorrt` and the library, but no GPU and no driver:
//! TensorRT-RTX builds for GPUs that are elsewhere.

use limpid::builder::{Batches, Builder, Destination, Int8, LayerPrecision};
use limpid::graph::ir::Precision;
use limpid::input::random;
use limpid::shapes::{ProfileRequest, Range};
use limpid::tensor::DType;
use limpid::trt::{Built, Flavour, Library, Marks, Model, Request, Stated, TrtError};
use limpid::zoo::{self, NETWORKS, Network};
use limpid_kernels::target::Arch;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod workplace;
use workplace::{Said, Workplace};

/// Where none of these tests has a GPU: one that TensorRT-RTX builds for.
const ADA: Arch = Arch(89);

/// The library; `None` with a visible word where it is not. With `LIMPID_REQUIRE_TENSORRT` set, as continuous integration
/// sets it, it must be there.
fn library() -> Option<Library> {
    let reason = match (Library::load(), Flavour::compiled()) {
        (Ok(library), Flavour::Rtx) => return Some(library),
        (Ok(library), Flavour::Enterprise) => format!("TensorRT {} builds only on a GPU", library.version()),
        (Err(error @ TrtError::NotFound { .. }), _) => error.to_string(),
        (Err(error), _) => panic!("{error}"),
    };
    assert!(std::env::var_os("LIMPID_REQUIRE_TENSORRT").is_none(), "{reason}");
    eprintln!("SKIPPED: {reason}");
    None
}

/// A network of the zoo in a folder of its own.
struct InZoo {
    _folder: tempfile::TempDir,
    path: PathBuf,
    shape: [usize; 4],
}

impl InZoo {
    fn new(network: &Network, size: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(format!("{}.onnx", network.name));
        let bytes = network.build_for(size, 0).expect("a size it takes").model.to_bytes().expect("a model");
        std::fs::write(&path, bytes).expect("it can be written");
        Self { _folder: folder, path, shape: [1, network.channels, size, size] }
    }

    /// What TensorRT gets of it, for batches of 1 to 4.
    fn stated(&self, precision: Precision) -> Stated {
        let samples = Batches(vec![vec![random(DType::F32, &self.shape, 1)]]);
        let batch = Range::new(1, 2, 4).expect("in order");
        let builder = Builder::new(Destination::Cpu)
            .precision(precision)
            .profile(ProfileRequest::new().batch(batch))
            .int8(Int8 { samples: Some(Arc::new(samples)), ..Int8::default() });
        let reference = builder.build(&self.path, &mut ()).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        Stated::new(&reference, &self.path).unwrap_or_else(|e| panic!("{}: {e}", self.path.display()))
    }
}

fn build(library: &Library, stated: &Stated, marks: Marks) -> Built {
    library.build(&stated.request(Some(ADA), marks)).unwrap_or_else(|e| panic!("{e}"))
}

/// Inputs and outputs as `x: FLOAT [-1, 3]`.
fn ports(built: &Built, input: bool) -> Vec<String> {
    let ports = built.ports.iter().filter(|port| port.input == input);
    ports.map(|port| format!("{}: {} {:?}", port.name, port.type_name, port.shape)).collect()
}

#[test]
fn every_network_of_the_zoo_is_parsed_and_built_for_another_gpu() {
    let Some(library) = library() else { return };
    for network in NETWORKS {
        let model = InZoo::new(network, network.size);
        let stated = model.stated(Precision::Fp32);
        assert!(!stated.is_written(), "in FP32 it is the file itself");
        let built = build(&library, &stated, Marks::None);
        assert!(built.plan.len() > 100_000 && built.layers > 3, "{}: {} bytes", network.name, built.plan.len());
        let input =
            format!("input: FLOAT {:?}", [-1, network.channels as i64, network.size as i64, network.size as i64]);
        assert_eq!(ports(&built, true), [input], "{}", network.name);
        assert_eq!(ports(&built, false).len(), 1, "{}", network.name);
        let setting =
            |name: &str| built.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(
            (setting("built for"), setting("TF32"), setting("profiles")),
            (Some("sm_89"), Some("off"), Some("1"))
        );
    }
}

#[test]
fn fp16_and_int8_are_built_from_what_limpid_states() {
    let Some(library) = library() else { return };
    // Small pictures: what is of interest is types, not sizes.
    for (name, size) in [("mlp", 28), ("resnet18", 32), ("mobilenetv2", 32), ("unet", 32), ("deeplabv3plus", 64)] {
        let model = InZoo::new(zoo::find(name).expect("it is there"), size);
        let plain = build(&library, &model.stated(Precision::Fp32), Marks::None);
        for precision in [Precision::Fp16, Precision::Int8] {
            let stated = model.stated(precision);
            assert!(stated.is_written());
            let built = build(&library, &stated, Marks::None);
            // The same inputs and outputs, types included.
            assert_eq!(built.ports, plain.ports, "{name} in {precision}");
            assert!(built.plan.len() < plain.plan.len(), "{name} in {precision}: weights take less");
        }
    }
}

#[test]
fn marked_tensors_become_outputs_of_their_type() {
    let Some(library) = library() else { return };
    let model = InZoo::new(zoo::find("resnet18").expect("it is there"), 32);
    let stated = model.stated(Precision::Fp16);
    let graph = limpid::graph::onnx::load(&model.path).expect("its own file").graph;
    let inside =
        graph.nodes().filter(|(_, node)| node.op.name() == "Relu").map(|(_, node)| graph.value(node.outputs[0]));
    let mut names: Vec<String> = inside.map(|value| value.name.clone()).collect();
    assert_eq!(names.len(), 17, "a ReLU after the stem and two in each of eight blocks");
    names.push("no such tensor".to_owned());
    let plain = build(&library, &stated, Marks::None);
    let marked = build(&library, &stated, Marks::Outputs(&names));
    let (before, after) = (ports(&plain, false), ports(&marked, false));
    assert_eq!((before.len(), after.len()), (1, 18), "{after:?}");
    assert!(after.contains(&before[0]) && after.iter().filter(|port| port.contains("HALF")).count() == 17, "{after:?}");
}

#[test]
fn what_is_refused_comes_back_in_the_librarys_own_words() {
    let Some(library) = library() else { return };
    let request = |model| Request { model, tf32: false, profiles: &[], target: Some(ADA), marks: Marks::None };
    let error = library.build(&request(Model::Bytes(b"no model"))).expect_err("no model");
    assert!(
        error.to_string().starts_with("TensorRT-RTX 1.") && error.to_string().contains("does not take the model"),
        "{error}"
    );
    assert!(error.to_string().contains("[E]"), "{error}");

    // An open batch without a profile.
    let model = InZoo::new(zoo::find("mlp").expect("it is there"), 28);
    let error = library.build(&request(Model::File(&model.path))).expect_err("no profile").to_string();
    assert!(error.contains("builds no engine") && error.contains("[E]") && error.contains("profile"), "{error}");

    let error = library.build(&request(Model::File(Path::new("no/such.onnx")))).expect_err("no file").to_string();
    assert!(error.contains("no/such.onnx"), "{error}");

    let hopper = Request { target: Some(Arch(90)), ..request(Model::File(&model.path)) };
    let error = library.build(&hopper).expect_err("no RTX card");
    assert!(matches!(&error, TrtError::Target { arch: Arch(90), .. }), "{error}");
    assert!(error.to_string().contains("sm_89") && error.help().is_some(), "{error}");
}

#[test]
fn groups_keep_the_precision_they_are_given() {
    let Some(library) = library() else { return };
    let model = InZoo::new(zoo::find("mlp").expect("it is there"), 28);
    let mixed: LayerPrecision = "*fc1*=fp32".parse().expect("a pattern");
    let builder = Builder::new(Destination::Cpu).precision(Precision::Fp16).layer_precisions(&[mixed]);
    let reference = builder.build(&model.path, &mut ()).expect("it builds");
    let stated = Stated::new(&reference, &model.path).expect("it can be said");
    let names: Vec<String> = reference.graph.values().map(|(_, value)| value.name.clone()).collect();
    let built = build(&library, &stated, Marks::Outputs(&names));
    let types: Vec<&str> = built.ports.iter().filter(|port| !port.input).map(|port| port.type_name.as_str()).collect();
    assert!(types.contains(&"FLOAT") && types.contains(&"HALF"), "{:?}", built.ports);
}

#[test]
fn the_command_builds_without_a_gpu_and_says_what_it_needs_otherwise() {
    let Some(library) = library() else { return };
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let built = work.json(&["trt", "build", "mlp.onnx", "--precision", "fp16", "--batch", "1..8", "--target", "sm_89"]);
    assert_eq!(built["library"]["version"], library.version().to_string(), "{built}");
    assert!(built["bytes"].as_u64() > Some(100_000) && work.path("mlp.fp16.plan").is_file(), "{built}");
    assert_eq!(built["settings"]["built for"], "sm_89", "{built}");
    let text = work.ok(&["trt", "build", "mlp.onnx", "--target", "sm_120", "-o", "x.plan"]);
    for word in ["TensorRT-RTX 1.", "sm_75", "optimization level", "input", "FLOAT"] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
    work.fails(1, &["does not build for sm_90", "sm_89"], &["trt", "build", "mlp.onnx", "--target", "sm_90"]);

    if limpid::runtime::gpu_missing().is_some() {
        for command in ["build", "bench", "compare", "duel"] {
            work.fails(1, &["CUDA driver", "--target sm_89"], &["trt", command, "mlp.onnx"]);
        }
    }
}

#[test]
fn a_folder_without_the_library_is_named_and_how_to_fill_it() {
    let work = Workplace::new();
    work.ok(&["zoo", "mlp", "-o", "mlp.onnx"]);
    let mut command = work.command(&["trt", "build", "mlp.onnx", "--target", "sm_89"]);
    let said = Said::of(command.env("LIMPID_TENSORRT_LIBS", work.path("none")).output().expect("it can be started"));
    assert_eq!(said.code, 1, "{}", said.err);
    for word in ["LIMPID_TENSORRT_LIBS", "none", "pip install"] {
        assert!(said.err.contains(word), "no `{word}` in {}", said.err);
    }
    // A file of that name that is no library.
    for name in ["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1", "libnvinfer.so.11", "libnvonnxparser.so.11"]
    {
        work.write(name, b"no library");
    }
    let mut command = work.command(&["trt", "duel", "mlp.onnx"]);
    let said = Said::of(command.env("LIMPID_TENSORRT_LIBS", work.path(".")).output().expect("it can be started"));
    assert!(said.code == 1 && said.err.contains("cannot load") && said.err.contains("help:"), "{}", said.err);
}

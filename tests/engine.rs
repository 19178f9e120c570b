//! The engine file: what is written reads back, and nothing else is taken for an engine.

use limpid::engine::{Engine, EngineError, Metadata, StoredCubin};
use limpid::input::{Crop, Preprocessing, random};
use limpid::shapes::{Profile, Range};
use limpid_graph::ir::{Fact, Graph, Precision};
use limpid_graph::ops::{Conv, Epilogue, Window};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{DType, Dim, Shape, Symbol};
use limpid_kernels::device::{Cubin, Resources};
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::target::Arch;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Two convolutions, with everything in it that an engine can hold but plans.
fn engine() -> Engine {
    let mut graph = Graph::new("two_convolutions");
    let mut ledger = Ledger::default();
    let shape = Shape::new([Dim::symbol(Symbol::new("N")), Dim::from(3), Dim::from(8), Dim::from(8)]);
    let mut value = graph.add_input("picture", Fact::new(DType::F32, shape));
    for (name, channels) in [("conv1", 3), ("conv2", 5)] {
        let weights = graph.add_constant(&format!("{name}.weight"), random(DType::F32, &[5, channels, 3, 3], 1));
        let op = Conv { window: Window::of(&[3, 3]), groups: 1, epilogue: Epilogue::default() };
        let node = graph.add_node(name, op.into(), &[value, weights]).expect("it fits");
        graph.node_mut(node).origins = vec![ledger.register(name, "Conv")];
        value = graph.node(node).outputs[0];
    }
    graph.outputs.push(value);
    let metadata = Metadata {
        name: "two_convolutions".to_owned(),
        model_hash: "0123".to_owned(),
        producer: "a test".to_owned(),
        opset: 17,
        precision: Precision::Fp16,
        quantized: false,
        disabled_rules: vec!["fold_batch_norm".to_owned()],
        limpid_version: env!("CARGO_PKG_VERSION").to_owned(),
        profiles: vec![Profile::new().with(Symbol::new("N"), Range::new(1, 4, 32).expect("they are in order"))],
        layouts: Default::default(),
        preprocessing: Preprocessing { crop: Crop::Center, ..Preprocessing::default() },
        notes: vec!["a note".to_owned()],
    };
    let unit = CompileUnit::new("conv/mma.cu", "conv_mma", [("BLOCK_M", 128)]);
    let resources = Resources { registers: Some(64), ..Resources::default() };
    let cubin = Cubin { image: vec![1, 2, 3], log: "no warnings".to_owned(), resources };
    let cubin = StoredCubin { unit, arch: Arch(90), cubin };
    let sources = BTreeMap::from([("conv/mma.cu".to_owned(), "__global__ void conv_mma() {}".to_owned())]);
    Engine { metadata, graph, ledger, plans: Vec::new(), cubins: vec![cubin], sources, calibration: None }
}

fn written() -> &'static (tempfile::TempDir, Vec<u8>) {
    static WRITTEN: OnceLock<(tempfile::TempDir, Vec<u8>)> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("whole.engine");
        engine().write(&path).expect("it can be written");
        let bytes = std::fs::read(&path).expect("it is there");
        (folder, bytes)
    })
}

/// What is said of a file with these bytes.
fn refusal(bytes: &[u8]) -> EngineError {
    let file = tempfile::NamedTempFile::new_in(written().0.path()).expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("it can be written");
    Engine::read(file.path()).expect_err("it is no whole engine")
}

#[test]
fn what_is_written_reads_back() {
    let (folder, _) = written();
    let (before, after) = (engine(), Engine::read(&folder.path().join("whole.engine")).expect("an engine"));
    assert_eq!(after.metadata, before.metadata);
    assert_eq!(after.graph, before.graph);
    assert_eq!(after.ledger, before.ledger);
    assert_eq!(after.plans, before.plans);
    assert_eq!(after.cubins, before.cubins);
    assert_eq!(after.sources, before.sources);
    let constants: Vec<_> = after.graph.values().filter_map(|(_, v)| v.constant.as_ref()).collect();
    assert_eq!(constants.len(), 2);
    assert!(constants.iter().all(|t| (t.bytes().as_ptr() as usize).is_multiple_of(64)));
}

#[test]
fn the_same_engine_gives_the_same_file() {
    let (folder, bytes) = written();
    let again = folder.path().join("again.engine");
    Engine::read(&folder.path().join("whole.engine")).expect("an engine").write(&again).expect("it can be written");
    assert_eq!(&std::fs::read(&again).expect("it is there"), bytes);
}

#[test]
fn an_engine_outlives_the_file_it_was_read_from() {
    let (folder, bytes) = written();
    let path = folder.path().join("moving.engine");
    std::fs::write(&path, bytes).expect("it can be written");
    let read = Engine::read(&path).expect("an engine");
    read.write(&path).expect("it can be written over itself");
    std::fs::remove_file(&path).expect("it can be removed");
    assert_eq!(read.graph, engine().graph);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let mut bytes = written().1.clone();
    bytes[8..12].copy_from_slice(&200u32.to_le_bytes());
    let error = refusal(&bytes);
    assert!(matches!(error, EngineError::Version { found: 200, known: 6, .. }), "{error}");
    assert!(error.help().is_some_and(|help| help.contains("update limpid")));
}

#[test]
fn what_is_no_engine_is_named() {
    let says = |bytes: &[u8], words: &str| {
        let error = refusal(bytes);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.help().is_some());
    };
    says(b"", "it is empty");
    says(b"\x89PNG\r\n\x1a\n....", "a PNG picture");
    says(b"\x93NUMPY\x01\x00", "a NumPy array");
    says(b"LIM", "truncated in section `header`");
    says(b"some text", "does not begin as one");
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion/fashion.onnx");
    says(&std::fs::read(onnx).expect("it is there"), "limpid build");
    let mut as_text = written().1.clone();
    as_text.remove(6);
    says(&as_text, "transferred as text");
    let folder = Engine::read(written().0.path()).expect_err("a directory");
    assert!(folder.to_string().contains("it is a directory"), "{folder}");
    let nowhere = Engine::read(&PathBuf::from("/no/such/engine")).expect_err("not there");
    assert!(matches!(nowhere, EngineError::Read { .. }), "{nowhere}");
}

#[test]
fn a_damaged_section_is_named() {
    let (_, bytes) = written();
    for name in ["metadata", "graph", "constants", "weights", "sources", "cubins", "plans", "ledger"] {
        let line = bytes[64..].chunks(64).find(|line| line.starts_with(name.as_bytes())).expect("it is in the table");
        let offset = u64::from_le_bytes(line[16..24].try_into().expect("8 bytes")) as usize;
        let mut damaged = bytes.clone();
        damaged[offset] ^= 0x40;
        let error = refusal(&damaged);
        assert!(matches!(&error, EngineError::Damaged { section, .. } if section == name), "{error}");
        let error = refusal(&bytes[..offset]);
        assert!(matches!(&error, EngineError::Truncated { section, .. } if section == name), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_flipped_bit_is_found(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = written().1.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(!refusal(&bytes).to_string().is_empty());
    }

    #[test]
    fn any_other_length_is_found(at in any::<prop::sample::Index>(), more in proptest::collection::vec(any::<u8>(), 1..100)) {
        let (_, bytes) = written();
        let error = refusal(&bytes[..at.index(bytes.len())]);
        prop_assert!(matches!(error, EngineError::Truncated { .. } | EngineError::NotAnEngine { .. }), "{}", error);
        let error = refusal(&[&bytes[..], &more].concat());
        prop_assert!(matches!(error, EngineError::Damaged { .. }), "{}", error);
    }
}

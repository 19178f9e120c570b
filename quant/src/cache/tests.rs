use super::*;
use limpid_graph::ir::Fact;
use limpid_graph::ops::{Activation, ActivationOp};
use limpid_graph::tensor::DType;
use proptest::prelude::*;

fn provenance() -> Provenance {
    let text = |s: &str| s.to_owned();
    let (model, preprocessing) = (text("aa11"), text("resize=224 center-crop imagenet-norm"));
    Provenance { model, calibrator: Calibrator::Entropy, preprocessing, data: text("bb22"), samples: 200 }
}

fn cache(scales: &[(&str, f32)]) -> Cache {
    Cache {
        version: "8601".to_owned(),
        algorithm: "EntropyCalibration2".to_owned(),
        scales: scales.iter().map(|(name, scale)| ((*name).to_owned(), *scale)).collect(),
        origin: Origin::Known(provenance()),
    }
}

/// A folder of this test's own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("limpid-cache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// x -> Relu (`y`) -> Tanh (`z z:0`)
fn network() -> Graph {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", Fact::of(DType::F32, &[1, 4]));
    let y = graph.add_value("y", Fact::of(DType::F32, &[1, 4]));
    let z = graph.add_value("z z:0", Fact::of(DType::F32, &[1, 4]));
    let relu = ActivationOp { function: Activation::Relu };
    graph.add_node_making("relu", relu.into(), &[x], &[y]).unwrap();
    graph.add_node_making("tanh", ActivationOp { function: Activation::Tanh }.into(), &[y], &[z]).unwrap();
    graph.outputs = vec![z];
    graph
}

#[test]
fn tensorrts_own_is_read() {
    // As TensorRT 8.5 writes them: names with slashes, blanks, colons and brackets.
    let text = "TRT-8510-EntropyCalibration2\nx: 4000890a\n/fc1/Gemm_output_0: 3e5312f6\n\
                (Unnamed Layer* 9) [Matrix Multiply]_output: 3e74c2e0\nscope/add:0: 3c010204\r\n\n";
    let cache = Cache::parse(text).unwrap();
    assert_eq!((cache.version.as_str(), cache.algorithm.as_str()), ("8510", "EntropyCalibration2"));
    let names: Vec<&str> = cache.scales.iter().map(|(name, _)| name.as_str()).collect();
    let last_two = ["(Unnamed Layer* 9) [Matrix Multiply]_output", "scope/add:0"];
    assert_eq!(names, ["x", "/fc1/Gemm_output_0", last_two[0], last_two[1]]);
    assert_eq!(cache.scales[3].1, 1.0 / 127.0);
    assert_eq!(cache.scales[0].1, 255.0 / 127.0 * 2048.5 / 2048.0);
    assert_eq!(cache.check(&provenance()), Err(Mismatch::Unknown));
    // And written again just so, but for the blank line and the carriage return.
    assert_eq!(cache.text().unwrap(), text.replace("\r\n\n", "\n"));
}

#[test]
fn headers_name_version_and_calibrator() {
    let version = |major, minor, patch| TensorRtVersion { major, minor, patch }.number();
    assert_eq!(
        [version(7, 1, 3), version(8, 6, 1), version(10, 3, 0), version(10, 13, 2)],
        [7103, 8601, 100_300, 101_302]
    );
    let header = |calibrator| {
        let calibration =
            Calibration { provenance: Provenance { calibrator, ..provenance() }, values: BTreeMap::new() };
        Cache::new(&calibration, TensorRtVersion::default()).text().unwrap()
    };
    assert_eq!(header(Calibrator::Entropy), "TRT-8601-EntropyCalibration2\n");
    assert_eq!(header(Calibrator::Mse), "TRT-8601-EntropyCalibration2\n");
    assert_eq!(header(Calibrator::MinMax), "TRT-8601-MinMaxCalibration\n");
}

#[test]
fn what_is_no_cache_is_refused_with_its_line() {
    let error = |text: &str| Cache::parse(text).unwrap_err().to_string();
    for text in ["", "\n", "x: 3c010204\n", "TRT-8601\n", "TRT--EntropyCalibration2\n", "TRT-8601-\n"] {
        assert!(error(text).starts_with("not a calibration cache: it must begin with"), "{text:?}");
    }
    let line = |line: &str| error(&format!("TRT-8601-EntropyCalibration2\nok: 3c010204\n{line}\n"));
    assert_eq!(line("a: 00000000"), "calibration cache, line 3 (`a: 00000000`): the scale is zero");
    assert_eq!(line("a: 80000000"), "calibration cache, line 3 (`a: 80000000`): the scale is zero");
    assert!(line("a: 7fc00000").ends_with("the scale is NaN"));
    assert!(line("a: 7f800000").ends_with("the scale is infinite"));
    assert!(line("a: ff800000").ends_with("the scale is infinite"));
    assert!(line("a: bc010204").ends_with("the scale is negative (-7.874016e-3)"));
    assert!(line("a: 00000001").contains("the scale is subnormal"));
    assert!(line("a 3c010204").ends_with("expected `name: scale`"));
    assert!(line("a:3c010204").ends_with("expected `name: scale`"));
    assert!(line(": 3c010204").ends_with("the name is empty"));
    assert!(line("a: 0x3c0102").ends_with("`0x3c0102` is not the 8 hexadecimal digits of an f32"));
    assert!(line("a: 3c0102040").ends_with("is not the 8 hexadecimal digits of an f32"));
    assert!(line("a: ").ends_with("`` is not the 8 hexadecimal digits of an f32"));
    assert!(line("a: +c010204").ends_with("is not the 8 hexadecimal digits of an f32"));
    assert!(line("ok: 3c010204").ends_with("line 2 already has this name"));
}

#[test]
fn what_would_break_a_cache_is_not_written() {
    let error = |name, scale| cache(&[(name, scale)]).text().unwrap_err().to_string();
    assert!(error("a\nb: 3c010204", 1.0).contains("has a line break"));
    assert!(error("", 1.0).contains("is empty"));
    assert_eq!(error("a", f32::NAN), "calibration cache: the scale of `a` is NaN");
    assert_eq!(error("a", 0.0), "calibration cache: the scale of `a` is zero");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        names in prop::collection::btree_set("[ -~]{1,20}", 0..12),
        bits in prop::collection::vec(0x0080_0000u32..0x7f80_0000, 12),
    ) {
        let scales: Vec<(String, f32)> = names.into_iter().zip(bits.into_iter().map(f32::from_bits)).collect();
        let written = Cache { scales, ..cache(&[]) };
        let read = Cache::parse(&written.text().unwrap()).unwrap();
        prop_assert_eq!(read, Cache { origin: Origin::Unknown, ..written });
    }
}

#[test]
fn reused_only_if_made_from_the_same() {
    let cache = cache(&[("x", 0.5)]);
    assert_eq!(cache.check(&provenance()), Ok(()));
    let other = Provenance { calibrator: Calibrator::MinMax, data: "cc33".to_owned(), samples: 100, ..provenance() };
    let mismatch = cache.check(&other).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "this calibration cache was made from something else: calibrator was `entropy` and is now `minmax`; \
         data was `bb22` and is now `cc33`; samples was `200` and is now `100`"
    );
    let Mismatch::Differs(differences) =
        cache.check(&Provenance { model: "x".to_owned(), ..provenance() }).unwrap_err()
    else {
        panic!("the models differ")
    };
    assert_eq!(differences.iter().map(|d| d.what).collect::<Vec<_>>(), ["model"]);
    let other = Provenance { preprocessing: "resize=224".to_owned(), ..provenance() };
    assert!(cache.check(&other).unwrap_err().to_string().contains("preprocessing was"));
}

#[test]
fn files_carry_their_provenance_beside_them() {
    let folder = Folder::new("files");
    let path = folder.0.join("net.cache");
    let written = cache(&[("x", 0.5), ("y", 0.25)]);
    written.write(&path).unwrap();
    // The cache itself is TensorRT's format and nothing else.
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "TRT-8601-EntropyCalibration2\nx: 3f000000\ny: 3e800000\n");
    assert_eq!(Cache::read(&path).unwrap(), written);

    std::fs::write(&path, text.replace("3e800000", "3e800001")).unwrap();
    assert_eq!(Cache::read(&path).unwrap().check(&provenance()), Err(Mismatch::Changed));
    let sidecar = sidecar_path(&path);
    std::fs::write(&sidecar, "{}").unwrap();
    assert!(matches!(Cache::read(&path), Err(CacheError::Sidecar { .. })));
    std::fs::remove_file(&sidecar).unwrap();
    assert_eq!(Cache::read(&path).unwrap().check(&provenance()), Err(Mismatch::Unknown));

    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(Cache::read(&path), Err(CacheError::NotText(_))));
    assert!(matches!(Cache::read(&folder.0.join("none")), Err(CacheError::File { .. })));
}

#[test]
fn a_graph_takes_what_it_has_names_for() {
    let graph = network();
    let tensorrts = cache(&[("x", 0.5), ("z z:0", 0.25), ("(Unnamed Layer* 1) [Constant]_output", 1.0)]);
    let matched = tensorrts.scales_for(&graph).unwrap();
    let id = |name| graph.find_value(name).unwrap();
    assert_eq!(matched.scales, BTreeMap::from([(id("x"), 0.5), (id("z z:0"), 0.25)]));
    assert_eq!(matched.missing, ["y"]);
    assert_eq!(matched.unused, ["(Unnamed Layer* 1) [Constant]_output"]);
}

#[test]
fn another_models_cache_is_refused() {
    let graph = network();
    let error = cache(&[("input", 0.5), ("conv1", 0.5)]).scales_for(&graph).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this calibration cache is of another model: it names 0 of the network's 3 activations; \
         missing: `x`, `y`, `z z:0`; only in the cache: `conv1`, `input`"
    );
    // The input's name is a common one; the rest is not this network's.
    assert_eq!(cache(&[("x", 0.5), ("conv1", 0.5)]).scales_for(&graph).unwrap_err().named, 1);
    // All but the input.
    assert_eq!(cache(&[("y", 0.5), ("z z:0", 0.5)]).scales_for(&graph).unwrap_err().missing, ["x"]);
}

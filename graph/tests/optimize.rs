//! Every rule on files that PyTorch wrote: the answers stay, every node is accounted for, and what should fuse does.

use limpid_graph::ir::OriginId;
use limpid_graph::onnx::{self, Model};
use limpid_graph::passes;
use limpid_graph::reference::Interpreter;
use limpid_graph::rewrite::{Fate, RewriteError, Verdict};
use limpid_graph::tensor::{Tensor, relative_l2};
use npyz::NpyFile;
use npyz::npz::NpzArchive;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The bound that a network in f32 is held to, whatever order its sums are computed in.
const FP32_NETWORK: f64 = 1e-5;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path)
}

/// Every export that limpid has all operators for.
fn exports() -> Vec<PathBuf> {
    let files = std::fs::read_dir(data("exports")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    files.retain(|path| !path.ends_with("shuffle.raw.onnx"));
    files.sort();
    assert_eq!(files.len(), 54, "exports were added or lost");
    files
}

fn reals(archive: &Path, name: &str) -> Tensor {
    let mut archive = NpzArchive::open(archive).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    let shape: Vec<usize> = array.shape().iter().map(|&d| d as usize).collect();
    Tensor::new(&shape, array.into_vec::<f32>().unwrap()).unwrap()
}

fn optimized(path: &Path, disabled: &[&str]) -> Model {
    let mut model = onnx::load(path).unwrap();
    let disabled: Vec<String> = disabled.iter().map(|s| (*s).to_owned()).collect();
    passes::optimize(&mut model.graph, &mut model.ledger, &disabled).unwrap();
    model
}

/// How often each operator is left.
fn operators(model: &Model) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    model.graph.nodes().for_each(|(_, node)| *counts.entry(node.op.name()).or_default() += 1);
    counts
}

fn account(model: &Model) {
    let mut homes: BTreeMap<OriginId, usize> = BTreeMap::new();
    for origin in model.graph.nodes().flat_map(|(_, n)| &n.origins) {
        *homes.entry(*origin).or_default() += 1;
    }
    for (index, account) in model.ledger.account(&model.graph).iter().enumerate() {
        let gone = matches!(account.fate, Fate::Folded { .. } | Fate::Removed { .. });
        assert_eq!(account.group.is_none(), gone, "{account:?}");
        let nodes = homes.get(&OriginId(index as u32)).copied().unwrap_or(0);
        assert!(if gone { nodes == 0 } else { nodes >= 1 }, "{account:?} is part of {nodes} nodes");
    }
}

#[test]
fn every_export_answers_as_before_and_is_accounted_for() {
    let mut failures = Vec::new();
    for path in exports() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let archive = path.with_file_name(format!("{}.npz", name.split('.').next().unwrap()));
        let (input, want) = (reals(&archive, "input"), reals(&archive, "output"));
        let model = optimized(&path, &[]);
        account(&model);
        let got = Interpreter::new(&model.graph).unwrap().run(&[input]).unwrap();
        assert_eq!(got[0].shape(), want.shape(), "{name}");
        let difference = relative_l2(got[0].as_slice().unwrap(), want.as_slice().unwrap());
        if difference > FP32_NETWORK {
            failures.push(format!("{name}: {difference:e}"));
        }
        // No weights are left unfolded behind: what is an Identity, a BatchNorm or shape arithmetic is gone.
        let left = operators(&model);
        let unwanted: Vec<_> = ["Identity", "Shape"].into_iter().filter(|op| left.contains_key(op)).collect();
        if !unwanted.is_empty() && !name.starts_with("resize_as_input") {
            failures.push(format!("{name} keeps {unwanted:?}:\n{}", model.graph));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_trained_network_becomes_convolutions_and_little_else() {
    let model = optimized(&data("fashion/fashion.onnx"), &[]);
    account(&model);
    let left = operators(&model);
    let want = [("Conv", 15), ("Flatten", 1), ("Gemm", 1), ("GlobalAveragePool", 1)];
    assert_eq!(left, BTreeMap::from(want), "{}", model.graph);

    let mut archive = NpzArchive::open(data("fashion/test_1000.npz")).unwrap();
    let pixels: Vec<u8> = archive.by_name("images").unwrap().unwrap().into_vec().unwrap();
    let normalized = pixels[..100 * 28 * 28].iter().map(|&p| (f32::from(p) / 255.0 - 0.2860) / 0.3530).collect();
    let input = Tensor::new(&[100, 1, 28, 28], normalized).unwrap();
    let recorded = std::fs::read(data("fashion/expected_1000.npy")).unwrap();
    let want: Vec<f32> = NpyFile::new(&recorded[..]).unwrap().into_vec().unwrap();
    let got = Interpreter::new(&model.graph).unwrap().run(&[input]).unwrap();
    let difference = relative_l2(got[0].as_slice().unwrap(), &want[..1000]);
    assert!(difference <= FP32_NETWORK, "{difference:e}");
}

#[test]
fn a_disabled_rule_does_nothing_and_an_unknown_one_is_refused() {
    let takers = ["fold_batch_norm", "fuse_scale", "batch_norm_before_conv", "affine_batch_norm"];
    let affine = optimized(&data("fashion/fashion.onnx"), &takers[..3]);
    let model = optimized(&data("fashion/fashion.onnx"), &takers);
    let batch_norms =
        model.ledger.account(&model.graph).iter().filter(|a| a.origin.op_type == "BatchNormalization").count();
    assert_eq!(operators(&model).get("BatchNorm"), Some(&batch_norms));
    assert_eq!(operators(&affine).get("ScaleShift"), Some(&batch_norms));
    assert!(model.ledger.records().iter().all(|r| r.rule != "fold_batch_norm"));

    let mut model = onnx::load(&data("fashion/fashion.onnx")).unwrap();
    let error = passes::optimize(&mut model.graph, &mut model.ledger, &["fold_bn".to_owned()]).unwrap_err();
    let RewriteError::UnknownRule { name, known } = &error else { panic!("{error}") };
    assert_eq!(name, "fold_bn");
    assert!(known.contains(&"fold_batch_norm"));
    assert_eq!(known.len(), known.iter().collect::<std::collections::BTreeSet<_>>().len(), "each once: {known:?}");
}

#[test]
fn refusals_are_kept_with_their_reasons() {
    let model = optimized(&data("exports/residual.legacy.onnx"), &["fuse_residual"]);
    let declined = model.ledger.records().iter().filter(|r| r.verdict == Verdict::Declined).count();
    let applied: Vec<&str> =
        model.ledger.records().iter().filter(|r| r.verdict == Verdict::Applied).map(|r| r.rule.as_str()).collect();
    assert!(applied.contains(&"fuse_activation"), "{applied:?}, {declined} declined");
    assert_eq!(operators(&model).get("Add"), Some(&2), "{}", model.graph);
}

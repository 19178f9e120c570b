//! Files that PyTorch wrote, imported, run by the interpreter and held against PyTorch's own answers.

use limpid_graph::onnx::{self, ImportError, Model};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{Tensor, relative_l2};
use npyz::NpyFile;
use npyz::npz::NpzArchive;
use std::path::{Path, PathBuf};

/// Two computations of a network in f32, each summing in its own order, differ by no more than this in L2:
/// the bound that GPU kernels are held to, too.
const FP32_NETWORK: f64 = 1e-5;

/// Exports that need what limpid does not have, with the operators to be named and the reason.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    // The newer exporter leaves `chunk` as a sequence when its optimiser is off; limpid's values are tensors.
    ("shuffle.raw.onnx", &["SplitToSequence", "SequenceAt"]),
];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path)
}

/// Every export, sorted by name.
fn exports() -> Vec<PathBuf> {
    let files = std::fs::read_dir(data("exports")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn is_unsupported(path: &Path) -> bool {
    UNSUPPORTED.iter().any(|(name, _)| *name == file_name(path))
}

fn array<T: npyz::Deserialize>(archive: &Path, name: &str) -> (Vec<usize>, Vec<T>) {
    let mut archive = NpzArchive::open(archive).unwrap();
    let array = archive.by_name(name).unwrap().unwrap();
    let shape = array.shape().iter().map(|&d| d as usize).collect();
    (shape, array.into_vec().unwrap())
}

fn reals(archive: &Path, name: &str) -> Tensor {
    let (shape, values) = array::<f32>(archive, name);
    Tensor::new(&shape, values).unwrap()
}

/// PyTorch's input and output for an export: the file named up to the first dot.
fn recorded(export: &Path) -> [Tensor; 2] {
    let stem = file_name(export).split('.').next().unwrap();
    ["input", "output"].map(|name| reals(&export.with_file_name(format!("{stem}.npz")), name))
}

/// Example `index` of a batch, as a batch of one.
fn example(batch: &Tensor, index: usize) -> Tensor {
    let mut shape = batch.shape().to_vec();
    let len = batch.len() / shape[0];
    shape[0] = 1;
    Tensor::new(&shape, batch.as_slice::<f32>().unwrap()[index * len..(index + 1) * len].to_vec()).unwrap()
}

/// The relative difference of the network's one output from `want`, or what went wrong.
fn difference(model: &Model, input: &Tensor, want: &Tensor) -> Result<f64, String> {
    let interpreter = Interpreter::new(&model.graph).map_err(|e| e.to_string())?;
    let outputs = interpreter.run(std::slice::from_ref(input)).map_err(|e| e.to_string())?;
    let [got] = outputs.as_slice() else { return Err(format!("{} outputs", outputs.len())) };
    if got.shape() != want.shape() {
        return Err(format!("shape {:?} instead of {:?}", got.shape(), want.shape()));
    }
    Ok(relative_l2(got.as_slice().map_err(|e| e.to_string())?, want.as_slice().unwrap()))
}

fn check(export: &Path) -> Result<f64, String> {
    let model = onnx::load(export).map_err(|e| e.to_string())?;
    let [input, output] = recorded(export);
    let mut worst = difference(&model, &input, &output)?;
    for index in 0..input.shape()[0] {
        worst = worst.max(difference(&model, &example(&input, index), &example(&output, index))?);
    }
    if worst <= FP32_NETWORK { Ok(worst) } else { Err(format!("relative difference {worst:e}")) }
}

#[test]
fn every_export_answers_as_pytorch_does_at_batch_two_and_one() {
    let supported: Vec<PathBuf> = exports().into_iter().filter(|path| !is_unsupported(path)).collect();
    assert_eq!(supported.len(), 54, "exports were added or lost");
    let failures: Vec<String> =
        supported.iter().filter_map(|path| check(path).err().map(|e| format!("{}: {e}", file_name(path)))).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), supported.len(), failures.join("\n"));
}

#[test]
fn an_export_beyond_limpid_names_what_is_missing() {
    for (name, operators) in UNSUPPORTED {
        let error = onnx::load(&data("exports").join(name)).unwrap_err();
        let ImportError::Unsupported(nodes) = &error else { panic!("{name}: {error}") };
        for operator in *operators {
            assert!(nodes.iter().any(|n| n.op == *operator), "{name}: {error}");
        }
    }
}

#[test]
fn the_batch_of_every_export_stays_a_symbol() {
    for path in exports().into_iter().filter(|path| !is_unsupported(path)) {
        let model = onnx::load(&path).unwrap();
        for value in model.graph.inputs.iter().chain(&model.graph.outputs) {
            let fact = model.graph.fact(*value);
            assert!(fact.shape[0].as_symbol().is_some(), "{}: {fact}", file_name(&path));
        }
    }
}

/// Fashion-MNIST's pixels as the network was trained on them (tests/data/README.md).
fn normalized(pixel: u8) -> f32 {
    (f32::from(pixel) / 255.0 - 0.2860) / 0.3530
}

fn top(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn the_trained_network_answers_as_pytorch_recorded() {
    let model = onnx::load(&data("fashion/fashion.onnx")).unwrap();
    let interpreter = Interpreter::new(&model.graph).unwrap();
    let (shape, pixels) = array::<u8>(&data("fashion/test_1000.npz"), "images");
    assert_eq!(shape, [1000, 28, 28]);
    let recorded = std::fs::read(data("fashion/expected_1000.npy")).unwrap();
    let want: Vec<f32> = NpyFile::new(&recorded[..]).unwrap().into_vec().unwrap();

    let mut got = Vec::with_capacity(want.len());
    for batch in pixels.chunks(100 * 28 * 28) {
        let images = Tensor::new(&[100, 1, 28, 28], batch.iter().map(|&p| normalized(p)).collect()).unwrap();
        got.extend_from_slice(interpreter.run(&[images]).unwrap()[0].as_slice::<f32>().unwrap());
    }
    let difference = relative_l2(&got, &want);
    assert!(difference <= FP32_NETWORK, "{difference:e}");
    let agree = got.chunks(10).zip(want.chunks(10)).filter(|(got, want)| top(got) == top(want)).count();
    assert!(agree >= 999, "the same label for {agree} of 1000 images");
}

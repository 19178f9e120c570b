use super::console::{Console, table};
use super::inspect::Fusion;
use super::source::up_to;
use super::{CommandError, units};
use crate::builder::{Batches, Builder, Destination, Int8, SampleSource};
use crate::engine::Engine;
use crate::input::{self, Channels, InputError, Preprocessing, Sample, npy};
use crate::progress::Progress;
use crate::runtime::{Backend, Session};
use crate::shapes::ProfileRequest;
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_graph::rewrite::Verdict;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{Compiler, DeviceError, INSTALL_NVRTC};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// See the whole way on a trained network that is built in; needs no GPU
///
/// Imports a small residual network that PyTorch trained on Fashion-MNIST, shows what was fused and what was not and
/// why, builds it in fp32, fp16 and int8 (calibrated on 200 training images), classifies 1,000 test images on the GPU (without one, on the CPU) and compares
/// the answers with those PyTorch gave.
#[derive(Args, Clone, Debug)]
pub(super) struct DemoArgs {
    /// What to run on: auto, cpu, cuda, cuda:N
    #[arg(long, default_value_t = Backend::Auto)]
    backend: Backend,
}

const NETWORK: &str = "fashion.onnx";
const MODEL: &[u8] = include_bytes!("../../tests/data/fashion/fashion.onnx");
const IMAGES: &[u8] = include_bytes!("../../tests/data/fashion/test_1000.npz");
const CALIBRATION: &[u8] = include_bytes!("../../tests/data/fashion/calib_200.npz");
const EXPECTED: &[u8] = include_bytes!("../../tests/data/fashion/expected_1000.npy");

/// Samples of a run when all images are classified.
const BATCH: usize = 100;

/// Runs with one image, for the latency.
const LATENCY_RUNS: u32 = 50;

/// Reasons shown; `limpid inspect` shows all.
const MOST_REASONS: usize = 8;

/// One row of the table.
#[derive(Serialize)]
struct Measured {
    precision: &'static str,
    backend: String,
    accuracy: f64,
    agreement: f64,
    largest_difference: f32,
    batch_1_us: f64,
    images_per_second: f64,
    weight_bytes: u64,
}

/// The test images with the answers they should have.
struct Exam {
    images: Sample,
    labels: Vec<i64>,
    /// PyTorch's logits, a row an image.
    expected: Vec<f32>,
    classes: usize,
}

/// Runs the demo.
pub(super) fn run(args: &DemoArgs, console: &mut Console) -> Result<(), CommandError> {
    let (destination, reason) = match args.backend {
        Backend::Auto => match Destination::available() {
            (Destination::Gpu { ordinal }, _) => without_compiler(ordinal, Compiler::new().err()),
            other => other,
        },
        Backend::Cpu => (Destination::Cpu, None),
        Backend::Cuda { ordinal } => (Destination::Gpu { ordinal }, None),
    };
    if let Some(reason) = reason {
        console.note(format_args!("note: everything runs on the CPU: {reason}"));
    }
    console.print("A small residual network, trained by PyTorch on Fashion-MNIST, read from ONNX.")?;
    let builder = Builder::new(destination).preprocessing(preprocessing());
    let builder = match destination {
        Destination::Cpu => builder.profile(ProfileRequest::new().batch(up_to(BATCH)?)),
        // Just the two that are run: each is tuned.
        _ => builder.batches(&[1, BATCH]),
    };
    let mut rows = Vec::new();
    let mut fusion = None;
    let mut samples = None;
    for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
        let mut progress = console.progress();
        let int8 = Int8 { samples: samples.clone(), everywhere: true, ..Int8::default() };
        let builder = builder.clone().precision(precision).int8(int8);
        let engine = Arc::new(builder.build_bytes(MODEL, Path::new(NETWORK), None, &mut progress)?);
        drop(progress);
        if fusion.is_none() {
            fusion = Some(Fusion::of(&engine));
            show_fusion(&engine, console)?;
            let (images, _) = labelled(&engine, CALIBRATION)?;
            samples = Some(Arc::new(Batches(vec![images.inputs])) as Arc<dyn SampleSource>);
        }
        rows.push(measure(&engine, args.backend, console)?);
    }
    console.json(|| serde_json::json!({ "fusion": fusion, "results": rows }))?;
    show_results(&rows, console)
}

/// A demo that nobody has prepared a machine for still has something to show where only NVRTC is missing; whoever asks
/// for the GPU by name gets the error instead.
fn without_compiler(ordinal: usize, error: Option<DeviceError>) -> (Destination, Option<String>) {
    match error {
        Some(DeviceError::NoNvrtc { .. }) => {
            let reason = format!("there is a GPU, but no NVRTC to compile kernels; bring it with `{INSTALL_NVRTC}`");
            (Destination::Cpu, Some(reason))
        }
        _ => (Destination::Gpu { ordinal }, None),
    }
}

/// As the network was trained: see tests/data/README.md.
fn preprocessing() -> Preprocessing {
    Preprocessing { channels: Some(Channels::Gray), mean: vec![0.2860], std: vec![0.3530], ..Preprocessing::default() }
}

fn show_fusion(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    console.print(format_args!("\nWhat was fused\n  {}", Fusion::of(engine)))?;
    let mut applied: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut declined: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for record in engine.ledger.records() {
        match record.verdict {
            Verdict::Applied => applied.entry(&record.rule).or_insert((0, &record.detail)).0 += 1,
            Verdict::Declined => declined.entry((&record.rule, &record.detail)).or_default().push(&record.node),
        }
    }
    for (rule, (times, example)) in applied {
        console.print(format_args!("  {rule}, {}: {example}", units::count(times, "time")))?;
    }
    match declined.len() {
        0 => console.print("\nWhat was not: nothing; no rule that found its pattern had to decline")?,
        _ => console.print("\nWhat was not, and why")?,
    }
    for ((rule, reason), nodes) in declined.iter().take(MOST_REASONS) {
        let others = if nodes.len() > 1 { format!(" and {} more", nodes.len() - 1) } else { String::new() };
        console.print(format_args!("  {rule} at `{}`{others}: {reason}", nodes[0]))?;
    }
    Ok(())
}

fn damaged(reason: String) -> InputError {
    InputError::Array { path: "(built in)".into(), reason }
}

/// Images as the network wants them, with their classes.
fn labelled(engine: &Engine, file: &[u8]) -> Result<(Sample, Vec<i64>), CommandError> {
    let mut images = None;
    let mut labels = Vec::new();
    for array in npy::parse(file).map_err(damaged)? {
        match array.name.as_deref() {
            Some("images") => images = Some(array.tensor),
            Some("labels") => labels = array.tensor.to_i64(),
            _ => {}
        }
    }
    let images = images.ok_or_else(|| damaged("there are no images".to_owned()))?;
    Ok((input::from_array(&engine.graph, "images", images, &engine.metadata.preprocessing)?, labels))
}

fn exam(engine: &Engine) -> Result<Exam, CommandError> {
    let (images, labels) = labelled(engine, IMAGES)?;
    let expected = npy::parse(EXPECTED).map_err(damaged)?.swap_remove(0).tensor;
    let classes = expected.shape().last().copied().unwrap_or(1);
    Ok(Exam { images, labels, expected: expected.to_f32(), classes })
}

fn measure(engine: &Arc<Engine>, backend: Backend, console: &mut Console) -> Result<Measured, CommandError> {
    let exam = exam(engine)?;
    let mut session = Session::new(Arc::clone(engine), backend)?;
    let mut bar = console.progress();
    let precision = engine.metadata.precision;
    bar.stage(&format!("classify in {precision}"), Some(exam.labels.len() as u64));
    let (start, mut done) = (Instant::now(), 0);
    let outputs = session.run_batches(&exam.images.inputs, &mut |samples| {
        (done..samples).for_each(|_| bar.step(""));
        done = samples;
    })?;
    let seconds = start.elapsed().as_secs_f64();
    drop(bar);

    let first: Vec<Tensor> = exam.images.inputs.iter().map(first_row).collect();
    let latency = session.measure(&first, 3, LATENCY_RUNS)?;
    let logits = outputs.first().map(Tensor::to_f32).unwrap_or_default();
    let (answers, theirs) = (classes(&logits, exam.classes), classes(&exam.expected, exam.classes));
    let share = |right: usize| right as f64 / exam.labels.len() as f64;
    let differences = logits.iter().zip(&exam.expected).map(|(a, b)| (a - b).abs());
    let constants = engine.graph.values().filter_map(|(_, value)| value.constant.as_ref());
    Ok(Measured {
        precision: precision.name(),
        backend: session.backend_name(),
        accuracy: share(answers.iter().zip(&exam.labels).filter(|(answer, label)| **answer as i64 == **label).count()),
        agreement: share(answers.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count()),
        largest_difference: differences.fold(0.0, f32::max),
        batch_1_us: latency.device.as_ref().unwrap_or(&latency.host).median(),
        images_per_second: exam.labels.len() as f64 / seconds,
        weight_bytes: constants.map(|t| t.bytes().len() as u64).sum(),
    })
}

/// A batch of the first sample alone.
fn first_row(tensor: &Tensor) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let row = tensor.bytes().len() / shape[0].max(1);
    shape[0] = 1;
    Tensor::from_bytes(tensor.dtype(), &shape, &tensor.bytes()[..row]).unwrap_or_else(|_| tensor.clone())
}

/// The class with the largest logit of each row.
fn classes(logits: &[f32], count: usize) -> Vec<usize> {
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]).then(b.cmp(&a))).unwrap_or(0);
    logits.chunks_exact(count).map(best).collect()
}

fn show_results(rows: &[Measured], console: &mut Console) -> Result<(), CommandError> {
    console.print("\n1,000 test images")?;
    let header = ["", "accuracy", "as PyTorch", "largest difference", "one image", "images/s", "weights"];
    let mut results = table(header, &[1, 2, 3, 4, 5, 6]);
    for row in rows {
        results.add_row([
            row.precision.to_owned(),
            format!("{:.1} %", row.accuracy * 100.0),
            format!("{:.1} %", row.agreement * 100.0),
            format!("{:.1e}", row.largest_difference),
            units::duration(row.batch_1_us),
            format!("{:.0}", row.images_per_second),
            units::bytes(row.weight_bytes),
        ]);
    }
    console.print(results.trim_fmt())?;
    if let Some(row) = rows.first() {
        console.print(format_args!("on {}", row.backend))?;
    }
    console.print(
        "`as PyTorch`: same class as PyTorch answered when the network was exported; `largest difference`: between\n\
         its logits and these; `one image`: median of runs with a batch of 1.",
    )?;
    console.print(
        "\nWhat to try next\n\
         \x20 limpid zoo resnet18 -o resnet18.onnx                 a network to play with\n\
         \x20 limpid inspect resnet18.onnx --passes                what is fused in it, node by node\n\
         \x20 limpid build resnet18.onnx -o resnet18.engine --precision fp16\n\
         \x20 limpid run resnet18.engine --input PICTURE.jpg --center-crop --imagenet-norm\n\
         \x20 limpid bench resnet18.engine",
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_classes_wins() {
        assert_eq!(classes(&[0.0, 2.0, 2.0, 5.0, 1.0, -1.0], 3), [1, 0]);
    }

    #[test]
    fn a_gpu_without_nvrtc_is_told_how_to_get_it() {
        let (destination, reason) = without_compiler(0, Some(DeviceError::NoNvrtc { searched: vec![] }));
        assert_eq!(destination, Destination::Cpu);
        assert!(reason.is_some_and(|reason| reason.contains("pip install nvidia-cuda-nvrtc==13.0.88")));
        assert_eq!(without_compiler(1, None), (Destination::Gpu { ordinal: 1 }, None));
    }

    #[test]
    fn the_first_row_is_a_batch_of_one() {
        let tensor = Tensor::new(&[2, 2], vec![1f32, 2.0, 3.0, 4.0]).expect("a tensor");
        assert_eq!(first_row(&tensor), Tensor::new(&[1, 2], vec![1f32, 2.0]).expect("a tensor"));
    }
}

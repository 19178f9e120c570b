use super::CommandError;
use super::chrome;
use super::console::{Console, table};
use super::pictures::PictureArgs;
use super::source::{self, ModelOptions, precision_parser};
use crate::chrome_trace::{ChromeTrace, Stages};
use crate::input::{self, InputFile, Labels, npy};
use crate::progress::Progress;
use crate::runtime::{Backend, Session};
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_graph::tensor::Tensor;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Run a network on pictures or arrays
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid run resnet50.engine --input cat.jpg --input dog.png --labels imagenet.txt --center-crop --imagenet-norm
  limpid run unet.engine --input scans.npy --output masks.npz
  limpid run two_inputs.onnx --input left=a.npy --input right=b.npy")]
pub(super) struct RunArgs {
    /// The engine, or an ONNX model to build in memory
    engine: PathBuf,

    /// A picture (jpg, png, webp, bmp), a .npy or a .npz; repeat for more samples, NAME=FILE for one of several inputs
    #[arg(short, long, value_name = "FILE", required = true)]
    input: Vec<String>,

    /// Write the outputs to a .npz, or a single output to a .npy
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Classes to show for each sample
    #[arg(long, value_name = "K", default_value_t = 5)]
    top: usize,

    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// Write what happened when, and each layer's time, for chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    chrome_trace: Option<PathBuf>,

    /// What to run on: auto, cpu, cuda, cuda:N
    #[arg(long, default_value_t = Backend::Auto)]
    backend: Backend,

    /// What to multiply in, for a model
    #[arg(long, value_parser = precision_parser())]
    precision: Option<Precision>,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// Runs the network on all samples and prints what it answers.
pub(super) fn run(args: &RunArgs, console: &mut Console) -> Result<(), CommandError> {
    let mut stages = Stages::new();
    let labels = args.labels.as_deref().map(Labels::open).transpose()?.unwrap_or_default();
    let options = ModelOptions { precision: args.precision, batch: 1, backend: args.backend };
    let engine = Arc::new(source::open(&args.engine, options, console)?);
    stages.end("open the engine");
    let preprocessing = args.pictures.apply(&engine.metadata.preprocessing)?;
    let files: Vec<InputFile> = args.input.iter().map(|text| InputFile::parse(text, &engine.graph)).collect();
    let sample = input::load(&engine.graph, &files, &preprocessing)?;
    stages.end("read inputs");

    let mut session = Session::new(Arc::clone(&engine), args.backend)?;
    if let Some(note) = session.note() {
        console.note(format_args!("note: running on the CPU: {note}"));
    }
    stages.end("load onto the device");
    let mut bar = console.progress();
    bar.stage("run", Some(sample.names.len() as u64));
    let mut batches = vec![(0, stages.now_us())];
    let outputs = session.run_batches(&sample.inputs, &mut |samples| {
        (batches[batches.len() - 1].0..samples).for_each(|_| bar.step(""));
        batches.push((samples, stages.now_us()));
    })?;
    drop(bar);
    stages.end("run");
    if let Some(path) = &args.chrome_trace {
        let mut trace = ChromeTrace::new(&format!("limpid run {}", engine.metadata.name));
        let end = stages.draw(&mut trace);
        draw_batches(&mut trace, &batches);
        let batch = session.first_batch(&sample.inputs)?;
        chrome::draw_layers(&mut trace, &mut session, &batch, end)?;
        chrome::write(&trace, path, console)?;
    }

    let names: Vec<&str> = engine.graph.outputs.iter().map(|&v| engine.graph.value(v).name.as_str()).collect();
    if let Some(path) = &args.output {
        let named: Vec<(&str, &Tensor)> = names.iter().copied().zip(&outputs).collect();
        npy::write(path, &named)?;
        console.note(format_args!("wrote {}", path.display()));
    }
    let answers = Answers { backend: session.backend_name(), samples: &sample.names, names: &names, outputs: &outputs };
    answers.show(args.top, &labels, console)
}

/// A span for each batch, from the samples done and the time, µs, at its beginning to those at its end.
fn draw_batches(trace: &mut ChromeTrace, ends: &[(usize, f64)]) {
    let track = trace.track("batches");
    for pair in ends.windows(2) {
        let ((first, start), (next, end)) = (pair[0], pair[1]);
        trace.span(track, &format!("samples {first}..{next}"), start, end - start, &[]);
    }
}

struct Answers<'a> {
    backend: String,
    samples: &'a [String],
    names: &'a [&'a str],
    outputs: &'a [Tensor],
}

impl Answers<'_> {
    fn show(&self, top: usize, labels: &Labels, console: &mut Console) -> Result<(), CommandError> {
        let ranked = self.ranked(top);
        console.json(|| self.as_json(ranked.as_deref(), labels))?;
        let Some(ranked) = ranked else { return self.show_statistics(console) };
        let mut rows = table(["sample", "class", "label", "score", "probability"], &[1, 3, 4]);
        for (sample, ranking) in self.samples.iter().zip(&ranked) {
            for (place, class) in ranking.iter().enumerate() {
                let name = if place == 0 { sample.as_str() } else { "" };
                let label = labels.get(class.index).unwrap_or_default().to_owned();
                let (score, probability) =
                    (format!("{:.4}", class.score), format!("{:.2} %", class.probability * 100.0));
                rows.add_row([name.to_owned(), class.index.to_string(), label, score, probability]);
            }
        }
        console.print(rows.trim_fmt())?;
        console.print(format_args!("\non {}", self.backend))?;
        Ok(())
    }

    /// The best classes of each sample, if the network is a classifier: one output of scores, a row a sample.
    fn ranked(&self, top: usize) -> Option<Vec<Vec<Class>>> {
        let [scores] = self.outputs else { return None };
        let [samples, classes] = *scores.shape() else { return None };
        let fits = scores.dtype().is_float() && samples == self.samples.len() && classes > 1;
        fits.then(|| scores.to_f32().chunks_exact(classes).map(|row| best(row, top)).collect())
    }

    fn show_statistics(&self, console: &mut Console) -> Result<(), CommandError> {
        let mut rows = table(["output", "type", "shape", "min", "mean", "max"], &[3, 4, 5]);
        for (name, tensor) in self.names.iter().zip(self.outputs) {
            let (min, mean, max) = statistics(tensor);
            let shape = format!("{:?}", tensor.shape());
            let numbers = [min, mean, max].map(|v| format!("{v:.4}"));
            rows.add_row([(*name).to_owned(), tensor.dtype().to_string(), shape].into_iter().chain(numbers));
        }
        console.print(rows.trim_fmt())?;
        console.print(format_args!("\n{} on {}", super::units::count(self.samples.len(), "sample"), self.backend))?;
        Ok(())
    }

    fn as_json(&self, ranked: Option<&[Vec<Class>]>, labels: &Labels) -> Value {
        let outputs = self.names.iter().zip(self.outputs).map(|(name, tensor)| {
            let (min, mean, max) = statistics(tensor);
            json!({ "name": name, "type": tensor.dtype().name(), "shape": tensor.shape(), "min": min, "mean": mean, "max": max })
        });
        let class = |c: &Class| json!({ "class": c.index, "label": labels.get(c.index), "score": c.score, "probability": c.probability });
        let samples = self.samples.iter().enumerate().map(|(i, name)| {
            let top = ranked.map(|ranked| ranked[i].iter().map(class).collect::<Vec<_>>());
            json!({ "name": name, "top": top })
        });
        json!({ "backend": self.backend, "outputs": outputs.collect::<Vec<_>>(), "samples": samples.collect::<Vec<_>>() })
    }
}

/// A class with its score.
struct Class {
    index: usize,
    score: f32,
    probability: f32,
}

/// The `top` largest scores; of equal ones the lower class. NaN comes last.
fn best(scores: &[f32], top: usize) -> Vec<Class> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let key = |index: usize| if scores[index].is_nan() { f32::NEG_INFINITY } else { scores[index] };
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
    let probabilities = probabilities(scores);
    let class = |&index: &usize| Class { index, score: scores[index], probability: probabilities[index] };
    order.iter().take(top).map(class).collect()
}

/// Scores that are probabilities already stay as they are; others go through a softmax.
fn probabilities(scores: &[f32]) -> Vec<f32> {
    let sum: f32 = scores.iter().sum();
    if scores.iter().all(|&s| (0.0..=1.0).contains(&s)) && (sum - 1.0).abs() < 1e-3 {
        return scores.to_vec();
    }
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = scores.iter().map(|s| (s - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

fn statistics(tensor: &Tensor) -> (f32, f32, f32) {
    let values = tensor.to_f32();
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
    (min, (sum / values.len().max(1) as f64) as f32, max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_nan_last() {
        let ranking = best(&[1.0, f32::NAN, 3.0, 3.0, 2.0], 5);
        assert_eq!(ranking.iter().map(|c| c.index).collect::<Vec<_>>(), [2, 3, 4, 0, 1]);
        assert_eq!(best(&[1.0, 2.0], 1).len(), 1);
    }

    #[test]
    fn probabilities_add_up_to_one() {
        let from_scores = probabilities(&[1000.0, 999.0, -1000.0]);
        assert!((from_scores.iter().sum::<f32>() - 1.0).abs() < 1e-6 && (from_scores[0] - 0.731_058_6).abs() < 1e-6);
        assert_eq!(probabilities(&[0.25, 0.75]), [0.25, 0.75]);
    }
}

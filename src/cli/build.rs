use super::budget::BudgetArgs;
use super::calibration::CalibrationArgs;
use super::console::{Console, pairs};
use super::formats::FormatArgs;
use super::pictures::PictureArgs;
use super::shapes::ShapeArgs;
use super::source::precision_parser;
use super::{CommandError, units};
use crate::builder::{Builder, Destination, LayerPrecision};
use crate::engine::{Engine, EngineError};
use crate::input::{self, InputFile, Preprocessing};
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_kernels::selection::Selection;
use limpid_kernels::target::Arch;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Build an engine from an ONNX model: fuse it, reduce its precision, choose and compile kernels
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid build resnet50.onnx -o resnet50.engine --precision fp16 --batch 1..32
  limpid build unet.onnx -o unet.engine --batch 1 --extent height=256..1024 --extent width=256..1024
  limpid build resnet50.onnx -o resnet50.engine --precision int8 --calib pictures/ --imagenet-norm --center-crop
  limpid build resnet50.onnx --precision fp16 --input-formats fp16:hwc8 --output-formats fp16:chw
  limpid build resnet50.onnx -o camera.engine --picture-input 480x640 --imagenet-norm --center-crop
  limpid build resnet50.onnx -o a100.engine --target sm_80     for a GPU that is elsewhere
  limpid build resnet50.onnx -o cpu.engine --backend cpu")]
pub(super) struct BuildArgs {
    /// The ONNX model
    model: PathBuf,

    /// The engine file to write [default: the model's name and what was asked for, such as net.fp16.engine, in the
    /// current directory]
    #[arg(short, long, value_name = "ENGINE")]
    output: Option<PathBuf>,

    /// What to multiply in
    #[arg(long, default_value = "fp32", value_parser = precision_parser())]
    precision: Precision,

    /// Leave a rule out (repeatable); `limpid inspect MODEL --passes` names those that did something
    #[arg(long, value_name = "RULE")]
    disable_rule: Vec<String>,

    /// Inputs to look for values that overflow FP16 on: pictures, .npy or .npz [default: random numbers]
    #[arg(long, value_name = "FILE")]
    samples: Vec<String>,

    /// Where to run: cuda, cuda:N, cpu [default: the first GPU, else the CPU]
    #[arg(long, value_name = "BACKEND", help_heading = "Where it will run", conflicts_with = "target")]
    backend: Option<crate::runtime::Backend>,

    /// Build for a GPU of this architecture that is elsewhere, such as sm_80 or sm_90
    #[arg(long, value_name = "ARCH", help_heading = "Where it will run")]
    target: Option<Arch>,

    /// Put kernels in or leave them out, such as +conv/wgmma,-conv/mma; `limpid inspect ENGINE --tactics` names them
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, help_heading = "Where it will run")]
    kernels: Option<Selection>,

    /// Keep kernel timings in this file from one build to the next
    #[arg(long, value_name = "FILE", help_heading = "Where it will run")]
    timing_cache: Option<PathBuf>,

    #[command(flatten)]
    shapes: ShapeArgs,

    #[command(flatten)]
    formats: FormatArgs,

    #[command(flatten)]
    calibration: CalibrationArgs,

    #[command(flatten)]
    budget: BudgetArgs,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// Builds, writes, and says what came of it.
pub(super) fn run(args: &BuildArgs, console: &mut Console) -> Result<(), CommandError> {
    let start = Instant::now();
    check_output(args.output.as_deref().unwrap_or(Path::new("x.engine")))?;
    let destination = destination(args, console);
    let preprocessing = args.pictures.apply(&Preprocessing::default())?;
    let mut builder = args.shapes.apply(Builder::new(destination))?;
    builder = builder
        .precision(args.precision)
        .disabled_rules(&args.disable_rule)
        .kernels(args.kernels.clone().unwrap_or_default())
        .timing_cache(args.timing_cache.clone())
        .layer_precisions(args.calibration.layers())
        .input_formats(&args.formats.inputs)
        .output_formats(&args.formats.outputs)
        .picture_input(args.formats.picture_input)
        .preprocessing(preprocessing.clone());
    let quantized = args.precision == Precision::Int8 || !args.calibration.layers().is_empty();
    if quantized || !args.samples.is_empty() {
        let graph = limpid_graph::onnx::load(&args.model).map_err(crate::builder::BuildError::from)?.graph;
        let int8 = args.calibration.options(&graph, &preprocessing)?;
        match args.budget.find(&args.model, &int8, &preprocessing, console)? {
            Some((mix, int8)) => {
                let fp16 = mix.fp16.iter().map(|name| LayerPrecision::exactly(name, Precision::Fp16));
                let layers: Vec<LayerPrecision> = args.calibration.layers().iter().cloned().chain(fp16).collect();
                builder = builder.layer_precisions(&layers).int8(int8);
            }
            None => builder = builder.int8(int8),
        }
        if !args.samples.is_empty() {
            let files: Vec<InputFile> = args.samples.iter().map(|text| InputFile::parse(text, &graph)).collect();
            builder = builder.samples(input::load(&graph, &files, &preprocessing)?.inputs);
        }
    }
    let engine = builder.build(&args.model, &mut console.progress())?;
    engine.metadata.notes.iter().for_each(|note| console.note(format_args!("note: {note}")));
    let output = args.output.clone().unwrap_or_else(|| engine.file_name().into());
    engine.write(&output)?;
    report(&engine, (&args.model, &output), start.elapsed().as_secs_f64(), console)
}

/// A build may take minutes, so what would make its end fail is looked at first.
pub(super) fn check_output(path: &Path) -> Result<(), CommandError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = if path.is_dir() {
        "it is a directory"
    } else if !folder.is_dir() {
        "its folder does not exist"
    } else {
        return Ok(());
    };
    Err(EngineError::Write { path: path.to_owned(), source: std::io::Error::other(reason) }.into())
}

/// Where to build for; without a GPU or a word about one, the CPU, and that is said first.
fn destination(args: &BuildArgs, console: &mut Console) -> Destination {
    use crate::runtime::Backend;
    match (args.target, args.backend.unwrap_or_default()) {
        (Some(arch), _) => Destination::Target(arch),
        (None, Backend::Cpu) => Destination::Cpu,
        (None, Backend::Cuda { ordinal }) => Destination::Gpu { ordinal },
        (None, Backend::Auto) => {
            let (destination, reason) = Destination::available();
            if let Some(reason) = reason {
                console.note(format_args!(
                    "note: building for the CPU backend ({reason}); --target sm_90 builds for a GPU that is elsewhere"
                ));
            }
            destination
        }
    }
}

fn report(
    engine: &Engine,
    (model, output): (&Path, &Path),
    seconds: f64,
    console: &mut Console,
) -> Result<(), CommandError> {
    let summary = super::inspect::Summary::of(engine);
    let size = std::fs::metadata(output).map_or(0, |m| m.len());
    console
        .json(|| json!({ "model": model, "engine": output, "bytes": size, "seconds": seconds, "summary": summary }))?;
    console.print(format_args!("{} -> {} ({})", model.display(), output.display(), units::bytes(size)))?;
    let mut rows = summary.rows();
    rows.push(("took", format!("{seconds:.1} s")));
    console.print(pairs(rows))?;
    Ok(())
}

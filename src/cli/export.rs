//! `limpid export`: writes what a network became as an ONNX file of standard operators.

use super::build::check_output;
use super::calibration::CalibrationArgs;
use super::console::{Console, pairs};
use super::pictures::PictureArgs;
use super::source::is_engine;
use super::{CommandError, units};
use crate::builder::{BuildError, Builder, Destination};
use crate::engine::{Engine, EngineError};
use crate::input::Preprocessing;
use crate::output_file::write_whole;
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_graph::onnx::{self, OPSET, export};
use serde_json::json;
use std::path::PathBuf;

/// Write the optimized network as ONNX, in INT8 with its scales as QuantizeLinear and DequantizeLinear
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid export resnet50.onnx -o fused.onnx                  what is left once all rules have run
  limpid export resnet50.onnx -o int8.onnx --qdq --calib pictures/ --imagenet-norm --center-crop
  limpid export resnet50-int8.engine -o int8.onnx            the scales that an engine was built with

ONNX Runtime and TensorRT take the file; `trtexec --onnx=int8.onnx` builds an INT8 engine with limpid's scales.")]
pub(super) struct ExportArgs {
    /// The ONNX model, or an engine built in fp32 or int8
    file: PathBuf,

    /// The ONNX file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Quantize the model: 8-bit weights, and a Q/DQ pair with a scale wherever INT8 is possible
    #[arg(long)]
    qdq: bool,

    #[command(flatten)]
    calibration: CalibrationArgs,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// Builds for the CPU, where no kernels have a say in what is INT8, and writes the graph.
pub(super) fn run(args: &ExportArgs, console: &mut Console) -> Result<(), CommandError> {
    check_output(&args.output)?;
    let engine = if is_engine(&args.file) { read(args)? } else { build(args, console)? };
    engine.metadata.notes.iter().for_each(|note| console.note(format_args!("note: {note}")));
    let model = export(&engine.graph)?;
    let encoded = model.encode()?;
    write_whole(&args.output, |out| encoded.write_to(out))
        .map_err(|source| EngineError::Write { path: args.output.clone(), source })?;
    report(&engine, encoded.len() as u64, args, console)
}

/// An engine, whose scales are settled.
fn read(args: &ExportArgs) -> Result<Engine, CommandError> {
    if args.calibration.are_given() {
        let message = format!("`{}` is an engine; options of INT8 are for models", args.file.display());
        return Err(CommandError::usage(message));
    }
    let engine = Engine::read(&args.file)?;
    match engine.metadata.precision {
        built if args.qdq && built != Precision::Int8 => Err(CommandError::Usage {
            message: format!("`{}` was built in {built}, so it has no scales", args.file.display()),
            help: Some("export --qdq from the model, or from an engine built with --precision int8".to_owned()),
        }),
        _ => Ok(engine),
    }
}

fn build(args: &ExportArgs, console: &mut Console) -> Result<Engine, CommandError> {
    let preprocessing = args.pictures.apply(&Preprocessing::default())?;
    let mut builder = Builder::new(Destination::Cpu).open_extents().preprocessing(preprocessing.clone());
    if args.qdq {
        let graph = onnx::load(&args.file).map_err(BuildError::from)?.graph;
        builder = builder
            .precision(Precision::Int8)
            .layer_precisions(args.calibration.layers())
            .int8(args.calibration.options(&graph, &preprocessing)?);
    } else if args.calibration.are_given() {
        return Err(CommandError::usage("options of INT8 go with --qdq"));
    }
    Ok(builder.build(&args.file, &mut console.progress())?)
}

fn report(engine: &Engine, bytes: u64, args: &ExportArgs, console: &mut Console) -> Result<(), CommandError> {
    let groups = engine.graph.nodes().count();
    let int8 = engine.graph.nodes().filter(|(_, node)| node.precision == Precision::Int8).count();
    console.json(|| {
        json!({
            "file": args.file, "output": args.output, "bytes": bytes, "opset": OPSET, "groups": groups, "int8": int8,
        })
    })?;
    let (file, output) = (args.file.display(), args.output.display());
    console.print(format_args!("{file} -> {output} ({})", units::bytes(bytes)))?;
    let mut rows = vec![("groups", groups.to_string())];
    if int8 > 0 {
        rows.push(("in INT8", int8.to_string()));
    }
    rows.push(("operator set", OPSET.to_string()));
    console.print(pairs(rows))?;
    Ok(())
}

//! `limpid export`: writes what a network became as an ONNX file of standard operators.

use super::CommandError;
use super::build::check_output;
use super::console::{Console, pairs};
use super::source::is_engine;
use super::units;
use crate::builder::{Builder, Destination, Int8};
use crate::engine::{Engine, EngineError};
use crate::output_file::write_whole;
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_graph::onnx::{OPSET, export};
use serde_json::json;
use std::path::PathBuf;

/// Write the optimized network as ONNX, in INT8 with its scales as QuantizeLinear and DequantizeLinear
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid export resnet50.onnx -o fused.onnx                  what is left once all rules have run
  limpid export resnet50.onnx -o int8.onnx --qdq --calibration-cache resnet50.cache
  limpid export resnet50-int8.engine -o int8.onnx            the scales that an engine was built with

ONNX Runtime and TensorRT take the file; `trtexec --onnx=int8.onnx` builds its INT8 engine with limpid's scales.")]
pub(super) struct ExportArgs {
    /// The ONNX model, or an engine built in fp32 or int8
    file: PathBuf,

    /// The ONNX file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Quantize the model: 8-bit weights, and a Q/DQ pair with a scale wherever INT8 is possible
    #[arg(long)]
    qdq: bool,

    /// Scales in TensorRT's format: read if the file is there
    #[arg(long, value_name = "FILE", requires = "qdq")]
    calibration_cache: Option<PathBuf>,
}

/// Builds for the CPU, which changes nothing but precisions, and writes the graph.
pub(super) fn run(args: &ExportArgs, console: &mut Console) -> Result<(), CommandError> {
    check_output(&args.output)?;
    let engine = open(args, console)?;
    engine.metadata.notes.iter().for_each(|note| console.note(format_args!("note: {note}")));
    let model = export(&engine.graph)?;
    let encoded = model.encode()?;
    write_whole(&args.output, |out| encoded.write_to(out))
        .map_err(|source| EngineError::Write { path: args.output.clone(), source })?;
    report(&engine, encoded.len() as u64, args, console)
}

fn open(args: &ExportArgs, console: &mut Console) -> Result<Engine, CommandError> {
    let precision = if args.qdq { Precision::Int8 } else { Precision::Fp32 };
    if is_engine(&args.file) {
        let engine = Engine::read(&args.file)?;
        return match engine.metadata.precision {
            built if args.qdq && built != Precision::Int8 => Err(CommandError::Usage {
                message: format!("`{}` was built in {built}, so it has no scales", args.file.display()),
                help: Some("export --qdq from the model, or from an engine built with --precision int8".to_owned()),
            }),
            _ => Ok(engine),
        };
    }
    let int8 = Int8 { cache: args.calibration_cache.clone(), ..Int8::default() };
    let builder = Builder::new(Destination::Cpu).open_extents().precision(precision).int8(int8);
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

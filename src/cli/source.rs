use super::CommandError;
use super::console::Console;
use crate::builder::{Builder, Destination};
use crate::engine::Engine;
use crate::runtime::Backend;
use limpid_graph::ir::Precision;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Values of `--precision`.
pub(super) const PRECISIONS: [&str; 4] = ["fp32", "tf32", "fp16", "int8"];

/// A parser for `--precision`.
pub(super) fn precision_parser() -> impl clap::builder::TypedValueParser<Value = Precision> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(PRECISIONS).try_map(|text| text.parse::<Precision>())
}

/// What a model is built with where an engine is not there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModelOptions {
    pub precision: Option<Precision>,
    pub batch: usize,
    pub backend: Backend,
}

/// Reads an engine, or builds one in memory from an ONNX model.
pub(super) fn open(path: &Path, options: ModelOptions, console: &mut Console) -> Result<Engine, CommandError> {
    if is_engine(path) {
        let engine = Engine::read(path)?;
        return match options.precision {
            Some(asked) if asked != engine.metadata.precision => {
                let built = engine.metadata.precision;
                Err(CommandError::usage(format!(
                    "`{}` was built in {built}; --precision is for models",
                    path.display()
                )))
            }
            _ => Ok(engine),
        };
    }
    let destination = match options.backend {
        Backend::Cpu => Destination::Cpu,
        Backend::Cuda { ordinal } => Destination::Gpu { ordinal },
        Backend::Auto => Destination::available().0,
    };
    let builder =
        Builder::new(destination).precision(options.precision.unwrap_or(Precision::Fp32)).batches(&[options.batch]);
    Ok(builder.build(path, &mut console.progress())?)
}

/// As [`open`], for looking at: extents of a model may stay open, since nothing is run.
pub(super) fn open_for_inspection(path: &Path, console: &mut Console) -> Result<Engine, CommandError> {
    if is_engine(path) {
        return Ok(Engine::read(path)?);
    }
    Ok(Builder::new(Destination::Cpu).open_extents().build(path, &mut console.progress())?)
}

/// Looks at the first bytes; what cannot be read is left to whoever opens it, to say so.
pub(super) fn is_engine(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.is_ok() && Engine::is_engine(&start)
}

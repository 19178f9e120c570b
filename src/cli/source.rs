use super::CommandError;
use super::calibration::random_samples;
use super::console::Console;
use crate::builder::{BuildError, Builder, Destination, Int8};
use crate::engine::Engine;
use crate::runtime::Backend;
use crate::shapes::{ProfileRequest, Range};
use limpid_graph::ir::Precision;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Values of `--precision`.
pub(super) const PRECISIONS: [&str; 4] = ["fp32", "tf32", "fp16", "int8"];

/// Random inputs that a model is calibrated on where there is nothing else.
const RANDOM_SAMPLES: u64 = 2;

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
    let precision = options.precision.unwrap_or(Precision::Fp32);
    let mut builder = Builder::new(destination).precision(precision);
    builder = match destination {
        // Without kernels to choose, more shapes cost nothing.
        Destination::Cpu => builder.profile(ProfileRequest::new().batch(up_to(options.batch)?)),
        _ => builder.batches(&[options.batch]),
    };
    if precision == Precision::Int8 {
        // Scales change answers, not times, and whoever has samples builds an engine with them.
        console.note("note: INT8 with scales from random numbers: good for its speed, not for its answers");
        let graph = limpid_graph::onnx::load(path).map_err(BuildError::from)?.graph;
        let samples = random_samples(&graph, RANDOM_SAMPLES)?;
        builder = builder.int8(Int8 { samples: Some(Arc::new(samples)), ..Int8::default() });
    }
    Ok(builder.build(path, &mut console.progress())?)
}

/// From one sample to as many as a run is to have, or as many as are customary.
pub(super) fn up_to(batch: usize) -> Result<Range, CommandError> {
    let customary = Range::BATCH;
    Range::new(1, 1, batch.max(customary.max())).map_err(|error| CommandError::usage(error.to_string()))
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

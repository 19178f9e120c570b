//! What was asked for, told before anything is done, section by section as trtexec tells it.

use super::log::{Log, number};
use super::options::{BuildOptions, Constraints, InferenceOptions, LayerType, NamedShapes, Options, Verbosity};
use crate::port::FormatRequest;
use std::fmt::Display;
use std::io;
use std::path::Path;

/// Prints all sections.
pub(super) fn print(options: &Options, log: &Log) -> io::Result<()> {
    log.info("=== Model Options ===")?;
    log.info(format_args!("Format: {}", if options.model.is_some() { "ONNX" } else { "*" }))?;
    log.info(format_args!("Model: {}", path(options.model.as_deref())))?;
    log.info("Output:")?;
    // As in trtexec: nothing is built from an engine.
    if options.build.load_engine.is_none() {
        build(&options.build, log)?;
    }
    log.info("=== System Options ===")?;
    log.info(format_args!("Device: {}", options.system.device))?;
    log.info("DLACore: ")?;
    log.info("Plugins:")?;
    inference(&options.inference, log)?;
    reporting(options, log)?;
    log.info("")
}

fn build(build: &BuildOptions, log: &Log) -> io::Result<()> {
    let mebibytes = |bytes: Option<u64>| match bytes {
        Some(bytes) => format!("{} MiB", number(bytes as f64 / 1_048_576.0)),
        None => "default".to_owned(),
    };
    let calibration = match (&build.calibration, build.int8) {
        (Some(file), _) => file.display().to_string(),
        (None, true) => "Dynamic".to_owned(),
        (None, false) => String::new(),
    };
    let cache = match (build.no_timing_cache, &build.timing_cache) {
        (true, _) => "disable",
        (false, Some(_)) => "global",
        (false, None) => "local",
    };
    let verbosity = match build.verbosity {
        Verbosity::LayerNamesOnly => 0,
        Verbosity::None => 1,
        Verbosity::Detailed => 2,
    };
    let tactic_shared =
        build.tactic_shared.map_or("default".to_owned(), |b| format!("{} KiB", number(b as f64 / 1024.0)));
    log.info("=== Build Options ===")?;
    let rows: [(&str, String); 19] = [
        ("Memory Pools", format!("workspace: {}, tacticSharedMem: {tactic_shared}", mebibytes(build.workspace))),
        ("Precision", build.precisions()),
        ("LayerPrecisions", layers(&build.layer_precisions)),
        ("LayerOutputTypes", layers(&build.layer_output_types)),
        ("Precision Constraints", constraints(build.constraints).to_owned()),
        ("Calibration", calibration),
        ("Refit", enabled(false).to_owned()),
        ("Version Compatible", enabled(false).to_owned()),
        ("TensorRT runtime", build.runtime.name().to_owned()),
        ("Sparsity", "Disabled".to_owned()),
        ("Safe mode", enabled(false).to_owned()),
        ("Skip inference", enabled(build.skip_inference).to_owned()),
        ("Save engine", path(build.save_engine.as_deref())),
        ("Load engine", path(build.load_engine.as_deref())),
        ("Profiling verbosity", verbosity.to_string()),
        ("timingCacheMode", cache.to_owned()),
        ("timingCacheFile", path(build.timing_cache.as_deref())),
        ("BuilderOptimizationLevel", build.optimization_level.to_string()),
        ("MaxTactics", build.max_tactics.map_or("-1".to_owned(), |n| n.to_string())),
    ];
    rows.iter().try_for_each(|(name, value)| log.info(format_args!("{name}: {value}")))?;
    ports("Input(s)", &build.input_formats, log)?;
    ports("Output(s)", &build.output_formats, log)?;
    if build.profiles.is_empty() {
        log.info("Input build shapes: model")?;
    }
    for (index, profile) in build.profiles.iter().enumerate() {
        for (name, opt) in &profile.opt {
            let of = |shapes: &NamedShapes| {
                shapes.iter().find(|(n, _)| n == name).map_or(String::new(), |(_, s)| extents(s))
            };
            let (min, max) = (of(&profile.min), of(&profile.max));
            log.info(format_args!("Input build shape (profile {index}): {name}={min}+{}+{max}", extents(opt)))?;
        }
    }
    match build.calibration_shapes.is_empty() {
        true => log.info("Input calibration shapes: model"),
        false => shapes("calibration", &build.calibration_shapes, log),
    }
}

fn inference(inference: &InferenceOptions, log: &Log) -> io::Result<()> {
    log.info("=== Inference Options ===")?;
    log.info("Batch: Explicit")?;
    match inference.shapes.is_empty() {
        true => log.info("Input inference shapes: model")?,
        false => shapes("inference", &inference.shapes, log)?,
    }
    let duration = inference.duration.map_or("-1".to_owned(), number);
    let rows: [(&str, String); 13] = [
        ("Iterations", inference.iterations.to_string()),
        ("Duration", format!("{duration}s (+ {}ms warm up)", number(inference.warm_up))),
        ("Sleep time", "0ms".to_owned()),
        ("Idle time", format!("{}ms", number(inference.idle))),
        ("Inference Streams", inference.streams.to_string()),
        ("ExposeDMA", enabled(inference.expose_dma).to_owned()),
        ("Data transfers", enabled(inference.transfers).to_owned()),
        ("Spin-wait", enabled(inference.spin_wait).to_owned()),
        ("Multithreading", enabled(inference.threads).to_owned()),
        ("CUDA Graph", enabled(inference.cuda_graph).to_owned()),
        ("Separate profiling", enabled(inference.separate_profile_run).to_owned()),
        ("Time Deserialize", enabled(inference.time_deserialize).to_owned()),
        ("Optimization Profile Index", inference.profile.to_string()),
    ];
    rows.iter().try_for_each(|(name, value)| log.info(format_args!("{name}: {value}")))?;
    log.info("Inputs:")?;
    inference.load_inputs.iter().try_for_each(|(name, file)| log.info(format_args!("{name}<-{}", file.display())))
}

fn reporting(options: &Options, log: &Log) -> io::Result<()> {
    let reporting = &options.reporting;
    let percentiles: Vec<String> = reporting.percentiles.iter().map(|p| number(*p)).collect();
    log.info("=== Reporting Options ===")?;
    let rows: [(&str, String); 9] = [
        ("Verbose", enabled(reporting.verbose).to_owned()),
        ("Averages", format!("{} inferences", reporting.average_runs)),
        ("Percentiles", percentiles.join(",")),
        ("Dump refittable layers", enabled(false).to_owned()),
        ("Dump output", enabled(reporting.dump_output).to_owned()),
        ("Profile", enabled(reporting.dump_profile).to_owned()),
        ("Export timing to JSON file", path(reporting.export_times.as_deref())),
        ("Export output to JSON file", path(reporting.export_output.as_deref())),
        ("Export profile to JSON file", path(reporting.export_profile.as_deref())),
    ];
    rows.iter().try_for_each(|(name, value)| log.info(format_args!("{name}: {value}")))
}

fn ports(direction: &str, formats: &[FormatRequest], log: &Log) -> io::Result<()> {
    if formats.is_empty() {
        return log.info(format_args!("{direction}s format: fp32:CHW"));
    }
    formats.iter().try_for_each(|f| log.info(format_args!("{direction}: {f}")))
}

fn shapes(phase: &str, shapes: &NamedShapes, log: &Log) -> io::Result<()> {
    shapes
        .iter()
        .try_for_each(|(name, shape)| log.info(format_args!("Input {phase} shape : {name}={}", extents(shape))))
}

fn layers(layers: &[LayerType]) -> String {
    layers.iter().map(|l| format!("{}:{}", l.layer, l.precision)).collect::<Vec<_>>().join(",")
}

fn constraints(constraints: Constraints) -> &'static str {
    match constraints {
        Constraints::None => "none",
        Constraints::Prefer => "prefer",
        Constraints::Obey => "obey",
    }
}

/// `1x3x224x224`; `scalar` without any.
pub(super) fn extents(shape: &[impl Display]) -> String {
    match shape.is_empty() {
        true => "scalar".to_owned(),
        false => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
    }
}

fn enabled(yes: bool) -> &'static str {
    if yes { "Enabled" } else { "Disabled" }
}

fn path(path: Option<&Path>) -> String {
    path.map_or(String::new(), |path| path.display().to_string())
}

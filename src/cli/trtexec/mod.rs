//! The command line of TensorRT's trtexec: `limpid trtexec …`, and the program `trtexec`, which is the same.
//!
//! [`flags`] is the table of all flags, [`parse`] turns words into [`options`], [`engine`] builds or reads, and the
//! rest tells what came of it: [`report`] in trtexec's lines, [`times`], [`profile`], [`layers`] and [`outputs`] in its
//! JSON. The schemas and texts are those that its users' scripts read; where there is no GPU, the CPU reference is
//! measured, and the first line says so.

mod accuracy;
mod echo;
mod engine;
mod flags;
mod help;
mod inputs;
mod json;
mod layers;
mod log;
mod options;
mod outputs;
mod parse;
mod profile;
mod report;
mod times;
mod values;

use super::CommandError;
use crate::engine::Engine;
use crate::measure;
use crate::port::PortFormat;
use crate::runtime::{Backend, RunError, Session, gpu_missing};
use clap::Args;
use layers::LayerInfo;
use limpid_graph::tensor::{Bindings, Tensor};
use log::{Log, number};
use options::Options;
use outputs::Port;
use profile::Profile;
use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Build and measure by the command line of TensorRT's trtexec
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = "`limpid trtexec --help` lists trtexec's flags.")]
pub(super) struct TrtexecArgs {
    /// trtexec's flags, in its spelling: --onnx=model.onnx --fp16 --saveEngine=model.engine
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

impl TrtexecArgs {
    /// True if more is to be said of what happens inside.
    pub(super) fn verbose(&self) -> bool {
        self.flags.iter().any(|flag| flag == "--verbose")
    }
}

/// Runs a command line and says what became of it. `verbose` is as `--verbose`.
pub(super) fn run(args: &TrtexecArgs, verbose: bool) -> ExitCode {
    let command_line =
        ["trtexec"].into_iter().chain(args.flags.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let mut log = Log::new(verbose);
    let outcome = match parse::parse(&args.flags) {
        // As trtexec does: with nothing to do, it says what it could do.
        _ if args.flags.is_empty() => return shown(),
        Ok(options) if options.help => return shown(),
        Ok(mut options) => {
            options.reporting.verbose |= verbose;
            log = Log::new(options.reporting.verbose);
            log.verdict("RUNNING", &command_line).map_err(CommandError::from).and_then(|()| execute(&options, &log))
        }
        Err(error) => Err(CommandError::usage(error.to_string())),
    };
    let (verdict, code) = match &outcome {
        Ok(true) => ("PASSED", ExitCode::SUCCESS),
        Ok(false) => ("FAILED", ExitCode::FAILURE),
        // Whoever read the output has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(error) => {
            log.error(error);
            let mut cause = error.source();
            while let Some(source) = cause {
                log.error(format_args!("caused by: {source}"));
                cause = source.source();
            }
            if let Some(help) = error.help() {
                log.error(format_args!("help: {help}"));
            }
            ("FAILED", ExitCode::from(error.exit_code()))
        }
    };
    // Nobody is there to be told that standard output is closed.
    let _ = log.verdict(verdict, &command_line);
    code
}

/// Prints the help.
fn shown() -> ExitCode {
    use io::Write;
    // As above.
    let _ = io::stdout().lock().write_all(help::text().as_bytes());
    ExitCode::SUCCESS
}

/// The whole run; false if outputs are not what they should be.
fn execute(options: &Options, log: &Log) -> Result<bool, CommandError> {
    if let Some(reason) = gpu_missing() {
        log.warning(format_args!(
            "No GPU ({reason}): everything runs on the CPU backend. GPU Compute Time is the CPU's, and nothing is transferred."
        ));
    }
    options.notes.iter().for_each(|note| log.warning(note));
    echo::print(options, log)?;
    log.info(format_args!("limpid version: {}", env!("CARGO_PKG_VERSION")))?;
    if let (true, Some(path)) = (options.build.plan_version_only, &options.build.load_engine) {
        let version = Engine::read(path)?.metadata.limpid_version;
        log.info(format_args!("Plan was created with limpid version {version}"))?;
        return Ok(true);
    }
    let engine = Arc::new(engine::obtain(options, log)?);
    if options.inference.time_deserialize {
        return time_deserialize(&engine, options, log);
    }
    if options.build.skip_inference {
        let extents = inputs::extents(&engine, &options.inference)?;
        list_layers(&engine, &extents, options, log)?;
        log.info("Skipped inference phase since --skipInference is added.")?;
        return Ok(true);
    }
    infer(&engine, options, log)
}

/// Opens a session and does with it what was asked for.
fn infer(engine: &Arc<Engine>, options: &Options, log: &Log) -> Result<bool, CommandError> {
    let (inference, reporting) = (&options.inference, &options.reporting);
    let extents = inputs::extents(engine, inference)?;
    let inputs = inputs::load(engine, &extents, inference, log)?;
    let backend = match gpu_missing() {
        None if !engine.plans.is_empty() => Backend::Cuda { ordinal: options.system.device },
        None => {
            log.warning("The engine was built for the CPU backend and runs there. GPU Compute Time is the CPU's.");
            Backend::Cpu
        }
        Some(_) => Backend::Cpu,
    };
    let mut session = Session::new(Arc::clone(engine), backend)?;
    log.info("=== Device Information ===")?;
    log.info(format_args!("Selected Device: {}", session.backend_name()))?;
    for (name, version) in session.versions() {
        log.info(format_args!("{name} version: {version}"))?;
    }
    log.info("")?;
    list_layers(engine, &extents, options, log)?;

    log.info("Starting inference")?;
    let outputs = session.run(&inputs)?;
    // Timing layers apart takes the inference apart, too; trtexec reports one or the other, or both of two runs.
    let apart = reporting.profiles() && !inference.separate_profile_run;
    if apart {
        log.info(
            "The e2e network timing is not reported while layers are timed; add --separateProfileRun to have both.",
        )?;
        if reporting.export_times.is_some() {
            log.warning("--exportTimes: nothing is written without --separateProfileRun, since layers are timed");
        }
    } else {
        let measurement = measure::run(&mut session, &inputs, &settings(options))?;
        report::print(&measurement, session.device().is_some(), inference, reporting, log)?;
        if let Some(path) = &reporting.export_times {
            times::export(path, &measurement.traces)?;
        }
    }
    tell_outputs(engine, &inputs, &outputs, options, log)?;
    if reporting.profiles() {
        let runs = profile_runs(&mut session, &inputs, options)?;
        let profile = Profile::of(&session.step_times(&inputs, runs)?, &engine.graph);
        if reporting.dump_profile {
            log.info("")?;
            log.info(profile.table())?;
            log.info("")?;
        }
        if let Some(path) = &reporting.export_profile {
            profile.export(path)?;
        }
    }
    judge(engine, &outputs, options, log)
}

/// How to measure, as trtexec does: pinned memory, and two sets of buffers, so that copies run beside inferences.
fn settings(options: &Options) -> measure::Options {
    let inference = &options.inference;
    measure::Options {
        warm_up_ms: inference.warm_up,
        duration_s: inference.duration.unwrap_or(f64::INFINITY),
        iterations: inference.iterations,
        idle_ms: inference.idle,
        streams: inference.streams as usize,
        threads: inference.threads,
        transfers: inference.transfers,
        pinned: true,
        pipeline: if inference.expose_dma || !inference.transfers { 0 } else { 2 },
        cuda_graph: inference.cuda_graph,
        spin_wait: inference.spin_wait,
        ..measure::Options::default()
    }
}

/// As many runs as fit into the time for measuring, as trtexec has it, but no more than a thousand.
fn profile_runs(session: &mut Session, inputs: &[Tensor], options: &Options) -> Result<u32, CommandError> {
    const MOST: f64 = 1000.0;
    let start = Instant::now();
    session.run(inputs)?;
    let once = start.elapsed().as_secs_f64().max(1e-6);
    let fit = options.inference.duration.map_or(MOST, |duration| (duration / once).min(MOST));
    Ok((fit as u32).max(options.inference.iterations).max(1))
}

fn list_layers(engine: &Engine, extents: &Bindings, options: &Options, log: &Log) -> Result<(), CommandError> {
    let reporting = &options.reporting;
    if reporting.dump_optimization_profile {
        log.info("Optimization Profile Information:")?;
        for (index, profile) in engine.metadata.profiles.iter().enumerate() {
            log.info(format_args!("Profile {index}: {profile}"))?;
        }
    }
    if !reporting.lists_layers() {
        return Ok(());
    }
    let info = LayerInfo::of(engine, extents, options.build.verbosity).map_err(crate::builder::BuildError::from)?;
    if reporting.dump_layer_info {
        log.info("Layer Information:")?;
        log.info(info.text())?;
    }
    reporting.export_layer_info.as_deref().map_or(Ok(()), |path| json::write(path, &info))
}

fn tell_outputs(
    engine: &Engine,
    inputs: &[Tensor],
    outputs: &[Tensor],
    options: &Options,
    log: &Log,
) -> Result<(), CommandError> {
    let (input_ports, output_ports) = (engine.inputs(), engine.outputs());
    let (inputs, outputs) = (ports(&input_ports, inputs)?, ports(&output_ports, outputs)?);
    outputs::tell(&inputs, &outputs, &options.reporting, log)
}

fn ports<'a>(formats: &'a [PortFormat], stored: &'a [Tensor]) -> Result<Vec<Port<'a>>, CommandError> {
    let port = |(format, stored): (&'a PortFormat, &'a Tensor)| {
        let logical = format.to_logical(stored).map_err(RunError::from)?;
        Ok(Port { name: &format.name, stored, logical })
    };
    formats.iter().zip(stored).map(port).collect()
}

/// Whether outputs are near what was expected, where something was.
fn judge(engine: &Engine, outputs: &[Tensor], options: &Options, log: &Log) -> Result<bool, CommandError> {
    let inference = &options.inference;
    let mut passed = true;
    for (place, expected) in inputs::references(&engine.graph, outputs, &inference.reference_outputs)? {
        let port = &engine.outputs()[place];
        let numbers = |stored: &Tensor| port.to_numbers(stored).map_err(RunError::from);
        let (got, expected) = (numbers(&outputs[place])?, numbers(&expected)?);
        passed &= accuracy::judge(&port.name, &got.to_f32(), &expected.to_f32(), inference, log)?;
    }
    Ok(passed)
}

/// Reads the engine again and again.
fn time_deserialize(engine: &Engine, options: &Options, log: &Log) -> Result<bool, CommandError> {
    const TIMES: u32 = 20;
    let folder = tempfile::tempdir()?;
    let written = folder.path().join("engine");
    let path: &Path = match &options.build.load_engine {
        Some(path) => path,
        None => {
            engine.write(&written)?;
            &written
        }
    };
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        Engine::read(path)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let total: f64 = times.iter().sum();
    let bytes = std::fs::metadata(path)?.len() as f64;
    log.info(format_args!("First deserialization time = {} milliseconds", number(times[0])))?;
    log.info(format_args!(
        "Total deserialization time = {} milliseconds in {TIMES} iterations, average time = {} milliseconds.",
        number(total),
        number(total / f64::from(TIMES))
    ))?;
    log.info(format_args!("Deserialization Bandwidth = {} GB/s", number(bytes * f64::from(TIMES) / total * 1e-6)))?;
    Ok(true)
}

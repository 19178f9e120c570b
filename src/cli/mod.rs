//! The command line: one file per command.
//!
//! Results go to standard output, everything else to standard error. `--json` turns a command's result into one
//! JSON value. The exit code is 0, 1 for a failure, 2 for wrong usage.

mod bench;
mod budget;
mod build;
mod calibration;
mod chrome;
mod compare;
mod completions;
mod console;
mod demo;
mod emulate;
mod environment;
mod error;
mod export;
mod formats;
mod inspect;
mod labels;
mod man;
mod pictures;
mod run;
mod sensitivity;
mod shapes;
mod source;
mod trt;
mod trtexec;
mod units;
mod zoo;

pub use error::CommandError;

use crate::severity::Severity;
use clap::{ArgAction, Parser, Subcommand};
use console::Console;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;

/// A TensorRT you can see through: ONNX networks fused, reduced in precision and run on open CUDA kernels
///
/// limpid takes a trained ONNX network, fuses it, converts it to FP16 or INT8 and runs it on the GPU at hand, or on the CPU
/// where there is none. Every fusion, every refusal and every kernel that was tried can be looked at.
#[derive(Parser, Debug)]
#[command(name = "limpid", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    command: Command,

    /// Say more: -v what happens, -vv every detail (TensorRT's info and verbose)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Everywhere")]
    verbose: u8,

    /// Say nothing but the result and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    quiet: bool,

    /// Print the result as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::DemoArgs),
    Build(Box<build::BuildArgs>),
    Run(run::RunArgs),
    Bench(bench::BenchArgs),
    Compare(compare::CompareArgs),
    Inspect(inspect::InspectArgs),
    Export(export::ExportArgs),
    Labels(labels::LabelsArgs),
    Sensitivity(sensitivity::SensitivityArgs),
    Emulate(emulate::EmulateArgs),
    Trt(trt::TrtArgs),
    Trtexec(trtexec::TrtexecArgs),
    Zoo(zoo::ZooArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  limpid demo                                            see it work, with or without a GPU
  limpid zoo resnet50 -o resnet50.onnx                   get a network to try
  limpid build resnet50.onnx -o resnet50.engine --precision fp16
  limpid run resnet50.engine --input cat.jpg --center-crop --imagenet-norm
  limpid build resnet50.onnx -o int8.engine --precision int8 --calib pictures/
  limpid bench resnet50.engine
  limpid compare resnet50.onnx resnet50.engine pictures/ do they answer the same?
  limpid inspect resnet50.engine --passes                what was fused, what was not, and why
  limpid export resnet50-int8.engine -o resnet50.onnx    its scales as Q/DQ, for ONNX Runtime and TensorRT
  limpid emulate resnet50.engine --node /conv1           a layer's GPU kernel on the CPU, every access checked

The exit code is 0, 1 for a failure, 2 for wrong usage.";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    execute(&Cli::parse())
}

/// Runs the command line of this process as that of `limpid trtexec`.
pub fn trtexec() -> ExitCode {
    let flags = std::env::args_os().skip(1);
    execute(&Cli::parse_from(["limpid", "trtexec"].map(OsString::from).into_iter().chain(flags)))
}

fn execute(cli: &Cli) -> ExitCode {
    start_log(cli);
    panic::set_hook(Box::new(report_defect));
    let mut console = Console::new(cli.json, cli.quiet);
    match run(cli, &mut console) {
        Ok(code) => code,
        // Whoever read the output has seen enough, as in `limpid inspect x | head`.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli, console: &mut Console) -> Result<ExitCode, CommandError> {
    match &cli.command {
        Command::Demo(args) => demo::run(args, console),
        Command::Build(args) => build::run(args, console),
        Command::Run(args) => run::run(args, console),
        Command::Bench(args) => bench::run(args, console),
        Command::Compare(args) => compare::run(args, console),
        Command::Inspect(args) => inspect::run(args, console),
        Command::Export(args) => export::run(args, console),
        Command::Labels(args) => labels::run(args, console),
        Command::Sensitivity(args) => sensitivity::run(args, console),
        Command::Emulate(args) => emulate::run(args, console),
        Command::Trt(args) => trt::run(args, console),
        // It has words of its own for how it went.
        Command::Trtexec(args) => return Ok(trtexec::run(args, cli.verbose > 0)),
        Command::Zoo(args) => zoo::run(args, console),
        Command::Completions(args) => completions::run(args, console),
        Command::Man(args) => man::run(args, console),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// What limpid checks itself never panics; what does is its own fault, and nobody else can put it right.
fn report_defect(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or(String::new(), |at| format!(" ({}:{})", at.file(), at.line()));
    let what = panic.payload_as_str().unwrap_or("without a word");
    eprintln!("internal error: {what}{place}\nThis is a defect of limpid {}.", env!("CARGO_PKG_VERSION"));
}

/// Warnings are always worth a line; `-q` keeps errors only.
fn start_log(cli: &Cli) {
    let asked = matches!(&cli.command, Command::Trtexec(args) if args.verbose());
    let verbose = cli.verbose + if asked { 2 } else { 0 };
    let level = Severity::shown(cli.quiet, verbose).filter();
    let colour = io::stderr().is_terminal() && console::colour_allowed();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(colour);
    // Only a second call in one process could fail, and then the log is there already.
    let _ = log.without_time().with_target(verbose > 1).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_declared_without_conflict() {
        Cli::command().debug_assert();
    }
}

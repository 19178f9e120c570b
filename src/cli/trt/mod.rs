//! `limpid trt`: limpid beside TensorRT.

mod report;
mod show;

use super::CommandError;
use super::console::Console;
use clap::{Args, Subcommand};

/// Compare with TensorRT, layer by layer
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct TrtArgs {
    /// What to do
    #[command(subcommand)]
    command: TrtCommand,
}

#[derive(Subcommand, Debug)]
enum TrtCommand {
    Report(Box<report::ReportArgs>),
}

/// Does what was asked.
pub(super) fn run(args: &TrtArgs, console: &mut Console) -> Result<(), CommandError> {
    match &args.command {
        TrtCommand::Report(args) => report::run(args, console),
    }
}

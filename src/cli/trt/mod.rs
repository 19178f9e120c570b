//! `limpid trt`: limpid beside TensorRT.

mod bench;
mod build;
mod compare;
mod duel;
mod files;
mod network;
mod report;
mod running;
mod show;

use super::CommandError;
use super::console::Console;
use clap::{Args, Subcommand};

/// Compare with NVIDIA's TensorRT: same network, same scales, same GPU, layer by layer
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "\
All but `report` need a limpid that was built with --features tensorrt (TensorRT-RTX 1.7) or
tensorrt-enterprise (TensorRT 11), and NVIDIA's library, which is loaded at run time: from the
folder LIMPID_TENSORRT_LIBS names, where the dynamic loader looks, or from a Python wheel
(`pip install tensorrt_rtx_cu13_libs==1.7.1.116`).

Examples:
  limpid trt build resnet50.onnx --precision fp16 --target sm_89      with no GPU in the machine
  limpid trt duel resnet50.onnx --precision int8 --calib pictures/ --batch 8
  limpid trt report layers.json profile.json --model resnet50.onnx    from trtexec elsewhere")]
pub(super) struct TrtArgs {
    /// What to do
    #[command(subcommand)]
    command: TrtCommand,
}

#[derive(Subcommand, Debug)]
enum TrtCommand {
    Build(Box<build::BuildArgs>),
    Bench(Box<bench::BenchArgs>),
    Compare(Box<compare::CompareArgs>),
    Duel(Box<duel::DuelArgs>),
    Report(Box<report::ReportArgs>),
}

/// Does what was asked.
pub(super) fn run(args: &TrtArgs, console: &mut Console) -> Result<(), CommandError> {
    match &args.command {
        TrtCommand::Build(args) => build::run(args, console),
        TrtCommand::Bench(args) => bench::run(args, console),
        TrtCommand::Compare(args) => compare::run(args, console),
        TrtCommand::Duel(args) => duel::run(args, console),
        TrtCommand::Report(args) => report::run(args, console),
    }
}

//! `limpid inspect`: everything an engine knows of itself.

mod kernel;
mod names;
mod passes;
mod scales;
mod summary;
mod tactics;
mod why;

pub(super) use kernel::{group, not_run};
pub(super) use passes::Fusion;
pub(super) use summary::Summary;

use super::CommandError;
use super::console::{Console, pairs};
use super::source;
use crate::engine::Engine;
use clap::Args;
use std::path::PathBuf;

/// Look into an engine or a model: what was fused, what was not and why, which kernels were tried
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid inspect resnet50.engine                     what it is
  limpid inspect resnet50.onnx --passes              what became of every ONNX node
  limpid inspect resnet50.engine --why conv1         every rule that looked at a node, and what it said
  limpid inspect resnet50.engine --tactics           every kernel that was tried, and how long it took
  limpid inspect int8.engine --scales                where INT8's scales are from, and what they do
  limpid inspect resnet50.engine --kernel conv1      the source of the kernel that runs a node")]
pub(super) struct InspectArgs {
    /// The engine, or an ONNX model
    file: PathBuf,

    /// Account for every ONNX node exactly once: kept, fused into which group by which rule, folded, removed
    #[arg(long, group = "view")]
    passes: bool,

    /// Everything that is recorded about a node, near misses with their reasons included
    #[arg(long, value_name = "NODE", group = "view")]
    why: Option<String>,

    /// Per group: the kernel that won, those it won over with their times, and who declined
    #[arg(long, group = "view")]
    tactics: bool,

    /// Source, definitions, registers and shared memory of the kernels that run a node
    #[arg(long, value_name = "NODE", group = "view")]
    kernel: Option<String>,

    /// Every tensor that is stored as integers: its scale, what it saturates, its signal-to-noise ratio
    #[arg(long, group = "view")]
    scales: bool,

    /// What each threshold that the calibrator weighed for a tensor would have cost, as CSV
    #[arg(long, value_name = "TENSOR", group = "view")]
    curve: Option<String>,

    /// The graph after all passes, one line a node
    #[arg(long, group = "view")]
    graph: bool,
}

/// Shows what was asked for, or a summary.
pub(super) fn run(args: &InspectArgs, console: &mut Console) -> Result<(), CommandError> {
    // A model is imported and fused, which needs neither GPU nor compiler.
    let engine = source::open_for_inspection(&args.file, console)?;
    if args.passes {
        passes::show(&engine, console)
    } else if let Some(node) = &args.why {
        why::show(&engine, node, console)
    } else if args.tactics {
        tactics::show(&engine, console)
    } else if let Some(node) = &args.kernel {
        kernel::show(&engine, node, console)
    } else if args.scales {
        scales::show(&engine, console)
    } else if let Some(tensor) = &args.curve {
        scales::show_curve(&engine, tensor, console)
    } else if args.graph {
        console.json(|| serde_json::json!({ "graph": engine.graph.to_string() }))?;
        Ok(console.print(engine.graph.to_string().trim_end())?)
    } else {
        show_summary(&engine, console)
    }
}

fn show_summary(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    let summary = Summary::of(engine);
    console.json(|| &summary)?;
    console.print(&engine.metadata.name)?;
    console.print(pairs(summary.rows()))?;
    Ok(())
}

/// What only an engine with GPU plans can show.
pub(super) fn needs_plan(engine: &Engine) -> Result<(), CommandError> {
    if !engine.plans.is_empty() {
        return Ok(());
    }
    Err(CommandError::Absent {
        message: format!("`{}` has no GPU plan, so no kernels were chosen", engine.metadata.name),
        help: "build it with `limpid build MODEL -o ENGINE`, on a machine with a GPU or with --target sm_90".to_owned(),
    })
}

//! `limpid emulate`: one layer on the CPU, with the kernel that was chosen for the GPU, under a microscope.

mod account;
mod show;
mod verdict;

use super::CommandError;
use super::console::Console;
use super::inspect;
use super::source::{self, is_engine, precision_parser};
use crate::builder::{BuildError, Builder, Destination};
use crate::engine::Engine;
use crate::input::{self, InputFile, random};
use crate::plan::{Plan, plan};
use crate::runtime::RunError;
use crate::runtime::emulated::EmulatedSession;
use crate::runtime::isolated::IsolatedNode;
use crate::runtime::shape_plans::{ShapePlans, check_extents};
use crate::shapes::batch_symbol;
use account::Account;
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_graph::reference::{Interpreter, specs_of};
use limpid_graph::tensor::Tensor;
use limpid_kernels::emulator::{Emulator, Trace, TraceAt};
use limpid_kernels::target::{Arch, Target};
use std::path::PathBuf;
use std::sync::Arc;
use verdict::Verdict;

/// Run one layer on the CPU with its GPU kernel, and look at what a block of it does
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid emulate resnet50.engine --node /conv1                       is it right, what does it move, where do banks clash
  limpid emulate resnet50.onnx --target sm_80 --precision fp16 --node /layer1/0/conv1 --thread 5 --trace
                                                                     what thread 5 held of each tensor-core instruction

The kernel is compiled with the system's C++ compiler and runs on random numbers, or on what the network makes of
--input. Every access is checked: a race, a stray address or a missing barrier ends the run with its place.")]
pub(super) struct EmulateArgs {
    /// The engine, or an ONNX model to plan in memory
    engine: PathBuf,

    /// The node: its ONNX name, or a part of it that no other has
    #[arg(long, value_name = "NAME")]
    node: String,

    /// The block to look at
    #[arg(long, value_name = "X,Y,Z", value_parser = block, default_value = "0,0,0")]
    block: [u32; 3],

    /// The thread of that block whose tensor-core instructions are told
    #[arg(long, value_name = "N", default_value_t = 0)]
    thread: u32,

    /// Tell every tensor-core instruction of the thread, not only the first
    #[arg(long)]
    trace: bool,

    /// Inputs of the network: pictures, .npy or .npz [default: random numbers for the node itself]
    #[arg(short, long, value_name = "FILE")]
    input: Vec<String>,

    /// Of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Samples of a run, within the engine's profile [default: the profile's optimum]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// The GPU that a model's kernels are chosen for
    #[arg(long, value_name = "ARCH", default_value = "sm_80")]
    target: Arch,

    /// What to multiply in, for a model
    #[arg(long, value_parser = precision_parser())]
    precision: Option<Precision>,
}

fn block(text: &str) -> Result<[u32; 3], String> {
    let numbers = text.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>().map_err(|e| e.to_string())?;
    match numbers[..] {
        [x] => Ok([x, 0, 0]),
        [x, y] => Ok([x, y, 0]),
        [x, y, z] => Ok([x, y, z]),
        _ => Err("expected X,Y,Z".to_owned()),
    }
}

/// One step of the node: what it moved, and what each launch did.
struct Observed<'p> {
    step: &'p crate::plan::Step,
    account: Account,
    traces: Vec<Trace>,
}

/// Runs the node and prints what was seen.
pub(super) fn run(args: &EmulateArgs, console: &mut Console) -> Result<(), CommandError> {
    let engine = Arc::new(open(args, console)?);
    let plan = &plan_of(&engine, args)?;
    let group = inspect::group(&engine, &args.node)?;
    let node = plan.steps.iter().flat_map(|step| step.groups()).find(|(name, _)| *name == group).and_then(|of| of.1);
    let node = node.ok_or_else(|| inspect::not_run(&group))?;
    let isolated = IsolatedNode::new(&engine, plan, node).map_err(BuildError::from)?;
    let inputs = inputs(args, &engine, plan, &isolated)?;
    let emulator = Emulator::new(&Emulator::default_cache()).map_err(CommandError::emulator)?;
    let mut session = EmulatedSession::new(&isolated.graph, &isolated.plan, &emulator)?;
    session.start(&inputs)?;
    let at = TraceAt { block: args.block, thread: args.thread, instructions: if args.trace { u64::MAX } else { 1 } };
    let mut observed = Vec::new();
    for (index, step) in isolated.plan.steps.iter().enumerate() {
        if !isolated.steps().any(|(own, _)| own == index) {
            session.step(index)?;
            continue;
        }
        if let Some(launch) = step.launches.first() {
            check(args, launch.grid, launch.block)?;
        }
        let (traffic, traces): (Vec<_>, Vec<_>) = session.trace(index, &at)?.into_iter().unzip();
        let planned = isolated.cost(step).map(|cost| cost.bytes);
        observed.push(Observed { step, account: Account::new(step, planned, &traffic), traces });
    }
    let got = session.outputs()?;
    let want = Interpreter::new(&isolated.graph).and_then(|graph| graph.run(&inputs)).map_err(RunError::from)?;
    let verdicts: Vec<Verdict> = got.iter().zip(&want).map(|(got, want)| Verdict::new(&isolated, got, want)).collect();
    show::show(args, &isolated, &observed, &verdicts, console)?;
    match verdicts.iter().find(|verdict| !verdict.agrees) {
        Some(verdict) => Err(CommandError::Absent {
            message: format!("`{group}` is wrong: {}", verdict.mismatch.as_deref().unwrap_or("the values differ")),
            help: "what the reference computes is the definition; the kernel, or its launch, is at fault".to_owned(),
        }),
        None => Ok(()),
    }
}

/// An engine with at least one plan. A model is planned by the cost model, for which neither GPU nor NVRTC is needed.
fn open(args: &EmulateArgs, console: &mut Console) -> Result<Engine, CommandError> {
    if is_engine(&args.engine) {
        let engine = source::open_for_inspection(&args.engine, console)?;
        inspect::needs_plan(&engine)?;
        return Ok(engine);
    }
    let precision = args.precision.unwrap_or(Precision::Fp32);
    let builder = Builder::new(Destination::Cpu).precision(precision).batches(&[args.batch.unwrap_or(1)]);
    let mut engine = builder.build(&args.engine, &mut console.progress())?;
    let target = Target::typical(args.target);
    let plan = plan(&engine.graph, &engine.metadata.opt(), &engine.metadata.layouts, &target, None);
    engine.plans = vec![plan.map_err(BuildError::from)?];
    Ok(engine)
}

/// The plan for the batch asked for, as a GPU of the engine's own kind would run it.
fn plan_of(engine: &Arc<Engine>, args: &EmulateArgs) -> Result<Plan, CommandError> {
    let target = engine.plans[0].target.clone();
    let mut extents = engine.metadata.opt();
    if let (Some(batch), Some(symbol)) = (args.batch, batch_symbol(&engine.graph)) {
        extents.bind(symbol, i64::try_from(batch).unwrap_or(i64::MAX));
    }
    check_extents(engine, &extents)?;
    Ok(ShapePlans::new(Arc::clone(engine), target).at(&extents)?.plan.into_owned())
}

/// The node's operands: random, or what the network has there for the inputs given.
fn inputs(
    args: &EmulateArgs,
    engine: &Engine,
    plan: &Plan,
    isolated: &IsolatedNode,
) -> Result<Vec<Tensor>, CommandError> {
    if args.input.is_empty() {
        let specs = specs_of(&isolated.graph, &isolated.graph.inputs, &plan.bindings).map_err(RunError::from)?;
        return Ok(specs.iter().zip(args.seed..).map(|(spec, seed)| random(spec.dtype, &spec.shape, seed)).collect());
    }
    let files: Vec<InputFile> = args.input.iter().map(|text| InputFile::parse(text, &engine.graph)).collect();
    let sample = input::load(&engine.graph, &files, &engine.metadata.preprocessing)?;
    let mut seen = vec![None; isolated.graph.inputs.len()];
    let mut observe = |value, tensor: &Tensor| {
        let places = isolated.graph.inputs.iter().zip(&mut seen).filter(|(input, _)| **input == value);
        places.for_each(|(_, place)| *place = Some(tensor.clone()));
    };
    let interpreter = Interpreter::new(&engine.graph).map_err(RunError::from)?;
    interpreter.run_observed(&sample.inputs, &mut observe).map_err(RunError::from)?;
    seen.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| CommandError::usage("the network makes no such operand"))
}

/// A block and a thread that the launch has.
fn check(args: &EmulateArgs, grid: [u32; 3], block: [u32; 3]) -> Result<(), CommandError> {
    let threads: u32 = block.iter().product();
    if args.block.iter().zip(grid).any(|(&at, extent)| at >= extent) {
        return Err(CommandError::usage(format!("--block {:?}: the grid is {grid:?}", args.block)));
    }
    if args.thread >= threads {
        return Err(CommandError::usage(format!("--thread {}: the block has {threads} threads", args.thread)));
    }
    Ok(())
}

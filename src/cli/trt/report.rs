//! `limpid trt report`: what trtexec exported elsewhere, beside limpid.

use super::show::show;
use crate::builder::BuildError;
use crate::cli::bench::random_inputs;
use crate::cli::console::Console;
use crate::cli::source::{self, ModelOptions, is_engine, precision_parser};
use crate::cli::{CommandError, units};
use crate::duel::export::{self, Exports};
use crate::duel::{self, Alignment, BenchProfile, Contender, Duel, DuelError, Group, Network, TimedStep, Timing};
use crate::engine::Engine;
use crate::measure::Profile;
use crate::runtime::{Backend, Session};
use clap::Args;
use limpid_graph::ir::Precision;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs of each group, where this command measures limpid itself.
const RUNS: u32 = 100;

/// Put layers and times that trtexec exported beside limpid's groups
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The files may come from another machine, which writes them so:
  trtexec --onnx=resnet50.onnx --fp16 --saveEngine=resnet50.plan --profilingVerbosity=detailed --exportLayerInfo=layers.json
  trtexec --loadEngine=resnet50.plan --useCudaGraph --noDataTransfers --exportTimes=times.json
  trtexec --loadEngine=resnet50.plan --separateProfileRun --exportProfile=profile.json

Layers and groups that hold the same ONNX nodes are one row; what cannot be aligned is listed.

Examples:
  limpid trt report layers.json profile.json --model resnet50.onnx --precision fp16
  limpid trt report layers.json profile.json times.json --engine resnet50.engine --limpid-profile bench.json
  limpid trt report int8.json --engine int8.engine --exported      TensorRT took what `limpid export` wrote")]
pub(super) struct ReportArgs {
    /// What trtexec wrote: layers, a profile, times, in any order
    #[arg(required = true, value_name = "FILE.json")]
    files: Vec<PathBuf>,

    /// The ONNX model that both were built from; limpid builds it here
    #[arg(long, value_name = "FILE", required_unless_present = "engine", conflicts_with = "engine")]
    model: Option<PathBuf>,

    /// limpid's engine
    #[arg(long, value_name = "FILE")]
    engine: Option<PathBuf>,

    /// limpid's times, from `limpid bench --profile --json` [default: measured here if there is a GPU]
    #[arg(long, value_name = "FILE")]
    limpid_profile: Option<PathBuf>,

    /// TensorRT's engine was built from what `limpid export` wrote, whose nodes are limpid's groups
    #[arg(long)]
    exported: bool,

    /// What limpid multiplies in, for a model
    #[arg(long, value_parser = precision_parser(), conflicts_with = "engine")]
    precision: Option<Precision>,

    /// Samples of a run, for a model
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "engine")]
    batch: u32,

    /// Where limpid is measured: auto, cpu (not at all), cuda, cuda:N
    #[arg(long, default_value_t = Backend::Auto)]
    backend: Backend,
}

/// limpid's part of the report.
struct Own {
    contender: Contender,
    groups: Vec<Group>,
    batch: Option<usize>,
    precision: String,
}

/// Reads, aligns, prints.
pub(super) fn run(args: &ReportArgs, console: &mut Console) -> Result<(), CommandError> {
    let exports = export::read(&args.files).map_err(DuelError::from)?;
    let file = args.model.as_ref().or(args.engine.as_ref());
    let file = file.ok_or_else(|| CommandError::usage("name the network by --model or --engine"))?;
    let told = args.limpid_profile.as_deref().map(BenchProfile::read).transpose()?;
    let engine = Arc::new(args.open(file, told.as_ref(), console)?);
    let mut network = Network::of_engine(&engine);
    if !is_engine(file) {
        network = network.with_tensors(&limpid_graph::onnx::load(file).map_err(BuildError::from)?);
    }
    let own = args.own(&engine, told)?;
    if args.exported {
        network = network.exported(&engine);
    }
    let alignment = duel::align(&network, own.groups, exports.layers.clone());
    let notes = notes(args, &exports, &alignment, &own.contender);
    let duel = Duel {
        network: engine.metadata.name.clone(),
        precision: Some(own.precision),
        batch: own.batch,
        limpid: own.contender,
        tensorrt: args.tensorrt(&exports),
        ratio: None,
        alignment,
        notes,
    };
    show(&duel, console)
}

impl ReportArgs {
    /// The engine, or one built of the model: for the GPU, if times are to be measured here.
    fn open(
        &self,
        file: &std::path::Path,
        told: Option<&BenchProfile>,
        console: &mut Console,
    ) -> Result<Engine, CommandError> {
        match self.engine.as_ref().filter(|_| !is_engine(file)) {
            Some(_) => Err(CommandError::Usage {
                message: format!("`{}` is no engine", file.display()),
                help: Some("--model takes an ONNX model".to_owned()),
            }),
            None => {
                let here = if told.is_some() { Backend::Cpu } else { self.backend };
                let options = ModelOptions { precision: self.precision, batch: self.batch as usize, backend: here };
                source::open(file, options, console)
            }
        }
    }

    /// limpid's groups, with times from the file, or measured here if there is a GPU.
    fn own(&self, engine: &Arc<Engine>, told: Option<BenchProfile>) -> Result<Own, CommandError> {
        let mut groups = duel::groups(engine, &engine.metadata.opt()).map_err(BuildError::from)?;
        let built = engine.metadata.precision.name().to_owned();
        if let Some(told) = told {
            duel::time(&mut groups, &told.steps()).map_err(DuelError::from)?;
            let (batch, precision) = (Some(told.batch), told.precision.clone());
            return Ok(Own { contender: told.contender(), groups, batch, precision });
        }
        let mut contender = Contender {
            name: "limpid".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..Contender::default()
        };
        if self.backend == Backend::Cpu || engine.plans.is_empty() {
            contender.absent = Some("not measured: nothing was built for a GPU".to_owned());
            return Ok(Own { contender, groups, batch: None, precision: built });
        }
        let mut session = Session::new(Arc::clone(engine), self.backend)?;
        contender.device = Some(session.backend_name());
        if let Some(reason) = session.note() {
            contender.absent = Some(format!("not measured: {reason}"));
            return Ok(Own { contender, groups, batch: None, precision: built });
        }
        let inputs = random_inputs(engine, None, 0)?;
        let batch = inputs.first().and_then(|input| input.shape().first()).copied();
        let profile = Profile::of(&mut session, &inputs, RUNS, &[])?;
        let steps: Vec<TimedStep> = profile.layers.iter().map(TimedStep::from).collect();
        duel::time(&mut groups, &steps).map_err(DuelError::from)?;
        let whole = &profile.whole;
        contender.compute = Some(Timing { median_us: whole.median, spread: Some(whole.spread), samples: None });
        Ok(Own { contender, groups, batch, precision: built })
    }

    fn tensorrt(&self, exports: &Exports) -> Contender {
        let names: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        Contender {
            name: "TensorRT".to_owned(),
            settings: [("exports".to_owned(), names.join(", "))].into(),
            compute: exports.times.compute(),
            latency: exports.times.latency(),
            ..Contender::default()
        }
    }
}

/// What the files do not say, and what follows of it.
fn notes(args: &ReportArgs, exports: &Exports, alignment: &Alignment, limpid: &Contender) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: &str| {
        if applies {
            notes.push(text.to_owned());
        }
    };
    note(
        exports.layers.is_empty(),
        "the files tell no layers; trtexec writes them with --exportLayerInfo and --exportProfile",
    );
    note(
        !exports.layers.is_empty() && !exports.profiled,
        "TensorRT's layers have no times: there is no --exportProfile",
    );
    let silent = exports.layers.iter().all(|layer| layer.onnx.is_empty());
    note(
        !exports.layers.is_empty() && silent,
        "layers are known by their names alone; --profilingVerbosity=detailed with --exportLayerInfo tells their ONNX nodes",
    );
    note(
        alignment.rows.is_empty() && !exports.layers.is_empty(),
        "no layer names a node of this network; was TensorRT's engine built from the same model?",
    );
    note(
        !args.exported && alignment.strangers.len() > alignment.aligned_nodes(),
        "most names of TensorRT's are no nodes of this network; if it took what `limpid export` wrote, say --exported",
    );
    note(
        limpid.compute.is_some() && exports.profiled,
        "layers are timed one by one: a sum may be more than the whole takes",
    );
    let on_cpu = limpid.device.as_ref().is_some_and(|device| device.starts_with("CPU"));
    note(
        limpid.compute.is_some() && on_cpu,
        "limpid's times are of its CPU reference, which is there to be right, not fast",
    );
    let times = units::count(exports.times.compute_us.len(), "query");
    note(
        limpid.compute.is_some() && exports.times.compute().is_some(),
        &format!("the two were not measured side by side; TensorRT's time is of {times}"),
    );
    notes
}

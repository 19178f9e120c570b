use super::network::{Network, NetworkArgs};
use super::running::{self, QueryArgs, named, refusal, warn};
use super::show::show;
use crate::builder::{BuildError, Destination};
use crate::cli::CommandError;
use crate::cli::bench::random_inputs;
use crate::cli::console::Console;
use crate::duel::export::{self, LayerInfo};
use crate::duel::{self, Contender, Duel, DuelError, Layer, Network as Nodes, Ratio, TimedStep, Timing};
use crate::engine::Engine;
use crate::measure::Profile;
use crate::runtime::{Backend, Lane, Session};
use crate::trt::{Built, LayerTimes, Library, Marks, QueryTimes, TensorRtLane, TrtError};
use clap::Args;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Device;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Seed of the bootstrap: the same samples give the same interval.
const SEED: u64 = 0;

/// Runs of each group and layer.
const PROFILED: u32 = 100;

/// Let limpid and TensorRT run the same network in turn, in one process on one GPU, and compare them layer by layer
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Rounds go limpid, TensorRT, limpid, TensorRT …: each some queries of one and then as many of the other, after one that is
not counted. The ratio is TensorRT's median time over limpid's, with what chance alone could have made of it (bootstrap
over rounds). Layers are timed afterwards, one by one, and aligned by the ONNX nodes in them.

Examples:
  limpid trt duel resnet50.onnx --precision fp16 --batch 1
  limpid trt duel unet.onnx --precision int8 --calib scans/ --batch 8 --json")]
pub(super) struct DuelArgs {
    #[command(flatten)]
    network: NetworkArgs,

    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Queries of each engine in a round
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    queries_per_round: u32,

    /// Compare the whole only, and time no layers
    #[arg(long)]
    no_layers: bool,

    #[command(flatten)]
    queries: QueryArgs,
}

/// Builds both, lets them take turns, aligns their layers, prints.
pub(super) fn run(args: &DuelArgs, console: &mut Console) -> Result<(), CommandError> {
    let library = Library::load()?;
    let device = running::gpu()?;
    let network = args.network.open(console)?;
    let ours = Arc::new(network.build_for(Destination::Gpu { ordinal: 0 }, &args.network.model, console)?);
    let inputs = random_inputs(&ours, None, 0)?;
    let mut session = Session::new(Arc::clone(&ours), Backend::Cuda { ordinal: 0 })?;
    session.run(&inputs)?;
    let options = args.queries.options(Some(session.origin()?));
    let mut limpid = session.lane(&inputs, &options)?;

    // Built last, and if it is refused, limpid's side is told all the same.
    let theirs = refusal(build(&library, &device, &network, &inputs, args, console))?;
    let (mut tensorrt, refused) = match theirs {
        Ok((built, lane)) => (Some((built, lane)), None),
        Err(refused) => (None, Some(refused)),
    };
    let times = take_turns(args, limpid.as_mut(), tensorrt.as_mut().map(|(_, lane)| lane))?;
    drop(limpid);

    let mut groups = duel::groups(&ours, &ours.metadata.opt()).map_err(BuildError::from)?;
    let mut layers = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    if !args.no_layers {
        let profile = Profile::of(&mut session, &inputs, PROFILED, &[])?;
        let steps: Vec<TimedStep> = profile.layers.iter().map(TimedStep::from).collect();
        duel::time(&mut groups, &steps).map_err(DuelError::from)?;
        if let Some((_, lane)) = &mut tensorrt {
            layers = timed_layers(lane, &mut notes)?;
        }
        notes.push("layers are timed one by one: both sums are more than the whole takes".to_owned());
    }
    let model = limpid_graph::onnx::load(&args.network.model).map_err(BuildError::from)?;
    let mut nodes = Nodes::of_engine(&ours).with_tensors(&model);
    if network.stated.is_written() {
        nodes = nodes.exported(&network.reference);
    }
    let duel = Duel {
        network: ours.metadata.name.clone(),
        precision: Some(args.network.precision.to_string()),
        batch: inputs.first().and_then(|input| input.shape().first()).copied(),
        limpid: Contender {
            name: "limpid".to_owned(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            device: Some(session.backend_name()),
            settings: settings(args, &ours),
            compute: Timing::of(&all(&times.limpid, |times| times.compute)),
            latency: Timing::of(&all(&times.limpid, |times| times.host)),
            absent: None,
        },
        tensorrt: Contender {
            name: library.flavour().name().to_owned(),
            version: Some(library.version().to_string()),
            device: refused.is_none().then(|| running::describe(&device)),
            settings: tensorrt.as_ref().map(|(built, _)| built_with(args, built)).unwrap_or_default(),
            compute: Timing::of(&all(&times.tensorrt, |times| times.compute)),
            latency: Timing::of(&all(&times.tensorrt, |times| times.host)),
            absent: refused,
        },
        ratio: Ratio::of_pairs(&times.pairs(), SEED),
        alignment: duel::align(&nodes, groups, layers),
        notes,
    };
    show(&duel, console)
}

/// TensorRT's engine, ready for queries. Whatever it refuses on the way comes back as its own words.
fn build(
    library: &Library,
    device: &Device,
    network: &Network,
    inputs: &[Tensor],
    args: &DuelArgs,
    console: &mut Console,
) -> Result<(Built, TensorRtLane), TrtError> {
    let built = library.build(&network.stated.request(None, Marks::None))?;
    warn(&built, console);
    let engine = library.open(&built.plan, device)?;
    let lane = engine.lane(&named(&network.reference.graph, inputs), &args.queries.options(None))?;
    Ok((built, lane))
}

/// Queries of both, round by round.
#[derive(Default)]
struct Turns {
    limpid: Vec<Vec<QueryTimes>>,
    tensorrt: Vec<Vec<QueryTimes>>,
}

impl Turns {
    /// Each round's two medians of the network alone, TensorRT's first.
    fn pairs(&self) -> Vec<(f64, f64)> {
        let median = |round: &Vec<QueryTimes>| {
            let compute: Vec<f64> = round.iter().map(|times| times.compute).collect();
            Timing::of(&compute).map(|timing| timing.median_us)
        };
        let rounds = self.tensorrt.iter().zip(&self.limpid);
        rounds.filter_map(|(theirs, ours)| median(theirs).zip(median(ours))).collect()
    }
}

fn all(rounds: &[Vec<QueryTimes>], part: fn(&QueryTimes) -> f64) -> Vec<f64> {
    rounds.iter().flatten().map(part).collect()
}

fn take_turns(
    args: &DuelArgs,
    limpid: &mut dyn Lane,
    mut tensorrt: Option<&mut TensorRtLane>,
) -> Result<Turns, CommandError> {
    let mut turns = Turns::default();
    // The first round brings the clocks up and is not counted.
    for round in 0..=args.rounds {
        let ours = a_round(args, || query(limpid))?;
        let theirs = match &mut tensorrt {
            Some(lane) => Some(a_round(args, || Ok(lane.query()?))?),
            None => None,
        };
        if round > 0 {
            turns.limpid.push(ours);
            turns.tensorrt.extend(theirs);
        }
    }
    Ok(turns)
}

/// The queries of one engine, after one that finds the caches full of the other's.
fn a_round(
    args: &DuelArgs,
    mut query: impl FnMut() -> Result<QueryTimes, CommandError>,
) -> Result<Vec<QueryTimes>, CommandError> {
    query()?;
    (0..args.queries_per_round).map(|_| query()).collect()
}

/// One query of limpid's, in the same parts as TensorRT's.
fn query(lane: &mut dyn Lane) -> Result<QueryTimes, CommandError> {
    let start = Instant::now();
    lane.submit(0)?;
    let trace = lane.finish()?.unwrap_or_default();
    let host = start.elapsed().as_secs_f64() * 1e6;
    Ok(QueryTimes { host, h2d: trace.h2d() * 1e3, compute: trace.compute() * 1e3, d2h: trace.d2h() * 1e3 })
}

/// TensorRT's layers with their times. What its inspector writes and limpid cannot read is a note: names are in the profile.
fn timed_layers(lane: &mut TensorRtLane, notes: &mut Vec<String>) -> Result<Vec<Layer>, CommandError> {
    let told = lane.engine().inspect()?;
    let info = LayerInfo::parse(&told).unwrap_or_else(|error| {
        notes.push(format!("TensorRT's layer information is not understood: {error}"));
        LayerInfo::default()
    });
    let times = lane.profile(PROFILED)?;
    let timed = times.iter().filter_map(|LayerTimes { name, us }| Some((name.clone(), Timing::of(us)?)));
    let profile = export::Profile { count: Some(PROFILED as usize), layers: timed.collect() };
    Ok(profile.times(info.layers))
}

fn settings(args: &DuelArgs, engine: &Engine) -> BTreeMap<String, String> {
    let profiles: Vec<String> = engine.metadata.profiles.iter().map(ToString::to_string).collect();
    [("queries", args.queries.describe()), ("profiles", profiles.join(", "))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

fn built_with(args: &DuelArgs, built: &Built) -> BTreeMap<String, String> {
    let queries = ("queries".to_owned(), args.queries.describe());
    built.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).chain([queries]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(compute: &[f64]) -> Vec<QueryTimes> {
        compute.iter().map(|&compute| QueryTimes { compute, host: compute + 1.0, ..QueryTimes::default() }).collect()
    }

    #[test]
    fn rounds_are_paired_by_their_medians() {
        let turns = Turns {
            limpid: vec![round(&[1.0, 9.0, 2.0]), round(&[3.0])],
            tensorrt: vec![round(&[4.0, 5.0, 60.0]), round(&[6.0])],
        };
        assert_eq!(turns.pairs(), [(5.0, 2.0), (6.0, 3.0)]);
        assert_eq!(all(&turns.limpid, |times| times.host), [2.0, 10.0, 3.0, 4.0]);
        let alone = Turns { limpid: vec![round(&[1.0])], tensorrt: vec![] };
        assert_eq!(alone.pairs(), []);
        assert_eq!(Ratio::of_pairs(&alone.pairs(), SEED), None, "limpid alone has no ratio");
    }
}

use super::network::{Network, NetworkArgs};
use super::running::{self, QueryArgs, named, warn};
use crate::builder::Destination;
use crate::cli::CommandError;
use crate::cli::bench::random_inputs;
use crate::cli::console::{Console, pairs, table};
use crate::compare::{CompareError, Distance, reals};
use crate::engine::Engine;
use crate::input::{self, InputFile};
use crate::runtime::{Backend, Session};
use crate::trt::{Library, Marks};
use clap::Args;
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Device;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hold the answers of both engines against the FP32 reference on the CPU, on the same inputs
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
--layers marks the values inside the network as outputs of TensorRT's, which keeps it from fusing across them: it is an
engine of its own, and its layers' answers are those of an engine that fuses less.

Examples:
  limpid trt compare resnet50.onnx --precision int8 --calib pictures/ --imagenet-norm --center-crop --input cat.jpg
  limpid trt compare unet.onnx --precision fp16 --layers")]
pub(super) struct CompareArgs {
    #[command(flatten)]
    network: NetworkArgs,

    /// Inputs: a picture, .npy or .npz, `NAME=FILE` where there are several [default: random numbers]
    #[arg(short, long, value_name = "FILE")]
    input: Vec<String>,

    /// Compare values inside, too: those that have a name in all three
    #[arg(long)]
    layers: bool,
}

/// Values by name.
type Values = BTreeMap<String, Vec<f32>>;

/// A value, and how far each engine is from the reference.
struct Row {
    name: String,
    limpid: Option<Distance>,
    tensorrt: Option<Distance>,
}

/// Runs all three and prints how far they are apart.
pub(super) fn run(args: &CompareArgs, console: &mut Console) -> Result<(), CommandError> {
    let library = Library::load()?;
    let device = running::gpu()?;
    let network = args.network.open(console)?;
    let inputs = args.inputs(&network)?;
    let truth = network.truth(&args.network.model, console)?;
    let expected = observed(&truth, &inputs, "the reference")?;

    let engine = network.build_for(Destination::Gpu { ordinal: 0 }, &args.network.model, console)?;
    let names: Vec<String> =
        engine.graph.outputs.iter().map(|&output| engine.graph.value(output).name.clone()).collect();
    let mut session = Session::new(Arc::new(engine), Backend::Cuda { ordinal: 0 })?;
    let ours = session.run_logical(&inputs)?;
    let ours: Values = names.iter().cloned().zip(ours.iter().map(Tensor::to_f32)).collect();
    let asked = Asked { library: &library, device: &device, network: &network, inputs: &inputs };
    let theirs = asked.answers(Marks::None, console)?;
    let outputs: Vec<Row> = names.iter().map(|name| row(name, &expected, &ours, &theirs)).collect();

    let layers = match args.layers {
        true => {
            // What limpid computes on the way only its CPU reference shows; in INT8 it is to the bit what its kernels do.
            let ours = observed(&network.reference, &inputs, "limpid's network")?;
            let inside: Vec<String> = expected.keys().filter(|name| !names.contains(name)).cloned().collect();
            let theirs = asked.answers(Marks::Outputs(&inside), console)?;
            let shared = inside.iter().filter(|name| theirs.contains_key(*name));
            shared.map(|name| row(name, &expected, &ours, &theirs)).collect()
        }
        false => Vec::new(),
    };
    report(args, &library, &device, [&outputs, &layers], console)
}

impl CompareArgs {
    fn inputs(&self, network: &Network) -> Result<Vec<Tensor>, CommandError> {
        if self.input.is_empty() {
            return random_inputs(&network.reference, None, 0);
        }
        let graph = &network.reference.graph;
        let files: Vec<InputFile> = self.input.iter().map(|text| InputFile::parse(text, graph)).collect();
        Ok(input::load(graph, &files, &network.reference.metadata.preprocessing)?.inputs)
    }
}

/// What TensorRT is asked.
struct Asked<'a> {
    library: &'a Library,
    device: &'a Device,
    network: &'a Network,
    inputs: &'a [Tensor],
}

impl Asked<'_> {
    /// Its outputs, marked values among them.
    fn answers(&self, marks: Marks, console: &mut Console) -> Result<Values, CommandError> {
        let built = self.library.build(&self.network.stated.request(None, marks))?;
        warn(&built, console);
        let engine = self.library.open(&built.plan, self.device)?;
        let inputs = named(&self.network.reference.graph, self.inputs);
        let mut lane = engine.lane(&inputs, &QueryArgs::default().options(None))?;
        lane.query()?;
        let outputs = lane.outputs()?;
        Ok(outputs.into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect())
    }
}

/// Every real value that the CPU reference computes on the way, by name; integers that stand for reals are taken for these.
fn observed(engine: &Engine, inputs: &[Tensor], which: &'static str) -> Result<Values, CommandError> {
    let graph = &engine.graph;
    let mut values = Values::new();
    let failed = |source| CommandError::from(CompareError::Layers { which, source });
    let interpreter = Interpreter::new(graph).map_err(failed)?;
    let mut see = |id, tensor: &Tensor| {
        let (fact, made) = (graph.fact(id), graph.value(id).producer.is_some());
        if made && (fact.dtype.is_float() || fact.quant.is_some()) {
            values.insert(graph.value(id).name.clone(), reals(fact, tensor));
        }
    };
    let outputs = interpreter.run_observed(inputs, &mut see).map_err(failed)?;
    for (&id, tensor) in graph.outputs.iter().zip(&outputs) {
        values.insert(graph.value(id).name.clone(), reals(graph.fact(id), tensor));
    }
    Ok(values)
}

fn row(name: &str, expected: &Values, ours: &Values, theirs: &Values) -> Row {
    let from = |values: &Values| {
        let (expected, got) = (expected.get(name)?, values.get(name)?);
        (expected.len() == got.len()).then(|| Distance::between(expected, got))
    };
    Row { name: name.to_owned(), limpid: from(ours), tensorrt: from(theirs) }
}

fn report(
    args: &CompareArgs,
    library: &Library,
    device: &Device,
    [outputs, layers]: [&[Row]; 2],
    console: &mut Console,
) -> Result<(), CommandError> {
    console.json(|| {
        json!({
            "network": args.network.stem(), "precision": args.network.precision.name(),
            "library": running::record(library), "device": running::describe(device),
            "outputs": outputs.iter().map(as_json).collect::<Vec<_>>(),
            "layers": layers.iter().map(as_json).collect::<Vec<_>>(),
        })
    })?;
    let mut rows = running::rows(library);
    rows.push(("network", format!("{}, {}", args.network.stem(), args.network.precision)));
    rows.push(("device", running::describe(device)));
    rows.push(("reference", "the model in fp32 on the CPU".to_owned()));
    console.print(pairs(rows))?;
    console.print(format_args!("\n{}", distances("output", outputs)))?;
    if args.layers {
        console.print(format_args!("\n{}", distances("value inside", layers)))?;
        console.print("\nlimpid's values inside are those of its network on its CPU reference")?;
    }
    Ok(())
}

fn as_json(row: &Row) -> Value {
    let side = |distance: Option<Distance>| {
        distance.map(|d| {
            json!({
                "cosine": d.cosine(), "relative_l2": d.relative_l2(), "sqnr_db": d.sqnr_db(),
                "largest_difference": d.largest_difference(),
            })
        })
    };
    json!({ "name": row.name, "limpid": side(row.limpid), "tensorrt": side(row.tensorrt) })
}

fn distances(what: &str, rows: &[Row]) -> String {
    let header = [what, "limpid: cosine", "relative L2", "largest", "TensorRT: cosine", "relative L2", "largest"];
    let mut lines = table(header, &[1, 2, 3, 4, 5, 6]);
    let side = |distance: Option<Distance>| match distance {
        Some(d) => [
            format!("{:.6}", d.cosine()),
            format!("{:.2e}", d.relative_l2()),
            format!("{:.2e}", d.largest_difference()),
        ],
        None => ["–", "–", "–"].map(str::to_owned),
    };
    for row in rows {
        lines.add_row([row.name.clone()].into_iter().chain(side(row.limpid)).chain(side(row.tensorrt)));
    }
    lines.trim_fmt()
}

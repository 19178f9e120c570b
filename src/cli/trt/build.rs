use super::files;
use super::network::NetworkArgs;
use super::running::{self, warn};
use crate::cli::build::check_output;
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::engine::EngineError;
use crate::output_file::write_whole;
use crate::trt::{Built, Library, Marks, Port};
use clap::Args;
use limpid_kernels::target::Arch;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Build TensorRT's engine from the network as limpid has it
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
In fp32 TensorRT gets the model's own file. It multiplies in a model's types, so for fp16 and int8 it gets the network
that limpid fused, with its casts and its scales (Q/DQ).

Examples:
  limpid trt build resnet50.onnx --precision fp16 --batch 1..32 --target sm_89
  limpid trt build resnet50.onnx --precision int8 --calib pictures/ --imagenet-norm --center-crop
  limpid trt build resnet50.onnx --precision int8 --calib random:2 --files given/     what trtexec takes, 8 to 11")]
pub(super) struct BuildArgs {
    #[command(flatten)]
    network: NetworkArgs,

    /// The plan to write [default: the model's name and precision, such as net.fp16.plan, in the current directory]
    #[arg(short, long, value_name = "PLAN")]
    output: Option<PathBuf>,

    /// Build for a GPU of this architecture that is elsewhere, such as sm_89 (TensorRT-RTX only)
    #[arg(long, value_name = "ARCH")]
    target: Option<Arch>,

    /// Build nothing: write the model and the scales that TensorRT gets to this folder, and say how trtexec takes them,
    /// that of versions up to 10 too, which take the scales as a calibration cache
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "target"])]
    files: Option<PathBuf>,
}

/// Builds, writes, and says what came of it.
pub(super) fn run(args: &BuildArgs, console: &mut Console) -> Result<(), CommandError> {
    if let Some(folder) = &args.files {
        let network = args.network.open(console)?;
        return files::write(&args.network, &network, folder, console);
    }
    let output = args.output.clone().unwrap_or_else(|| files::plan_name(&args.network));
    check_output(&output)?;
    // What takes minutes comes last.
    let library = Library::load()?;
    if args.target.is_none() {
        running::gpu()?;
    }
    let network = args.network.open(console)?;
    let built = library.build(&network.stated.request(args.target, Marks::None))?;
    warn(&built, console);
    write_whole(&output, |out| out.write_all(&built.plan))
        .map_err(|source| EngineError::Write { path: output.clone(), source })?;
    report(args, (&library, &built), &output, console)
}

fn report(
    args: &BuildArgs,
    (library, built): (&Library, &Built),
    output: &Path,
    console: &mut Console,
) -> Result<(), CommandError> {
    let model = args.network.model.display();
    console.json(|| {
        json!({
            "model": args.network.model, "plan": output, "bytes": built.plan.len(),
            "precision": args.network.precision.name(), "library": running::record(library),
            "settings": built.settings.iter().map(|(name, value)| (*name, value)).collect::<std::collections::BTreeMap<_, _>>(),
            "ports": built.ports, "layers": built.layers, "parse_seconds": built.parse_seconds,
            "build_seconds": built.build_seconds, "warnings": built.warnings,
        })
    })?;
    console.print(format_args!("{model} -> {} ({})", output.display(), units::bytes(built.plan.len() as u64)))?;
    let mut rows = running::rows(library);
    rows.push(("precision", args.network.precision.to_string()));
    rows.extend(built.settings.iter().map(|(name, value)| (*name, value.clone())));
    rows.push(("layers parsed", built.layers.to_string()));
    rows.push(("took", format!("{:.2} s to parse, {:.2} s to build", built.parse_seconds, built.build_seconds)));
    console.print(pairs(rows))?;
    Ok(console.print(format_args!("\n{}", ports(&built.ports)))?)
}

fn ports(ports: &[Port]) -> String {
    let mut rows = table(["", "tensor", "type", "shape"], &[]);
    for port in ports {
        let extents: Vec<String> = port.shape.iter().map(i64::to_string).collect();
        let kind = if port.input { "input" } else { "output" };
        rows.add_row([kind.to_owned(), port.name.clone(), port.type_name.clone(), extents.join("x")]);
    }
    rows.trim_fmt()
}

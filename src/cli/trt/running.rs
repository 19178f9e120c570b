//! What running TensorRT takes: the library, a GPU, and how queries go.

use crate::cli::CommandError;
use crate::cli::console::Console;
use crate::runtime::{LaneOptions, Origin};
use crate::trt::{Built, Library, TrtError};
use clap::Args;
use limpid_graph::ir::Graph;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Device;
use serde_json::{Value, json};

/// How queries of both engines go.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Queries, of both engines alike")]
pub(super) struct QueryArgs {
    /// Copy from and to pageable host memory, else page-locked
    #[arg(long)]
    pageable: bool,

    /// Leave inputs and outputs on the device
    #[arg(long)]
    no_transfers: bool,

    /// Launch kernels one by one instead of as a CUDA graph
    #[arg(long)]
    no_graph: bool,
}

impl QueryArgs {
    /// As lanes want them: one set of buffers, one stream, a core that waits.
    pub fn options(self, origin: Option<Origin>) -> LaneOptions {
        LaneOptions {
            pinned: !self.pageable,
            transfers: !self.no_transfers,
            cuda_graph: !self.no_graph,
            origin,
            ..LaneOptions::default()
        }
    }

    /// In words.
    pub fn describe(self) -> String {
        let graph = if self.no_graph { "kernel by kernel" } else { "a CUDA graph" };
        let copies = match (self.no_transfers, self.pageable) {
            (true, _) => "nothing copied",
            (false, true) => "copies of pageable memory",
            (false, false) => "copies of page-locked memory",
        };
        format!("{graph}, {copies}")
    }
}

/// The first GPU.
pub(super) fn gpu() -> Result<Device, TrtError> {
    Ok(Device::open(0)?)
}

/// A GPU, in a line.
pub(super) fn describe(device: &Device) -> String {
    format!("CUDA {}, {} ({})", device.ordinal(), device.name(), device.target().arch)
}

/// Inputs with the names by which TensorRT knows them.
pub(super) fn named(graph: &Graph, inputs: &[Tensor]) -> Vec<(String, Tensor)> {
    let names = graph.inputs.iter().map(|&input| graph.value(input).name.clone());
    names.zip(inputs.iter().cloned()).collect()
}

/// The library and what it is able to, for people.
pub(super) fn rows(library: &Library) -> Vec<(&'static str, String)> {
    vec![
        ("library", format!("{} {}, {}", library.flavour(), library.version(), library.path().display())),
        ("builds for", supported(library)),
    ]
}

fn supported(library: &Library) -> String {
    match library.targets() {
        [] => "the GPU in the machine".to_owned(),
        targets => {
            let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
            format!("{}; without a GPU, too (--target)", names.join(", "))
        }
    }
}

/// The same for machines.
pub(super) fn record(library: &Library) -> Value {
    json!({
        "name": library.flavour().name(), "version": library.version().to_string(), "path": library.path(),
        "targets": library.targets().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Passes on what the library warned of.
pub(super) fn warn(built: &Built, console: &mut Console) {
    built.warnings.iter().for_each(|warning| console.note(format_args!("note: TensorRT: {warning}")));
}

/// A build that the library refuses is told, not passed on: the other engine is reported all the same.
pub(super) fn refusal<T>(outcome: Result<T, TrtError>) -> Result<Result<T, String>, CommandError> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error @ TrtError::Refused { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

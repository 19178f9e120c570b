//! The engine file: everything a network needs to run again, in checksummed sections. Bytes only, no handles.

mod error;
mod format;
mod name;
mod ports;
mod read;
mod write;

pub use error::EngineError;

use crate::input::Preprocessing;
use crate::plan::Plan;
use crate::port::Layouts;
use crate::shapes::Profile;
use limpid_graph::ir::{Graph, Precision, ValueId};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{Bindings, DType};
use limpid_kernels::device::Cubin;
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::target::Arch;
use limpid_quant::Calibration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The network's name: the model file's stem.
    pub name: String,
    /// blake3 of the ONNX file it was built from, hex.
    pub model_hash: String,
    /// Who wrote the ONNX file.
    pub producer: String,
    /// The ONNX operator set version.
    pub opset: i64,
    /// The precision asked for.
    pub precision: Precision,
    /// True if the model brought its own scales, as Q/DQ.
    pub quantized: bool,
    /// Rules that were turned off.
    pub disabled_rules: Vec<String>,
    /// limpid's version that built it.
    pub limpid_version: String,
    /// The extents it takes where the model leaves them open: those of any of these.
    pub profiles: Vec<Profile>,
    /// How pictures become inputs.
    pub preprocessing: Preprocessing,
    /// How inputs and outputs lie in the caller's memory; their types are the graph's.
    pub layouts: Layouts,
    /// What a user should know of how it was built.
    pub notes: Vec<String>,
}

impl Metadata {
    /// The extents that count most: the first profile's optimum.
    pub fn opt(&self) -> Bindings {
        self.profiles.first().map(Profile::opt).unwrap_or_default()
    }
}

/// A compiled kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCubin {
    /// What was compiled.
    pub unit: CompileUnit,
    /// For which architecture.
    pub arch: Arch,
    /// The cubin, with what the compiler said of it.
    pub cubin: Cubin,
}

/// Where a constant lies in the section of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredTensor {
    value: ValueId,
    dtype: DType,
    shape: Vec<usize>,
    /// Bytes from the start of the section.
    offset: u64,
}

/// A built network.
#[derive(Clone, Debug)]
pub struct Engine {
    /// What it says of itself.
    pub metadata: Metadata,
    /// The graph after all passes, constants attached (memory-mapped when read from a file).
    pub graph: Graph,
    /// What became of every ONNX node.
    pub ledger: Ledger,
    /// For each profile those for the extents its kernels were timed at, the optimum first; none for a CPU engine.
    pub plans: Vec<Plan>,
    /// Compiled kernels.
    pub cubins: Vec<StoredCubin>,
    /// The text of every kernel source and header the plans use, by path.
    pub sources: BTreeMap<String, String>,
    /// The evidence for the scales of INT8; `None` where nothing was calibrated, or the scales came from a file.
    pub calibration: Option<Calibration>,
}

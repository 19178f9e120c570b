//! What TensorRT is asked for, and what it gives.

use crate::severity::Severity;
use limpid_graph::tensor::DType;
use limpid_kernels::target::Arch;
use serde::Serialize;
use std::path::Path;

/// A network as TensorRT's parser takes it.
#[derive(Clone, Copy, Debug)]
pub enum Model<'a> {
    /// The file itself; weights in files of their own are looked for beside it.
    File(&'a Path),
    /// An ONNX model in memory.
    Bytes(&'a [u8]),
}

/// The extents of one input in one optimization profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputRange {
    /// The input.
    pub name: String,
    /// Its smallest shape.
    pub min: Vec<usize>,
    /// The shape that counts most.
    pub opt: Vec<usize>,
    /// Its largest shape.
    pub max: Vec<usize>,
}

/// Tensors inside the network that are to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marks<'a> {
    /// None: the network as it is.
    #[default]
    None,
    /// Those of these names that the parsed network has, as outputs; that keeps TensorRT from fusing across them.
    Outputs(&'a [String]),
}

/// A build that is asked for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The network. Types are as the model has them: TensorRT-RTX and TensorRT from 11 on multiply in no others.
    pub model: Model<'a>,
    /// Let tensor cores multiply FP32 with 10 bits of mantissa, TensorRT's own default.
    pub tf32: bool,
    /// For each profile, all inputs of the network that have open extents.
    pub profiles: &'a [Vec<InputRange>],
    /// The GPU to build for, elsewhere; `None` for the one in the machine. Only TensorRT-RTX can.
    pub target: Option<Arch>,
    /// What is to be seen.
    pub marks: Marks<'a>,
}

/// An input or output of a network or an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its type; `None` for one that limpid has no tensors of.
    #[serde(skip)]
    pub dtype: Option<DType>,
    /// TensorRT's name of the type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its extents, -1 for open ones.
    pub shape: Vec<i64>,
    /// Given from outside, else asked for.
    pub input: bool,
}

/// Something that the library said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How much it matters.
    pub severity: Severity,
    /// Its words.
    pub text: String,
}

/// A plan, as TensorRT calls a built engine.
#[derive(Clone, Debug)]
pub struct Built {
    /// What it is made of, for [`super::Library::open`] and for a file.
    pub plan: Vec<u8>,
    /// Inputs and outputs of the network it was built from, marked tensors included.
    pub ports: Vec<Port>,
    /// Layers of the network before anything was fused.
    pub layers: usize,
    /// The settings it was built with, as the library itself reads them back.
    pub settings: Vec<(&'static str, String)>,
    /// Time to parse the model, s.
    pub parse_seconds: f64,
    /// Time to build, s.
    pub build_seconds: f64,
    /// Warnings, in order.
    pub warnings: Vec<String>,
}

/// How long the parts of one query took, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct QueryTimes {
    /// From the call to having the answer, by the host's clock.
    pub host: f64,
    /// The inputs' copies, by the GPU's clock; 0 without transfers.
    pub h2d: f64,
    /// The network, by the GPU's clock.
    pub compute: f64,
    /// The outputs' copies, by the GPU's clock; 0 without transfers.
    pub d2h: f64,
}

/// A layer's time in each of several runs, as TensorRT's own profiler tells it, µs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerTimes {
    /// The layer's name.
    pub name: String,
    /// One for each run.
    pub us: Vec<f64>,
}

use super::{FormatError, PictureError};
use crate::plan::{PlanError, timing_cache::TimingCacheError};
use crate::runtime::RunError;
use crate::shapes::{Range, ShapeError};
use limpid_graph::ir::GraphError;
use limpid_graph::onnx::ImportError;
use limpid_graph::rewrite::RewriteError;
use limpid_kernels::device::DeviceError;
use limpid_quant::CalibrateError;
use limpid_quant::cache::{CacheError, ForeignModel};
use std::error::Error;
use std::path::PathBuf;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The model cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A batch was asked for that the model does not allow.
    #[error("the model's batch is fixed at {fixed}, {wanted} was asked for")]
    FixedBatch {
        /// The model's.
        fixed: usize,
        /// What was asked for.
        wanted: Range,
    },
    /// A batch of 0.
    #[error("a batch must be at least 1")]
    NoBatch,
    /// A value that no extent has.
    #[error("an extent must be at least 1, not {value}")]
    NoExtent {
        /// As given.
        value: i64,
    },
    /// Shapes that make no profile.
    #[error(transparent)]
    Shapes(#[from] ShapeError),
    /// The same extent asked for twice, differently.
    #[error("`{name}` is {} in one place and {} in another", .ranges[0], .ranges[1])]
    TwoRanges {
        /// The extent.
        name: String,
        /// What was asked for.
        ranges: [Range; 2],
    },
    /// Shapes of an input that the model does not have.
    #[error("the model has no input `{name}`; it has {known}")]
    UnknownInput {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A shape that an input cannot have.
    #[error("input `{name}` is {expected}, which {got} does not fit")]
    InputShape {
        /// The input.
        name: String,
        /// Its type and shape.
        expected: String,
        /// The shape asked for.
        got: String,
    },
    /// The network cannot be run at extents that a profile has.
    #[error("node `{node}` ({op}) makes nothing at {extents}: its output is {shape:?}")]
    Nothing {
        /// The node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// The extents.
        extents: String,
        /// Its output there.
        shape: Vec<usize>,
    },
    /// Extents that are still open.
    #[error("the model leaves {} open", quoted(.0))]
    Unbound(Vec<String>),
    /// A value for an extent that the model does not have.
    #[error("the model has no open extent `{name}`; it has {known}")]
    UnknownExtent {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A rule broke, or has no such name.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// A pattern of `--layer-precision` that no group's name matches.
    #[error("no group is called `{pattern}`; there are {}", .suggestions.join(", "))]
    NoSuchLayer {
        /// The pattern.
        pattern: String,
        /// Names that come near it.
        suggestions: Vec<String>,
    },
    /// INT8 without a word on where its scales are to come from.
    #[error("INT8 needs samples to calibrate on, or a cache of scales{}", missing(.cache))]
    NoCalibration {
        /// The cache that was named and is not there.
        cache: Option<PathBuf>,
    },
    /// No scales could be found.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// The calibration cache cannot be used.
    #[error(transparent)]
    CalibrationCache(#[from] CacheError),
    /// The calibration cache is another model's.
    #[error(transparent)]
    ForeignCache(#[from] ForeignModel),
    /// The network could not be run to see which values it has.
    #[error("cannot run the network on sample data to find what overflows FP16")]
    Samples(#[source] Box<dyn Error + Send + Sync>),
    /// The conversion left a graph that does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An input or output cannot have the format asked for.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The network cannot take pictures as bytes.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// No plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The timing cache cannot be used.
    #[error(transparent)]
    TimingCache(#[from] TimingCacheError),
    /// The GPU, its driver or NVRTC.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A kernel does not compile.
    #[error(transparent)]
    Kernels(Box<RunError>),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn missing(cache: &Option<PathBuf>) -> String {
    cache.as_ref().map_or(String::new(), |path| format!(" (`{}` is not there)", path.display()))
}

impl From<RunError> for BuildError {
    fn from(error: RunError) -> Self {
        Self::Kernels(Box::new(error))
    }
}

impl BuildError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Import(ImportError::Io { .. }) => {
                Some("check the path; `limpid zoo --list` names networks to start with")
            }
            Self::Import(ImportError::Empty(_) | ImportError::NotOnnx { .. }) => {
                Some("a model is what `torch.onnx.export` or `limpid zoo NET -o FILE.onnx` writes")
            }
            Self::FixedBatch { .. } => Some("leave --batch out, or export the model with a dynamic batch"),
            Self::NoCalibration { .. } => {
                Some("name pictures or arrays with --calib, or a cache with --calibration-cache")
            }
            Self::Unbound(_) => Some("give each a value or a range, such as --extent NAME=128 or --extent NAME=1..128"),
            Self::Nothing { .. } => Some("ask for larger extents, as with --extent NAME=MIN..MAX"),
            Self::Format(FormatError::NoScale(_)) => {
                Some("give it one, as in int8@0.0125:chw, or build with --precision int8 and samples")
            }
            Self::Kernels(error) => error.help(),
            _ => None,
        }
    }
}

use crate::plan::{PlanError, timing_cache::TimingCacheError};
use crate::runtime::RunError;
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
        /// The one asked for.
        wanted: usize,
    },
    /// A batch of 0, or none at all.
    #[error("a batch must be at least 1")]
    NoBatch,
    /// Extents that are still open.
    #[error("the model leaves {} open", .0.join(", "))]
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
            Self::Unbound(_) => Some("give each a value with --extent NAME=VALUE"),
            Self::Kernels(error) => error.help(),
            _ => None,
        }
    }
}

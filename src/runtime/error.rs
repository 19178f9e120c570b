use crate::plan::{ConstantError, PlanError};
use limpid_graph::reference::EvalError;
use limpid_graph::tensor::TensorError;
use limpid_kernels::device::DeviceError;

/// Why an engine cannot run, or a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Not as many inputs as the network has.
    #[error("the network takes {expected} input(s) ({names}), got {got}")]
    InputCount {
        /// How many it has.
        expected: usize,
        /// Their names.
        names: String,
        /// How many came.
        got: usize,
    },
    /// An input of another shape or type.
    #[error("input `{name}` must be {expected}, got {got}")]
    Input {
        /// Its name.
        name: String,
        /// Type and shape.
        expected: String,
        /// Type and shape that came.
        got: String,
    },
    /// The engine was built for the CPU.
    #[error("the engine has no GPU plan: it was built for the CPU backend")]
    NoPlan,
    /// The engine has plans, but none for these extents.
    #[error("the engine has no plan for {wanted}; it was built for {known}")]
    Extents {
        /// The extents asked for.
        wanted: String,
        /// Those there are plans for.
        known: String,
    },
    /// A batch was to be split, but this output does not grow with it.
    #[error(
        "output `{name}` has shape {shape:?} for a batch of {batch}: its first axis is not the batch, so {samples} \
         samples cannot be run in several batches"
    )]
    NotBatched {
        /// The output.
        name: String,
        /// Its extents.
        shape: Vec<usize>,
        /// Samples of one run.
        batch: usize,
        /// Samples in all.
        samples: usize,
    },
    /// A launch names a kernel that was not brought.
    #[error("kernel `{entry}` is not among those of the plan")]
    MissingKernel {
        /// The kernel.
        entry: String,
    },
    /// The engine does not carry a source it needs.
    #[error("the engine carries no kernel source `{path}`, and no cubin made from it for this GPU")]
    MissingSource {
        /// The path under `kernels/src/`.
        path: String,
    },
    /// A constant does not fit its place in the plan.
    #[error(transparent)]
    Constant(#[from] ConstantError),
    /// An output is not what its port says.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A plan for this GPU could not be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The CPU reference could not compute.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The GPU, its driver or NVRTC.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl RunError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NoPlan => {
                Some("build it with `limpid build MODEL -o ENGINE --backend cuda`, or run it with --backend cpu")
            }
            Self::Extents { .. } => Some("build an engine for them with `limpid build MODEL -o ENGINE --batch N`"),
            Self::InputCount { .. } | Self::Input { .. } => {
                Some("`limpid inspect` shows the inputs of a model or an engine")
            }
            Self::MissingKernel { .. } | Self::MissingSource { .. } | Self::Constant(_) => {
                Some("the engine is not whole; build it again from its ONNX model with `limpid build`")
            }
            Self::NotBatched { .. } | Self::Eval(_) | Self::Device(_) | Self::Plan(_) | Self::Tensor(_) => None,
        }
    }
}

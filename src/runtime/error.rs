use crate::plan::{ConstantError, PlanError};
use crate::port::ValueError;
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
    /// Extents that lie in none of the engine's profiles.
    #[error("{reason}")]
    OutsideProfile {
        /// Which extent is outside of which range: `batch 64 is outside the profile 1..32`.
        reason: String,
    },
    /// Kernels that are neither in the engine nor can be compiled.
    #[error("the engine does not carry {}, and nothing here compiles kernels: {source}", .kernels.join(", "))]
    NotCarried {
        /// Their names.
        kernels: Vec<String>,
        /// Why there is no compiler.
        source: DeviceError,
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
    /// Device memory that came does not fit the network's inputs or outputs.
    #[error("the network's {what} take {expected:?} bytes, the slices that came have {got:?}")]
    Memory {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Bytes of each.
        expected: Vec<usize>,
        /// Bytes of each that came.
        got: Vec<usize>,
    },
    /// Nothing was timed, or to no number.
    #[error("the clock gave no times to measure with")]
    NoTimes,
    /// Only a GPU can do this.
    #[error("{what} needs a GPU; this session runs on the CPU")]
    NeedsGpu {
        /// What was asked for.
        what: &'static str,
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
    /// Numbers that do not fit an input or output.
    #[error(transparent)]
    Value(#[from] ValueError),
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
            Self::OutsideProfile { .. } => Some(
                "build an engine that takes them: --batch MIN..MAX, --extent NAME=MIN..MAX or --min-shapes, --opt-shapes \
                 and --max-shapes; `limpid inspect` shows the profiles of this one",
            ),
            Self::NotCarried { .. } => Some(
                "bring NVRTC, CUDA's compiler, with `pip install nvidia-cuda-nvrtc==13.0.88`, or build the engine for \
                 these shapes with --batch or --extent",
            ),
            Self::InputCount { .. } | Self::Input { .. } | Self::Value(_) => {
                Some("`limpid inspect` shows the inputs of a model or an engine")
            }
            Self::MissingKernel { .. } | Self::MissingSource { .. } | Self::Constant(_) => {
                Some("the engine is not whole; build it again from its ONNX model with `limpid build`")
            }
            Self::NeedsGpu { .. } => {
                Some("open the session with `Backend::Cuda`, on the command line with --backend cuda")
            }
            Self::Memory { .. }
            | Self::NoTimes
            | Self::NotBatched { .. }
            | Self::NoTimes
            | Self::Eval(_)
            | Self::Device(_)
            | Self::Plan(_)
            | Self::Tensor(_) => None,
        }
    }
}

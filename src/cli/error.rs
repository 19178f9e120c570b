use crate::budget::BudgetError;
use crate::builder::BuildError;
use crate::compare::CompareError;
use crate::duel::DuelError;
use crate::engine::EngineError;
use crate::input::InputError;
use crate::runtime::RunError;
use crate::runtime::emulated::EmulatedError;
use crate::sensitivity::SensitivityError;
use crate::trt::{StateError, TrtError};
use crate::zoo::ZooError;
use limpid_graph::onnx::{ExportError, WriteError};
use limpid_graph::rewrite::RewriteError;
use limpid_kernels::emulator::EmulatorError;
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No engine could be built.
    #[error(transparent)]
    Build(Box<BuildError>),
    /// An engine file cannot be read or written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine does not run.
    #[error(transparent)]
    Run(Box<RunError>),
    /// A kernel cannot be emulated, or did something wrong when it was.
    #[error(transparent)]
    Emulated(Box<EmulatedError>),
    /// There is no emulator here.
    #[error(transparent)]
    Emulator(Box<EmulatorError>),
    /// Inputs, labels or outputs cannot be read or written.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Two engines cannot be compared.
    #[error(transparent)]
    Compare(Box<CompareError>),
    /// Two engines cannot be put side by side.
    #[error(transparent)]
    Duel(Box<DuelError>),
    /// TensorRT cannot be used, or does not do what it is asked.
    #[error(transparent)]
    Trt(Box<TrtError>),
    /// No mix of precisions is good enough.
    #[error(transparent)]
    Budget(Box<BudgetError>),
    /// The groups of a network cannot be measured.
    #[error(transparent)]
    Sensitivity(#[from] SensitivityError),
    /// A network of the zoo cannot be written.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// The network has no form in ONNX.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The ONNX file would not hold together, or would be too large.
    #[error(transparent)]
    Encode(#[from] WriteError),
    /// Arguments that do not go together.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A name that is not there.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// The name given.
        name: String,
        /// Names much like it.
        similar: Vec<String>,
    },
    /// The engine does not hold what was asked for.
    #[error("{message}")]
    Absent {
        /// What is missing.
        message: String,
        /// What to do.
        help: String,
    },
    /// Standard output is closed.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

impl From<BuildError> for CommandError {
    fn from(error: BuildError) -> Self {
        Self::Build(Box::new(error))
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<CompareError> for CommandError {
    fn from(error: CompareError) -> Self {
        match error {
            // A file that cannot be read is nothing about comparing.
            CompareError::Input(error) => Self::Input(error),
            other => Self::Compare(Box::new(other)),
        }
    }
}

impl From<DuelError> for CommandError {
    fn from(error: DuelError) -> Self {
        Self::Duel(Box::new(error))
    }
}

impl From<TrtError> for CommandError {
    fn from(error: TrtError) -> Self {
        Self::Trt(Box::new(error))
    }
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Export(error) => error.into(),
            StateError::Write(error) => error.into(),
        }
    }
}

impl From<BudgetError> for CommandError {
    fn from(error: BudgetError) -> Self {
        match error {
            BudgetError::Compare(error) => error.into(),
            other => Self::Budget(Box::new(other)),
        }
    }
}

impl From<EmulatedError> for CommandError {
    fn from(error: EmulatedError) -> Self {
        Self::Emulated(Box::new(error))
    }
}

impl CommandError {
    /// No emulator.
    pub(super) fn emulator(error: EmulatorError) -> Self {
        Self::Emulator(Box::new(error))
    }

    /// Wrong usage without further help.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// 1 for a failure, 2 for wrong usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Build(error) => match **error {
                BuildError::Rewrite(RewriteError::UnknownRule { .. }) | BuildError::NoBatch => 2,
                _ => 1,
            },
            Self::Usage { .. }
            | Self::Input(InputError::UnknownInput { .. } | InputError::Unnamed { .. } | InputError::Missing(_)) => 2,
            _ => 1,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Build(error) => error.help().map(str::to_owned),
            Self::Engine(error) => error.help().map(str::to_owned),
            Self::Run(error) => error.help().map(str::to_owned),
            Self::Compare(error) => error.help().map(str::to_owned),
            Self::Duel(error) => error.help().map(str::to_owned),
            Self::Trt(error) => error.help(),
            Self::Usage { help, .. } => help.clone(),
            Self::Absent { help, .. } => Some(help.clone()),
            Self::NotFound { similar, .. } if !similar.is_empty() => Some(format!(
                "did you mean {}?",
                similar.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")
            )),
            Self::NotFound { .. } => Some("`limpid inspect FILE --passes` lists all names".to_owned()),
            Self::Budget(error) => match **error {
                BudgetError::TooTight { .. } => Some("ask for less, or build in fp16 or fp32".to_owned()),
                BudgetError::NoLabels => Some("`limpid labels` writes labels; --min-cosine needs none".to_owned()),
                _ => None,
            },
            Self::Input(_)
            | Self::Sensitivity(_)
            | Self::Zoo(_)
            | Self::Export(_)
            | Self::Encode(_)
            | Self::Output(_)
            | Self::Emulated(_)
            | Self::Emulator(_) => None,
        }
    }
}

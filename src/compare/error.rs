use crate::input::InputError;
use crate::runtime::RunError;
use limpid_graph::reference::EvalError;

/// Why two engines cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Samples, labels or masks cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An engine does not run.
    #[error("{which}: {source}")]
    Run {
        /// `baseline` or `test`.
        which: &'static str,
        /// What is wrong.
        source: RunError,
    },
    /// The CPU reference could not compute.
    #[error("{which}: {source}")]
    Layers {
        /// `baseline` or `test`.
        which: &'static str,
        /// What is wrong.
        source: EvalError,
    },
    /// Not the same network.
    #[error("the {what} differ: {baseline} of the baseline, {test} of the test; compare two engines of one network")]
    Different {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// Of the baseline.
        baseline: String,
        /// Of the test.
        test: String,
    },
    /// Labels, but no output that they could be compared with.
    #[error("{what} need {wanted}, and no output is one: {outputs}")]
    NoSuchOutput {
        /// `labels` or `masks`.
        what: &'static str,
        /// What they need.
        wanted: &'static str,
        /// The outputs there are.
        outputs: String,
    },
    /// A class that the network does not have.
    #[error("`{name}` is labelled {label}, but the network has {classes} classes, counted from 0")]
    Label {
        /// The sample.
        name: String,
        /// Its label.
        label: usize,
        /// Classes of the network.
        classes: usize,
    },
}

impl CompareError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Run { source, .. } => source.help(),
            Self::Label { .. } => {
                Some("labels counted from 1, or of other classes? `limpid labels --synset` maps them")
            }
            _ => None,
        }
    }
}

use super::UnknownGroup;
use super::export::FileError;
use std::path::PathBuf;

/// Why two engines cannot be put side by side.
#[derive(Debug, thiserror::Error)]
pub enum DuelError {
    /// TensorRT's files cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of limpid's times cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no profile of limpid's.
    #[error("`{path}` is no profile of limpid's: {source}")]
    Profile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// limpid's times are of another network.
    #[error(transparent)]
    Group(#[from] UnknownGroup),
}

impl DuelError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::File(error) => error.help(),
            Self::Profile { .. } => Some("`limpid bench ENGINE --profile --json > FILE` writes one"),
            Self::Group(_) => Some("name the model or engine that was profiled"),
            Self::Read { .. } => None,
        }
    }
}

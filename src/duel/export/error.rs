use std::path::PathBuf;

/// Why a text is not what TensorRT's tools write.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is neither JSON nor the inspector's text.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON of something else.
    #[error("it is {what}; expected layers, a profile or times as trtexec exports them")]
    Kind {
        /// What it seems to be.
        what: &'static str,
    },
    /// It tells of nothing.
    #[error("its list is empty: nothing was measured")]
    Empty,
    /// Something is missing or of another type.
    #[error("entry {entry} has no {expected} `{key}`")]
    Field {
        /// Its place in the list, from 0.
        entry: usize,
        /// What there should be.
        expected: &'static str,
        /// Under which name.
        key: &'static str,
    },
}

/// Why files of exports cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not an export.
    #[error("`{path}` is no export of trtexec's: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ExportError,
    },
    /// There are two of a kind.
    #[error("`{first}` and `{second}` are both of {flag}; one engine has one")]
    Twice {
        /// The flag of trtexec's that writes such a file.
        flag: &'static str,
        /// The first file.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
}

impl FileError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Parse { .. } => Some("trtexec writes them with --exportLayerInfo, --exportProfile and --exportTimes"),
            Self::Read { .. } | Self::Twice { .. } => None,
        }
    }
}

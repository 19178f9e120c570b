use std::io;
use std::path::PathBuf;

/// Why an engine file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The system does not give the file.
    #[error("cannot read `{path}`")]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not take the file.
    #[error("cannot write `{path}`")]
    Write {
        /// The path as given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else lies there.
    #[error("`{path}` is not a limpid engine: {found}")]
    NotAnEngine {
        /// The path as given.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Written by a limpid with another format.
    #[error("`{path}` has engine format {found}; this limpid reads format {known}")]
    Version {
        /// The path as given.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// This program's format.
        known: u32,
    },
    /// The file ends too early.
    #[error("`{path}` is truncated in section `{section}`: it should have {expected} bytes, but ends after {found}")]
    Truncated {
        /// The path as given.
        path: PathBuf,
        /// The first section that is not whole.
        section: String,
        /// Bytes the file should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("`{path}` is damaged in section `{section}`: {reason}")]
    Damaged {
        /// The path as given.
        path: PathBuf,
        /// The section.
        section: String,
        /// What does not hold.
        reason: String,
    },
    /// The engine cannot be put into bytes.
    #[error("section `{section}` cannot be encoded: {reason}")]
    Encode {
        /// The section.
        section: &'static str,
        /// What the encoder says.
        reason: String,
    },
}

impl EngineError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotAnEngine { .. } => "an engine is what `limpid build MODEL.onnx -o FILE` writes",
            Self::Version { found, known, .. } if found > known => {
                "update limpid, or build the engine again with this one"
            }
            Self::Version { .. } => "build the engine again from its ONNX model with `limpid build`",
            Self::Truncated { .. } | Self::Damaged { .. } => {
                "copy the file again, or build it again from its ONNX model with `limpid build`"
            }
            Self::Write { .. } => "check that the folder exists, is writable and has room",
            Self::Read { .. } | Self::Encode { .. } => return None,
        })
    }
}

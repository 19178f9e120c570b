use super::PreprocessingError;
use std::io;
use std::path::PathBuf;

/// Why inputs (or labels, or outputs) cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
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
    /// Not a picture that can be decoded.
    #[error("`{path}` is not a picture that can be read: {reason}")]
    Picture {
        /// The path as given.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Not an array that can be read.
    #[error("`{path}` is not an array that can be read: {reason}")]
    Array {
        /// The path as given.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Pictures do not go into this input.
    #[error("input `{input}` cannot be made from pictures")]
    Preprocessing {
        /// The input's name.
        input: String,
        /// Why.
        source: PreprocessingError,
    },
    /// An array of another shape than the network's input.
    #[error("`{path}` holds {found}; input `{input}` takes {expected}")]
    Shape {
        /// The path as given.
        path: PathBuf,
        /// The input's name.
        input: String,
        /// What the file holds.
        found: String,
        /// What the network takes.
        expected: String,
    },
    /// A file for an input that is not there.
    #[error("the network has no input `{name}`; it has {known}")]
    UnknownInput {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Several inputs, and a file that does not say for which it is.
    #[error("the network has {count} inputs ({known}); say which a file is for, as in `--input {example}=FILE`")]
    Unnamed {
        /// How many inputs there are.
        count: usize,
        /// Their names.
        known: String,
        /// The first.
        example: String,
    },
    /// An input that no file was given for.
    #[error("no file was given for input `{0}`")]
    Missing(String),
    /// Inputs that do not come to the same number of samples.
    #[error("input `{first}` has {count} samples, but input `{second}` has {other}")]
    Samples {
        /// One input.
        first: String,
        /// Its samples.
        count: usize,
        /// Another input.
        second: String,
        /// Its samples.
        other: usize,
    },
}

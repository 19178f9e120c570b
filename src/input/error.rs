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
    /// Nothing that could be a sample.
    #[error("there are no samples in `{path}`: looked for {looked_for}")]
    NoSamples {
        /// Where was looked.
        path: PathBuf,
        /// What was looked for.
        looked_for: String,
    },
    /// Pictures beside arrays: which of the two are the samples?
    #[error("`{path}` holds pictures (`{picture}`) and arrays (`{array}`); keep the samples in a folder of their own")]
    Mixed {
        /// The folder.
        path: PathBuf,
        /// One of the pictures.
        picture: String,
        /// One of the arrays.
        array: String,
    },
    /// Samples that are left when what cannot be read is skipped.
    #[error("only {usable} of {listed} samples in `{path}` can be used, and {needed} are needed; skipped {skipped}")]
    TooFew {
        /// The folder.
        path: PathBuf,
        /// Samples that can be read, or at most that many.
        usable: usize,
        /// Samples there are.
        listed: usize,
        /// Samples asked for.
        needed: usize,
        /// Files that cannot be read: the first few, and how many more.
        skipped: String,
    },
    /// Samples of several inputs need a file that says which array is for which.
    #[error(
        "the network has {count} inputs ({known}): give it .npz files with an array for each; `{path}` does not say \
         which input it is for"
    )]
    SeveralInputs {
        /// The first file that is of another kind.
        path: PathBuf,
        /// How many inputs there are.
        count: usize,
        /// Their names.
        known: String,
    },
    /// A class that the list of classes does not have.
    #[error("`{path}` does not name the class `{name}`")]
    UnknownClass {
        /// The list.
        path: PathBuf,
        /// The class.
        name: String,
    },
    /// Not a mask of classes.
    #[error("`{path}` is not a mask that can be used: {reason}")]
    Mask {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A line of a file of labels.
    #[error("`{path}`, line {line}: {reason}")]
    LabelLine {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Labels for files that are not there.
    #[error("`{path}` labels {count} that `{samples}` does not hold: {names}")]
    LabelsWithoutFiles {
        /// The file of labels.
        path: PathBuf,
        /// Where the samples are.
        samples: PathBuf,
        /// How many, with the noun.
        count: String,
        /// The first few names.
        names: String,
    },
}

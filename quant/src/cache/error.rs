//! What can be wrong with a cache, and how it can differ from what is wanted.

use crate::calibrate::Provenance;
use crate::exact::ScaleError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a cache cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The file cannot be opened, read or written.
    #[error("calibration cache {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not UTF-8.
    #[error("calibration cache {}: not a text file", .0.display())]
    NotText(PathBuf),
    /// The first line is not TensorRT's.
    #[error("not a calibration cache: it must begin with `TRT-<version>-<calibrator>`, but begins with `{0}`")]
    Header(String),
    /// A line that holds no scale.
    #[error("calibration cache, line {number} (`{line}`): {reason}")]
    Line {
        /// From 1.
        number: usize,
        /// The line.
        line: String,
        /// What is wrong.
        reason: LineError,
    },
    /// A name that would break the format.
    #[error("calibration cache: the name {0:?} is empty or has a line break and cannot be written")]
    Name(String),
    /// A scale that must not be written.
    #[error("calibration cache: the scale of `{name}` {source}")]
    Scale {
        /// The tensor.
        name: String,
        /// What is wrong.
        source: ScaleError,
    },
    /// The sidecar is not what limpid writes.
    #[error("{}: not a calibration cache's description: {reason}", path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LineError {
    /// No `": "`.
    #[error("expected `name: scale`")]
    NoColon,
    /// Nothing before it.
    #[error("the name is empty")]
    NoName,
    /// Not up to eight hexadecimal digits.
    #[error("`{0}` is not the 8 hexadecimal digits of an f32")]
    Digits(String),
    /// Not a scale.
    #[error("the scale {0}")]
    Scale(ScaleError),
    /// The name stands twice.
    #[error("line {first} already has this name")]
    Repeated {
        /// Where it stands first.
        first: usize,
    },
}

/// One thing that two calibrations were not made from alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `model`, `calibrator`, `preprocessing`, `data` or `samples`.
    pub what: &'static str,
    /// In the cache.
    pub cached: String,
    /// Now.
    pub wanted: String,
}

impl Difference {
    /// All differences, in a fixed order.
    pub(super) fn between(cached: &Provenance, wanted: &Provenance) -> Vec<Self> {
        let all = [
            ("model", cached.model.clone(), wanted.model.clone()),
            ("calibrator", cached.calibrator.to_string(), wanted.calibrator.to_string()),
            ("preprocessing", cached.preprocessing.clone(), wanted.preprocessing.clone()),
            ("data", cached.data.clone(), wanted.data.clone()),
            ("samples", cached.samples.to_string(), wanted.samples.to_string()),
        ];
        let differing = all.into_iter().filter(|(_, cached, wanted)| cached != wanted);
        differing.map(|(what, cached, wanted)| Self { what, cached, wanted }).collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was `{}` and is now `{}`", self.what, self.cached, self.wanted)
    }
}

/// Why a cache is not reused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Nothing says what it was made from.
    #[error("nothing says what this calibration cache was made from: it has no `.json` beside it")]
    Unknown,
    /// It, or its sidecar, was changed since.
    #[error("this calibration cache is not the one its `.json` describes: one of the two was changed")]
    Changed,
    /// Made from something else.
    #[error("this calibration cache was made from something else: {}", list(.0))]
    Differs(Vec<Difference>),
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A cache whose names are not those of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this calibration cache is of another model: it names {named} of the network's {activations} activations; \
     missing: {}; only in the cache: {}",
    few(missing),
    few(unused)
)]
pub struct ForeignModel {
    /// How many the network has.
    pub activations: usize,
    /// How many of them the cache names.
    pub named: usize,
    /// Those it does not name.
    pub missing: Vec<String>,
    /// What it names instead.
    pub unused: Vec<String>,
}

fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{}, …", shown.join(", ")),
        _ => shown.join(", "),
    }
}

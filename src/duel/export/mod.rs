//! What TensorRT's tools write: `trtexec --exportLayerInfo`, `--exportProfile` and `--exportTimes`, of 8.6 to 11, and the
//! exports inspector's text, which trtexec's `--dumpLayerInfo` prints.
//!
//! Schemas are in `tests/schemas/trtexec`; the writers are NVIDIA's `samples/common/sampleReporting.cpp` and the inspector
//! of the library.

mod error;
mod json;
mod layers;
mod oneline;
mod profile;
mod times;

pub use error::{ExportError, FileError};
pub use layers::LayerInfo;
pub use profile::Profile;
pub use times::Times;

use super::Layer;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub enum Export {
    /// `--exportLayerInfo`.
    Layers(LayerInfo),
    /// `--exportProfile`.
    Profile(Profile),
    /// `--exportTimes`.
    Times(Times),
}

impl Export {
    /// Of a file's text, whichever of the three it is.
    ///
    /// # Errors
    /// It is none of the three, or not as its schema says.
    pub fn parse(text: &str) -> Result<Self, ExportError> {
        let text = text.trim_start_matches('\u{feff}');
        if oneline::is(text) {
            return Ok(Self::Layers(oneline::parse(text)));
        }
        let value = json::parse(text)?;
        let first = value.as_array().and_then(|list| list.first());
        let has = |keys: &[&str]| first.is_some_and(|entry| keys.iter().any(|key| entry.get(key).is_some()));
        match &value {
            Value::Object(object) if object.contains_key("Layers") => Ok(Self::Layers(LayerInfo::of(&value)?)),
            Value::Array(list) if list.is_empty() => Err(ExportError::Empty),
            Value::Array(_) if has(&["count", "averageMs", "timeMs"]) => Ok(Self::Profile(Profile::of(&value)?)),
            Value::Array(_) if has(&["computeMs"]) => Ok(Self::Times(Times::of(&value)?)),
            _ => Err(ExportError::Kind { what: describe(&value) }),
        }
    }

    /// The flag of trtexec's that writes it.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::Layers(_) => "--exportLayerInfo",
            Self::Profile(_) => "--exportProfile",
            Self::Times(_) => "--exportTimes",
        }
    }
}

/// What a file that is none of the three most likely is.
fn describe(value: &Value) -> &'static str {
    let has = |key: &str| value.get(key).is_some() || value.get(0).is_some_and(|first| first.get(key).is_some());
    match value {
        _ if has("values") && has("dimensions") => "the network's outputs (--exportOutput)",
        _ if has("profile_us") => "a profile of limpid's, which `--limpid-profile` takes",
        Value::Object(_) => "a JSON object without `Layers`",
        Value::Array(_) => "a JSON list of something else",
        _ => "a single JSON value",
    }
}

/// All that some files tell of one exports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exports {
    /// Its layers, with times if there was a profile.
    pub layers: Vec<Layer>,
    /// Inputs and outputs.
    pub bindings: Vec<String>,
    /// Queries of all files of times.
    pub times: Times,
    /// Whether layers were told by `--exportLayerInfo`; a profile alone has only names.
    pub described: bool,
    /// Whether there was a profile.
    pub profiled: bool,
}

/// Reads files of one engine: at most one of layers, at most one profile, any number of files of times.
///
/// # Errors
/// A file cannot be read, is none of the three, or there are two of what there can be one of.
pub fn read(paths: &[PathBuf]) -> Result<Exports, FileError> {
    let mut info: Option<(&Path, LayerInfo)> = None;
    let mut profile: Option<(&Path, Profile)> = None;
    let mut exports = Exports::default();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|source| FileError::Read { path: path.clone(), source })?;
        // Names of nodes may hold anything; what is no UTF-8 cannot be a limpid name either.
        let export = Export::parse(&String::from_utf8_lossy(&bytes));
        let export = export.map_err(|source| FileError::Parse { path: path.clone(), source })?;
        let flag = export.flag();
        let twice = |first: &Path| FileError::Twice { flag, first: first.to_owned(), second: path.clone() };
        match export {
            Export::Layers(read) => match &info {
                Some((first, _)) => return Err(twice(first)),
                None => info = Some((path, read)),
            },
            Export::Profile(read) => match &profile {
                Some((first, _)) => return Err(twice(first)),
                None => profile = Some((path, read)),
            },
            Export::Times(read) => exports.times.extend(read),
        }
    }
    (exports.described, exports.profiled) = (info.is_some(), profile.is_some());
    if let Some((_, info)) = info {
        (exports.layers, exports.bindings) = (info.layers, info.bindings);
    }
    if let Some((_, profile)) = profile {
        exports.layers = profile.times(exports.layers);
    }
    Ok(exports)
}

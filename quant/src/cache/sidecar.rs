//! What stands beside a cache: what it was made from.

use super::CacheError;
use crate::calibrate::Provenance;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The version of this format.
const FORMAT: u32 = 1;

/// A cache's description, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Version of this format; 1.
    pub limpid_calibration: u32,
    /// BLAKE3 of the cache's bytes, in hexadecimal.
    pub cache: String,
    /// What the cache was made from.
    pub provenance: Provenance,
}

impl Sidecar {
    pub(super) fn new(text: &str, provenance: Provenance) -> Self {
        Self { limpid_calibration: FORMAT, cache: hash(text), provenance }
    }

    /// True if it was written for a cache of this text.
    pub fn describes(&self, text: &str) -> bool {
        self.cache == hash(text)
    }

    /// `None` if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CacheError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CacheError::File { path: path.to_owned(), source }),
        };
        let fail = |reason| CacheError::Sidecar { path: path.to_owned(), reason };
        let sidecar: Self = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        match sidecar.limpid_calibration {
            FORMAT => Ok(Some(sidecar)),
            other => Err(fail(format!("its format is {other}, this limpid knows {FORMAT}"))),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CacheError> {
        let fail =
            |reason: serde_json::Error| CacheError::Sidecar { path: path.to_owned(), reason: reason.to_string() };
        let text = serde_json::to_string_pretty(self).map_err(fail)?;
        std::fs::write(path, text + "\n").map_err(|source| CacheError::File { path: path.to_owned(), source })
    }
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

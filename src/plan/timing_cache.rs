//! Times measured before, so that a second build of a network (or of one with the same layers) measures nothing.

use crate::output_file::write_whole;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Changed whenever what a key stands for changes.
const VERSION: u32 = 1;

/// A timing cache that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TimingCacheError {
    /// The file cannot be read or written.
    #[error("timing cache `{path}`: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("`{path}` is not a timing cache of this version ({reason}); remove it or name another file")]
    Format {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Median times by device, site and tactic. A JSON file, so that it can be read and compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimingCache {
    version: u32,
    /// Key -> µs.
    times: BTreeMap<String, f64>,
}

impl TimingCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self { version: VERSION, times: BTreeMap::new() }
    }

    /// Reads a cache; a file that is not there is an empty cache.
    pub fn read(path: &Path) -> Result<Self, TimingCacheError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::new()),
            Err(source) => return Err(TimingCacheError::Io { path: path.to_owned(), source }),
        };
        let format = |reason: String| TimingCacheError::Format { path: path.to_owned(), reason };
        let cache: Self = serde_json::from_str(&text).map_err(|e| format(e.to_string()))?;
        if cache.version != VERSION {
            return Err(format(format!("version {}, expected {VERSION}", cache.version)));
        }
        Ok(cache)
    }

    /// Writes the cache, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), TimingCacheError> {
        let write = |out: &mut dyn Write| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        };
        write_whole(path, write).map_err(|source| TimingCacheError::Io { path: path.to_owned(), source })
    }

    /// The time of a key, µs.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.times.get(key).copied()
    }

    /// Keeps a time, µs.
    pub fn insert(&mut self, key: String, microseconds: f64) {
        self.times.insert(key, microseconds);
    }

    /// How many times it holds.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_survives_the_disk_and_refuses_other_files() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("timings.json");
        assert!(TimingCache::read(&path)?.is_empty());
        let mut cache = TimingCache::new();
        cache.insert("a".to_owned(), 1.25);
        cache.write(&path)?;
        assert_eq!(TimingCache::read(&path)?, cache);
        std::fs::write(&path, "{\"version\": 99, \"times\": {}}")?;
        let error = TimingCache::read(&path).unwrap_err().to_string();
        assert!(error.contains("version 99"), "{error}");
        std::fs::write(&path, "\x7fELF")?;
        assert!(matches!(TimingCache::read(&path), Err(TimingCacheError::Format { .. })));
        Ok(())
    }
}

use super::{Contender, DuelError, TimedStep, Timing};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What `limpid bench --profile --json` writes, as far as a comparison needs it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BenchProfile {
    /// The network's name.
    pub network: String,
    /// What it multiplied in.
    pub precision: String,
    /// The device.
    pub backend: String,
    /// Samples of a run.
    pub batch: usize,
    versions: BTreeMap<String, String>,
    profile_us: Times,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Times {
    layers: Vec<Piece>,
    whole: Measured,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Piece {
    group: String,
    what: String,
    tactic: Option<String>,
    time: Measured,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Measured {
    median: f64,
    spread: f64,
}

impl From<Measured> for Timing {
    fn from(measured: Measured) -> Self {
        Self { median_us: measured.median, spread: Some(measured.spread), samples: None }
    }
}

impl BenchProfile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`DuelError::Read`], [`DuelError::Profile`].
    pub fn read(path: &Path) -> Result<Self, DuelError> {
        let text = std::fs::read(path).map_err(|source| DuelError::Read { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(|source| DuelError::Profile { path: path.to_owned(), source })
    }

    /// The steps it timed, in the order they ran.
    pub fn steps(&self) -> Vec<TimedStep> {
        let step = |piece: &Piece| TimedStep {
            group: piece.group.clone(),
            what: piece.what.clone(),
            tactic: piece.tactic.clone(),
            time: piece.time.into(),
        };
        self.profile_us.layers.iter().map(step).collect()
    }

    /// limpid, as it was measured.
    pub fn contender(&self) -> Contender {
        Contender {
            name: "limpid".to_owned(),
            version: self.versions.get("limpid").cloned(),
            device: Some(self.backend.clone()),
            compute: Some(self.profile_us.whole.into()),
            ..Contender::default()
        }
    }
}

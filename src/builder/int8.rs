//! The scales of INT8: calibrated on samples, or read from a cache.

use super::BuildError;
use crate::progress::Progress;
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::Tensor;
use limpid_quant::{Activations, Cache, Calibration, Calibrator, Histograms, Provenance, TensorRtVersion};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of whoever provides samples.
pub type SampleError = Box<dyn Error + Send + Sync>;

/// Is shown batch after batch: the network's inputs, in order.
pub type SeeBatch<'a> = dyn FnMut(&[Tensor]) -> Result<(), SampleError> + 'a;

/// Sample inputs of a network. What is made of them must not depend on their order.
pub trait SampleSource: fmt::Debug + Send + Sync {
    /// A hash of the samples, whatever their order.
    fn hash(&self) -> String;

    /// How many samples there are.
    fn count(&self) -> usize;

    /// Shows all samples to `see`, some at a time.
    ///
    /// # Errors
    /// What goes wrong on reading, and what `see` says.
    fn visit(&self, see: &mut SeeBatch<'_>) -> Result<(), SampleError>;
}

/// How to find the scales of INT8.
#[derive(Clone, Debug, Default)]
pub struct Int8 {
    /// How thresholds are chosen.
    pub calibrator: Calibrator,
    /// What to calibrate on.
    pub samples: Option<Arc<dyn SampleSource>>,
    /// Where scales are kept from one build to the next, in TensorRT's format.
    pub cache: Option<PathBuf>,
    /// INT8 wherever it is possible, whether it pays or not.
    pub everywhere: bool,
    /// Scales found before, by [`super::Builder::calibrate`]: then nothing is calibrated.
    pub known: Option<Arc<Scales>>,
}

/// The scales of a network's activations.
#[derive(Clone, Debug, PartialEq)]
pub struct Scales {
    by_name: BTreeMap<String, f32>,
    /// The evidence, if they were calibrated just now.
    pub calibration: Option<Calibration>,
    /// What a user should know of where they come from.
    pub notes: Vec<String>,
}

impl Scales {
    /// The scale of an activation.
    pub fn get(&self, name: &str) -> Option<f32> {
        self.by_name.get(name).copied()
    }
}

/// Finds the scales for a fused network of reals: from the cache if it was made from the same, else from the samples.
pub(super) fn scales(
    graph: &Graph,
    options: &Int8,
    model: String,
    preprocessing: String,
    progress: &mut dyn Progress,
) -> Result<Scales, BuildError> {
    if let Some(known) = &options.known {
        return Ok(Scales::clone(known));
    }
    let wanted = options.samples.as_ref().map(|samples| Provenance {
        model,
        calibrator: options.calibrator,
        preprocessing,
        data: samples.hash(),
        samples: samples.count(),
    });
    let mut notes = Vec::new();
    if let Some(path) = options.cache.as_deref().filter(|path| path.exists()) {
        match cached(graph, path, wanted.as_ref())? {
            Ok(scales) => return Ok(scales),
            Err(difference) => {
                notes.push(format!("calibrating anew, since the cache {} {difference}", path.display()));
            }
        }
    }
    let (Some(samples), Some(provenance)) = (&options.samples, wanted) else {
        return Err(BuildError::NoCalibration { cache: options.cache.clone() });
    };
    progress.stage("calibrate", Some(samples.count() as u64));
    let mut source = Observed { samples: samples.as_ref(), progress };
    let calibration = Histograms::collect(graph, &mut source)?.calibrate(graph, provenance)?;
    if let Some(path) = &options.cache {
        Cache::new(&calibration, TensorRtVersion::default()).write(path)?;
    }
    let by_name = calibration.scales().map(|(name, scale)| (name.to_owned(), scale)).collect();
    Ok(Scales { by_name, calibration: Some(calibration), notes })
}

/// The scales of a cache, or why it is not used: what it was made from differs from `wanted`.
fn cached(graph: &Graph, path: &Path, wanted: Option<&Provenance>) -> Result<Result<Scales, String>, BuildError> {
    let cache = Cache::read(path)?;
    let mut notes = Vec::new();
    match wanted {
        Some(wanted) => {
            if let Err(mismatch) = cache.check(wanted) {
                return Ok(Err(mismatch.to_string()));
            }
        }
        // Without samples there is nothing to compare with but the names: the caller vouches for the rest.
        None => notes.push(format!("scales from {}, which was not compared with any samples", path.display())),
    }
    let matched = cache.scales_for(graph)?;
    if !matched.missing.is_empty() {
        notes.push(format!("the cache has no scale for {} of the network's tensors", matched.missing.len()));
    }
    let by_name = matched.scales.iter().map(|(&id, &scale)| (graph.value(id).name.clone(), scale)).collect();
    Ok(Ok(Scales { by_name, calibration: None, notes }))
}

/// The CPU reference on samples, with every value shown.
struct Observed<'a> {
    samples: &'a dyn SampleSource,
    progress: &'a mut dyn Progress,
}

impl Activations for Observed<'_> {
    fn observe(&mut self, graph: &Graph, see: &mut dyn FnMut(ValueId, &Tensor)) -> Result<(), SampleError> {
        let interpreter = Interpreter::new(graph)?;
        self.samples.visit(&mut |inputs| {
            interpreter.run_observed(inputs, see)?;
            for _ in 0..inputs.first().and_then(|t| t.shape().first()).copied().unwrap_or(1) {
                self.progress.step("");
            }
            Ok(())
        })
    }
}

/// Samples that are in memory, as one batch after another.
#[derive(Clone, Debug)]
pub struct Batches(pub Vec<Vec<Tensor>>);

impl SampleSource for Batches {
    fn hash(&self) -> String {
        let mut hashes: Vec<blake3::Hash> = self.0.iter().map(|batch| hash_inputs(batch)).collect();
        hashes.sort_unstable_by_key(|hash| *hash.as_bytes());
        let mut all = blake3::Hasher::new();
        hashes.iter().for_each(|hash| {
            all.update(hash.as_bytes());
        });
        all.finalize().to_hex().to_string()
    }

    fn count(&self) -> usize {
        self.0.iter().filter_map(|batch| batch.first()?.shape().first()).sum()
    }

    fn visit(&self, see: &mut SeeBatch<'_>) -> Result<(), SampleError> {
        self.0.iter().try_for_each(|batch| see(batch))
    }
}

fn hash_inputs(inputs: &[Tensor]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for tensor in inputs {
        hasher.update(format!("{}{:?}", tensor.dtype(), tensor.shape()).as_bytes());
        hasher.update(tensor.bytes());
    }
    hasher.finalize()
}

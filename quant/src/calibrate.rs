//! From a network and sample data to a scale for each of its values.
//!
//! The network runs once over the data, as its ranges need not be known before: a [`Histogram`] grows. One
//! set of [`Histograms`] serves every calibrator.

use crate::activations::Activations;
use crate::calibrator::{Calibrator, Threshold, ThresholdError};
use crate::histogram::Histogram;
use crate::report::Summary;
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::tensor::{Tensor, TensorError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

/// What a calibration was made from. Two that are equal have the same scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// A hash of the model file.
    pub model: String,
    /// The calibrator.
    pub calibrator: Calibrator,
    /// How pictures become inputs, in one canonical line.
    pub preprocessing: String,
    /// A hash of the sample data, whatever their order.
    pub data: String,
    /// How many samples there were.
    pub samples: usize,
}

/// The scales of a network's activations, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What it was made from.
    pub provenance: Provenance,
    /// What was found, by the name of the value.
    pub values: BTreeMap<String, Calibrated>,
}

/// One value's scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// `real = scale · q`; positive, finite, a normal number.
    pub scale: f32,
    /// Where it comes from.
    pub threshold: Threshold,
    /// What it does.
    pub summary: Summary,
}

/// Why there are no scales.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The network could not be run on the data.
    #[error("calibration: {0}")]
    Run(#[source] Box<dyn Error + Send + Sync>),
    /// A value's contents could not be read.
    #[error("calibration: value `{value}`: {source}")]
    Read {
        /// The value.
        value: String,
        /// What is wrong.
        source: TensorError,
    },
    /// The data held no sample.
    #[error("calibration: the network was not run once; there are no samples")]
    NoSamples,
    /// The source did not show everything.
    #[error("calibration: {} was not shown while the network ran", names(.0))]
    NotShown(Vec<String>),
    /// A tensor without a single finite number, say.
    #[error("calibration: `{value}`: {source}")]
    Threshold {
        /// The value.
        value: String,
        /// What is wrong.
        source: ThresholdError,
    },
    /// Scales are kept by name, so names must differ.
    #[error("calibration: two values are named `{0}`")]
    SameName(String),
}

/// The first few of many names.
fn names(all: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN { format!("{shown} (and {} more)", all.len() - SHOWN) } else { shown }
}

/// A histogram for each activation of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histograms(BTreeMap<ValueId, Histogram>);

impl Histograms {
    /// Runs the network over all samples of `source` and counts what it computes: every value of reals.
    pub fn collect(graph: &Graph, source: &mut dyn Activations) -> Result<Self, CalibrateError> {
        let mut histograms = Self::default();
        let mut failure = None;
        let run = source.observe(graph, &mut |value, tensor| {
            if let Err(source) = histograms.see(value, tensor) {
                failure.get_or_insert(CalibrateError::Read { value: graph.value(value).name.clone(), source });
            }
        });
        run.map_err(CalibrateError::Run)?;
        failure.map_or(Ok(histograms), Err)
    }

    /// Counts a tensor's numbers; integers are not quantized and not counted.
    pub fn see(&mut self, value: ValueId, tensor: &Tensor) -> Result<(), TensorError> {
        if !tensor.dtype().is_float() {
            return Ok(());
        }
        let histogram = self.0.entry(value).or_default();
        match tensor.as_slice::<f32>() {
            Ok(values) => histogram.observe(values),
            // Half precision.
            Err(TensorError::Type { .. }) => histogram.observe(&tensor.to_f32()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The histogram of a value, if it was seen.
    pub fn get(&self, value: ValueId) -> Option<&Histogram> {
        self.0.get(&value)
    }

    /// Scales for all activations of the graph, with the calibrator that `provenance` names.
    pub fn calibrate(&self, graph: &Graph, provenance: Provenance) -> Result<Calibration, CalibrateError> {
        if self.0.is_empty() {
            return Err(CalibrateError::NoSamples);
        }
        let wanted: Vec<(&str, Option<&Histogram>)> =
            activations(graph).into_iter().map(|id| (graph.value(id).name.as_str(), self.get(id))).collect();
        let missing: Vec<String> = wanted.iter().filter(|(_, h)| h.is_none()).map(|(n, _)| (*n).to_owned()).collect();
        if !missing.is_empty() {
            return Err(CalibrateError::NotShown(missing));
        }
        let calibrated = |(name, histogram): (&str, Option<&Histogram>)| {
            let histogram = histogram.ok_or_else(|| CalibrateError::NotShown(vec![name.to_owned()]))?;
            let threshold = provenance.calibrator.threshold(histogram);
            let threshold = threshold.map_err(|source| CalibrateError::Threshold { value: name.to_owned(), source })?;
            let summary = Summary::new(histogram, &threshold);
            Ok((name.to_owned(), Calibrated { scale: threshold.scale(), threshold, summary }))
        };
        let mut values = BTreeMap::new();
        for (name, value) in wanted.into_par_iter().map(calibrated).collect::<Result<Vec<_>, CalibrateError>>()? {
            if values.contains_key(&name) {
                return Err(CalibrateError::SameName(name));
            }
            values.insert(name, value);
        }
        Ok(Calibration { provenance, values })
    }
}

/// The values of a graph that calibration gives scales: its inputs and what its nodes make, where those are reals.
pub fn activations(graph: &Graph) -> Vec<ValueId> {
    let made = graph.nodes().flat_map(|(_, node)| node.outputs.iter().copied());
    let reals = |value: &ValueId| graph.fact(*value).dtype.is_float() && graph.constant(*value).is_none();
    graph.inputs.iter().copied().chain(made).filter(reals).collect()
}

/// Runs, counts and calibrates in one go.
pub fn calibrate(
    graph: &Graph,
    source: &mut dyn Activations,
    provenance: Provenance,
) -> Result<Calibration, CalibrateError> {
    Histograms::collect(graph, source)?.calibrate(graph, provenance)
}

impl Calibration {
    /// The scale of a value.
    pub fn scale(&self, name: &str) -> Option<f32> {
        self.values.get(name).map(|v| v.scale)
    }

    /// All scales, by name.
    pub fn scales(&self) -> impl Iterator<Item = (&str, f32)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.scale))
    }

    /// What is out of the ordinary, value by value.
    pub fn notes(&self) -> impl Iterator<Item = (&str, &crate::calibrator::Note)> {
        self.values.iter().flat_map(|(name, value)| value.threshold.notes.iter().map(move |n| (name.as_str(), n)))
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, calibrator, preprocessing, data, samples } = self;
        write!(f, "{calibrator} of {samples} sample(s) {data}, {preprocessing}, model {model}")
    }
}

#[cfg(test)]
mod tests;

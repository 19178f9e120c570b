use super::{Alignment, Ratio, Timing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One of the two engines that are compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// `limpid`, `TensorRT` or `TensorRT-RTX`.
    pub name: String,
    /// Its version, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it ran on, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How it was built and run, setting by setting, for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// One inference by the GPU's clock, copies left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<Timing>,
    /// One query, copies included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Timing>,
    /// Why it was not built, or not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

/// limpid and TensorRT on one network: both times of the whole and of each part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Duel {
    /// The network's name.
    pub network: String,
    /// What both were asked to multiply in, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Samples of a query, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// limpid.
    pub limpid: Contender,
    /// TensorRT.
    pub tensorrt: Contender,
    /// TensorRT's compute time over limpid's: above 1 limpid is faster. Only where both were measured side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
    /// Part by part.
    pub alignment: Alignment,
    /// What a reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

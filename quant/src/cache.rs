//! TensorRT's calibration cache, read and written.
//!
//! ```text
//! TRT-8601-EntropyCalibration2          version of TensorRT, name of its calibrator
//! data: 3c010a14                        a tensor's name, the bits of its scale (f32) in hexadecimal
//! /layer1/conv1/Conv_output_0: 3d9db09c
//! ```
//!
//! Names are ONNX's and may hold colons and spaces, so a line is split at its last `": "`.
//!
//! TensorRT's reader is closed, goes line by line, and has no comments. So limpid adds nothing to the file: what
//! it was made from stands beside it, in `<cache>.json` ([`Sidecar`]), bound to it by a hash of its bytes. A
//! cache without one is TensorRT's own and can be used on the caller's word; [`Cache::check`] will not vouch for it.
//!
//! TensorRT 10 takes a cache only if the version in it is its own, hence [`TensorRtVersion`]. TensorRT knows
//! neither percentile nor mse: their scales are written as `EntropyCalibration2`, which is the calibrator that
//! reads them; to TensorRT a scale is a scale.

use crate::calibrate::{Calibration, Provenance};
use crate::calibrator::Calibrator;
use crate::exact::{ScaleError, check_scale};
use limpid_graph::ir::{Graph, ValueId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod error;
mod sidecar;

pub use error::{CacheError, Difference, ForeignModel, LineError, Mismatch};
pub use sidecar::Sidecar;

/// A version of TensorRT, as caches name it: 8.6.1 is 8601, 10.3.0 is 100300.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorRtVersion {
    /// 8 in 8.6.1.
    pub major: u32,
    /// 6 in 8.6.1.
    pub minor: u32,
    /// 1 in 8.6.1.
    pub patch: u32,
}

impl Default for TensorRtVersion {
    /// 8.6.1, whose caches the whole line of TensorRT 8 reads.
    fn default() -> Self {
        Self { major: 8, minor: 6, patch: 1 }
    }
}

impl TensorRtVersion {
    /// `NV_TENSORRT_VERSION` of its headers, which got more digits with TensorRT 10.
    pub fn number(self) -> u32 {
        let (major, minor) = if self.major >= 10 { (10_000, 100) } else { (1000, 100) };
        self.major * major + self.minor * minor + self.patch
    }
}

/// A calibration cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// The version after `TRT-`, as it stands.
    pub version: String,
    /// TensorRT's name of the calibrator, as it stands: `EntropyCalibration2`, `MinMaxCalibration`, ….
    pub algorithm: String,
    /// Names and scales, in the file's order.
    pub scales: Vec<(String, f32)>,
    /// What it was made from, where that is known.
    pub origin: Origin,
}

/// What is known of a cache's making.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// No sidecar: written by TensorRT, or parted from it.
    Unknown,
    /// The sidecar is that of other contents: one of the two files was changed.
    Changed,
    /// Made by limpid from this.
    Known(Provenance),
}

/// A cache's scales, as far as a graph can use them.
#[derive(Clone, Debug, PartialEq)]
pub struct Matched {
    /// Scales of the graph's activations.
    pub scales: BTreeMap<ValueId, f32>,
    /// Activations of the graph that the cache does not name: they cannot be quantized.
    pub missing: Vec<String>,
    /// Names in the cache that the graph does not have: tensors that limpid fused away, or TensorRT's own.
    pub unused: Vec<String>,
}

impl Cache {
    /// The cache of a calibration.
    pub fn new(calibration: &Calibration, version: TensorRtVersion) -> Self {
        let algorithm = match calibration.provenance.calibrator {
            Calibrator::MinMax => "MinMaxCalibration",
            Calibrator::Entropy | Calibrator::Percentile(_) | Calibrator::Mse => "EntropyCalibration2",
        };
        Self {
            version: version.number().to_string(),
            algorithm: algorithm.to_owned(),
            scales: calibration.scales().map(|(name, scale)| (name.to_owned(), scale)).collect(),
            origin: Origin::Known(calibration.provenance.clone()),
        }
    }

    /// Parses a cache's text.
    pub fn parse(text: &str) -> Result<Self, CacheError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let first = lines.next().map_or("", |(_, line)| line).trim_end();
        let header = first.strip_prefix("TRT-").and_then(|rest| rest.split_once('-'));
        let Some((version, algorithm)) = header.filter(|(v, a)| !v.is_empty() && !a.is_empty()) else {
            return Err(CacheError::Header(first.chars().take(80).collect()));
        };
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut scales = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let fail = |reason| CacheError::Line { number, line: line.to_owned(), reason };
            let (name, scale) = parse_line(line).map_err(fail)?;
            if let Some(first) = seen.insert(name, number) {
                return Err(fail(LineError::Repeated { first }));
            }
            scales.push((name.to_owned(), scale));
        }
        Ok(Self { version: version.to_owned(), algorithm: algorithm.to_owned(), scales, origin: Origin::Unknown })
    }

    /// The cache's text. Names with line breaks cannot be told, nor scales that are none.
    pub fn text(&self) -> Result<String, CacheError> {
        let mut text = format!("TRT-{}-{}\n", self.version, self.algorithm);
        for (name, scale) in &self.scales {
            if name.is_empty() || name.contains(['\n', '\r']) {
                return Err(CacheError::Name(name.clone()));
            }
            check_scale(*scale).map_err(|source| CacheError::Scale { name: name.clone(), source })?;
            text += &format!("{name}: {:08x}\n", scale.to_bits());
        }
        Ok(text)
    }

    /// Reads a cache, and its sidecar if there is one.
    pub fn read(path: &Path) -> Result<Self, CacheError> {
        let file = |source| CacheError::File { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(file)?;
        let text = String::from_utf8(bytes).map_err(|_| CacheError::NotText(path.to_owned()))?;
        let mut cache = Self::parse(&text)?;
        if let Some(sidecar) = Sidecar::read(&sidecar_path(path))? {
            let same = sidecar.describes(&text);
            cache.origin = if same { Origin::Known(sidecar.provenance) } else { Origin::Changed };
        }
        Ok(cache)
    }

    /// Writes the cache; and beside it what it was made from, if that is known.
    pub fn write(&self, path: &Path) -> Result<(), CacheError> {
        let text = self.text()?;
        std::fs::write(path, &text).map_err(|source| CacheError::File { path: path.to_owned(), source })?;
        match &self.origin {
            Origin::Known(provenance) => Sidecar::new(&text, provenance.clone()).write(&sidecar_path(path)),
            Origin::Unknown | Origin::Changed => Ok(()),
        }
    }

    /// Whether the cache was made from `wanted`, so that calibrating anew would give the same.
    pub fn check(&self, wanted: &Provenance) -> Result<(), Mismatch> {
        match &self.origin {
            Origin::Unknown => Err(Mismatch::Unknown),
            Origin::Changed => Err(Mismatch::Changed),
            Origin::Known(cached) => {
                let differences = Difference::between(cached, wanted);
                if differences.is_empty() { Ok(()) } else { Err(Mismatch::Differs(differences)) }
            }
        }
    }

    /// The scales of a graph's activations, by their names.
    ///
    /// A cache that lacks one of the network's inputs, or more than half of its activations, is another model's.
    pub fn scales_for(&self, graph: &Graph) -> Result<Matched, ForeignModel> {
        let by_name: BTreeMap<&str, f32> = self.scales.iter().map(|(name, scale)| (name.as_str(), *scale)).collect();
        let mut matched = Matched { scales: BTreeMap::new(), missing: Vec::new(), unused: Vec::new() };
        let mut names = BTreeSet::new();
        let activations = crate::calibrate::activations(graph);
        for &id in &activations {
            let name = graph.value(id).name.as_str();
            names.insert(name);
            match by_name.get(name) {
                Some(&scale) => {
                    matched.scales.insert(id, scale);
                }
                None => matched.missing.push(name.to_owned()),
            }
        }
        matched.unused = by_name.keys().filter(|name| !names.contains(*name)).map(|&name| name.to_owned()).collect();

        let is_missing = |id: &ValueId| activations.contains(id) && !matched.scales.contains_key(id);
        let lacks_input = graph.inputs.iter().any(is_missing);
        if lacks_input || matched.missing.len() * 2 > activations.len() {
            let Matched { scales, missing, unused } = matched;
            return Err(ForeignModel { activations: activations.len(), named: scales.len(), missing, unused });
        }
        Ok(matched)
    }
}

fn parse_line(line: &str) -> Result<(&str, f32), LineError> {
    let (name, digits) = line.rsplit_once(": ").ok_or(LineError::NoColon)?;
    let digits = digits.trim();
    if name.is_empty() {
        return Err(LineError::NoName);
    }
    let hexadecimal = !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let bits = hexadecimal.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
    let bits = bits.ok_or_else(|| LineError::Digits(digits.to_owned()))?;
    Ok((name, check_scale(f32::from_bits(bits))?))
}

fn sidecar_path(cache: &Path) -> PathBuf {
    let mut name = cache.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

impl From<ScaleError> for LineError {
    fn from(error: ScaleError) -> Self {
        LineError::Scale(error)
    }
}

#[cfg(test)]
mod tests;

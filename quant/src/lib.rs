//! limpid's reduced precision: what may be stored in fewer bits, with which scales, and what was kept from it.
//!
//! Activations come through the [`Activations`] trait; this crate does not know who computes them. From them:
//!
//! ```text
//! activations -> histogram -> threshold (entropy | percentile | mse | minmax) -> scale = threshold / 127
//! ```

mod activations;
pub mod cache;
pub mod calibrate;
pub mod calibrator;
pub mod entropy;
pub mod fp16;
pub mod histogram;
pub mod int8;
pub mod minmax;
pub mod mse;
pub mod percentile;
pub mod report;

pub use limpid_graph::ops::exact;

pub use activations::{Activations, Ranges, observe_ranges};
pub use cache::{Cache, TensorRtVersion};
pub use calibrate::{CalibrateError, Calibrated, Calibration, Histograms, Provenance, calibrate};
pub use calibrator::{Calibrator, Note, Percent, Threshold, ThresholdError};
pub use histogram::Histogram;

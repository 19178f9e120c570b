//! limpid and TensorRT side by side, layer by layer.
//!
//! ```text
//! limpid's engine   -> groups -+
//!                              +-> align, by the ONNX nodes in each -> rows with both times, and what is alone
//! TensorRT's layers -----------+
//!   from its inspector and profiler, or from files that trtexec exported elsewhere (export)
//! ```
//!
//! - [`Network`] lists the ONNX nodes that both were built from, [`groups()`] those in each of limpid's groups.
//! - [`export`] reads what trtexec and the engine inspector write: layers, profiles, times.
//! - [`align()`] puts groups and layers side by side; what cannot be is listed.
//! - [`Timing`] and [`Ratio`] say how long, how steady, and how sure a difference is.
//! - [`Duel`] is all of it, as text and as JSON.

mod align;
mod alignment;
mod bench_profile;
mod claims;
mod error;
pub mod export;
mod group;
mod layer;
mod meaning;
mod names;
mod network;
mod ratio;
mod record;
mod timing;

pub use align::align;
pub use alignment::{Alignment, Evidence, LooseNode, PlacedLayer, Row, Stranger};
pub use bench_profile::BenchProfile;
pub use error::DuelError;
pub use group::{Group, TimedStep, UnknownGroup, groups, time};
pub use layer::Layer;
pub use network::{Network, OnnxNode};
pub use ratio::{CONFIDENCE, Ratio};
pub use record::{Contender, Duel};
pub use timing::Timing;

//! NVIDIA's TensorRT, to hold limpid against: loaded at run time, given the same network, and run on the same GPU.
//!
//! ```text
//! Stated          the network as TensorRT gets it: the same ONNX, scales, types, shapes and profiles
//! Library::load   finds libtensorrt_rtx, or libnvinfer with the feature `tensorrt-enterprise`, and asks its version
//! Library::build  ONNX + profiles -> plan, with the settings it was built with and all that the library said
//! Library::open   plan -> Engine on a GPU: ports, layers (its own inspector's JSON), inferences on a stream
//! TensorRtLane    host to host, with the options of limpid's own lanes
//! ```
//!
//! Only binaries with the feature `tensorrt` have it: without, [`Library::load`] says so ([`TrtError::WithoutFeature`]),
//! and everything else in here has no values. The library itself is found where the program runs, never when it is
//! compiled; headers of its interface come with the crate `trtx`.
//!
//! **Safety.** TensorRT's interface is C++: a table of functions per object, laid out by the version of its headers. So
//! the library's version is compared with that of the headers before its first object is made, and one that is older,
//! or of another major version, is refused. Memory that an inference reads and writes is that of
//! [`crate::device::DeviceSlice`], whose makers vouch for it.

#[cfg(not(feature = "tensorrt"))]
mod absent;
#[cfg(feature = "tensorrt")]
mod build;
#[cfg(feature = "tensorrt")]
mod engine;
mod error;
#[cfg(feature = "tensorrt")]
mod lane;
#[cfg(feature = "tensorrt")]
mod library;
#[cfg(feature = "tensorrt")]
mod log;
mod request;
#[cfg(feature = "tensorrt")]
mod search;
mod stated;
mod version;

#[cfg(not(feature = "tensorrt"))]
pub use absent::{Engine, Library, TensorRtLane};
#[cfg(feature = "tensorrt")]
pub use engine::Engine;
pub use error::{Said, TrtError};
#[cfg(feature = "tensorrt")]
pub use lane::TensorRtLane;
#[cfg(feature = "tensorrt")]
pub use library::Library;
pub use request::{Built, InputRange, LayerTimes, Marks, Message, Model, Port, QueryTimes, Request};
pub use stated::{StateError, Stated};
pub use version::{Flavour, Version};

//! TensorRT in a binary that does not know it: types without values, so that whoever uses them is compiled all the same.

use super::{Built, Flavour, LayerTimes, Port, QueryTimes, Request, TrtError, Version};
use crate::runtime::LaneOptions;
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::Device;
use limpid_kernels::target::Arch;
use std::path::Path;

/// The loaded library. A binary without the feature `tensorrt` never has one.
#[derive(Clone, Copy, Debug)]
pub enum Library {}

/// An engine of TensorRT's. A binary without the feature `tensorrt` never has one.
#[derive(Debug)]
pub enum Engine {}

/// A lane of such an engine. A binary without the feature `tensorrt` never has one.
#[derive(Debug)]
pub enum TensorRtLane {}

impl Library {
    /// Fails.
    ///
    /// # Errors
    /// [`TrtError::WithoutFeature`].
    pub fn load() -> Result<Self, TrtError> {
        Err(TrtError::WithoutFeature)
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match *self {}
    }

    /// Which of the two it is.
    pub fn flavour(&self) -> Flavour {
        match *self {}
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        match *self {}
    }

    /// The GPUs that it builds for without having them.
    pub fn targets(&self) -> &'static [Arch] {
        match *self {}
    }

    /// Builds a plan.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn build(&self, _: &Request) -> Result<Built, TrtError> {
        match *self {}
    }

    /// Opens a plan.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn open(&self, _: &[u8], _: &Device) -> Result<Engine, TrtError> {
        match *self {}
    }
}

impl Engine {
    /// Inputs, then outputs.
    pub fn ports(&self) -> &[Port] {
        match *self {}
    }

    /// Its layers, as the library's inspector tells them, in JSON.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn inspect(&self) -> Result<String, TrtError> {
        match *self {}
    }

    /// Buffers for queries with these inputs.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn lane(self, _: &[(String, Tensor)], _: &LaneOptions) -> Result<TensorRtLane, TrtError> {
        match self {}
    }
}

impl TensorRtLane {
    /// One query from host to host.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn query(&mut self) -> Result<QueryTimes, TrtError> {
        match *self {}
    }

    /// What the last query answered.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn outputs(&mut self) -> Result<Vec<(String, Tensor)>, TrtError> {
        match *self {}
    }

    /// Runs that the library's own profiler times, layer by layer.
    ///
    /// # Errors
    /// None: there is nothing to call it on.
    pub fn profile(&mut self, _: u32) -> Result<Vec<LayerTimes>, TrtError> {
        match *self {}
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        match *self {}
    }
}

//! The whole build as one readable list of calls: [`Builder::build`].

mod assignment;
mod error;
mod extents;
mod int8;
mod layers;
mod planner;
mod precision;

pub use error::BuildError;
pub use int8::{Batches, Int8, SampleError, SampleSource, Scales, SeeBatch};
pub use layers::LayerPrecision;

use crate::engine::{Engine, Metadata, StoredCubin};
use crate::input::Preprocessing;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::runtime::gpu_missing;
use crate::runtime::kernels::{Kernels, sources_of};
use layers::Wanted;
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::passes;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::target::Arch;
use planner::Planner;
use precision::{Choice, Outcome};
use std::path::{Path, PathBuf};

/// Where an engine is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// On the CPU reference; no kernels are chosen.
    Cpu,
    /// On the GPU of this number in this machine; candidates are timed.
    Gpu {
        /// Counted from 0.
        ordinal: usize,
    },
    /// On a GPU of this architecture elsewhere; the cost model chooses.
    Target(Arch),
}

impl Destination {
    /// The first GPU if there is one, else the CPU with the reason.
    pub fn available() -> (Self, Option<String>) {
        match gpu_missing() {
            None => (Self::Gpu { ordinal: 0 }, None),
            reason => (Self::Cpu, reason),
        }
    }
}

/// Builds engines. Every option has a default; [`Builder::build`] may be called again and again.
#[derive(Clone, Debug)]
pub struct Builder {
    destination: Destination,
    precision: Precision,
    batches: Vec<usize>,
    bindings: Bindings,
    open_extents: bool,
    disabled_rules: Vec<String>,
    timing_cache: Option<PathBuf>,
    preprocessing: Preprocessing,
    samples: Option<Vec<Tensor>>,
    layers: Vec<LayerPrecision>,
    int8: Int8,
}

impl Builder {
    /// An FP32 engine with a batch of 1 for this destination.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            precision: Precision::Fp32,
            batches: vec![1],
            bindings: Bindings::new(),
            open_extents: false,
            disabled_rules: Vec::new(),
            timing_cache: None,
            preprocessing: Preprocessing::default(),
            samples: None,
            layers: Vec::new(),
            int8: Int8::default(),
        }
    }

    /// What is multiplied in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Samples of a run where the model leaves the batch open; one plan is made for each.
    pub fn batches(mut self, batches: &[usize]) -> Self {
        self.batches = batches.to_vec();
        self
    }

    /// Values for other open extents, by the names the model gives them.
    pub fn bindings(mut self, bindings: Bindings) -> Self {
        self.bindings = bindings;
        self
    }

    /// Leaves extents open that no value was given for. Only engines for the CPU can be built so, and none in
    /// FP16, which looks at values.
    pub fn open_extents(mut self) -> Self {
        self.open_extents = true;
        self
    }

    /// Rules that are left out, by name.
    pub fn disabled_rules(mut self, rules: &[String]) -> Self {
        self.disabled_rules = rules.to_vec();
        self
    }

    /// A file that keeps timings from one build to the next.
    pub fn timing_cache(mut self, path: Option<PathBuf>) -> Self {
        self.timing_cache = path;
        self
    }

    /// How pictures become inputs.
    pub fn preprocessing(mut self, preprocessing: Preprocessing) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// Inputs on which FP16 looks for values that would overflow; random numbers if none are given.
    pub fn samples(mut self, inputs: Vec<Tensor>) -> Self {
        self.samples = Some(inputs);
        self
    }

    /// Precisions of single groups; of several that match a group, the last counts.
    pub fn layer_precisions(mut self, layers: &[LayerPrecision]) -> Self {
        self.layers = layers.to_vec();
        self
    }

    /// Where the scales of INT8 come from.
    pub fn int8(mut self, int8: Int8) -> Self {
        self.int8 = int8;
        self
    }

    /// Builds an engine from an ONNX file.
    ///
    /// # Errors
    /// The first that any of the steps meets; nothing is left behind.
    pub fn build(&self, path: &Path, progress: &mut dyn Progress) -> Result<Engine, BuildError> {
        progress.stage("read the model", None);
        let bytes = read(path)?;
        let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.build_bytes(&bytes, path, Some(directory), progress)
    }

    /// The fused network of reals, and the scales its INT8 would have: what a build of it begins with.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn calibrate(&self, path: &Path, progress: &mut dyn Progress) -> Result<(Graph, Scales), BuildError> {
        let bytes = read(path)?;
        let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let onnx::Model { mut graph, mut ledger, .. } = onnx::load_bytes(&bytes, path, Some(directory))?;
        passes::optimize(&mut graph, &mut ledger, &self.disabled_rules)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        let scales = int8::scales(&graph, &self.int8, hash, self.preprocessing.to_string(), progress)?;
        Ok((graph, scales))
    }

    /// As [`Builder::build`], from memory: `path` names the network and stands in messages, `directory` is where
    /// tensors in files of their own are looked for.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn build_bytes(
        &self,
        bytes: &[u8],
        path: &Path,
        directory: Option<&Path>,
        progress: &mut dyn Progress,
    ) -> Result<Engine, BuildError> {
        let onnx::Model { mut graph, mut ledger, opset, producer } = onnx::load_bytes(bytes, path, directory)?;
        let extents = match self.open_extents {
            true => vec![self.bindings.clone()],
            false => extents::of(&graph, &self.batches, &self.bindings)?,
        };

        progress.stage("fuse", None);
        passes::optimize(&mut graph, &mut ledger, &self.disabled_rules)?;
        progress.stage("convert precision", None);
        let model_hash = blake3::hash(bytes).to_hex().to_string();
        let choice = Choice {
            wanted: &Wanted { base: self.precision, layers: self.layers.clone() },
            int8: &self.int8,
            samples: self.samples.as_deref(),
            bindings: &extents[0],
            model: &model_hash,
            preprocessing: self.preprocessing.to_string(),
        };
        let mut planner = Planner::new(self.destination, self.timing_cache.as_deref())?;
        let Outcome { calibration, notes } = choice.apply(&mut graph, &mut ledger, planner.as_mut(), progress)?;
        let (plans, cubins) = match planner {
            Some(planner) => Self::plan(planner, &graph, &extents, progress)?,
            None => Default::default(),
        };
        progress.done();

        let metadata = Metadata {
            name: path.file_stem().map_or_else(|| graph.name.clone(), |s| s.to_string_lossy().into_owned()),
            model_hash,
            producer,
            opset,
            precision: self.precision,
            disabled_rules: self.disabled_rules.clone(),
            limpid_version: env!("CARGO_PKG_VERSION").to_owned(),
            extents,
            preprocessing: self.preprocessing.clone(),
            notes,
        };
        Ok(Engine { metadata, graph, ledger, sources: sources_of(&plans), plans, cubins, calibration })
    }

    /// Chooses kernels for each set of extents and compiles them.
    fn plan(
        mut planner: Planner,
        graph: &Graph,
        extents: &[Bindings],
        progress: &mut dyn Progress,
    ) -> Result<(Vec<Plan>, Vec<StoredCubin>), BuildError> {
        let plans = extents.iter().map(|bindings| planner.plan(graph, bindings, progress));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        planner.keep_timings()?;
        progress.stage("compile kernels", None);
        let mut kernels = Kernels::of_this_binary(planner.target().arch, planner.cubins());
        plans.iter().try_for_each(|plan| kernels.prepare(plan))?;
        Ok((plans, kernels.stored()))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let read = std::fs::read(path);
    read.map_err(|source| onnx::ImportError::Io { path: path.to_owned(), source }.into())
}

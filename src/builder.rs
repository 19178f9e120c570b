//! The whole build as one readable list of calls: [`Builder::build`].

mod assignment;
mod error;
mod extents;
mod formats;
mod int8;
mod layers;
mod picture;
mod planner;
mod precision;
mod whole;

pub use error::BuildError;
pub use formats::FormatError;
pub use int8::{Batches, Int8, SampleError, SampleSource, Scales, SeeBatch};
pub use layers::LayerPrecision;
pub use picture::{PictureError, PictureInput, UnknownSize};
pub use planner::Search;

use crate::engine::{Engine, Metadata};
use crate::input::Preprocessing;
use crate::port::FormatRequest;
use crate::progress::{Progress, Ranged};
use crate::runtime::gpu_missing;
use crate::shapes::{Profile, ProfileRequest, Range};
use formats::Formats;
use layers::Wanted;
use limpid_graph::ir::{Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::passes;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_kernels::selection::Selection;
use limpid_kernels::target::Arch;
use planner::{Planned, Planner};
use precision::Choice;
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
    profiles: Vec<ProfileRequest>,
    batches: Vec<usize>,
    bindings: Bindings,
    open_extents: bool,
    disabled_rules: Vec<String>,
    kernels: Selection,
    timing_cache: Option<PathBuf>,
    preprocessing: Preprocessing,
    samples: Option<Vec<Tensor>>,
    layers: Vec<LayerPrecision>,
    int8: Int8,
    formats: Formats,
    pictures: Option<PictureInput>,
    search: Search,
}

impl Builder {
    /// An FP32 engine for this destination, with one profile in which nothing is said of any extent.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            precision: Precision::Fp32,
            profiles: Vec::new(),
            batches: Vec::new(),
            bindings: Bindings::new(),
            open_extents: false,
            disabled_rules: Vec::new(),
            kernels: Selection::default(),
            timing_cache: None,
            preprocessing: Preprocessing::default(),
            samples: None,
            layers: Vec::new(),
            int8: Int8::default(),
            formats: Formats::default(),
            pictures: None,
            search: Search::default(),
        }
    }

    /// Where the engine is to run, if not where [`Builder::new`] says.
    pub fn destination(mut self, destination: Destination) -> Self {
        self.destination = destination;
        self
    }

    /// What is multiplied in.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Adds a profile: extents that the engine takes where the model leaves them open. Its kernels are timed at
    /// several of them ([`Profile::tuned`]); precisions are chosen at the optimum of the first profile.
    ///
    /// What a request leaves out stands in as follows, also where there is none at all: a batch is [`Range::BATCH`],
    /// 1 to 32; a picture's height and width are 224, which the engine's notes say; any other open extent is
    /// [`BuildError::Unbound`].
    pub fn profile(mut self, request: ProfileRequest) -> Self {
        self.profiles.push(request);
        self
    }

    /// Samples of a run where the model leaves the batch open, and no others: a profile for each.
    pub fn batches(mut self, batches: &[usize]) -> Self {
        self.batches = batches.to_vec();
        self
    }

    /// Values for open extents in every profile, by the names the model gives them.
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

    /// Kernels that are put in or left out, by name.
    pub fn kernels(mut self, kernels: Selection) -> Self {
        self.kernels = kernels;
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

    /// How the inputs lie in the caller's memory: one format for each, in the model's order, or one for all that are
    /// reals. None: in the model's types, row-major.
    pub fn input_formats(mut self, formats: &[FormatRequest]) -> Self {
        self.formats.inputs = formats.to_vec();
        self
    }

    /// As [`Builder::input_formats`], for the outputs.
    pub fn output_formats(mut self, formats: &[FormatRequest]) -> Self {
        self.formats.outputs = formats.to_vec();
        self
    }

    /// Lets the engine take pictures as bytes, (N,H,W,3) in red, green and blue, and make its input of them itself, as
    /// [`Builder::preprocessing`] says. The input then has no other format.
    pub fn picture_input(mut self, pictures: Option<PictureInput>) -> Self {
        self.pictures = pictures;
        self
    }

    /// How hard kernels are looked for, and what they may take.
    pub fn search(mut self, search: Search) -> Self {
        self.search = search;
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
        let progress: &mut dyn Progress = &mut Ranged::new(progress);
        let onnx::Model { mut graph, mut ledger, opset, producer } = onnx::load_bytes(bytes, path, directory)?;
        let (profiles, mut notes) = match self.open_extents {
            true => (vec![Profile::new()], Vec::new()),
            false => extents::profiles(&self.with_pictures(graph.clone())?, &self.requests()?, &self.bindings)?,
        };
        let opt = if self.open_extents { self.bindings.clone() } else { profiles[0].opt() };

        progress.stage("fuse", None);
        passes::optimize(&mut graph, &mut ledger, &self.disabled_rules)?;
        for extents in profiles.iter().flat_map(|profile| [profile.min(), profile.opt(), profile.max()]) {
            extents::check(&graph, &extents)?;
        }
        progress.stage("convert precision", None);
        let model_hash = blake3::hash(bytes).to_hex().to_string();
        let choice = Choice {
            wanted: &Wanted { base: self.precision, layers: self.layers.clone() },
            int8: &self.int8,
            samples: self.samples.as_deref(),
            bindings: &opt,
            model: &model_hash,
            preprocessing: self.preprocessing.to_string(),
        };
        let mut planner = Planner::new(self.destination, &self.kernels, self.search, self.timing_cache.as_deref())?;
        let quantized = precision::is_quantized(&graph);
        let outcome = choice.apply(&mut graph, &mut ledger, planner.as_mut(), progress)?;
        let mut graph = self.with_pictures(graph)?;
        let layouts = formats::apply(&mut graph, &self.formats, &|name| outcome.scale_of(name))?;
        notes.extend(outcome.notes);
        let Planned { notes: planned, plans, cubins, sources } = match planner {
            Some(planner) => planner.plan_all(&graph, &profiles, &layouts, progress)?,
            None => Planned::default(),
        };
        notes.extend(planned);
        progress.done();

        let metadata = Metadata {
            name: path.file_stem().map_or_else(|| graph.name.clone(), |s| s.to_string_lossy().into_owned()),
            model_hash,
            producer,
            opset,
            precision: self.precision,
            quantized,
            disabled_rules: self.disabled_rules.clone(),
            limpid_version: env!("CARGO_PKG_VERSION").to_owned(),
            profiles,
            preprocessing: self.preprocessing.clone(),
            layouts,
            notes,
        };
        Ok(Engine { metadata, graph, ledger, sources, plans, cubins, calibration: outcome.calibration })
    }

    /// The network with its input made of pictures, if that was asked for.
    fn with_pictures(&self, mut graph: Graph) -> Result<Graph, BuildError> {
        if let Some(size) = self.pictures {
            picture::apply(&mut graph, size, &self.preprocessing)?;
        }
        Ok(graph)
    }

    /// The profiles asked for; one in which nothing is said, if none was.
    fn requests(&self) -> Result<Vec<ProfileRequest>, BuildError> {
        let exactly = |&batch: &usize| match Range::exactly(batch) {
            Ok(range) => Ok(ProfileRequest::new().batch(range)),
            Err(_) => Err(BuildError::NoBatch),
        };
        let mut requests = self.profiles.clone();
        requests.extend(self.batches.iter().map(exactly).collect::<Result<Vec<_>, _>>()?);
        if requests.is_empty() {
            requests.push(ProfileRequest::new());
        }
        Ok(requests)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let read = std::fs::read(path);
    read.map_err(|source| onnx::ImportError::Io { path: path.to_owned(), source }.into())
}

//! What a command line of trtexec comes to, in trtexec's five sections.

use crate::port::FormatRequest;
use limpid_graph::ir::Precision;
use std::path::PathBuf;

/// Everything that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// The ONNX model.
    pub model: Option<PathBuf>,
    pub build: BuildOptions,
    pub system: SystemOptions,
    pub inference: InferenceOptions,
    pub reporting: ReportingOptions,
    /// Print the help and do nothing else.
    pub help: bool,
    /// What the user should be told of flags that were taken: each is a warning.
    pub notes: Vec<String>,
}

/// Tensors by name, with extents.
pub(super) type NamedShapes = Vec<(String, Vec<usize>)>;

/// One optimization profile: extents of inputs at least, at best and at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ShapeProfile {
    pub min: NamedShapes,
    pub opt: NamedShapes,
    pub max: NamedShapes,
}

impl ShapeProfile {
    /// True if nothing was said.
    pub fn is_empty(&self) -> bool {
        self.min.is_empty() && self.opt.is_empty() && self.max.is_empty()
    }
}

/// Which constraints on layers hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Constraints {
    /// None do.
    #[default]
    None,
    /// Where it is possible.
    Prefer,
    /// All of them, or there is no engine.
    Obey,
}

/// How much an export says of each layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// Its name.
    #[default]
    LayerNamesOnly,
    /// All that is known.
    Detailed,
    /// Nothing.
    None,
}

/// Which part of TensorRT would run the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Runtime {
    #[default]
    Full,
    /// Runs engines and builds none.
    Lean,
    /// Finds a lean runtime for an engine; builds none.
    Dispatch,
}

impl Runtime {
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lean => "lean",
            Self::Dispatch => "dispatch",
        }
    }
}

/// A precision for the layers of a name, in which one `*` may stand for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerType {
    pub layer: String,
    pub precision: Precision,
}

/// How the engine is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BuildOptions {
    /// By the number of `--profile`; without it there is one.
    pub profiles: Vec<ShapeProfile>,
    /// The profile that shapes are being given for.
    pub current_profile: usize,
    /// Extents of the random inputs that INT8 is calibrated on.
    pub calibration_shapes: NamedShapes,
    /// The profile whose optimum they are otherwise.
    pub calibration_profile: usize,
    pub input_formats: Vec<FormatRequest>,
    pub output_formats: Vec<FormatRequest>,
    /// Scratch memory a tactic may ask for, bytes.
    pub workspace: Option<u64>,
    /// Shared memory of a block a tactic may ask for, bytes.
    pub tactic_shared: Option<u64>,
    pub tf32: bool,
    pub fp16: bool,
    pub int8: bool,
    pub best: bool,
    pub strongly_typed: bool,
    /// A cache of scales.
    pub calibration: Option<PathBuf>,
    pub constraints: Constraints,
    pub layer_precisions: Vec<LayerType>,
    pub layer_output_types: Vec<LayerType>,
    pub skip_inference: bool,
    pub save_engine: Option<PathBuf>,
    pub load_engine: Option<PathBuf>,
    pub plan_version_only: bool,
    pub verbosity: Verbosity,
    pub timing_cache: Option<PathBuf>,
    pub no_timing_cache: bool,
    pub optimization_level: u8,
    pub max_tactics: Option<usize>,
    pub runtime: Runtime,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            profiles: Vec::new(),
            current_profile: 0,
            calibration_shapes: Vec::new(),
            calibration_profile: 0,
            input_formats: Vec::new(),
            output_formats: Vec::new(),
            workspace: None,
            tactic_shared: None,
            tf32: true,
            fp16: false,
            int8: false,
            best: false,
            strongly_typed: false,
            calibration: None,
            constraints: Constraints::None,
            layer_precisions: Vec::new(),
            layer_output_types: Vec::new(),
            skip_inference: false,
            save_engine: None,
            load_engine: None,
            plan_version_only: false,
            verbosity: Verbosity::LayerNamesOnly,
            timing_cache: None,
            no_timing_cache: false,
            optimization_level: 3,
            max_tactics: None,
            runtime: Runtime::Full,
        }
    }
}

impl BuildOptions {
    /// The profile that shapes are being given for.
    pub fn profile(&mut self) -> &mut ShapeProfile {
        let wanted = self.current_profile + 1;
        if self.profiles.len() < wanted {
            self.profiles.resize(wanted, ShapeProfile::default());
        }
        &mut self.profiles[wanted - 1]
    }

    /// As trtexec prints it: `FP32+FP16+INT8`.
    pub fn precisions(&self) -> String {
        if self.strongly_typed {
            return "Strongly Typed".to_owned();
        }
        let mut text = "FP32".to_owned();
        let allowed = [("+FP16", self.fp16), ("+INT8", self.int8)];
        allowed.iter().filter(|(_, allowed)| *allowed).for_each(|(name, _)| text.push_str(name));
        text.push_str(match self.constraints {
            Constraints::None => "",
            Constraints::Prefer => " (prefer precision constraints)",
            Constraints::Obey => " (obey precision constraints)",
        });
        text
    }
}

/// Where it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SystemOptions {
    /// The GPU's number.
    pub device: usize,
}

/// How accuracy against reference outputs is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Accuracy {
    /// The share of elements that are outside the tolerance.
    #[default]
    L0,
    /// The mean absolute error.
    L1,
    /// The mean squared error.
    L2,
    /// The largest absolute error.
    LInf,
    /// One less the cosine.
    Cosine,
}

/// How queries are run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InferenceOptions {
    pub shapes: NamedShapes,
    /// Raw files, by input.
    pub load_inputs: Vec<(String, PathBuf)>,
    /// Raw files, by output.
    pub reference_outputs: Vec<(String, PathBuf)>,
    pub accuracy: Accuracy,
    pub absolute_tolerance: f64,
    pub relative_tolerance: f64,
    /// A loss from here on is a failure.
    pub accuracy_threshold: Option<f64>,
    /// Queries at least.
    pub iterations: u32,
    /// Milliseconds of queries that are not counted.
    pub warm_up: f64,
    /// Seconds at least; `None` runs until it is stopped.
    pub duration: Option<f64>,
    /// Milliseconds between one query and the next.
    pub idle: f64,
    pub streams: u32,
    /// Copies and computing one after the other.
    pub expose_dma: bool,
    pub transfers: bool,
    pub spin_wait: bool,
    pub threads: bool,
    pub cuda_graph: bool,
    pub separate_profile_run: bool,
    pub time_deserialize: bool,
    /// The optimization profile to run with.
    pub profile: usize,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            load_inputs: Vec::new(),
            reference_outputs: Vec::new(),
            accuracy: Accuracy::L0,
            absolute_tolerance: 1e-5,
            relative_tolerance: 1e-5,
            accuracy_threshold: None,
            iterations: 10,
            warm_up: 200.0,
            duration: Some(3.0),
            idle: 0.0,
            streams: 1,
            expose_dma: false,
            transfers: true,
            spin_wait: false,
            threads: false,
            cuda_graph: false,
            separate_profile_run: false,
            time_deserialize: false,
            profile: 0,
        }
    }
}

/// What is told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReportingOptions {
    pub verbose: bool,
    /// Queries that a line of the trace is the mean of.
    pub average_runs: u32,
    /// Per cent.
    pub percentiles: Vec<f64>,
    pub dump_output: bool,
    pub dump_raw_bindings: bool,
    pub dump_profile: bool,
    pub dump_layer_info: bool,
    pub dump_optimization_profile: bool,
    pub export_times: Option<PathBuf>,
    pub export_output: Option<PathBuf>,
    pub export_profile: Option<PathBuf>,
    pub export_layer_info: Option<PathBuf>,
}

impl Default for ReportingOptions {
    fn default() -> Self {
        Self {
            verbose: false,
            average_runs: 10,
            percentiles: vec![90.0, 95.0, 99.0],
            dump_output: false,
            dump_raw_bindings: false,
            dump_profile: false,
            dump_layer_info: false,
            dump_optimization_profile: false,
            export_times: None,
            export_output: None,
            export_profile: None,
            export_layer_info: None,
        }
    }
}

impl ReportingOptions {
    /// True if layers are to be timed.
    pub fn profiles(&self) -> bool {
        self.dump_profile || self.export_profile.is_some()
    }

    /// True if layers are to be listed.
    pub fn lists_layers(&self) -> bool {
        self.dump_layer_info || self.export_layer_info.is_some()
    }
}

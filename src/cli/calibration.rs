use super::CommandError;
use super::environment::{self, CALIB_DATA_DIR};
use crate::builder::{Batches, Int8, LayerPrecision, SampleError, SampleSource, SeeBatch};
use crate::input::{Dataset, Preprocessing, random};
use clap::Args;
use limpid_graph::ir::Graph;
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::Bindings;
use limpid_quant::Calibrator;
use std::path::PathBuf;
use std::sync::Arc;

/// Samples that run through the reference together.
const BATCH: usize = 8;

/// Where INT8 gets its scales from, and which groups it is for.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "INT8")]
pub(super) struct CalibrationArgs {
    /// Samples to calibrate on: a folder of pictures or of .npy files, flat or one folder a class, or one .npy or .npz;
    /// `random:N` takes N random inputs, which is enough to measure speed [env: CALIB_DATA_DIR]
    #[arg(long, value_name = "DIR|FILE")]
    calib: Option<PathBuf>,

    /// Samples to calibrate on at most, spread over all there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    calib_max: Option<u32>,

    /// Samples that must be readable at least
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    calib_min: u32,

    /// How thresholds are chosen: entropy, percentile, percentile:P, mse, minmax
    #[arg(long, value_name = "CALIBRATOR", default_value = "entropy")]
    calibrator: Calibrator,

    /// Keep scales in this file, in TensorRT's format; used again while model, calibrator, preprocessing and samples
    /// are the same, or without samples on your word
    #[arg(long, value_name = "FILE")]
    calibration_cache: Option<PathBuf>,

    /// INT8 for every group that can be, not only where it pays
    #[arg(long)]
    int8_everywhere: bool,

    /// The precision of single groups, such as '/layer4/*=fp16'; of several that match, the last counts (repeatable)
    #[arg(long, value_name = "NAME=PRECISION")]
    layer_precision: Vec<LayerPrecision>,
}

impl CalibrationArgs {
    /// True if anything was said about scales or groups.
    pub(super) fn are_given(&self) -> bool {
        let scales = self.calib.is_some() || self.calib_max.is_some() || self.calibration_cache.is_some();
        scales || self.int8_everywhere || !self.layer_precision.is_empty()
    }

    /// The groups with a precision of their own.
    pub(super) fn layers(&self) -> &[LayerPrecision] {
        &self.layer_precision
    }

    /// The options of a build. Samples are only listed here and read when they are needed. `graph` is the model's.
    pub(super) fn options(&self, graph: &Graph, preprocessing: &Preprocessing) -> Result<Int8, CommandError> {
        let samples = match self.calib.clone().or_else(|| environment::path(CALIB_DATA_DIR)) {
            Some(path) => Some(self.samples(path, graph, preprocessing)?),
            None => None,
        };
        Ok(Int8 {
            calibrator: self.calibrator,
            samples,
            cache: self.calibration_cache.clone(),
            everywhere: self.int8_everywhere,
            known: None,
        })
    }

    fn samples(
        &self,
        path: PathBuf,
        graph: &Graph,
        preprocessing: &Preprocessing,
    ) -> Result<Arc<dyn SampleSource>, CommandError> {
        if let Some(count) = path.to_str().and_then(|text| text.strip_prefix("random:")) {
            let count = count.parse::<u64>().ok().filter(|count| *count > 0);
            let count = count.ok_or_else(|| CommandError::usage("expected random:N with N of 1 or more"))?;
            return Ok(Arc::new(random_samples(graph, count)?));
        }
        let mut dataset = Dataset::open(&path, graph)?;
        if let Some(most) = self.calib_max {
            dataset = dataset.at_most(most as usize);
        }
        let dataset = dataset.at_least(self.calib_min as usize)?;
        Ok(Arc::new(Files::new(dataset, graph.clone(), preprocessing.clone())?))
    }
}

/// Random inputs, one sample a batch; every extent that the model leaves open is 1.
pub(super) fn random_samples(graph: &Graph, count: u64) -> Result<Batches, CommandError> {
    let mut bindings = Bindings::new();
    for symbol in graph.symbols() {
        bindings.bind(symbol, 1);
    }
    let specs = specs_of(graph, &graph.inputs, &bindings).map_err(crate::runtime::RunError::from)?;
    let inputs = specs.len() as u64;
    let sample = |index: u64| {
        specs.iter().zip(0..).map(|(spec, input)| random(spec.dtype, &spec.shape, index * inputs + input)).collect()
    };
    Ok(Batches((0..count).map(sample).collect()))
}

/// Samples in files.
#[derive(Debug)]
struct Files {
    dataset: Dataset,
    graph: Graph,
    preprocessing: Preprocessing,
    hash: String,
}

impl Files {
    fn new(dataset: Dataset, graph: Graph, preprocessing: Preprocessing) -> Result<Self, CommandError> {
        let hash = dataset.hash()?;
        Ok(Self { dataset, graph, preprocessing, hash })
    }
}

impl SampleSource for Files {
    fn hash(&self) -> String {
        self.hash.clone()
    }

    fn count(&self) -> usize {
        self.dataset.len()
    }

    fn visit(&self, see: &mut SeeBatch<'_>) -> Result<(), SampleError> {
        // A batch that the model fixes must be full; one that is open may be anything.
        let fixed = self.graph.inputs.first().and_then(|&v| self.graph.fact(v).shape.first()?.as_usize());
        for batch in self.dataset.batches(&self.graph, &self.preprocessing, fixed.unwrap_or(BATCH))? {
            let batch = batch?;
            if fixed.is_none_or(|fixed| batch.samples.len() == fixed) {
                see(&batch.inputs)?;
            }
        }
        Ok(())
    }
}

//! The network that both engines are built from.

use crate::builder::{BuildError, Builder, Destination, Int8};
use crate::cli::CommandError;
use crate::cli::calibration::{CalibrationArgs, random_samples};
use crate::cli::console::Console;
use crate::cli::pictures::PictureArgs;
use crate::cli::shapes::ShapeArgs;
use crate::cli::source::{is_engine, precision_parser};
use crate::engine::Engine;
use crate::input::Preprocessing;
use crate::trt::Stated;
use clap::Args;
use limpid_graph::ir::Precision;
use limpid_quant::Calibration;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Random inputs to calibrate on where there is nothing else.
const RANDOM_SAMPLES: u64 = 2;

/// A model, and how both build it.
#[derive(Args, Clone, Debug)]
pub(super) struct NetworkArgs {
    /// The ONNX model
    pub model: PathBuf,

    /// What to multiply in
    #[arg(long, default_value = "fp32", value_parser = precision_parser())]
    pub precision: Precision,

    #[command(flatten)]
    shapes: ShapeArgs,

    #[command(flatten)]
    calibration: CalibrationArgs,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// What limpid makes of the model before any kernel is chosen, and what TensorRT gets of it.
pub(super) struct Network {
    builder: Builder,
    /// limpid's engine for the CPU: the fused network, its precisions, its scales.
    pub reference: Engine,
    /// The same for TensorRT.
    pub stated: Stated,
}

impl NetworkArgs {
    /// Fuses, calibrates and states.
    pub fn open(&self, console: &mut Console) -> Result<Network, CommandError> {
        if is_engine(&self.model) {
            return Err(CommandError::Usage {
                message: format!("`{}` is an engine of limpid's", self.model.display()),
                help: Some("TensorRT builds from ONNX; name the model".to_owned()),
            });
        }
        let preprocessing = self.pictures.apply(&Preprocessing::default())?;
        let mut builder = self
            .shapes
            .apply(Builder::new(Destination::Cpu))?
            .precision(self.precision)
            .layer_precisions(self.calibration.layers())
            .preprocessing(preprocessing.clone());
        if self.precision == Precision::Int8 || !self.calibration.layers().is_empty() {
            let scales = self.scales(&builder, &preprocessing, console)?;
            builder = builder.int8(scales);
        }
        let reference = builder.build(&self.model, &mut console.progress())?;
        reference.metadata.notes.iter().for_each(|note| console.note(format_args!("note: {note}")));
        let stated = Stated::new(&reference, &self.model)?;
        Ok(Network { builder, reference, stated })
    }

    /// One set of scales for both: found once, and then known.
    fn scales(
        &self,
        builder: &Builder,
        preprocessing: &Preprocessing,
        console: &mut Console,
    ) -> Result<Int8, CommandError> {
        let graph = limpid_graph::onnx::load(&self.model).map_err(BuildError::from)?.graph;
        let mut int8 = self.calibration.options(&graph, preprocessing)?;
        if int8.samples.is_none() && int8.cache.is_none() {
            console.note("note: INT8 with scales from random numbers: good for its speed, not for its answers");
            int8.samples = Some(Arc::new(random_samples(&graph, RANDOM_SAMPLES)?));
        }
        let (_, scales) = builder.clone().int8(int8.clone()).calibrate(&self.model, &mut console.progress())?;
        Ok(Int8 { known: Some(Arc::new(scales)), ..int8 })
    }

    /// The model's file name without its ending.
    pub fn stem(&self) -> String {
        self.model.file_stem().map_or_else(|| "network".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }
}

impl Network {
    /// The scales, if they were found just now.
    pub fn scales(&self) -> Option<&Calibration> {
        self.reference.calibration.as_ref()
    }

    /// The network in FP32 on the CPU, with the same extents: what both engines' answers are held against.
    pub fn truth(&self, model: &Path, console: &mut Console) -> Result<Engine, CommandError> {
        let builder = self.builder.clone().precision(Precision::Fp32).layer_precisions(&[]);
        Ok(builder.build(model, &mut console.progress())?)
    }

    /// limpid's engine for another destination, from the same file, scales and profiles.
    pub fn build_for(
        &self,
        destination: Destination,
        model: &Path,
        console: &mut Console,
    ) -> Result<Engine, CommandError> {
        Ok(self.builder.clone().destination(destination).build(model, &mut console.progress())?)
    }
}

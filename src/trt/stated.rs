use super::{InputRange, Marks, Model, Request};
use crate::engine::Engine;
use crate::shapes::Profile;
use limpid_graph::ir::{Precision, ValueId};
use limpid_graph::onnx::{ExportError, WriteError, export_typed};
use limpid_graph::tensor::Bindings;
use limpid_kernels::target::Arch;
use std::path::{Path, PathBuf};

/// A network as TensorRT gets it: the same ONNX, scales, types of inputs and outputs, shapes and profiles that limpid has.
///
/// In FP32 it is the model's own file. TensorRT-RTX, and TensorRT from 11 on, multiply in the types that a model has, so
/// FP16 and INT8 are stated: the network that limpid fused, with its casts, and with its scales as Q/DQ pairs wherever
/// INT8 is possible. A model that brings Q/DQ pairs of its own is given as it is.
#[derive(Clone, Debug)]
pub struct Stated {
    onnx: Onnx,
    profiles: Vec<Vec<InputRange>>,
    tf32: bool,
}

#[derive(Clone, Debug)]
enum Onnx {
    File(PathBuf),
    Written(Vec<u8>),
}

/// A network has no form that TensorRT takes.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// ONNX has none.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The file would not hold together, or would be too large.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Stated {
    /// Of an engine that was built from the file `model` for [`crate::Destination::Cpu`], where no kernels have a say in
    /// what is INT8.
    ///
    /// # Errors
    /// What has no form in ONNX.
    pub fn new(reference: &Engine, model: &Path) -> Result<Self, StateError> {
        let as_it_is = matches!(reference.metadata.precision, Precision::Fp32 | Precision::Tf32)
            || reference.metadata.quantized && reference.metadata.precision == Precision::Int8;
        let onnx = match as_it_is {
            true => Onnx::File(model.to_owned()),
            false => Onnx::Written(export_typed(&reference.graph)?.to_bytes()?),
        };
        let profiles = reference.metadata.profiles.iter().map(|profile| ranges(reference, profile)).collect();
        Ok(Self { onnx, profiles, tf32: reference.metadata.precision == Precision::Tf32 })
    }

    /// True if limpid wrote it, so that its nodes are limpid's groups.
    pub fn is_written(&self) -> bool {
        matches!(self.onnx, Onnx::Written(_))
    }

    /// The model.
    pub fn model(&self) -> Model<'_> {
        match &self.onnx {
            Onnx::File(path) => Model::File(path),
            Onnx::Written(bytes) => Model::Bytes(bytes),
        }
    }

    /// For each profile, the inputs with open extents.
    pub fn profiles(&self) -> &[Vec<InputRange>] {
        &self.profiles
    }

    /// The build of it.
    pub fn request<'a>(&'a self, target: Option<Arch>, marks: Marks<'a>) -> Request<'a> {
        Request { model: self.model(), tf32: self.tf32, profiles: &self.profiles, target, marks }
    }
}

/// The extents of all inputs that have open ones.
fn ranges(engine: &Engine, profile: &Profile) -> Vec<InputRange> {
    let graph = &engine.graph;
    let open = graph.inputs.iter().filter(|&&input| graph.fact(input).shape.as_concrete().is_none());
    let range = |&input: &ValueId| {
        let shape = |extents: &Bindings| graph.fact(input).shape.eval(extents).ok();
        let [min, opt, max] = [profile.min(), profile.opt(), profile.max()].map(|extents| shape(&extents));
        Some(InputRange { name: graph.value(input).name.clone(), min: min?, opt: opt?, max: max? })
    };
    open.filter_map(range).collect()
}

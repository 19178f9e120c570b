//! What a query is fed with: raw files, or random numbers, of the shapes that were asked for.

use super::log::Log;
use super::options::InferenceOptions;
use crate::cli::CommandError;
use crate::engine::Engine;
use crate::input::{InputError, random};
use crate::runtime::RunError;
use crate::shapes::Profile;
use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, DType, Tensor};
use std::path::{Path, PathBuf};

/// The extents of a run: the optimum of the profile that was chosen, and the shapes that were given.
pub(super) fn extents(engine: &Engine, inference: &InferenceOptions) -> Result<Bindings, CommandError> {
    let graph = &engine.graph;
    let profiles = &engine.metadata.profiles;
    let mut extents = match profiles.get(inference.profile) {
        Some(profile) => Profile::opt(profile),
        None if profiles.is_empty() => Bindings::new(),
        None => {
            let (asked, count) = (inference.profile, profiles.len());
            return Err(CommandError::usage(format!("--useProfile={asked}: the engine has {count}, counted from 0")));
        }
    };
    for (name, shape) in &inference.shapes {
        let fact = graph.fact(named(graph, &graph.inputs, "input", name)?);
        let mismatch = || {
            let got = super::echo::extents(shape);
            CommandError::from(RunError::Input { name: name.clone(), expected: fact.to_string(), got })
        };
        if fact.rank() != shape.len() {
            return Err(mismatch());
        }
        for (dim, &extent) in fact.shape.iter().zip(shape) {
            if let Some(symbol) = dim.as_symbol() {
                extents.bind(symbol.clone(), i64::try_from(extent).unwrap_or(i64::MAX));
            }
        }
        if fact.shape.eval(&extents).ok().as_deref() != Some(shape) {
            return Err(mismatch());
        }
    }
    Ok(extents)
}

/// The inputs as they lie in memory, in the model's order.
pub(super) fn load(
    engine: &Engine,
    extents: &Bindings,
    inference: &InferenceOptions,
    log: &Log,
) -> Result<Vec<Tensor>, CommandError> {
    let graph = &engine.graph;
    for (name, _) in &inference.load_inputs {
        named(graph, &graph.inputs, "input", name)?;
    }
    let specs = specs_of(graph, &graph.inputs, extents).map_err(RunError::from)?;
    let mut inputs = Vec::with_capacity(specs.len());
    for ((port, spec), seed) in engine.inputs().iter().zip(&specs).zip(1..) {
        let name = &port.name;
        let stored = port.to_memory(&random(spec.dtype, &spec.shape, seed)).map_err(RunError::from)?;
        inputs.push(match inference.load_inputs.iter().find(|(known, _)| known == name) {
            Some((_, path)) => {
                log.info(format_args!("Using values loaded from {} for input {name}", path.display()))?;
                raw(path, stored.dtype(), stored.shape())?
            }
            None => {
                log.info(format_args!("Using random values for input {name}"))?;
                stored
            }
        });
        let dimensions = super::echo::extents(&spec.shape);
        log.info(format_args!("Input binding for {name} with dimensions {dimensions} is created."))?;
    }
    Ok(inputs)
}

/// What the outputs should be, as they lie in memory, with their places among them.
pub(super) fn references(
    graph: &Graph,
    outputs: &[Tensor],
    files: &[(String, PathBuf)],
) -> Result<Vec<(usize, Tensor)>, CommandError> {
    let reference = |(name, path): &(String, PathBuf)| {
        let value = named(graph, &graph.outputs, "output", name)?;
        let place = graph.outputs.iter().position(|&output| output == value).unwrap_or_default();
        let like = &outputs[place];
        Ok((place, raw(path, like.dtype(), like.shape())?))
    };
    files.iter().map(reference).collect()
}

fn named(graph: &Graph, values: &[ValueId], what: &'static str, name: &str) -> Result<ValueId, CommandError> {
    values.iter().copied().find(|&value| graph.value(value).name == name).ok_or_else(|| {
        let similar = values.iter().map(|&value| graph.value(value).name.clone()).collect();
        CommandError::NotFound { what, name: name.to_owned(), similar }
    })
}

/// A file of nothing but elements, as numpy's `tofile` writes it.
fn raw(path: &Path, dtype: DType, shape: &[usize]) -> Result<Tensor, CommandError> {
    let bytes = std::fs::read(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
    let expected = shape.iter().product::<usize>() * dtype.size();
    if bytes.len() != expected {
        let (path, got, shape) = (path.display(), bytes.len(), super::echo::extents(shape));
        return Err(CommandError::usage(format!("`{path}` has {got} bytes; {dtype} of {shape} takes {expected}")));
    }
    Ok(Tensor::from_bytes(dtype, shape, &bytes).map_err(RunError::from)?)
}

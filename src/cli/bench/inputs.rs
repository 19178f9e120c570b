use crate::cli::CommandError;
use crate::engine::Engine;
use crate::input::random;
use limpid_graph::ir::Graph;
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, Tensor};

/// Random inputs of the extents that were asked for, or that the engine was built for; others for each seed.
pub(in crate::cli) fn random_inputs(
    engine: &Engine,
    batch: Option<u32>,
    seed: u64,
) -> Result<Vec<Tensor>, CommandError> {
    let graph = &engine.graph;
    let mut bindings = engine.metadata.opt();
    if let Some(batch) = batch {
        bind_batch(graph, &mut bindings, batch)?;
    }
    let specs = specs_of(graph, &graph.inputs, &bindings).map_err(crate::runtime::RunError::from)?;
    let seeds = 1 + 1000 * seed..;
    let inputs: Vec<Tensor> =
        specs.iter().zip(seeds).map(|(spec, seed)| random(spec.dtype, &spec.shape, seed)).collect();
    Ok(engine.to_memory(&inputs).map_err(crate::runtime::RunError::from)?)
}

/// Samples of one run with these inputs.
pub(super) fn batch_of(inputs: &[Tensor]) -> usize {
    inputs.first().and_then(|t| t.shape().first()).copied().unwrap_or(1)
}

fn bind_batch(graph: &Graph, bindings: &mut Bindings, batch: u32) -> Result<(), CommandError> {
    let Some(first) = graph.inputs.first().and_then(|&v| graph.fact(v).shape.first()) else { return Ok(()) };
    match (first.as_symbol(), first.as_usize()) {
        (Some(symbol), _) => {
            bindings.bind(symbol.clone(), i64::from(batch));
            Ok(())
        }
        (None, Some(fixed)) if fixed == batch as usize => Ok(()),
        _ => Err(CommandError::usage(format!("the model's batch is fixed at {first}; leave --batch out"))),
    }
}

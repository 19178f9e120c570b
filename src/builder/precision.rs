//! From FP32 to what was asked for.

use super::BuildError;
use crate::input::random;
use limpid_graph::ir::{Graph, Precision, ValueId};
use limpid_graph::reference::{Interpreter, specs_of};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_quant::{Activations, fp16, observe_ranges};
use std::error::Error;

/// Any seed would do; it is fixed so that a build is the same every time.
const SEED: u64 = 0;

/// Sets the precision of every group, and for FP16 the types of values.
pub(super) fn convert(
    graph: &mut Graph,
    ledger: &mut Ledger,
    precision: Precision,
    bindings: &Bindings,
    samples: Option<&[Tensor]>,
) -> Result<(), BuildError> {
    match precision {
        Precision::Fp32 => Ok(()),
        Precision::Tf32 => {
            let ids: Vec<_> = graph.nodes().map(|(id, _)| id).collect();
            for id in ids {
                graph.node_mut(id).precision = Precision::Tf32;
            }
            Ok(())
        }
        Precision::Fp16 => {
            let inputs = match samples {
                Some(inputs) => inputs.to_vec(),
                None => random_inputs(graph, bindings)?,
            };
            let ranges = observe_ranges(graph, &mut Reference { inputs }).map_err(BuildError::Samples)?;
            fp16::convert(graph, ledger, Some(&ranges))?;
            Ok(())
        }
        Precision::Int8 => Err(BuildError::Precision(precision)),
    }
}

/// One sample: how large values become hardly depends on the batch, and the reference takes its time.
fn random_inputs(graph: &Graph, bindings: &Bindings) -> Result<Vec<Tensor>, BuildError> {
    let mut single = bindings.clone();
    let batch = graph.inputs.first().and_then(|&v| graph.fact(v).shape.first()?.as_symbol().cloned());
    if let Some(batch) = batch {
        single.bind(batch, 1);
    }
    let specs = specs_of(graph, &graph.inputs, &single).map_err(|e| BuildError::Samples(e.into()))?;
    Ok(specs.iter().zip(SEED..).map(|(spec, seed)| random(spec.dtype, &spec.shape, seed)).collect())
}

/// The CPU reference on one set of inputs.
struct Reference {
    inputs: Vec<Tensor>,
}

impl Activations for Reference {
    fn observe(
        &mut self,
        graph: &Graph,
        see: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Interpreter::new(graph)?.run_observed(&self.inputs, see)?;
        Ok(())
    }
}

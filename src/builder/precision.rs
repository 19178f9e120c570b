//! From FP32 to what was asked for.

use super::assignment::{Assignment, assign};
use super::int8::{Int8, Scales};
use super::layers::Wanted;
use super::planner::Planner;
use super::{BuildError, int8};
use crate::input::random;
use crate::progress::Progress;
use limpid_graph::ir::{Graph, Node, NodeId, Precision, ValueId};
use limpid_graph::ops::Op;
use limpid_graph::reference::{Interpreter, specs_of};
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{Bindings, Tensor};
use limpid_quant::{Activations, Calibration, Ranges, fp16, observe_ranges};
use std::error::Error;

/// Any seed would do; it is fixed so that a build is the same every time.
const SEED: u64 = 0;

/// What precisions are chosen by.
pub(super) struct Choice<'a> {
    pub wanted: &'a Wanted,
    pub int8: &'a Int8,
    /// Inputs on which FP16 looks for overflow.
    pub samples: Option<&'a [Tensor]>,
    pub bindings: &'a Bindings,
    /// The model file's hash.
    pub model: &'a str,
    pub preprocessing: String,
}

/// What came of it, beside the graph.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub scales: Option<Scales>,
    pub calibration: Option<Calibration>,
    pub notes: Vec<String>,
}

impl Outcome {
    /// The scale found for an activation, if any was looked for.
    pub fn scale_of(&self, name: &str) -> Option<f32> {
        self.scales.as_ref()?.get(name)
    }
}

impl Choice<'_> {
    /// Sets the precision of every group and the types of values.
    pub fn apply(
        &self,
        graph: &mut Graph,
        ledger: &mut Ledger,
        planner: Option<&mut Planner>,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, BuildError> {
        self.wanted.check(graph)?;
        let mut outcome = Outcome::default();
        let halves = graph.nodes().any(|(_, node)| self.wanted.real(node) == Precision::Fp16);
        let ranges = match halves {
            true => {
                let inputs = match self.samples {
                    Some(inputs) => inputs.to_vec(),
                    None => random_inputs(graph, self.bindings)?,
                };
                Some(observe_ranges(graph, &mut Reference { inputs }).map_err(BuildError::Samples)?)
            }
            false => None,
        };
        if self.wanted.any_int8() {
            if is_quantized(graph) {
                outcome.notes.push("the model brings its own scales; nothing was calibrated".to_owned());
            } else {
                let scales =
                    int8::scales(graph, self.int8, self.model.to_owned(), self.preprocessing.clone(), progress)?;
                let pays = match planner {
                    Some(planner) if !self.int8.everywhere => {
                        Some(self.worthwhile(graph, &scales, ranges.as_ref(), planner, progress)?)
                    }
                    // Wherever it is possible: the CPU has no kernels to choose between.
                    _ => None,
                };
                self.quantize(graph, ledger, &scales, pays.as_ref())?;
                outcome.notes.extend(scales.notes.iter().cloned());
                outcome.calibration.clone_from(&scales.calibration);
                outcome.scales = Some(scales);
            }
        }
        self.reals(graph, ledger, ranges.as_ref())?;
        Ok(outcome)
    }

    /// Sets the precision of what is not INT8.
    fn reals(&self, graph: &mut Graph, ledger: &mut Ledger, ranges: Option<&Ranges>) -> Result<(), BuildError> {
        let ids: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
        for id in ids {
            let node = graph.node_mut(id);
            if node.precision != Precision::Int8 && self.wanted.real(node) == Precision::Tf32 {
                node.precision = Precision::Tf32;
            }
        }
        fp16::convert(graph, ledger, ranges, &|node| self.wanted.real(node) == Precision::Fp16)?;
        Ok(())
    }

    /// The groups that INT8 makes faster, conversions included, with their times.
    fn worthwhile(
        &self,
        graph: &Graph,
        scales: &Scales,
        ranges: Option<&Ranges>,
        planner: &mut Planner,
        progress: &mut dyn Progress,
    ) -> Result<Assignment, BuildError> {
        // Both extremes are tried on copies; nothing of that is booked.
        let (mut real, mut int8) = (graph.clone(), graph.clone());
        self.reals(&mut real, &mut Ledger::default(), ranges)?;
        self.quantize(&mut int8, &mut Ledger::default(), scales, None)?;
        self.reals(&mut int8, &mut Ledger::default(), ranges)?;
        let integer = |node: &&(NodeId, &Node)| node.1.precision == Precision::Int8;
        let chosen = int8.nodes().collect::<Vec<_>>().iter().filter(integer).map(|(id, _)| *id).collect();
        let plans = [planner.plan(&real, self.bindings, progress)?, planner.plan(&int8, self.bindings, progress)?];
        Ok(assign(graph, self.bindings, planner.target(), &chosen, [&plans[0], &plans[1]]))
    }

    fn quantize(
        &self,
        graph: &mut Graph,
        ledger: &mut Ledger,
        scales: &Scales,
        pays: Option<&Assignment>,
    ) -> Result<(), BuildError> {
        let wanted = |id: NodeId, node: &Node| match (self.wanted.of(node), self.wanted.layer(node)) {
            // A group that is named is INT8 whether it pays or not.
            (Precision::Int8, Some(_)) => Ok(()),
            (Precision::Int8, None) => pays.map_or(Ok(()), |pays| pays.verdict(id)),
            (precision, Some(layer)) => Err(format!("{precision} is asked for by `{layer}`")),
            (precision, None) => Err(format!("{precision} is asked for")),
        };
        limpid_quant::int8::convert(graph, ledger, &|name| scales.get(name), &wanted)?;
        Ok(())
    }
}

/// True if the model was quantized by whoever made it.
pub(super) fn is_quantized(graph: &Graph) -> bool {
    graph
        .nodes()
        .any(|(_, node)| node.precision == Precision::Int8 || matches!(node.op, Op::Quantize(_) | Op::Dequantize(_)))
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

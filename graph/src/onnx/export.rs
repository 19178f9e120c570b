//! The way out: a graph as a model of ONNX's standard operators.
//!
//! What was fused is unrolled, in the order in which a kernel computes it, and integers meet reals through
//! QuantizeLinear and DequantizeLinear:
//!
//! ```text
//! x i8 -> Conv(int8)[bias+residual+Relu] -> y i8
//!     =>  x -> DequantizeLinear -> Conv(+bias) -> Add(residual) -> Relu -> y -> QuantizeLinear -> y/int8
//! ```
//!
//! That is the form in which TensorRT and ONNX Runtime take a network's scales ("explicit quantization", "QDQ"):
//! reals throughout, with Q/DQ pairs that say where integers may take their place, and each runtime fuses the pairs
//! into integer kernels of its own. So no operator of this file computes with integers, movements included: most of
//! ONNX's operators do not take int8, and both runtimes move a pair with one scale through what only moves elements.
//! <https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html>,
//! <https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-quantized-types.html>
//!
//! Values keep their names; what is unrolled gets names that no value has.

mod epilogue;
mod error;
mod extents;
mod names;
mod operators;
mod products;
mod quantization;
mod resize;
mod shapes;
mod step;
mod typed;

pub use error::ExportError;

use super::ModelWriter;
use crate::ir::{Graph, Node, Precision, ValueId};
use crate::ops::Op;
use crate::tensor::{DType, Dim, Tensor};
use names::Names;
use std::collections::{BTreeMap, BTreeSet};
use step::Step;

/// The version of ONNX's default operator set that is written: the oldest that has all of limpid's operators
/// (Gelu is the latest comer).
pub const OPSET: i64 = 20;

/// States a graph as a model, ready to be encoded. Constants are shared, not copied.
///
/// # Errors
/// [`ExportError::Half`] if anything is stored or multiplied in FP16, [`ExportError::Inexpressible`] for the few
/// settings that operator set [`OPSET`] no longer has, and what makes a graph ill-formed.
pub fn export(graph: &Graph) -> Result<ModelWriter, ExportError> {
    check_types(graph)?;
    state(graph)
}

/// As [`export()`], with FP16 where the graph has it: for runtimes that multiply in the types they are given.
///
/// What such a runtime answers is not to the bit what limpid does: it rounds to FP16 after each of the operators that
/// limpid fuses, and its biases are FP16.
///
/// # Errors
/// As [`export()`]'s, but for [`ExportError::Half`].
pub fn export_typed(graph: &Graph) -> Result<ModelWriter, ExportError> {
    state(&typed::uniform(graph)?)
}

fn state(graph: &Graph) -> Result<ModelWriter, ExportError> {
    let mut exporter = Exporter::new(graph);
    for id in graph.topological_order()? {
        exporter.node(graph.node(id))?;
    }
    Ok(exporter.finish())
}

/// FP16 is how limpid stores reals, not what the network is; a runtime that reads the file makes its own choice.
fn check_types(graph: &Graph) -> Result<(), ExportError> {
    let half = graph.values().find(|(_, value)| value.fact.dtype == DType::F16).map(|(_, value)| &value.name);
    let halved = || graph.nodes().find(|(_, node)| node.precision == Precision::Fp16).map(|(_, node)| &node.name);
    match half.or_else(halved) {
        Some(name) => Err(ExportError::Half { name: name.clone() }),
        None => Ok(()),
    }
}

/// A model as it grows, node by node.
struct Exporter<'g> {
    graph: &'g Graph,
    model: ModelWriter,
    /// Names of values, and of nodes: two realms in ONNX.
    value_names: Names,
    node_names: Names,
    /// What each value is called, as it is stored: integers if it is quantized.
    stored: BTreeMap<ValueId, String>,
    /// What the reals of quantized values are called, once they were read.
    reals: BTreeMap<ValueId, String>,
    /// Constants that are initializers by now.
    initialized: BTreeSet<ValueId>,
    /// A value, and which of its axes, that has this extent.
    holders: BTreeMap<Dim, (String, usize)>,
    /// Extents that are computed in the model, as vectors of one element.
    extents: BTreeMap<Dim, String>,
    /// The node being written, and what it has come to so far.
    node: String,
    /// The type of its reals.
    real: DType,
    steps: Vec<Step>,
}

impl<'g> Exporter<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut exporter = Self {
            graph,
            model: ModelWriter::new(&graph.name, OPSET),
            value_names: Names::default(),
            node_names: Names::default(),
            stored: BTreeMap::new(),
            reals: BTreeMap::new(),
            initialized: BTreeSet::new(),
            holders: BTreeMap::new(),
            extents: BTreeMap::new(),
            node: String::new(),
            real: DType::F32,
            steps: Vec::new(),
        };
        exporter.name_values();
        for &input in &graph.inputs {
            let name = exporter.stored[&input].clone();
            exporter.model.add_input(&name, graph.fact(input));
            exporter.remember_extents(input, &name);
        }
        exporter
    }

    /// Claims the values' names before any is invented, those that callers know first.
    fn name_values(&mut self) {
        let known = self.graph.inputs.iter().chain(&self.graph.outputs).copied();
        for id in known.chain(self.graph.values().map(|(id, _)| id)) {
            if !self.stored.contains_key(&id) {
                let name = self.value_names.claim(&self.graph.value(id).name);
                self.stored.insert(id, name);
            }
        }
    }

    fn node(&mut self, node: &Node) -> Result<(), ExportError> {
        self.node = self.node_names.claim(&node.name);
        self.real = typed::reals(self.graph, node).unwrap_or(DType::F32);
        let results = self.operator(node)?;
        for (result, &output) in results.iter().zip(&node.outputs) {
            match node.op {
                Op::Quantize(_) => self.rename(result, &self.stored[&output].clone()),
                _ => self.deliver(result, output),
            }
        }
        self.steps.drain(..).for_each(|step| self.model.add_node(step.into()));
        Ok(())
    }

    /// Gives the reals that a node makes the name of its output, and quantizes them if it is stored so.
    ///
    /// The name goes to the reals, so that tools which compare tensors by name find in the file what they find in
    /// the original network; but the network's own output has it whatever its type.
    fn deliver(&mut self, result: &str, output: ValueId) {
        let name = self.stored[&output].clone();
        let Some(params) = self.graph.fact(output).quant.clone() else {
            self.rename(result, &name);
            return self.remember_extents(output, &name);
        };
        if self.graph.outputs.contains(&output) {
            self.quantize(result, &name, &params);
            return;
        }
        self.rename(result, &name);
        let integers = self.value_names.claim(&format!("{name}/int8"));
        self.quantize(&name, &integers, &params);
        self.stored.insert(output, integers);
    }

    /// The name under which a node reads a value: a real's own, or that of the reals that integers stand for.
    fn read(&mut self, value: ValueId) -> String {
        let stored = self.integers(value);
        let Some(params) = self.graph.fact(value).quant.clone() else { return stored };
        if let Some(known) = self.reals.get(&value) {
            return known.clone();
        }
        let reals = self.dequantize(&stored, &params, self.graph.fact(value).dtype);
        self.reals.insert(value, reals.clone());
        reals
    }

    /// The name of a value as it is stored; a constant becomes an initializer when it is first asked for.
    fn integers(&mut self, value: ValueId) -> String {
        let name = self.stored[&value].clone();
        if let Some(tensor) = self.graph.constant(value)
            && self.initialized.insert(value)
        {
            self.model.add_initializer(&name, tensor.clone());
        }
        name
    }

    /// Adds a constant that belongs to the node being written.
    fn constant(&mut self, what: &str, tensor: Tensor) -> String {
        let name = self.value_names.claim(&format!("{}/{what}", self.node));
        self.model.add_initializer(&name, tensor);
        name
    }

    /// As [`Self::constant`], of the type that the node's reals have.
    fn real_constant(&mut self, what: &str, tensor: Tensor) -> String {
        self.constant(what, tensor.cast(self.real))
    }

    fn inexpressible(&self, node: &Node, what: &'static str) -> ExportError {
        ExportError::Inexpressible { node: self.node.clone(), op: node.op.name(), what }
    }

    /// What the network gives out. A value that is given out twice, or that is an input, too, has one name only, and
    /// a copy has another.
    fn finish(mut self) -> ModelWriter {
        let mut given: BTreeSet<ValueId> = self.graph.inputs.iter().copied().collect();
        for &output in &self.graph.outputs {
            let mut name = self.integers(output);
            if !given.insert(output) {
                self.node = self.node_names.claim(&format!("{name}/copy"));
                name = self.main("Identity", &[name], Vec::new());
                self.steps.drain(..).for_each(|step| self.model.add_node(step.into()));
            }
            self.model.add_output(&name, self.graph.fact(output));
        }
        self.model
    }
}

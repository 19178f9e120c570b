//! The graph rewritten: integers between INT8 nodes, conversions where they meet reals.

use super::eligible::{Part, channel_axis, integer_inputs, part};
use super::scales::Scales;
use crate::exact;
use limpid_graph::ir::{Fact, Graph, GraphError, NodeId, Precision, ValueId};
use limpid_graph::ops::{Dequantize, Quantize};
use limpid_graph::tensor::{DType, QuantParams};
use std::collections::{BTreeMap, BTreeSet};

/// One rewrite of a graph.
pub struct Conversion<'g> {
    graph: &'g mut Graph,
    chosen: &'g BTreeSet<NodeId>,
    scales: &'g Scales,
    /// A tensor of reals as integers, once quantized.
    quantized: BTreeMap<ValueId, ValueId>,
    /// A tensor of integers as reals, once made so.
    dequantized: BTreeMap<ValueId, ValueId>,
    /// Constants as integers, by the axis of their scales.
    weights: BTreeMap<(ValueId, usize), ValueId>,
}

impl<'g> Conversion<'g> {
    /// Of this graph, which the others describe.
    pub fn new(graph: &'g mut Graph, chosen: &'g BTreeSet<NodeId>, scales: &'g Scales) -> Self {
        let (quantized, dequantized, weights) = Default::default();
        Self { graph, chosen, scales, quantized, dequantized, weights }
    }

    /// Rewrites node by node, in the order of execution, so that a node finds its inputs as they will be.
    pub fn run(mut self) -> Result<(), GraphError> {
        for id in self.graph.topological_order()? {
            if self.chosen.contains(&id) {
                self.integer_node(id)?;
            } else {
                self.real_node(id)?;
            }
        }
        self.graph.drop_unused_values();
        self.graph.verify()
    }

    fn integer_node(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.graph.node(id);
        let integers = integer_inputs(self.graph, node);
        for index in 0..self.graph.node(id).inputs.len() {
            let value = self.graph.node(id).inputs[index];
            if integers.contains(&value) && self.graph.fact(value).quant.is_none() {
                let quantized = self.quantize(value)?;
                self.graph.node_mut(id).inputs[index] = quantized;
            }
        }
        let node = self.graph.node(id);
        if part(node) == Some(Part::Product) {
            let weights = self.integer_weights(node.inputs[1], channel_axis(node));
            self.graph.node_mut(id).inputs[1] = weights;
        }
        self.graph.node_mut(id).precision = Precision::Int8;
        for index in 0..self.graph.node(id).outputs.len() {
            self.output(id, index)?;
        }
        Ok(())
    }

    /// Stores an output as integers if an INT8 node reads it so, or if the node can do nothing else.
    fn output(&mut self, id: NodeId, index: usize) -> Result<(), GraphError> {
        let value = self.graph.node(id).outputs[index];
        let moves = part(self.graph.node(id)) == Some(Part::Movement);
        // A residual counts, too: it may come in any type, and integers are the smallest.
        let read = self.graph.readers(value).any(|(reader, _)| self.chosen.contains(&reader));
        let (Some(scale), true) = (self.scales.get(value), moves || read) else { return Ok(()) };
        let fact =
            Fact { dtype: DType::I8, quant: Some(QuantParams::per_tensor(scale)), ..self.graph.fact(value).clone() };
        if !self.graph.outputs.contains(&value) {
            self.graph.value_mut(value).fact = fact;
            return Ok(());
        }
        if !moves {
            // The network's own output stays real and exact; INT8 readers quantize it.
            return Ok(());
        }
        // Integers under a name of their own, and the network's output made of them.
        let name = format!("{}/int8", self.graph.value(value).name);
        let integers = self.graph.add_value(&name, fact);
        self.graph.value_mut(integers).producer = Some(id);
        self.graph.node_mut(id).outputs[index] = integers;
        self.graph.value_mut(value).producer = None;
        let params = QuantParams::per_tensor(scale);
        let to = self.graph.fact(value).dtype;
        let name = format!("{}/dequantize", self.graph.value(value).name);
        self.graph.add_node_making(&name, Dequantize { params, to }.into(), &[integers], &[value])?;
        self.quantized.insert(value, integers);
        Ok(())
    }

    /// A node that computes reals reads reals.
    fn real_node(&mut self, id: NodeId) -> Result<(), GraphError> {
        for index in 0..self.graph.node(id).inputs.len() {
            let value = self.graph.node(id).inputs[index];
            if self.graph.fact(value).quant.is_some() {
                let real = self.dequantize(value)?;
                self.graph.node_mut(id).inputs[index] = real;
            }
        }
        Ok(())
    }

    fn quantize(&mut self, value: ValueId) -> Result<ValueId, GraphError> {
        if let Some(&known) = self.quantized.get(&value) {
            return Ok(known);
        }
        // Every value that `integer_inputs` names was found to have a scale.
        let params = QuantParams::per_tensor(self.scales.get(value).unwrap_or(1.0));
        let name = format!("{}/quantize", self.graph.value(value).name);
        let node = self.graph.add_node(&name, Quantize { params }.into(), &[value])?;
        let integers = self.graph.node(node).outputs[0];
        self.quantized.insert(value, integers);
        Ok(integers)
    }

    fn dequantize(&mut self, value: ValueId) -> Result<ValueId, GraphError> {
        if let Some(&known) = self.dequantized.get(&value) {
            return Ok(known);
        }
        let Some(params) = self.graph.fact(value).quant.clone() else { return Ok(value) };
        let name = format!("{}/dequantize", self.graph.value(value).name);
        let node = self.graph.add_node(&name, Dequantize { params, to: DType::F32 }.into(), &[value])?;
        let real = self.graph.node(node).outputs[0];
        self.dequantized.insert(value, real);
        Ok(real)
    }

    fn integer_weights(&mut self, value: ValueId, axis: usize) -> ValueId {
        if let Some(&known) = self.weights.get(&(value, axis)) {
            return known;
        }
        let quantized = self.graph.constant(value).and_then(|tensor| exact::quantize_weights(tensor, axis).ok());
        // `eligible::check` quantized them before.
        let Some((integers, scales)) = quantized else { return value };
        let name = format!("{}/int8", self.graph.value(value).name);
        let weights = self.graph.add_constant(&name, integers);
        self.graph.value_mut(weights).fact.quant = Some(QuantParams::per_axis(scales, axis));
        self.weights.insert((value, axis), weights);
        weights
    }
}

//! Which scale each tensor is stored with.
//!
//! A tensor has the scale its calibration found, with two exceptions that spare a requantization: what only moves
//! integers keeps their scale, and what is made for one concatenation alone is made at the concatenation's scale,
//! so that the concatenation has nothing to do.

use super::eligible::{Part, part};
use limpid_graph::ir::{Graph, GraphError, NodeId, ValueId};
use limpid_graph::ops::Op;
use std::collections::{BTreeMap, BTreeSet};

/// The scale of every tensor that may be stored as integers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scales(BTreeMap<ValueId, f32>);

impl Scales {
    /// Settles the scales of what the chosen nodes read and make.
    pub fn settle(
        graph: &Graph,
        chosen: &BTreeSet<NodeId>,
        scale_of: &dyn Fn(&str) -> Option<f32>,
    ) -> Result<Self, GraphError> {
        let order = graph.topological_order()?;
        let calibrated = |value: ValueId| scale_of(&graph.value(value).name);
        let mut scales = BTreeMap::new();
        // Against the stream, concatenations tell those who work for them alone.
        for &id in order.iter().rev().filter(|id| chosen.contains(id)) {
            let node = graph.node(id);
            let demanded = scales.get(&node.outputs[0]).copied();
            let demand = match (&node.op, part(node)) {
                (Op::Concat(_), _) => demanded.or_else(|| calibrated(node.outputs[0])),
                // A movement with several outputs cannot serve several demands.
                (_, Some(Part::Movement)) if node.outputs.len() == 1 => demanded,
                _ => None,
            };
            let Some(demand) = demand else { continue };
            for &input in &node.inputs {
                let made = graph.value(input).producer.is_some_and(|producer| chosen.contains(&producer));
                if made && graph.only_reader(input) == Some(id) {
                    scales.insert(input, demand);
                }
            }
        }
        // With the stream, movements pass on what they got.
        for &id in order.iter().filter(|id| chosen.contains(id)) {
            let node = graph.node(id);
            for &input in &node.inputs {
                if let Some(scale) = calibrated(input).filter(|_| !scales.contains_key(&input)) {
                    scales.insert(input, scale);
                }
            }
            for &output in &node.outputs {
                let scale = match part(node) {
                    Some(Part::Movement) => scales.get(&node.inputs[0]).copied(),
                    _ => scales.get(&output).copied().or_else(|| calibrated(output)),
                };
                match scale {
                    Some(scale) => scales.insert(output, scale),
                    None => scales.remove(&output),
                };
            }
        }
        Ok(Self(scales))
    }

    /// The scale of a tensor; `None` if it cannot be stored as integers.
    pub fn get(&self, value: ValueId) -> Option<f32> {
        self.0.get(&value).copied()
    }
}

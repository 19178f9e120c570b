//! What depends on nothing from outside is computed now.
//!
//! ```text
//! c1, c2 -> Op -> y                        =>   constant y
//! x (N,3,H,W) -> Shape -> Gather(1) -> y   =>   constant y = 3
//! ```
//!
//! The second kind is shape arithmetic: extents are carried through as polynomials of the symbols, and whatever comes
//! out without a symbol is a number, though the shape it came from had some.

use super::quantized::weighs_dequantized;
use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::ops::{Op, ShapeValue};
use crate::reference;
use crate::rewrite::{Outcome, Patch, Rule};
use crate::tensor::{Bindings, Tensor};
use std::collections::BTreeMap;

/// The rule.
#[derive(Debug)]
pub struct FoldConstants;

/// A result that takes more bytes than this, and more than what it is computed from, is left to run time: an engine
/// that stores a tensor of ones is no gain.
const LARGEST_GROWTH: usize = 1 << 24;

impl Rule for FoldConstants {
    fn name(&self) -> &'static str {
        "fold_constants"
    }

    fn summary(&self) -> &'static str {
        "compute what depends on constants and known extents only"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        // An INT8 product needs its weights as they were given.
        if matches!(node.op, Op::Dequantize(_)) && weighs_dequantized(graph, node.outputs[0]) {
            return Outcome::NoMatch;
        }
        let operands: Option<Vec<Tensor>> = node.inputs.iter().map(|&v| graph.constant(v).cloned()).collect();
        if let Some(operands) = operands {
            return fold(graph, id, node, &operands).map_or_else(Outcome::Declined, Outcome::Rewrite);
        }
        let extents = extents_of(graph, node.outputs[0], &mut BTreeMap::new());
        let known = extents.and_then(|e| e.to_tensor()).filter(|_| node.outputs.len() == 1);
        let Some(tensor) = known else { return Outcome::NoMatch };
        let mut patch = Patch::new("shape arithmetic: the extents are known");
        patch.fold(id, vec![tensor.cast(graph.fact(node.outputs[0]).dtype)]);
        Outcome::Rewrite(patch)
    }
}

fn fold(graph: &Graph, id: NodeId, node: &Node, operands: &[Tensor]) -> Result<Patch, String> {
    let specs = reference::specs_of(graph, &node.outputs, &Bindings::new()).map_err(|e| e.to_string())?;
    let given: usize = operands.iter().map(|t| t.bytes().len()).sum();
    let made: usize = specs.iter().map(|s| s.bytes()).sum();
    if made > LARGEST_GROWTH.max(given) {
        return Err(format!("its result takes {} MiB, which is computed faster than stored", made >> 20));
    }
    let results = reference::run_node(graph, node, operands, &Bindings::new()).map_err(|e| e.to_string())?;
    let mut patch = Patch::new("computed from constants");
    patch.fold(id, results);
    Ok(patch)
}

/// The extents that a value holds, symbols kept, if it holds any; what was found is kept in `seen`.
fn extents_of(graph: &Graph, value: ValueId, seen: &mut BTreeMap<ValueId, Option<ShapeValue>>) -> Option<ShapeValue> {
    if let Some(found) = seen.get(&value) {
        return found.clone();
    }
    let found = match graph.producer(value) {
        None => graph.constant(value).and_then(ShapeValue::from_tensor),
        Some((_, node)) => match &node.op {
            Op::ShapeOf(op) => {
                let dims = &graph.fact(node.inputs[0]).shape;
                Some(ShapeValue::vector(dims[op.start..op.end].to_vec()))
            }
            Op::Size(_) => Some(ShapeValue::scalar(graph.fact(node.inputs[0]).shape.volume())),
            op if node.outputs[0] == value => {
                let inputs: Vec<Option<ShapeValue>> = node.inputs.iter().map(|&v| extents_of(graph, v, seen)).collect();
                let inputs: Vec<Option<&ShapeValue>> = inputs.iter().map(Option::as_ref).collect();
                op.as_operator().shape_arithmetic(&inputs)
            }
            _ => None,
        },
    };
    seen.insert(value, found.clone());
    found
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::{Binary, BinaryFunction, Cast, Gather, ShapeOf};
    use crate::tensor::DType;

    #[test]
    fn computes_from_constants() {
        let mut net = Net::new(&[3]);
        let (a, b) = (net.random("a", &[2, 3]), net.random("b", &[3]));
        let sum = net.add("sum", Binary::new(BinaryFunction::Add), &[a, b]);
        let y = net.add("y", Binary::new(BinaryFunction::Mul), &[sum, sum]);
        net.finish(&[y]).rewrite(&[&FoldConstants]).is("graph test
               input %x f32(N,3)
               const %y f32(2,3)
               output %y");
    }

    #[test]
    fn carries_extents_through_arithmetic() {
        let mut net = Net::new(&[3, 8]);
        let shape = net.add("shape", ShapeOf { start: 0, end: 3 }, &[net.x]);
        let index = net.graph.add_constant("index", Tensor::scalar(2i64));
        let width = net.add("width", Gather { axis: 0 }, &[shape, index]);
        let real = net.add("real", Cast { to: DType::F32 }, &[width]);
        let y = net.add("y", Binary::new(BinaryFunction::Div), &[net.x, real]);
        net.finish(&[y]).rewrite(&[&FoldConstants]).is("graph test
               input %x f32(N,3,8)
               const %real f32()
               %shape i64(3) = Shape[start=0 end=3](%x)  @shape
               %y f32(N,3,8) = Div(%x, %real)  @y
               output %y");
    }

    #[test]
    fn leaves_what_depends_on_symbols() {
        let mut net = Net::new(&[3, 8]);
        let shape = net.add("shape", ShapeOf { start: 0, end: 1 }, &[net.x]);
        net.finish(&[shape]).rewrite(&[&FoldConstants]).holds(&["Shape"]);
    }
}

use super::{ImportError, NodeView};
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Op, OpError, ShapeValue, Spec};
use crate::reference;
use crate::rewrite::Ledger;
use crate::tensor::{Bindings, Dim, Tensor};
use std::collections::BTreeMap;

/// The graph while it is being read, with what is known of values that hold extents.
#[derive(Debug)]
pub struct Builder {
    pub(super) graph: Graph,
    pub(super) ledger: Ledger,
    shape_values: BTreeMap<ValueId, ShapeValue>,
    /// Small results of constants alone, computed as their nodes are added.
    computed: BTreeMap<ValueId, Tensor>,
}

/// Results of constants no larger than this are computed as they come: shapes, scales, indices.
const SMALL: usize = 1 << 16;

/// No result of constants larger than this is computed at import, in bytes: a damaged file may ask for anything.
const LARGEST: usize = 1 << 28;

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let graph = Graph::new(name);
        Self { graph, ledger: Ledger::default(), shape_values: BTreeMap::new(), computed: BTreeMap::new() }
    }

    /// The graph so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Adds an operator on behalf of an ONNX node; its outputs' shapes are inferred.
    pub fn add(&mut self, node: &NodeView<'_>, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, ImportError> {
        self.add_part(node, "", op, inputs)
    }

    /// Adds one of several operators that an ONNX node comes down to; `part` tells them apart by name.
    pub fn add_part(
        &mut self,
        node: &NodeView<'_>,
        part: &str,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, ImportError> {
        let separator = if part.is_empty() { "" } else { "/" };
        let name = format!("{}{separator}{part}", node.name());
        let facts: Vec<_> = inputs.iter().map(|&v| self.graph.fact(v)).collect();
        // Infer here first: the error then carries the ONNX operator's name.
        op.infer(&facts).map_err(|source| node.error(source))?;
        let known: Vec<Option<ShapeValue>> = inputs.iter().map(|&v| self.shape_value(v)).collect();
        let known: Vec<Option<&ShapeValue>> = known.iter().map(Option::as_ref).collect();
        let extents = op.as_operator().shape_arithmetic(&known);
        let id: NodeId = self.graph.add_node(&name, op, inputs)?;
        self.graph.node_mut(id).origins = vec![node.origin()];
        let outputs = self.graph.node(id).outputs.clone();
        if let (Some(extents), Some(&first)) = (extents, outputs.first()) {
            self.shape_values.insert(first, extents);
        }
        let operands: Option<Vec<Tensor>> = inputs.iter().map(|&v| self.at_hand(v)).collect();
        if let Some(results) = operands.and_then(|operands| self.compute(id, &operands, SMALL)) {
            self.computed.extend(outputs.iter().copied().zip(results));
        }
        Ok(outputs)
    }

    /// A value's contents if they are there without computing anything.
    fn at_hand(&self, value: ValueId) -> Option<Tensor> {
        if let Some(tensor) = self.graph.constant(value).or_else(|| self.computed.get(&value)) {
            return Some(tensor.clone());
        }
        let tensor = self.shape_values.get(&value).and_then(ShapeValue::to_tensor)?;
        Some(tensor.cast(self.graph.fact(value).dtype))
    }

    /// What a node makes of these operands, if none of it takes more than `limit` bytes and it can be computed.
    fn compute(&self, id: NodeId, operands: &[Tensor], limit: usize) -> Option<Vec<Tensor>> {
        let node = self.graph.node(id);
        let bindings = Bindings::new();
        let specs = reference::specs_of(&self.graph, &node.outputs, &bindings).ok()?;
        let fits = |s: &Spec| {
            let bytes = s.shape.iter().try_fold(s.dtype.size(), |bytes, &d| bytes.checked_mul(d));
            bytes.is_some_and(|bytes| bytes <= limit)
        };
        if !specs.iter().all(fits) {
            return None;
        }
        reference::run_node(&self.graph, node, operands, &bindings).ok()
    }

    /// Adds a constant that an ONNX node stands for; the ledger books the node as folded.
    pub fn constant(&mut self, node: &NodeView<'_>, tensor: Tensor) -> ValueId {
        self.ledger.fold(node.origin(), "import", "a constant");
        self.graph.add_constant(node.name(), tensor)
    }

    /// Adds a constant that belongs to an ONNX node, such as a default scale.
    pub fn extra_constant(&mut self, node: &NodeView<'_>, part: &str, tensor: Tensor) -> ValueId {
        self.graph.add_constant(&format!("{}/{part}", node.name()), tensor)
    }

    /// Records what the extents in a value are (an importer that does shape arithmetic itself).
    pub fn set_shape_value(&mut self, value: ValueId, extents: ShapeValue) {
        self.shape_values.insert(value, extents);
    }

    /// The extents a value holds, if it holds any that are known, symbols kept.
    pub fn shape_value(&self, value: ValueId) -> Option<ShapeValue> {
        if let Some(extents) = self.shape_values.get(&value) {
            return Some(extents.clone());
        }
        self.graph.constant(value).and_then(ShapeValue::from_tensor)
    }

    /// The contents of a value if nothing it depends on comes from outside: a constant, or computed from constants.
    pub fn known_tensor(&self, value: ValueId) -> Option<Tensor> {
        if let Some(tensor) = self.at_hand(value) {
            return Some(tensor);
        }
        let (id, node) = self.graph.producer(value)?;
        let operands: Option<Vec<Tensor>> = node.inputs.iter().map(|&v| self.known_tensor(v)).collect();
        let results = self.compute(id, &operands?, LARGEST)?;
        let index = node.outputs.iter().position(|&v| v == value)?;
        results.into_iter().nth(index)
    }

    /// The contents of an input that must be known at import, or an error that names it.
    pub fn constant_input(
        &self,
        node: &NodeView<'_>,
        value: ValueId,
        what: &'static str,
    ) -> Result<Tensor, ImportError> {
        self.known_tensor(value).ok_or_else(|| {
            let got = format!("`{}`, computed from the model's inputs", self.graph.value(value).name);
            node.bad_attribute(what, "a constant", got)
        })
    }

    /// The extents in an input, symbols kept; an error names the input if they depend on data.
    pub fn extents_input(
        &self,
        node: &NodeView<'_>,
        value: ValueId,
        what: &'static str,
    ) -> Result<Vec<Dim>, ImportError> {
        if let Some(extents) = self.shape_value(value) {
            return Ok(extents.elements);
        }
        let tensor = self.constant_input(node, value, what)?;
        Ok(tensor.to_i64().into_iter().map(Dim::from).collect())
    }

    /// The integers in an input that must be known at import.
    pub fn ints_input(&self, node: &NodeView<'_>, value: ValueId, what: &'static str) -> Result<Vec<i64>, ImportError> {
        Ok(self.constant_input(node, value, what)?.to_i64())
    }

    /// The extents of a value whose shape must have no symbol in it (weights).
    pub fn known_shape(
        &self,
        node: &NodeView<'_>,
        value: ValueId,
        what: &'static str,
    ) -> Result<Vec<usize>, ImportError> {
        let shape = &self.graph.fact(value).shape;
        shape.as_concrete().ok_or_else(|| {
            let dim = shape.iter().find(|d| d.as_const().is_none()).cloned().unwrap_or_default();
            node.error(OpError::Symbolic { what, dim })
        })
    }
}

use crate::ir::{Graph, GraphError, NodeId, OriginId, Precision, ValueId};
use crate::ops::Op;
use crate::tensor::{DType, QuantParams, Tensor};
use std::collections::BTreeSet;

/// A value a new node reads: one that is there, or a constant the patch brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A value of the graph.
    Value(ValueId),
    /// The patch's constant of this index.
    Constant(usize),
    /// What the patch's new node of this index makes.
    New(usize),
}

impl From<ValueId> for Source {
    fn from(value: ValueId) -> Self {
        Source::Value(value)
    }
}

#[derive(Debug)]
enum Edit {
    /// A node that makes values which are there already.
    Add {
        name: String,
        op: Box<Op>,
        inputs: Vec<Source>,
        outputs: Vec<ValueId>,
        absorbs: Vec<NodeId>,
        lead: NodeId,
        int8: Option<Int8>,
    },
    /// A node of one output that was not there.
    Insert { name: String, op: Box<Op>, inputs: Vec<Source> },
    /// A node goes; what it made is a constant from now on.
    Fold { node: NodeId, constants: Vec<Tensor> },
    /// A node goes; readers of `from` read `to`.
    Bypass { node: NodeId, from: ValueId, to: ValueId },
    /// A node goes that nobody reads; what it computed may have been taken up at import.
    Drop { node: NodeId, folded: bool },
}

/// A node that computes in INT8, and the scale its output is stored in; without one it is real.
#[derive(Clone, Debug)]
struct Int8 {
    quant: Option<QuantParams>,
}

/// A change a rule proposes. It is applied by the driver, all or nothing.
#[derive(Debug, Default)]
pub struct Patch {
    constants: Vec<(String, Tensor, Option<QuantParams>)>,
    inserted: usize,
    edits: Vec<Edit>,
    /// Why it is right, for the ledger.
    pub detail: String,
}

/// What a patch did, for the ledger.
#[derive(Debug, Default)]
pub struct Applied {
    /// ONNX nodes that are now part of another node's group, with that group's name.
    pub fused: Vec<(OriginId, String)>,
    /// ONNX nodes computed once and for all.
    pub folded: Vec<OriginId>,
    /// ONNX nodes that did nothing.
    pub removed: Vec<OriginId>,
}

impl Patch {
    /// An empty patch with the reason it is right.
    pub fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    /// Brings a constant.
    pub fn constant(&mut self, name: impl Into<String>, tensor: Tensor) -> Source {
        self.constants.push((name.into(), tensor, None));
        Source::Constant(self.constants.len() - 1)
    }

    /// Brings a constant of integers that stand for reals.
    pub fn quantized_constant(&mut self, name: impl Into<String>, tensor: Tensor, quant: QuantParams) -> Source {
        self.constants.push((name.into(), tensor, Some(quant)));
        Source::Constant(self.constants.len() - 1)
    }

    /// Adds a node of one output, to be read by the patch's later nodes. It stands for no ONNX node of its own.
    pub fn insert(&mut self, name: impl Into<String>, op: impl Into<Op>, inputs: Vec<Source>) -> Source {
        self.edits.push(Edit::Insert { name: name.into(), op: Box::new(op.into()), inputs });
        self.inserted += 1;
        Source::New(self.inserted - 1)
    }

    /// As [`Patch::replace`], the new node computing in INT8. Its output is integers of `quant`, or real.
    #[allow(clippy::too_many_arguments)] // the fields of one edit
    pub fn replace_in_int8(
        &mut self,
        graph: &Graph,
        lead: NodeId,
        absorbed: &[NodeId],
        op: impl Into<Op>,
        inputs: Vec<Source>,
        outputs: Vec<ValueId>,
        quant: Option<QuantParams>,
    ) {
        self.replace(graph, lead, absorbed, op, inputs, outputs);
        if let Some(Edit::Add { int8, .. }) = self.edits.last_mut() {
            *int8 = Some(Int8 { quant });
        }
    }

    /// One node in place of several: `lead` gives name, precision and rank among origins, `absorbed` are fused
    /// into it. The new node makes `outputs`, values that are there and keep their names and readers.
    pub fn replace(
        &mut self,
        graph: &Graph,
        lead: NodeId,
        absorbed: &[NodeId],
        op: impl Into<Op>,
        inputs: Vec<Source>,
        outputs: Vec<ValueId>,
    ) {
        let name = graph.node(lead).name.clone();
        let (op, absorbs) = (Box::new(op.into()), absorbed.to_vec());
        self.edits.push(Edit::Add { name, op, inputs, outputs, absorbs, lead, int8: None });
    }

    /// `node` is computed now: its outputs become these constants.
    pub fn fold(&mut self, node: NodeId, constants: Vec<Tensor>) {
        self.edits.push(Edit::Fold { node, constants });
    }

    /// `node` does nothing: readers of its output `from` read `to`.
    pub fn bypass(&mut self, node: NodeId, from: ValueId, to: ValueId) {
        self.edits.push(Edit::Bypass { node, from, to });
    }

    /// `node` is read by nobody.
    pub fn drop_node(&mut self, node: NodeId) {
        self.edits.push(Edit::Drop { node, folded: false });
    }

    /// `node` is read by nobody any more, because what it computed is known: it is booked as folded.
    pub fn drop_folded(&mut self, node: NodeId) {
        self.edits.push(Edit::Drop { node, folded: true });
    }

    /// Carries the patch out.
    pub(super) fn apply(self, graph: &mut Graph) -> Result<Applied, GraphError> {
        let mut applied = Applied::default();
        let mut constants = Vec::with_capacity(self.constants.len());
        for (name, tensor, quant) in self.constants {
            let constant = graph.add_constant(&name, tensor);
            graph.value_mut(constant).fact.quant = quant;
            constants.push(constant);
        }
        let mut made: Vec<ValueId> = Vec::new();
        let resolve = |inputs: Vec<Source>, made: &[ValueId]| -> Vec<ValueId> {
            let value = |source| match source {
                Source::Value(value) => value,
                Source::Constant(index) => constants[index],
                Source::New(index) => made[index],
            };
            inputs.into_iter().map(value).collect()
        };
        for edit in self.edits {
            match edit {
                Edit::Insert { name, op, inputs } => {
                    let id = graph.add_node(&name, *op, &resolve(inputs, &made))?;
                    made.push(graph.node(id).outputs[0]);
                }
                Edit::Add { name, op, inputs, outputs, absorbs, lead, int8 } => {
                    let inputs = resolve(inputs, &made);
                    let before: Vec<DType> = outputs.iter().map(|&v| graph.fact(v).dtype).collect();
                    let id = replace(graph, &mut applied, &name, *op, &inputs, &outputs, &absorbs, lead)?;
                    if let Some(int8) = int8 {
                        store_as(graph, id, int8, &before);
                    }
                }
                Edit::Fold { node, constants } => {
                    let Some(old) = graph.remove_node(node) else { continue };
                    for (&output, tensor) in old.outputs.iter().zip(constants) {
                        let value = graph.value_mut(output);
                        value.fact.dtype = tensor.dtype();
                        value.constant = Some(tensor);
                    }
                    applied.folded.extend(old.origins);
                }
                Edit::Bypass { node, from, to } => bypass(graph, &mut applied, node, from, to),
                Edit::Drop { node, folded } => {
                    let Some(old) = graph.remove_node(node) else { continue };
                    let book = if folded { &mut applied.folded } else { &mut applied.removed };
                    book.extend(old.origins);
                }
            }
        }
        // An ONNX node that came down to several of ours is gone only when the last of them is.
        let left: BTreeSet<OriginId> = graph.nodes().flat_map(|(_, n)| n.origins.iter().copied()).collect();
        applied.folded.retain(|origin| !left.contains(origin));
        applied.removed.retain(|origin| !left.contains(origin));
        graph.drop_unused_values();
        Ok(applied)
    }
}

#[allow(clippy::too_many_arguments)] // the fields of one edit
fn replace(
    graph: &mut Graph,
    applied: &mut Applied,
    name: &str,
    op: Op,
    inputs: &[ValueId],
    outputs: &[ValueId],
    absorbs: &[NodeId],
    lead: NodeId,
) -> Result<NodeId, GraphError> {
    let precision = graph.node(lead).precision;
    let lead_origins = graph.remove_node(lead).map(|n| n.origins).unwrap_or_default();
    let mut origins = lead_origins.clone();
    for &absorbed in absorbs {
        let old = graph.remove_node(absorbed).map(|n| n.origins).unwrap_or_default();
        // One ONNX node may have come down to both; it does not become part of itself.
        for origin in old.into_iter().filter(|o| !lead_origins.contains(o)) {
            applied.fused.push((origin, name.to_owned()));
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
    }
    let id = graph.add_node_making(name, op, inputs, outputs)?;
    let node = graph.node_mut(id);
    node.origins = origins;
    node.precision = precision;
    Ok(id)
}

/// Reals keep the type they had `before`, which may be F16.
fn store_as(graph: &mut Graph, id: NodeId, int8: Int8, before: &[DType]) {
    graph.node_mut(id).precision = Precision::Int8;
    for (output, &real) in graph.node(id).outputs.clone().into_iter().zip(before) {
        let fact = &mut graph.value_mut(output).fact;
        fact.dtype = int8.quant.as_ref().map_or(real, |quant| quant.dtype);
        fact.quant.clone_from(&int8.quant);
    }
}

/// A graph's output keeps its name: if `from` is one and `to` is made by a node, that node makes `from` instead.
fn bypass(graph: &mut Graph, applied: &mut Applied, node: NodeId, from: ValueId, to: ValueId) {
    let Some(old) = graph.remove_node(node) else { return };
    applied.removed.extend(old.origins);
    let (asked_from, asked_to) = (graph.outputs.contains(&from), graph.outputs.contains(&to));
    match graph.value(to).producer {
        Some(producer) if asked_from && !asked_to => {
            graph.redirect(to, from);
            for output in graph.node_mut(producer).outputs.iter_mut().filter(|v| **v == to) {
                *output = from;
            }
            graph.value_mut(to).producer = None;
            graph.value_mut(from).producer = Some(producer);
        }
        _ => graph.redirect(from, to),
    }
}

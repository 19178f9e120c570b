use super::{Fact, GraphError, Precision};
use crate::ops::Op;
use crate::tensor::{Bindings, Shape, Symbol, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names a value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// Names a node of one graph. Never reused, so a ledger may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// Names a node of the ONNX file, by its place in the ledger's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OriginId(pub u32);

/// Something computed once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The ONNX tensor's name, or one made from it.
    pub name: String,
    /// Type, shape, scales.
    pub fact: Fact,
    /// The node that makes it; `None` for inputs and constants.
    pub producer: Option<NodeId>,
    /// Its contents, if known before anything runs. An engine file keeps these apart from the graph.
    #[serde(skip)]
    pub constant: Option<Tensor>,
}

/// One operator applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The ONNX node's name; of a fused group, that of its leading node.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads, in the operator's order.
    pub inputs: Vec<ValueId>,
    /// What it makes.
    pub outputs: Vec<ValueId>,
    /// What it multiplies in.
    pub precision: Precision,
    /// The ONNX nodes it stands for, the leading one first. Empty for nodes a pass invented (casts).
    pub origins: Vec<OriginId>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The network's name.
    pub name: String,
    nodes: BTreeMap<NodeId, Node>,
    values: BTreeMap<ValueId, Value>,
    /// Values given from outside, in the model's order.
    pub inputs: Vec<ValueId>,
    /// Values asked for, in the model's order.
    pub outputs: Vec<ValueId>,
    next_node: u32,
    next_value: u32,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds an input.
    pub fn add_input(&mut self, name: &str, fact: Fact) -> ValueId {
        let id = self.add_value(name, fact);
        self.inputs.push(id);
        id
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let fact = Fact::of(tensor.dtype(), tensor.shape());
        let id = self.add_value(name, fact);
        self.value_mut(id).constant = Some(tensor);
        id
    }

    /// Adds a value that no node makes yet; [`Graph::add_node_making`] gives it its producer.
    pub fn add_value(&mut self, name: &str, fact: Fact) -> ValueId {
        let id = ValueId(self.next_value);
        self.next_value += 1;
        let value = Value { name: name.to_owned(), fact, producer: None, constant: None };
        self.values.insert(id, value);
        id
    }

    /// Adds a node; its outputs are new values whose facts the operator infers. They are named after the node.
    pub fn add_node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<NodeId, GraphError> {
        let facts = self.infer(name, &op, inputs)?;
        let outputs: Vec<ValueId> = facts
            .into_iter()
            .enumerate()
            .map(|(i, fact)| {
                let suffix = if i == 0 { String::new() } else { format!(":{i}") };
                self.add_value(&format!("{name}{suffix}"), fact)
            })
            .collect();
        Ok(self.insert_node(name, op, inputs.to_vec(), outputs))
    }

    /// Adds a node that makes existing values (a rewrite's: the values keep their names and readers).
    ///
    /// Their facts become what the operator infers.
    pub fn add_node_making(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        outputs: &[ValueId],
    ) -> Result<NodeId, GraphError> {
        let facts = self.infer(name, &op, inputs)?;
        for (&id, fact) in outputs.iter().zip(facts) {
            self.value_mut(id).fact = fact;
        }
        Ok(self.insert_node(name, op, inputs.to_vec(), outputs.to_vec()))
    }

    fn insert_node(&mut self, name: &str, op: Op, inputs: Vec<ValueId>, outputs: Vec<ValueId>) -> NodeId {
        let id = NodeId(self.next_node);
        self.next_node += 1;
        for &output in &outputs {
            self.value_mut(output).producer = Some(id);
        }
        let precision = Precision::default();
        self.nodes.insert(id, Node { name: name.to_owned(), op, inputs, outputs, precision, origins: Vec::new() });
        id
    }

    /// What `op` would make of `inputs`.
    pub fn infer(&self, name: &str, op: &Op, inputs: &[ValueId]) -> Result<Vec<Fact>, GraphError> {
        let facts: Vec<&Fact> = inputs.iter().map(|&v| &self.value(v).fact).collect();
        op.infer(&facts).map_err(|source| GraphError::Op { node: name.to_owned(), op: op.name(), source })
    }

    /// Takes a node out; the values it made stay, without a producer.
    pub fn remove_node(&mut self, id: NodeId) -> Option<Node> {
        let node = self.nodes.remove(&id)?;
        for output in &node.outputs {
            if let Some(value) = self.values.get_mut(output).filter(|v| v.producer == Some(id)) {
                value.producer = None;
            }
        }
        Some(node)
    }

    /// Lets every reader of `from`, and the graph's outputs, read `to` instead.
    pub fn redirect(&mut self, from: ValueId, to: ValueId) {
        let readers = self.nodes.values_mut().flat_map(|n| &mut n.inputs);
        for input in readers.chain(&mut self.outputs).filter(|v| **v == from) {
            *input = to;
        }
    }

    /// Drops the values that nothing makes, reads or asks for.
    pub fn drop_unused_values(&mut self) {
        let used: BTreeSet<ValueId> = self
            .nodes
            .values()
            .flat_map(|n| n.inputs.iter().chain(&n.outputs))
            .chain(&self.inputs)
            .chain(&self.outputs)
            .copied()
            .collect();
        self.values.retain(|id, _| used.contains(id));
    }

    /// The node of this id.
    ///
    /// # Panics
    /// If the id is of another graph or was removed: a defect of the caller, never of a model.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    /// The node of this id, to change. Panics as [`Graph::node`] does.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("no {id:?} in this graph"))
    }

    /// The node of this id, if it is still there.
    pub fn get_node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The value of this id. Panics as [`Graph::node`] does.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[&id]
    }

    /// The value of this id, if it is there.
    pub fn get_value(&self, id: ValueId) -> Option<&Value> {
        self.values.get(&id)
    }

    /// The value of this id, to change. Panics as [`Graph::node`] does.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        self.values.get_mut(&id).unwrap_or_else(|| panic!("no {id:?} in this graph"))
    }

    /// The fact of a value.
    pub fn fact(&self, id: ValueId) -> &Fact {
        &self.value(id).fact
    }

    /// The contents of a value, if it is a constant.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        self.value(id).constant.as_ref()
    }

    /// All nodes, in order of their making.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(id, n)| (*id, n))
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.values.iter().map(|(id, v)| (*id, v))
    }

    /// All values, to change (an engine's reader attaches constants).
    pub fn values_mut(&mut self) -> impl Iterator<Item = (ValueId, &mut Value)> {
        self.values.iter_mut().map(|(id, v)| (*id, v))
    }

    /// The nodes that read `value`, each once.
    pub fn readers(&self, value: ValueId) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes().filter(move |(_, n)| n.inputs.contains(&value))
    }

    /// The one node that reads `value`, if there is just one and the graph does not ask for the value.
    pub fn only_reader(&self, value: ValueId) -> Option<NodeId> {
        let mut readers = self.readers(value);
        let (first, _) = readers.next()?;
        (readers.next().is_none() && !self.outputs.contains(&value)).then_some(first)
    }

    /// The node that makes `value`.
    pub fn producer(&self, value: ValueId) -> Option<(NodeId, &Node)> {
        let id = self.value(value).producer?;
        Some((id, self.node(id)))
    }

    /// The value of this name.
    pub fn find_value(&self, name: &str) -> Option<ValueId> {
        self.values().find(|(_, v)| v.name == name).map(|(id, _)| id)
    }

    /// The node of this name.
    pub fn find_node(&self, name: &str) -> Option<NodeId> {
        self.nodes().find(|(_, n)| n.name == name).map(|(id, _)| id)
    }

    /// Every symbol in the inputs' shapes: what a caller must bind to run the graph.
    pub fn symbols(&self) -> BTreeSet<Symbol> {
        self.inputs.iter().flat_map(|&v| self.fact(v).shape.symbols()).collect()
    }

    /// The values of all symbols, from the extents of actual inputs (in the inputs' order).
    ///
    /// `Err((input, expected))` names the first input whose extents do not fit.
    pub fn bind(&self, shapes: &[&[usize]]) -> Result<Bindings, (usize, Shape)> {
        let mut bindings = Bindings::new();
        for (index, (&input, actual)) in self.inputs.iter().zip(shapes).enumerate() {
            let expected = &self.fact(input).shape;
            if expected.rank() != actual.len() {
                return Err((index, expected.clone()));
            }
            for (dim, &extent) in expected.iter().zip(*actual) {
                if let Some(symbol) = dim.as_symbol().filter(|s| bindings.get(s).is_none()) {
                    bindings.bind(symbol.clone(), i64::try_from(extent).unwrap_or(i64::MAX));
                }
            }
            if expected.eval(&bindings).ok().as_deref() != Some(*actual) {
                return Err((index, expected.clone()));
            }
        }
        Ok(bindings)
    }
}

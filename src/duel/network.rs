use crate::engine::Engine;
use limpid_graph::onnx::Model;
use limpid_graph::rewrite::Fate;
use std::collections::{BTreeMap, BTreeSet};

/// A node of the ONNX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxNode {
    /// Its name, which no other has.
    pub name: String,
    /// Its operator.
    pub op_type: String,
    /// What limpid made of it, where it is in no group.
    pub became: Option<String>,
}

/// The ONNX nodes that two engines have in common, and what their names and tensors are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    nodes: Vec<OnnxNode>,
    /// Nodes by name.
    index: BTreeMap<String, usize>,
    /// Nodes with dots in their name, by the name without.
    undotted: BTreeMap<String, Vec<usize>>,
    /// The node that makes each tensor, as far as that is known.
    makers: BTreeMap<String, usize>,
    /// Tensors that no node makes: inputs and weights.
    given: BTreeSet<String>,
    /// Names that stand for several nodes.
    aliases: BTreeMap<String, Vec<usize>>,
    /// Names of conversions, with the nodes that they serve.
    conversions: BTreeMap<String, Vec<usize>>,
}

impl Network {
    /// Of nodes in the model's order, by name and operator; of those that share a name, the first.
    pub fn new<'a>(nodes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut network = Self::default();
        for (name, op_type) in nodes {
            network.add(OnnxNode { name: name.to_owned(), op_type: op_type.to_owned(), became: None });
        }
        network
    }

    /// Of an engine's ledger: every node of the ONNX file it was built from. Of tensors, only those are known that are
    /// left after fusing.
    pub fn of_engine(engine: &Engine) -> Self {
        let mut network = Self::default();
        for account in engine.ledger.account(&engine.graph) {
            let became = account.group.is_none().then(|| match account.fate {
                Fate::Kept | Fate::Fused { .. } => "in no group".to_owned(),
                Fate::Folded { rule, .. } => format!("folded by {rule}"),
                Fate::Removed { rule, .. } => format!("removed by {rule}"),
            });
            network.add(OnnxNode { name: account.origin.name, op_type: account.origin.op_type, became });
        }
        let graph = &engine.graph;
        for (_, value) in graph.values() {
            let maker = value.producer.and_then(|id| graph.get_node(id));
            // A group's value is what its last node made, by the model's order.
            let last = maker.and_then(|node| node.origins.iter().max()).and_then(|id| engine.ledger.origin(*id));
            match last {
                Some(origin) => network.made(&value.name, &origin.name),
                None if maker.is_none() => drop(network.given.insert(value.name.clone())),
                None => {}
            }
        }
        network
    }

    /// With all tensors of the model itself, as it was before anything was fused.
    #[must_use]
    pub fn with_tensors(mut self, model: &Model) -> Self {
        for (_, value) in model.graph.values() {
            let maker = value.producer.and_then(|id| model.graph.get_node(id));
            let origin = maker.and_then(|node| node.origins.first()).and_then(|id| model.ledger.origin(*id));
            match origin {
                Some(origin) => self.made(&value.name, &origin.name),
                None => drop(self.given.insert(value.name.clone())),
            }
        }
        self
    }

    /// For a TensorRT engine that was built from what `limpid export` writes of this engine: there, a group is a node of the
    /// group's name and others named after it, so that name stands for all ONNX nodes of the group, and a conversion's for
    /// those that it serves.
    #[must_use]
    pub fn exported(mut self, engine: &Engine) -> Self {
        for group in super::group::unplanned(engine) {
            let names = if group.nodes.is_empty() { &group.beside } else { &group.nodes };
            let nodes = names.iter().filter_map(|name| self.find(name)).collect();
            let list = if group.nodes.is_empty() { &mut self.conversions } else { &mut self.aliases };
            list.insert(group.name.clone(), nodes);
        }
        self
    }

    /// The nodes, in the model's order.
    pub fn nodes(&self) -> &[OnnxNode] {
        &self.nodes
    }

    /// The node's place among [`Network::nodes`].
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The places of the nodes that a name stands for.
    pub(super) fn named(&self, name: &str) -> Option<&[usize]> {
        let alias = self.aliases.get(name).map(Vec::as_slice);
        alias.or_else(|| self.index.get(name).map(std::slice::from_ref))
    }

    /// The places of the nodes that a conversion of this name serves.
    pub(super) fn served_by(&self, name: &str) -> Option<&[usize]> {
        self.conversions.get(name).map(Vec::as_slice)
    }

    /// The node that makes a tensor. PyTorch's exporter calls the first output of `/conv1/Conv` `/conv1/Conv_output_0`,
    /// and so do those who imitate it.
    pub(super) fn maker(&self, tensor: &str) -> Option<usize> {
        let by_name = || {
            let (node, number) = tensor.rsplit_once("_output_")?;
            number.bytes().all(|digit| digit.is_ascii_digit()).then(|| self.find(node)).flatten()
        };
        self.makers.get(tensor).copied().or_else(by_name)
    }

    /// Whether it is a tensor that no node makes: an input or a weight.
    pub(super) fn is_given(&self, tensor: &str) -> bool {
        self.given.contains(tensor)
    }

    /// The nodes whose name this is but for dots: Myelin writes `_` for them. `None` where there are none or several names.
    pub(super) fn spelled_without_dots(&self, name: &str) -> Option<Vec<usize>> {
        match self.undotted.get(name)?.as_slice() {
            [only] => Some(vec![*only]),
            _ => None,
        }
    }

    /// The first node of a module of PyTorch's: the one whose name begins with the module's.
    pub(super) fn first_under(&self, module: &str) -> Option<usize> {
        let inside = format!("{module}/");
        let under = self.index.range(inside.clone()..).take_while(|(name, _)| name.starts_with(&inside));
        under.map(|(_, &index)| index).min()
    }

    /// Adds a node that is not there yet and returns its place.
    pub(super) fn add(&mut self, node: OnnxNode) -> usize {
        let next = self.nodes.len();
        let index = *self.index.entry(node.name.clone()).or_insert(next);
        if index == next {
            if node.name.contains('.') {
                self.undotted.entry(node.name.replace('.', "_")).or_default().push(index);
            }
            self.nodes.push(node);
        }
        index
    }

    fn made(&mut self, tensor: &str, node: &str) {
        if let Some(&index) = self.index.get(node) {
            self.makers.insert(tensor.to_owned(), index);
        }
    }
}

//! Which of TensorRT's layers do the same as which of limpid's groups: both name the ONNX nodes that are in them.
//!
//! Groups and layers that share a node belong together, and so do those that share one with them, and so on; what belongs
//! together is a row. What says that a node is in a layer is, the best first: TensorRT's metadata, the layer's name, a
//! stretch of nodes in its name, the tensors it writes. A lesser word only places nodes that no better one has placed, so
//! that a copy named after a convolution is not taken for the convolution.

use super::claims::claims;
use super::network::OnnxNode;
use super::{Alignment, Evidence, Group, Layer, LooseNode, Network, PlacedLayer, Row, Timing};
use std::collections::{BTreeMap, BTreeSet};

/// Puts groups and layers, each in the order they run, side by side by the ONNX nodes of `network`.
///
/// Whatever the names, every node, group and layer is in the result exactly once; see [`Alignment`].
pub fn align(network: &Network, groups: Vec<Group>, layers: Vec<Layer>) -> Alignment {
    // A group may name a node that the network does not list: it is a node all the same.
    let mut network = network.clone();
    for name in groups.iter().flat_map(|group| &group.nodes) {
        network.add(OnnxNode { name: name.clone(), op_type: String::new(), became: None });
    }
    let (claims, strangers) = claims(&network, &layers);
    let places = |names: &[String]| names.iter().filter_map(|name| network.find(name)).collect::<Vec<_>>();
    let held: Vec<Vec<usize>> = groups.iter().map(|group| places(&group.nodes)).collect();

    let count = network.nodes().len();
    let group_of = first_holders(count, held.iter());
    let layer_of = first_holders(count, claims.iter().map(|claim| &claim.nodes));
    let sets = Sets::of(count, held.iter().chain(claims.iter().map(|claim| &claim.nodes)));
    let both = |node: usize| group_of[node].is_some() && layer_of[node].is_some();
    let shared: BTreeSet<usize> = (0..count).filter(|&node| both(node)).map(|node| sets.root(node)).collect();
    // The row of something that has nodes, or that serves some.
    let row_of = |nodes: &[usize], beside: &[usize]| {
        let candidates = if nodes.is_empty() { beside } else { &nodes[..1] };
        candidates.iter().map(|&node| sets.root(node)).find(|root| shared.contains(root))
    };

    let mut alignment = Alignment { strangers, ..Alignment::default() };
    let mut rows: BTreeMap<usize, Row> = shared.iter().map(|&root| (root, Row::default())).collect();
    for (index, node) in network.nodes().iter().enumerate() {
        let (group, layer) = (group_of[index].map(|at| &groups[at].name), layer_of[index].map(|at| &layers[at].name));
        let list = match (group, layer) {
            (Some(_), Some(_)) => {
                rows.entry(sets.root(index)).or_default().nodes.push(node.name.clone());
                continue;
            }
            (Some(_), None) => &mut alignment.limpid_only,
            (None, Some(_)) => &mut alignment.tensorrt_only,
            (None, None) => &mut alignment.neither,
        };
        let (name, op_type) = (node.name.clone(), node.op_type.clone());
        let limpid = group.or(node.became.as_ref()).map_or("in no group", String::as_str).to_owned();
        list.push(LooseNode { name, op_type, limpid, tensorrt: layer.cloned() });
    }
    let mut order: Vec<usize> = Vec::new();
    for (group, nodes) in groups.into_iter().zip(&held) {
        match row_of(nodes, &places(&group.beside)) {
            Some(root) => {
                rows.entry(root).or_default().groups.push(group);
                order.push(root);
            }
            None => alignment.groups_alone.push(group),
        }
    }
    for (layer, claim) in layers.into_iter().zip(&claims) {
        match row_of(&claim.nodes, &claim.beside) {
            Some(root) => {
                let by = claim.by.unwrap_or(Evidence::Beside);
                rows.entry(root).or_default().layers.push(PlacedLayer { layer, by });
            }
            None => alignment.layers_alone.push(layer),
        }
    }
    alignment.rows = order.into_iter().filter_map(|root| rows.remove(&root)).map(timed).collect();
    alignment
}

/// A row with both sides' times added up.
fn timed(row: Row) -> Row {
    let limpid = Timing::sum(row.groups.iter().filter_map(|group| group.time));
    let tensorrt = Timing::sum(row.layers.iter().filter_map(|placed| placed.layer.time));
    Row { limpid, tensorrt, ..row }
}

/// For each node, the first of the lists that has it.
fn first_holders<'a>(count: usize, lists: impl Iterator<Item = &'a Vec<usize>>) -> Vec<Option<usize>> {
    let mut holders = vec![None; count];
    for (list, nodes) in lists.enumerate() {
        nodes.iter().for_each(|&node| holders[node] = holders[node].or(Some(list)));
    }
    holders
}

/// Nodes that belong together.
struct Sets {
    /// The least node of each node's set.
    roots: Vec<usize>,
}

impl Sets {
    /// Nodes of one list belong together.
    fn of<'a>(count: usize, lists: impl Iterator<Item = &'a Vec<usize>>) -> Self {
        let mut parents: Vec<usize> = (0..count).collect();
        for pair in lists.flat_map(|nodes| nodes.windows(2)) {
            let [a, b] = [pair[0], pair[1]].map(|node| top(&mut parents, node));
            parents[a.max(b)] = a.min(b);
        }
        Self { roots: (0..count).map(|node| top(&mut parents, node)).collect() }
    }

    fn root(&self, node: usize) -> usize {
        self.roots[node]
    }
}

/// Follows a node to the top of its tree, and shortens the way for those who come after.
fn top(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}

//! Which groups are INT8: those where it pays, conversions included.
//!
//! Each group takes some time in INT8 and some in its real precision, and each tensor costs a conversion if some of
//! those who make and read it are of one kind and some of the other. The labelling of least total time is a minimum
//! cut between a source (INT8) and a sink (real):
//!
//! ```text
//! source -> group   time in its real precision: lost if the group is cut off from INT8
//! group  -> sink    time in INT8
//! tensor            in -> out with the conversion's time; every group that touches it -> in, and out -> every group:
//!                   cut once if its groups are on both sides, however many they are
//! ```
//!
//! Source: Kolmogorov and Zabih, "What energy functions can be minimized via graph cuts?", PAMI 2004.

use crate::plan::{Plan, Step};
use limpid_graph::ir::{Graph, NodeId, ValueId};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, DType};
use limpid_kernels::site::Site;
use limpid_kernels::target::Target;
use petgraph::algo::ford_fulkerson;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};

/// What a kernel of a few microseconds costs beside the bytes it moves, µs: its start inside a graph.
const KERNEL_START_US: f64 = 1.5;

/// A group's time in µs, in its real precision and in INT8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub real: f64,
    pub int8: f64,
}

/// Who is INT8, and the times that say so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    int8: BTreeSet<NodeId>,
    times: BTreeMap<NodeId, Times>,
}

impl Assignment {
    /// Whether a group is INT8, or why not.
    pub fn verdict(&self, id: NodeId) -> Result<(), String> {
        if self.int8.contains(&id) {
            return Ok(());
        }
        let Some(Times { real, int8 }) = self.times.get(&id) else {
            return Err("nothing is known of its time".to_owned());
        };
        let against = format!("{int8:.1} µs in INT8 against {real:.1} µs");
        Err(match int8 < real {
            true => format!("it does not pay: {against}, but its tensors would have to be converted"),
            false => format!("it does not pay: {against}"),
        })
    }
}

/// The groups of `graph` (the network before any conversion) that are faster in INT8 all in all.
///
/// `int8` is the plan of the network with every possible group, `chosen`, in INT8, `real` that with none.
pub(super) fn assign(
    graph: &Graph,
    bindings: &Bindings,
    target: &Target,
    chosen: &BTreeSet<NodeId>,
    [real, int8]: [&Plan; 2],
) -> Assignment {
    let (real, int8) = (group_times(real), group_times(int8));
    let of = |times: &BTreeMap<NodeId, f64>, id| times.get(&id).copied().unwrap_or(0.0);
    let times: BTreeMap<NodeId, Times> =
        chosen.iter().map(|&id| (id, Times { real: of(&real, id), int8: of(&int8, id) })).collect();
    let conversions = conversions(graph, bindings, target);
    Assignment { int8: cut(graph, &times, &conversions), times }
}

/// The time of each group's own work: conversions on the way in are counted with the tensors.
fn group_times(plan: &Plan) -> BTreeMap<NodeId, f64> {
    let mut times = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| !converts(step)) {
        let Some((id, offer)) = step.node.zip(step.offers.first()) else { continue };
        *times.entry(id).or_insert(0.0) += offer.measured_us.unwrap_or(offer.estimated_us);
    }
    times
}

/// True for a copy between integers and reals.
fn converts(step: &Step) -> bool {
    matches!(&step.site, Site::Copy(copy) if (copy.x.dtype == DType::I8) != (copy.y.dtype == DType::I8))
}

/// What it costs to convert each tensor between FP16 and INT8, µs.
fn conversions(graph: &Graph, bindings: &Bindings, target: &Target) -> BTreeMap<ValueId, f64> {
    let made = graph.nodes().flat_map(|(_, node)| node.outputs.iter().copied());
    made.filter(|&value| graph.fact(value).dtype.is_float())
        .map(|value| {
            let elements = specs_of(graph, &[value], bindings).map_or(0, |specs| specs.iter().map(|s| s.len()).sum());
            let bytes = elements * (DType::F16.size() + DType::I8.size());
            (value, bytes as f64 / target.bandwidth * 1e6 + KERNEL_START_US)
        })
        .collect()
}

/// The groups on the source's side of the minimum cut. Those without times stay real.
fn cut(graph: &Graph, times: &BTreeMap<NodeId, Times>, conversions: &BTreeMap<ValueId, f64>) -> BTreeSet<NodeId> {
    let mut flow: DiGraph<(), f64> = DiGraph::new();
    let (source, sink) = (flow.add_node(()), flow.add_node(()));
    let places: BTreeMap<NodeId, NodeIndex> = graph.nodes().map(|(id, _)| (id, flow.add_node(()))).collect();
    // More than everything together, and finite, so that sums stay numbers.
    let never = times.values().map(|t| t.real + t.int8).chain(conversions.values().copied()).sum::<f64>() + 1.0;
    for (id, &place) in &places {
        match times.get(id) {
            Some(times) => {
                flow.add_edge(source, place, times.real);
                flow.add_edge(place, sink, times.int8);
            }
            None => {
                flow.add_edge(place, sink, never);
            }
        }
    }
    for (&value, &cost) in conversions {
        let readers = graph.readers(value).map(|(id, _)| id);
        let touching: BTreeSet<NodeId> = readers.chain(graph.value(value).producer).collect();
        if touching.len() < 2 {
            continue;
        }
        let (entry, exit) = (flow.add_node(()), flow.add_node(()));
        flow.add_edge(entry, exit, cost);
        for id in touching {
            flow.add_edge(places[&id], entry, never);
            flow.add_edge(exit, places[&id], never);
        }
    }
    let (_, flows) = ford_fulkerson(&flow, source, sink);
    let reached = reachable(&flow, &flows, source, never * 1e-12);
    places.into_iter().filter(|(_, place)| reached.contains(place)).map(|(id, _)| id).collect()
}

/// What a source reaches through edges that are not full, or against edges that carry something.
fn reachable(flow: &DiGraph<(), f64>, flows: &[f64], source: NodeIndex, slack: f64) -> BTreeSet<NodeIndex> {
    let mut onward: BTreeMap<NodeIndex, Vec<NodeIndex>> = BTreeMap::new();
    for (edge, &used) in flow.edge_references().zip(flows) {
        if *edge.weight() - used > slack {
            onward.entry(edge.source()).or_default().push(edge.target());
        }
        if used > slack {
            onward.entry(edge.target()).or_default().push(edge.source());
        }
    }
    let (mut reached, mut waiting) = (BTreeSet::from([source]), vec![source]);
    while let Some(place) = waiting.pop() {
        for &next in onward.get(&place).into_iter().flatten() {
            if reached.insert(next) {
                waiting.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_graph::ir::Fact;
    use limpid_graph::ops::{Activation, ActivationOp, Binary, BinaryFunction};

    /// Groups in a row, a -> b -> …, and the last added to the first.
    fn network(count: usize) -> Graph {
        let mut graph = Graph::new("test");
        let mut value = graph.add_input("x", Fact::of(DType::F32, &[1, 4]));
        let mut first = None;
        for index in 0..count {
            let op = ActivationOp { function: Activation::Relu };
            let node = graph.add_node(&format!("g{index}"), op.into(), &[value]).expect("it fits");
            value = graph.node(node).outputs[0];
            first.get_or_insert(value);
        }
        let add = Binary { function: BinaryFunction::Add, activation: Activation::Identity };
        let sum = graph.add_node("sum", add.into(), &[value, first.expect("one")]).expect("it fits");
        graph.outputs = vec![graph.node(sum).outputs[0]];
        graph
    }

    /// The total time of a labelling.
    fn price(
        graph: &Graph,
        times: &BTreeMap<NodeId, Times>,
        conversions: &BTreeMap<ValueId, f64>,
        int8: &BTreeSet<NodeId>,
    ) -> f64 {
        let groups: f64 = times.iter().map(|(id, t)| if int8.contains(id) { t.int8 } else { t.real }).sum();
        let mixed = |value: &ValueId| {
            let touching: Vec<NodeId> =
                graph.readers(*value).map(|(id, _)| id).chain(graph.value(*value).producer).collect();
            touching.iter().any(|id| int8.contains(id)) && !touching.iter().all(|id| int8.contains(id))
        };
        groups + conversions.iter().filter(|(value, _)| mixed(value)).map(|(_, cost)| cost).sum::<f64>()
    }

    #[test]
    fn the_cut_is_the_best_of_all_labellings() {
        let graph = network(5);
        let ids: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
        let mut state = 12345u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64 * 10.0
        };
        for _ in 0..200 {
            // The sum has no INT8 form.
            let times: BTreeMap<NodeId, Times> =
                ids[..5].iter().map(|&id| (id, Times { real: random(), int8: random() })).collect();
            let conversions: BTreeMap<ValueId, f64> =
                graph.nodes().map(|(_, node)| (node.outputs[0], random() * 0.5)).collect();
            let found = cut(&graph, &times, &conversions);
            let labelling = |bits: u32| (0..5).filter(|i| bits >> i & 1 == 1).map(|i| ids[i]).collect();
            let best =
                (0..32).map(|bits| price(&graph, &times, &conversions, &labelling(bits))).fold(f64::MAX, f64::min);
            let price = price(&graph, &times, &conversions, &found);
            assert!((price - best).abs() < 1e-9, "{price} {best} {found:?}");
            assert!(!found.contains(&ids[5]));
        }
    }

    #[test]
    fn dear_conversions_keep_neighbours_together() {
        let graph = network(3);
        let ids: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
        let times = BTreeMap::from([
            (ids[0], Times { real: 5.0, int8: 5.0 }),
            (ids[1], Times { real: 5.0, int8: 4.0 }),
            (ids[2], Times { real: 5.0, int8: 5.0 }),
        ]);
        let at = |cost: f64| graph.nodes().map(|(_, node)| (node.outputs[0], cost)).collect();
        assert_eq!(cut(&graph, &times, &at(0.1)), BTreeSet::from([ids[1]]));
        assert!(cut(&graph, &times, &at(2.0)).is_empty());
    }
}

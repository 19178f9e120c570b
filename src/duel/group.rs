use super::Timing;
use crate::engine::Engine;
use crate::measure;
use crate::plan::Plan;
use limpid_graph::ir::{Graph, GraphError, Node, ValueId};
use limpid_graph::rewrite::Account;
use limpid_graph::tensor::Bindings;
use serde::{Deserialize, Serialize};

/// One of limpid's groups: ONNX nodes that were fused into one piece of work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its leading ONNX node's name; of a conversion, what it converts.
    pub name: String,
    /// The ONNX nodes in it; none in a conversion that limpid added.
    pub nodes: Vec<String>,
    /// Of a conversion, ONNX nodes that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// What it does, a line for each kernel; empty where nothing has to run.
    pub what: Vec<String>,
    /// Its kernels; none on the CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tactics: Vec<String>,
    /// How long it takes; `None` where nobody measured, or nothing has to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timing>,
}

/// A time of a piece of limpid's work, from this process or from a file of `bench --profile --json`.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStep {
    /// The group it belongs to.
    pub group: String,
    /// What it does.
    pub what: String,
    /// Its kernel.
    pub tactic: Option<String>,
    /// How long it takes alone.
    pub time: Timing,
}

impl From<&measure::Layer> for TimedStep {
    fn from(layer: &measure::Layer) -> Self {
        let time = Timing { median_us: layer.time.median, spread: Some(layer.time.spread), samples: None };
        Self { group: layer.group.clone(), what: layer.what.clone(), tactic: layer.tactic.clone(), time }
    }
}

/// Times are of a network that has other groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the profile has a group `{group}` and the network has none: they are not of the same network, or not of the same build"
)]
pub struct UnknownGroup {
    /// The group.
    pub group: String,
}

/// An engine's groups in the order they run, each with what the plan for these extents does for it, without times.
///
/// # Errors
/// A graph that does not hold together.
pub fn groups(engine: &Engine, extents: &Bindings) -> Result<Vec<Group>, GraphError> {
    let graph = &engine.graph;
    let accounts = engine.ledger.account(graph);
    let plan = engine.plans.iter().find(|plan| plan.bindings == *extents).or(engine.plans.first());
    let order = graph.topological_order()?;
    let mut groups: Vec<Group> = order.into_iter().map(|id| of_node(graph, graph.node(id), &accounts)).collect();
    match plan {
        Some(plan) => plan_of(&mut groups, plan, graph, &accounts),
        None => {
            for (group, id) in groups.iter_mut().zip(graph.topological_order()?) {
                group.what = vec![graph.node(id).op.to_string()];
            }
        }
    }
    Ok(groups)
}

/// Gives groups the times of their steps, and what these do: a profile may be of a build for another GPU.
///
/// # Errors
/// [`UnknownGroup`], and nothing is changed.
pub fn time(groups: &mut Vec<Group>, steps: &[TimedStep]) -> Result<(), UnknownGroup> {
    let is_output = |name: &str| name.starts_with(OUTPUT);
    let known = |step: &&TimedStep| is_output(&step.group) || groups.iter().any(|group| group.name == step.group);
    if let Some(step) = steps.iter().find(|step| !known(step)) {
        return Err(UnknownGroup { group: step.group.clone() });
    }
    for group in groups.iter_mut() {
        (group.what, group.tactics, group.time) = (Vec::new(), Vec::new(), None);
    }
    for step in steps {
        let index = groups.iter().position(|group| group.name == step.group).unwrap_or_else(|| {
            groups.push(Group { name: step.group.clone(), ..Group::default() });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.what.push(step.what.clone());
        group.tactics.extend(step.tactic.clone());
        group.time = Timing::sum(group.time.into_iter().chain([step.time]));
    }
    Ok(())
}

/// How lowering names the conversion of an output.
const OUTPUT: &str = "output ";

/// An engine's groups in no order, without what a plan adds.
pub(super) fn unplanned(engine: &Engine) -> impl Iterator<Item = Group> {
    let accounts = engine.ledger.account(&engine.graph);
    engine.graph.nodes().map(move |(_, node)| of_node(&engine.graph, node, &accounts))
}

fn of_node(graph: &Graph, node: &Node, accounts: &[Account]) -> Group {
    let nodes = origins(node, accounts);
    let beside = if nodes.is_empty() { around(graph, node, accounts) } else { Vec::new() };
    Group { name: node.name.clone(), nodes, beside, ..Group::default() }
}

/// The ONNX nodes in a node, without those that an earlier one of the same origin has.
fn origins(node: &Node, accounts: &[Account]) -> Vec<String> {
    let of = |id: &limpid_graph::ir::OriginId| accounts.get(id.0 as usize);
    let held = node.origins.iter().filter_map(of).filter(|account| account.group.as_deref() == Some(&node.name));
    held.map(|account| account.origin.name.clone()).collect()
}

/// The ONNX nodes that made what a conversion reads, or, of the network's input, those that read what it makes.
fn around(graph: &Graph, node: &Node, accounts: &[Account]) -> Vec<String> {
    let made = node.inputs.iter().find_map(|&value| makers(graph, value, accounts));
    let read = || {
        let readers = graph.nodes().filter(|(_, other)| other.inputs.iter().any(|value| node.outputs.contains(value)));
        readers.map(|(_, reader)| origins(reader, accounts)).find(|nodes| !nodes.is_empty())
    };
    made.or_else(read).unwrap_or_default()
}

/// The ONNX nodes in the nearest node above a value that has any.
fn makers(graph: &Graph, value: ValueId, accounts: &[Account]) -> Option<Vec<String>> {
    let maker = graph.node(graph.value(value).producer?);
    let nodes = origins(maker, accounts);
    match nodes.is_empty() {
        true => maker.inputs.iter().find_map(|&value| makers(graph, value, accounts)),
        false => Some(nodes),
    }
}

/// What a plan runs for each group; what it runs for none is a group of its own.
fn plan_of(groups: &mut Vec<Group>, plan: &Plan, graph: &Graph, accounts: &[Account]) {
    for step in &plan.steps {
        let index = groups.iter().position(|group| group.name == step.group).unwrap_or_else(|| {
            let output = graph
                .outputs
                .iter()
                .find(|&&output| step.group[..].strip_prefix(OUTPUT) == Some(&graph.value(output).name));
            let beside = output.and_then(|&output| makers(graph, output, accounts)).unwrap_or_default();
            groups.push(Group { name: step.group.clone(), beside, ..Group::default() });
            groups.len() - 1
        });
        groups[index].what.push(step.what.clone());
        groups[index].tactics.push(step.tactic.to_string());
    }
}

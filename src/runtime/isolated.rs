//! One node of an engine by itself: its kernels as the engine chose them, everything around it left out.

use crate::engine::Engine;
use crate::plan::select::{MOST_MEASURED, Measure, MeasureError};
use crate::plan::{Buffer, Plan, PlanError, Step, TimingCache, Tuner, Work, plan};
use crate::port::Layouts;
use limpid_graph::ir::{Graph, NodeId, ValueId};
use limpid_kernels::catalog;
use limpid_kernels::launch::{Candidate, CandidateCost, CompileUnit};
use limpid_kernels::source;

/// A network of one node.
#[derive(Clone, Debug)]
pub struct IsolatedNode {
    /// The node with its constants; its other operands are the network's inputs.
    pub graph: Graph,
    /// Its plan: conversions of the inputs, the node's own steps, conversions of the outputs.
    pub plan: Plan,
    /// Numbers of the node's own steps in it.
    own: Vec<usize>,
    /// In what it differs from the node in its network.
    pub notes: Vec<String>,
}

impl IsolatedNode {
    /// Takes a node out of an engine, with the kernels of this plan.
    ///
    /// # Errors
    /// What planning says of it; nothing where the engine was planned by this version.
    pub fn new(engine: &Engine, from: &Plan, node: NodeId) -> Result<Self, PlanError> {
        let mut graph = engine.graph.clone();
        let others: Vec<NodeId> = graph.nodes().map(|(id, _)| id).filter(|&id| id != node).collect();
        for id in others {
            graph.remove_node(id);
        }
        let mut inputs: Vec<ValueId> = Vec::new();
        for &value in &graph.node(node).inputs {
            if graph.constant(value).is_none() && !inputs.contains(&value) {
                inputs.push(value);
            }
        }
        graph.outputs = graph.node(node).outputs.clone();
        graph.inputs = inputs;
        graph.drop_unused_values();
        // A step may do several nodes' work.
        let does = |step: &&Step| step.groups().any(|of| of.1 == Some(node));
        let chosen: Vec<&Step> = from.steps.iter().filter(does).collect();
        let mut cache = TimingCache::new();
        let mut choice = AsChosen { steps: chosen.clone() };
        let (larger, most) = (Some(from), MOST_MEASURED);
        let tuner = Tuner { measure: &mut choice, cache: &mut cache, larger, thorough: true, most };
        let plan = plan(&graph, &from.bindings, &Layouts::default(), &from.target, Some(tuner))?;
        // What only brings the inputs into the form that the node wants is no step of its own.
        let known = |step: &Step| {
            let parts = chosen.iter().flat_map(|other| &other.parts).map(|part| &part.what);
            chosen.iter().map(|other| &other.what).chain(parts).any(|what| *what == step.what)
        };
        let belongs = |step: &Step| step.node == Some(node) && known(step);
        let own = plan.steps.iter().enumerate().filter(|(_, step)| belongs(step)).map(|(index, _)| index).collect();
        let mut isolated = Self { graph, plan, own, notes: Vec::new() };
        isolated.notes = isolated.differences(engine, &chosen);
        Ok(isolated)
    }

    /// The node's own steps, with their numbers in the plan.
    pub fn steps(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.own.iter().map(|&index| (index, &self.plan.steps[index]))
    }

    /// What the kernel itself says that a step computes and moves.
    pub fn cost(&self, step: &Step) -> Option<CandidateCost> {
        let offers = catalog::offers(&step.site, &self.plan.target);
        offers.candidates.into_iter().find(|candidate| candidate.tactic == step.tactic).map(|c| c.cost)
    }

    fn differences(&self, engine: &Engine, chosen: &[&Step]) -> Vec<String> {
        let mut notes = Vec::new();
        for (_, step) in self.steps() {
            match chosen.iter().find(|other| other.what == step.what && other.tactic == step.tactic) {
                None => notes.push(format!("{}: the engine runs it otherwise; {} stands in", step.what, step.tactic)),
                Some(other) if other.site != step.site => {
                    notes.push(format!("{}: in the network it lies otherwise in memory", step.what));
                }
                Some(_) => {}
            }
            for launch in &step.launches {
                let kept = engine.sources.get(&launch.unit.source).map(String::as_str);
                if kept.is_some() && kept != source::text(&launch.unit.source) {
                    notes.push(format!("{}: the engine was built from another version of it", launch.unit.source));
                }
            }
        }
        notes.sort();
        notes.dedup();
        notes
    }
}

/// "Measures" that what the engine chose is fastest.
struct AsChosen<'p> {
    steps: Vec<&'p Step>,
}

impl Measure for AsChosen<'_> {
    fn identity(&self) -> String {
        "as chosen".to_owned()
    }

    fn prepare(&mut self, _units: &[CompileUnit]) {}

    fn measure(
        &mut self,
        work: &Work,
        _buffers: &[Buffer],
        candidate: &Candidate,
        _best: Option<f64>,
    ) -> Result<f64, MeasureError> {
        let chosen = self.steps.iter().any(|step| step.what == work.what && step.tactic == candidate.tactic);
        Ok(if chosen { 0.0 } else { 1.0 })
    }
}

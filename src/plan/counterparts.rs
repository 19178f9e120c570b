use super::types::{Plan, Step, Work};
use limpid_graph::ir::NodeId;
use std::collections::BTreeMap;

/// The steps of a plan by the work they do, to find them from the work of the same network at other extents.
///
/// What a node becomes depends on the graph and hardly on its extents; where it does after all, a piece of work has no
/// counterpart.
pub(super) struct Counterparts<'p> {
    steps: BTreeMap<(Option<NodeId>, &'p str, &'p str, usize), &'p Step>,
}

impl<'p> Counterparts<'p> {
    /// Of the steps of `plan`. Where a group does the same twice, its first step stands for both: a group's copies of
    /// several inputs, for which one tactic is as good as another.
    pub fn new(plan: &'p Plan) -> Self {
        let mut steps = BTreeMap::new();
        for step in &plan.steps {
            steps.entry((step.node, step.group.as_str(), step.what.as_str(), step.parts.len())).or_insert(step);
        }
        Self { steps }
    }

    /// The step that does the same work.
    pub fn of(&self, work: &Work) -> Option<&'p Step> {
        self.steps.get(&(work.node, work.group.as_str(), work.what.as_str(), work.parts.len())).copied()
    }
}

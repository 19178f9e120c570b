use super::{Ledger, Outcome, Rule};
use crate::ir::{Graph, GraphError, NodeId};
use std::collections::BTreeSet;

/// Why a run of rules stopped. Either is a defect of a rule, found by the check after each rewrite.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// A rule left a graph that does not hold together.
    #[error("rule `{rule}` at node `{node}` left an invalid graph: {source}")]
    Invalid {
        /// The rule.
        rule: &'static str,
        /// The node it rewrote.
        node: String,
        /// What is wrong.
        source: Box<GraphError>,
    },
    /// A rule keeps rewriting.
    #[error("rule `{rule}` did not come to an end after {rewrites} rewrites")]
    Endless {
        /// The rule.
        rule: &'static str,
        /// How many it made.
        rewrites: usize,
    },
    /// A name that no rule has.
    #[error("there is no rule `{name}`; the rules are {}", known.join(", "))]
    UnknownRule {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// The graph was invalid before any rule ran.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Applies rules in order, each to exhaustion, and verifies the graph after every rewrite.
pub struct Driver<'a> {
    rules: Vec<&'a dyn Rule>,
}

impl<'a> Driver<'a> {
    /// Runs these rules, less those named in `disabled`.
    pub fn new(rules: &[&'a dyn Rule], disabled: &[String]) -> Result<Self, RewriteError> {
        if let Some(name) = disabled.iter().find(|name| !rules.iter().any(|r| r.name() == *name)) {
            // A rule may stand in the list more than once.
            let mut known: Vec<&'static str> = Vec::new();
            for rule in rules {
                if !known.contains(&rule.name()) {
                    known.push(rule.name());
                }
            }
            return Err(RewriteError::UnknownRule { name: name.clone(), known });
        }
        let rules = rules.iter().copied().filter(|r| !disabled.iter().any(|d| d == r.name())).collect();
        Ok(Self { rules })
    }

    /// Rewrites `graph` and books every rewrite and every refusal.
    pub fn run(&self, graph: &mut Graph, ledger: &mut Ledger) -> Result<(), RewriteError> {
        graph.verify()?;
        self.rules.iter().try_for_each(|rule| Self::exhaust(*rule, graph, ledger))
    }

    fn exhaust(rule: &dyn Rule, graph: &mut Graph, ledger: &mut Ledger) -> Result<(), RewriteError> {
        // Each rewrite shrinks the graph or adds one constant; a rule that needs more is going in circles.
        let limit = 16 * (graph.nodes().count() + 16);
        let mut rewrites = 0;
        let mut declined = BTreeSet::new();
        loop {
            let order = graph.topological_order()?;
            let before = rewrites;
            for id in order {
                // An earlier rewrite of this sweep may have taken the node.
                let Some(node) = graph.get_node(id) else { continue };
                let name = node.name.clone();
                match rule.apply(graph, id) {
                    Outcome::NoMatch => {}
                    Outcome::Declined(reason) => {
                        Self::decline(rule, ledger, &mut declined, id, &name, &reason);
                    }
                    Outcome::Rewrite(patch) => {
                        let detail = patch.detail.clone();
                        let invalid = |source| RewriteError::Invalid {
                            rule: rule.name(),
                            node: name.clone(),
                            source: Box::new(source),
                        };
                        let applied = patch.apply(graph).map_err(invalid)?;
                        graph.verify().map_err(invalid)?;
                        ledger.applied(rule.name(), &name, &detail, applied);
                        rewrites += 1;
                        if rewrites > limit {
                            return Err(RewriteError::Endless { rule: rule.name(), rewrites });
                        }
                    }
                }
            }
            if rewrites == before {
                return Ok(());
            }
        }
    }

    fn decline(
        rule: &dyn Rule,
        ledger: &mut Ledger,
        seen: &mut BTreeSet<(NodeId, String)>,
        id: NodeId,
        name: &str,
        reason: &str,
    ) {
        if seen.insert((id, reason.to_owned())) {
            ledger.declined(rule.name(), name, reason);
        }
    }
}

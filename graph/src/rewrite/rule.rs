use super::Patch;
use crate::ir::{Graph, NodeId};

/// What a rule says of a node.
#[derive(Debug)]
pub enum Outcome {
    /// Not what the rule is about.
    NoMatch,
    /// The pattern is there, but rewriting would be wrong or is not possible, because of this.
    Declined(String),
    /// Do this.
    Rewrite(Patch),
}

/// One rewrite: a pattern around a node, and what takes its place. Rules look, and never change the graph.
pub trait Rule: Sync {
    /// Its name on the command line (`--disable-rule`) and in the ledger: `fold_batch_norm`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and the ledger.
    fn summary(&self) -> &'static str;

    /// Looks at the graph around `node`.
    fn apply(&self, graph: &Graph, node: NodeId) -> Outcome;
}

//! The fastest mix of INT8 and FP16 that answers well enough.
//!
//! Groups are put in the order in which leaving INT8 helps most for what it costs: the error that INT8 in this group
//! alone makes at the network's output, over the work that would be slower. The more of them are FP16, the better the
//! answers; bisection finds how many it takes. Then each of them is given back to INT8 if the others are enough.
//! Every attempt runs the CPU reference, whose INT8 has the bits of every GPU's.

use crate::builder::Scales;
use crate::compare::{self, CompareError, Subject, Truth};
use crate::engine::Engine;
use crate::input::{Dataset, Preprocessing};
use crate::progress::Progress;
use crate::runtime::{Backend, RunError, Session};
use crate::sensitivity::{Report, Sensitivity};
use limpid_graph::ir::{Graph, GraphError, NodeId};
use limpid_graph::reference::specs_of;
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::Bindings;
use limpid_quant::{fp16, int8};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How much worse than FP32 the answers may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Budget {
    /// Acc@1 may drop by this many percentage points.
    Drop(f64),
    /// The mean cosine to FP32's outputs must be at least this.
    Cosine(f64),
}

impl Budget {
    /// A drop as the command line has it: `0.1pp`, or `0.1`.
    pub fn drop(text: &str) -> Result<Self, String> {
        let points = f64::from_str(text.strip_suffix("pp").unwrap_or(text)).ok().filter(|p| *p >= 0.0);
        points.map(Self::Drop).ok_or_else(|| "expected percentage points, such as 0.1pp".to_owned())
    }

    /// A least cosine: above 0, up to 1.
    pub fn cosine(text: &str) -> Result<Self, String> {
        let cosine = f64::from_str(text).ok().filter(|c| *c > 0.0 && *c <= 1.0);
        cosine.map(Self::Cosine).ok_or_else(|| "expected a cosine above 0 and up to 1, such as 0.999".to_owned())
    }

    fn allows(self, answer: &Answer) -> bool {
        match self {
            Self::Drop(points) => answer.drop.is_some_and(|drop| drop <= points + 1e-9),
            Self::Cosine(least) => answer.cosine >= least,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop(points) => write!(f, "Acc@1 may drop by {points} pp"),
            Self::Cosine(least) => write!(f, "mean cosine of at least {least}"),
        }
    }
}

/// What a mix answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Percentage points of Acc@1 lost; `None` without labels.
    pub drop: Option<f64>,
    /// Mean cosine of the first output to FP32's.
    pub cosine: f64,
}

/// One mix that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Groups of products in FP16.
    pub fp16: usize,
    /// Groups of products in INT8.
    pub int8: usize,
    /// What was changed.
    pub change: String,
    /// What came of it.
    pub answer: Answer,
    /// Whether that is inside the budget.
    pub allowed: bool,
}

/// The mix, and the way there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mix {
    /// Names of the groups that are FP16.
    pub fp16: Vec<String>,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
}

/// Why there is no mix.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// A conversion failed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A mix could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Mixes could not be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Without INT8 it is not good enough either.
    #[error("{budget}, but even with every group in FP16 it is not met ({answer:?})")]
    TooTight {
        /// What was asked for.
        budget: Budget,
        /// What FP16 answers.
        answer: Answer,
    },
    /// A drop of accuracy without anything to measure accuracy by.
    #[error("a drop of accuracy needs labels; without them ask for a least cosine")]
    NoLabels,
}

/// What mixes are judged on.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// The FP32 engine, for the CPU.
    pub baseline: &'a Engine,
    /// Samples.
    pub dataset: &'a Dataset,
    /// What they show.
    pub truth: &'a Truth,
    /// How they are seen.
    pub preprocessing: &'a Preprocessing,
}

/// Finds the mix. `graph` is the fused network of reals, `report` what INT8 does to its groups.
pub fn search(
    graph: &Graph,
    scales: &Scales,
    report: &Report,
    budget: Budget,
    evaluation: &Evaluation<'_>,
    progress: &mut dyn Progress,
) -> Result<Mix, BudgetError> {
    let order = order(graph, &evaluation.baseline.metadata.opt(), &report.groups);
    let mut search = Search { graph, scales, budget, evaluation, count: order.len(), attempts: Vec::new() };
    let first = |count: usize| order[..count].iter().copied().collect::<BTreeSet<NodeId>>();
    let allowed = |search: &mut Search<'_>, count: usize, progress: &mut dyn Progress| {
        search.attempt(&first(count), format!("the {count} most sensitive in FP16"), progress)
    };
    if allowed(&mut search, 0, progress)? {
        return Ok(Mix { fp16: Vec::new(), attempts: search.attempts });
    }
    if !allowed(&mut search, order.len(), progress)? {
        let answer = search.attempts[search.attempts.len() - 1].answer;
        return Err(BudgetError::TooTight { budget, answer });
    }
    // `low` groups in FP16 are too few, `high` are enough.
    let (mut low, mut high) = (0, order.len());
    while high - low > 1 {
        let middle = low.midpoint(high);
        if allowed(&mut search, middle, progress)? { high = middle } else { low = middle }
    }
    let mut real = first(high);
    // The last of the order is the one it takes; the others may have become dispensable with it.
    for &id in order[..high - 1].iter().rev() {
        let fewer: BTreeSet<NodeId> = real.iter().copied().filter(|&other| other != id).collect();
        if search.attempt(&fewer, format!("`{}` back in INT8", graph.node(id).name), progress)? {
            real = fewer;
        }
    }
    let fp16 = order.iter().filter(|id| real.contains(id)).map(|&id| graph.node(id).name.clone()).collect();
    Ok(Mix { fp16, attempts: search.attempts })
}

/// Most error for its work first.
fn order(graph: &Graph, extents: &Bindings, groups: &[Sensitivity]) -> Vec<NodeId> {
    let work = |id: NodeId| {
        let node = graph.node(id);
        let specs = |values: &[_]| specs_of(graph, values, extents).unwrap_or_default();
        let cost = node.op.as_operator().cost(&specs(&node.inputs), &specs(&node.outputs));
        (cost.flops + cost.bytes).max(1) as f64
    };
    let mut order: Vec<(f64, NodeId)> =
        groups.iter().map(|group| (group.network.relative_l2() / work(group.node), group.node)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.into_iter().map(|(_, id)| id).collect()
}

struct Search<'a> {
    graph: &'a Graph,
    scales: &'a Scales,
    budget: Budget,
    evaluation: &'a Evaluation<'a>,
    count: usize,
    attempts: Vec<Attempt>,
}

impl Search<'_> {
    /// Whether the network with these groups in FP16 is good enough.
    fn attempt(
        &mut self,
        real: &BTreeSet<NodeId>,
        change: String,
        progress: &mut dyn Progress,
    ) -> Result<bool, BudgetError> {
        let answer = self.answer(real, progress)?;
        let allowed = self.budget.allows(&answer);
        let (fp16, int8) = (real.len(), self.count - real.len());
        self.attempts.push(Attempt { fp16, int8, change, answer, allowed });
        Ok(allowed)
    }

    fn answer(&self, real: &BTreeSet<NodeId>, progress: &mut dyn Progress) -> Result<Answer, BudgetError> {
        let Evaluation { baseline, dataset, truth, preprocessing } = self.evaluation;
        let mut graph = self.graph.clone();
        let wanted = |id, _: &_| if real.contains(&id) { Err("the budget asks for FP16".to_owned()) } else { Ok(()) };
        int8::convert(&mut graph, &mut Ledger::default(), &|name| self.scales.get(name), &wanted)?;
        fp16::convert(&mut graph, &mut Ledger::default(), None, &|_| true)?;
        let test = Engine { graph, ..(*baseline).clone() };
        let open = |engine: &Engine| Session::new(Arc::new(engine.clone()), Backend::Cpu);
        let (mut ours, mut theirs) = (open(baseline)?, open(&test)?);
        let report = compare::compare(
            Subject { engine: baseline, session: &mut ours, preprocessing },
            Subject { engine: &test, session: &mut theirs, preprocessing },
            dataset,
            truth,
            progress,
        )?;
        let accuracies = report.classification.as_ref().and_then(|(_, c)| Some((c.baseline()?, c.test()?)));
        let drop = accuracies.map(|(baseline, test)| (baseline.top_1 - test.top_1) * 100.0);
        if drop.is_none() && matches!(self.budget, Budget::Drop(_)) {
            return Err(BudgetError::NoLabels);
        }
        Ok(Answer { drop, cosine: report.outputs.first().map_or(f64::NAN, |output| output.mean_cosine) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_and_hold() {
        assert_eq!(Budget::drop("0.1pp"), Ok(Budget::Drop(0.1)));
        assert_eq!(Budget::drop("2"), Ok(Budget::Drop(2.0)));
        assert!(Budget::drop("-1pp").is_err() && Budget::drop("much").is_err());
        assert_eq!(Budget::cosine("0.99"), Ok(Budget::Cosine(0.99)));
        assert!(Budget::cosine("1.5").is_err() && Budget::cosine("0").is_err());
        let answer = |drop, cosine| Answer { drop, cosine };
        assert!(
            Budget::Drop(0.1).allows(&answer(Some(0.1), 0.5)) && !Budget::Drop(0.1).allows(&answer(Some(0.2), 1.0))
        );
        assert!(!Budget::Drop(0.1).allows(&answer(None, 1.0)));
        assert!(
            Budget::Cosine(0.99).allows(&answer(None, 0.995)) && !Budget::Cosine(0.99).allows(&answer(None, f64::NAN))
        );
    }
}

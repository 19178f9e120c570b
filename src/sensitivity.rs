//! Which groups suffer from INT8, and how much.
//!
//! Each group is measured three ways, on the CPU reference, whose INT8 has the bits of every GPU's. The kernels that an
//! engine runs do not change by it.
//!
//! - *alone, locally*: the group alone is INT8 and reads the true FP32 activations; its own output is compared;
//! - *alone, at the end*: the same run's effect on the network's outputs;
//! - *accumulated*: every group is INT8; the group's output then carries the errors of all before it, too.

use crate::builder::{SampleError, SampleSource};
use crate::compare::{Distance, top};
use crate::progress::Progress;
use limpid_graph::ir::{Graph, GraphError, NodeId, Precision, ValueId};
use limpid_graph::reference::Interpreter;
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::Tensor;
use limpid_quant::int8;
use std::collections::{BTreeMap, BTreeSet};

/// What INT8 does to one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// The group.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its operator.
    pub op: &'static str,
    /// Its output against FP32, all others being FP32.
    pub alone: Distance,
    /// The network's outputs against FP32, all others being FP32.
    pub network: Distance,
    /// Samples whose best class of the first output changes, all others being FP32; of [`Report::samples`].
    pub changed: usize,
    /// Its output against FP32, all others being INT8, too.
    pub accumulated: Distance,
}

/// What INT8 does to a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Group by group, in the order of execution.
    pub groups: Vec<Sensitivity>,
    /// The network's outputs with every group in INT8.
    pub network: Distance,
    /// Samples whose best class changes with every group in INT8.
    pub changed: usize,
    /// How many samples were run.
    pub samples: usize,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum SensitivityError {
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The samples could not be read, or the network not be run on them.
    #[error("cannot measure sensitivity")]
    Run(#[source] SampleError),
    /// No group can be INT8.
    #[error("no group of the network can be INT8")]
    Nothing,
}

/// Measures every group of `graph`, a fused network of reals, that can be INT8 with these scales.
pub fn measure(
    graph: &Graph,
    scale_of: &dyn Fn(&str) -> Option<f32>,
    samples: &dyn SampleSource,
    progress: &mut dyn Progress,
) -> Result<Report, SensitivityError> {
    let all = Variant::new(graph, scale_of, &|_| true)?;
    let candidates: Vec<NodeId> = all.integers.iter().copied().filter(|id| makes_products(graph, *id)).collect();
    if candidates.is_empty() {
        return Err(SensitivityError::Nothing);
    }
    let single = |&id: &NodeId| Ok((id, Variant::new(graph, scale_of, &|other| other == id)?));
    let alone = candidates.iter().map(single).collect::<Result<Vec<_>, GraphError>>()?;
    let mut groups: Vec<Sensitivity> = candidates.iter().map(|&id| Sensitivity::of(graph, id)).collect();
    let (mut network, mut changed, mut count) = (Distance::default(), 0, 0);

    progress.stage("measure groups", Some((samples.count() * (candidates.len() + 1)) as u64));
    let outputs: BTreeSet<ValueId> = candidates.iter().map(|&id| graph.node(id).outputs[0]).collect();
    let visited = samples.visit(&mut |inputs| {
        let mut truth: BTreeMap<ValueId, Tensor> = BTreeMap::new();
        let answers = Interpreter::new(graph)?.run_observed(inputs, &mut |value, tensor| {
            if outputs.contains(&value) {
                truth.insert(value, tensor.clone());
            }
        })?;
        let rows = inputs.first().and_then(|tensor| tensor.shape().first()).copied().unwrap_or(1);
        let step = |progress: &mut dyn Progress| (0..rows).for_each(|_| progress.step(""));

        let everything = all.run(inputs, &truth)?;
        for group in &mut groups {
            let output = graph.node(group.node).outputs[0];
            group.accumulated.add(everything.inside.get(&output).copied().unwrap_or_default());
        }
        network.add(distance(&answers, &everything.outputs));
        changed += changes(&answers, &everything.outputs, rows);
        step(progress);
        for ((id, variant), group) in alone.iter().zip(&mut groups) {
            let run = variant.run(inputs, &truth)?;
            let output = graph.node(*id).outputs[0];
            group.alone.add(run.inside.get(&output).copied().unwrap_or_default());
            group.network.add(distance(&answers, &run.outputs));
            group.changed += changes(&answers, &run.outputs, rows);
            step(progress);
        }
        count += rows;
        Ok(())
    });
    visited.map_err(SensitivityError::Run)?;
    progress.done();
    Ok(Report { groups, network, changed, samples: count })
}

impl Sensitivity {
    fn of(graph: &Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let (alone, network, accumulated) = Default::default();
        Self { node: id, name: node.name.clone(), op: node.op.name(), alone, network, changed: 0, accumulated }
    }
}

/// Groups without weights follow the others; they are not chosen one by one.
fn makes_products(graph: &Graph, id: NodeId) -> bool {
    int8::part(graph.node(id)) == Some(int8::Part::Product)
}

/// A network with some groups in INT8.
struct Variant {
    graph: Graph,
    integers: BTreeSet<NodeId>,
}

/// What a variant makes of a batch.
struct Run {
    outputs: Vec<Tensor>,
    /// How far values inside are from the truth.
    inside: BTreeMap<ValueId, Distance>,
}

impl Variant {
    fn new(
        graph: &Graph,
        scale_of: &dyn Fn(&str) -> Option<f32>,
        wanted: &dyn Fn(NodeId) -> bool,
    ) -> Result<Self, GraphError> {
        let mut graph = graph.clone();
        let verdict = |id, _: &_| if wanted(id) { Ok(()) } else { Err("another group is measured".to_owned()) };
        int8::convert(&mut graph, &mut Ledger::default(), scale_of, &verdict)?;
        let integers = graph.nodes().filter(|(_, node)| node.precision == Precision::Int8).map(|(id, _)| id).collect();
        Ok(Self { graph, integers })
    }

    fn run(&self, inputs: &[Tensor], truth: &BTreeMap<ValueId, Tensor>) -> Result<Run, SampleError> {
        let mut inside = BTreeMap::new();
        let outputs = Interpreter::new(&self.graph)?.run_observed(inputs, &mut |value, tensor| {
            if let Some(real) = truth.get(&value) {
                let scale = self.graph.fact(value).quant.as_ref().map_or(1.0, |quant| quant.scales[0]);
                let ours: Vec<f32> = tensor.to_f32().into_iter().map(|q| q * scale).collect();
                inside.insert(value, Distance::between(&real.to_f32(), &ours));
            }
        })?;
        Ok(Run { outputs, inside })
    }
}

fn distance(truth: &[Tensor], test: &[Tensor]) -> Distance {
    let mut total = Distance::default();
    for (a, b) in truth.iter().zip(test) {
        total.add(Distance::between(&a.to_f32(), &b.to_f32()));
    }
    total
}

/// Rows of the first output whose best class differs.
fn changes(truth: &[Tensor], test: &[Tensor], rows: usize) -> usize {
    let (Some(a), Some(b)) = (truth.first(), test.first()) else { return 0 };
    let (a, b) = (a.to_f32(), b.to_f32());
    let classes = (a.len() / rows.max(1)).max(1);
    a.chunks(classes).zip(b.chunks(classes)).filter(|(a, b)| top(a, 1) != top(b, 1)).count()
}

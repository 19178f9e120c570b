use super::{Fact, Graph, GraphError, Node, NodeId, ValueId};
use std::collections::{BTreeMap, BTreeSet};

impl Graph {
    /// The nodes so that each comes after those it reads from; ties in order of making.
    pub fn topological_order(&self) -> Result<Vec<NodeId>, GraphError> {
        let mut waiting: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut readers: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (id, node) in self.nodes() {
            let producers: BTreeSet<NodeId> = node.inputs.iter().filter_map(|&v| self.value(v).producer).collect();
            waiting.insert(id, producers.len());
            for producer in producers {
                readers.entry(producer).or_default().push(id);
            }
        }
        let mut ready: BTreeSet<NodeId> = waiting.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(id) = ready.pop_first() {
            order.push(id);
            for reader in readers.remove(&id).unwrap_or_default() {
                let left = waiting.entry(reader).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    ready.insert(reader);
                }
            }
        }
        if order.len() == waiting.len() {
            return Ok(order);
        }
        let done: BTreeSet<NodeId> = order.into_iter().collect();
        let stuck = self.nodes().filter(|(id, _)| !done.contains(id)).map(|(_, n)| n.name.clone());
        Err(GraphError::Cycle(stuck.take(8).collect()))
    }

    /// Checks that every value read is made once, that there is no cycle, and that facts are what operators infer.
    pub fn verify(&self) -> Result<(), GraphError> {
        let mut made: BTreeSet<ValueId> = BTreeSet::new();
        for (id, node) in self.nodes() {
            for &output in &node.outputs {
                if !made.insert(output) || self.value(output).producer != Some(id) {
                    return Err(GraphError::Producer(output));
                }
            }
        }
        for (_, node) in self.nodes() {
            for &input in &node.inputs {
                self.check_source(input, node)?;
            }
        }
        for &output in &self.outputs {
            if !self.has_source(output) {
                return Err(GraphError::MissingOutput(self.value(output).name.clone()));
            }
        }
        self.topological_order()?;
        self.nodes().try_for_each(|(_, node)| self.check_facts(node))
    }

    fn has_source(&self, value: ValueId) -> bool {
        self.get_value(value).is_some_and(|v| v.producer.is_some() || v.constant.is_some())
            || self.inputs.contains(&value)
    }

    fn check_source(&self, value: ValueId, reader: &Node) -> Result<(), GraphError> {
        if self.has_source(value) {
            return Ok(());
        }
        let value = self.get_value(value).map_or_else(|| format!("{value:?}"), |v| v.name.clone());
        Err(GraphError::Dangling { node: reader.name.clone(), value })
    }

    /// Shapes must be what the operator infers. The element type may be set by a precision pass
    /// (an FP16 convolution with an FP32 result), but integers stay integers, and where they are only moved
    /// they keep their scale.
    fn check_facts(&self, node: &Node) -> Result<(), GraphError> {
        let inferred = self.infer(&node.name, &node.op, &node.inputs)?;
        for (&output, inferred) in node.outputs.iter().zip(&inferred) {
            let recorded = self.fact(output);
            let types_fit = recorded.dtype == inferred.dtype
                || (recorded.dtype.is_float() || recorded.quant.is_some())
                    && (inferred.dtype.is_float() || inferred.quant.is_some());
            let rescaled = node.op.as_operator().only_moves() && recorded.quant != inferred.quant;
            let told = |fact: &Fact| match fact.exact_scale().filter(|_| rescaled) {
                Some(scale) => format!("{fact} of scale {scale:e}"),
                None => fact.to_string(),
            };
            if recorded.shape != inferred.shape || !types_fit || rescaled {
                return Err(GraphError::StaleFact {
                    node: node.name.clone(),
                    value: self.value(output).name.clone(),
                    recorded: told(recorded),
                    inferred: told(inferred),
                });
            }
        }
        Ok(())
    }
}

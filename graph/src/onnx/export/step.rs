//! The ONNX nodes that one node of the graph comes to.

use super::super::{Attribute, NodeWriter};
use super::Exporter;

/// Attributes by name.
pub(super) type Attributes = Vec<(&'static str, Attribute)>;

/// One ONNX node in the making.
pub(super) struct Step {
    op: &'static str,
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Attributes,
}

impl From<Step> for NodeWriter {
    fn from(step: Step) -> Self {
        let node = NodeWriter::new(step.op, &step.name).inputs(step.inputs).outputs(step.outputs);
        step.attributes.into_iter().fold(node, |node, (name, value)| node.attribute(name, value))
    }
}

/// Sizes, axes and flags as an attribute or an initializer holds them.
pub(super) fn ints(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&v| int(v)).collect()
}

/// As [`ints`], of one number. No extent is beyond the range.
pub(super) fn int(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Exporter<'_> {
    /// Adds the step that does what the node is named after, and returns the name of what it makes.
    pub fn main(&mut self, op: &'static str, inputs: &[impl AsRef<str>], attributes: Attributes) -> String {
        self.main_of(op, inputs, 1, attributes).swap_remove(0)
    }

    /// As [`Self::main`], for a step that makes several values.
    pub fn main_of(
        &mut self,
        op: &'static str,
        inputs: &[impl AsRef<str>],
        outputs: usize,
        attributes: Attributes,
    ) -> Vec<String> {
        self.add(op, self.node.clone(), inputs, outputs, attributes)
    }

    /// Adds a step beside the main one, named after its operator.
    pub fn step(&mut self, op: &'static str, inputs: &[impl AsRef<str>], attributes: Attributes) -> String {
        let name = self.node_names.claim(&format!("{}/{op}", self.node));
        self.add(op, name, inputs, 1, attributes).swap_remove(0)
    }

    fn add(
        &mut self,
        op: &'static str,
        name: String,
        inputs: &[impl AsRef<str>],
        outputs: usize,
        attributes: Attributes,
    ) -> Vec<String> {
        let outputs: Vec<String> = (0..outputs).map(|i| self.value_names.claim(&format!("{name}:{i}"))).collect();
        let inputs = inputs.iter().map(|input| input.as_ref().to_owned()).collect();
        self.steps.push(Step { op, name, inputs, outputs: outputs.clone(), attributes });
        outputs
    }

    /// Gives what a step of this node makes another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        let names = self.steps.iter_mut().flat_map(|step| step.inputs.iter_mut().chain(&mut step.outputs));
        names.filter(|name| *name == from).for_each(|name| *name = to.to_owned());
    }
}

use super::Engine;
use crate::port::{Layout, PortFormat, ValueError};
use limpid_graph::ir::ValueId;
use limpid_graph::tensor::Tensor;

impl Engine {
    /// The inputs as a caller sees them, in the model's order.
    pub fn inputs(&self) -> Vec<PortFormat> {
        let layouts = &self.metadata.layouts;
        self.ports(&self.graph.inputs, |index| layouts.input(index))
    }

    /// The outputs as a caller sees them, in the model's order.
    pub fn outputs(&self) -> Vec<PortFormat> {
        let layouts = &self.metadata.layouts;
        self.ports(&self.graph.outputs, |index| layouts.output(index))
    }

    /// Inputs in logical order as the engine takes them; see [`PortFormat::to_memory`].
    ///
    /// # Errors
    /// A [`ValueError`] that names the input.
    pub fn to_memory(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ValueError> {
        self.inputs().iter().zip(inputs).map(|(port, tensor)| port.to_memory(tensor)).collect()
    }

    /// What the engine gave as numbers in logical order; see [`PortFormat::to_numbers`].
    ///
    /// # Errors
    /// A [`ValueError`] that names the output.
    pub fn to_numbers(&self, outputs: &[Tensor]) -> Result<Vec<Tensor>, ValueError> {
        self.outputs().iter().zip(outputs).map(|(port, tensor)| port.to_numbers(tensor)).collect()
    }

    fn ports(&self, values: &[ValueId], layout: impl Fn(usize) -> Layout) -> Vec<PortFormat> {
        let port = |(index, &id): (usize, &ValueId)| {
            let value = self.graph.value(id);
            PortFormat {
                name: value.name.clone(),
                dtype: value.fact.dtype,
                layout: layout(index),
                shape: value.fact.shape.clone(),
                scale: value.fact.exact_scale(),
            }
        };
        values.iter().enumerate().map(port).collect()
    }
}

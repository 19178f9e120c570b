use limpid_graph::ir::{Graph, ValueId};
use limpid_graph::tensor::Tensor;
use std::collections::BTreeMap;
use std::error::Error;

/// Someone who can run a network on sample data and show every value it computes.
pub trait Activations {
    /// Runs `graph` on each sample and calls `see` for each value of each run, inputs included.
    fn observe(
        &mut self,
        graph: &Graph,
        see: &mut dyn FnMut(ValueId, &Tensor),
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// The largest magnitude seen of each value. A NaN or an infinity counts as infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges(BTreeMap<ValueId, f32>);

impl Ranges {
    /// The largest |x| of a value, if it was seen.
    pub fn largest(&self, value: ValueId) -> Option<f32> {
        self.0.get(&value).copied()
    }

    /// Takes a tensor's largest |x| into account; integers are not ranges.
    pub fn see(&mut self, value: ValueId, tensor: &Tensor) {
        if !tensor.dtype().is_float() {
            return;
        }
        let largest = largest_magnitude(&tensor.to_f32());
        let entry = self.0.entry(value).or_insert(0.0);
        *entry = entry.max(largest);
    }
}

/// The largest |x|; infinite if one is not finite.
pub(crate) fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0f32, |largest, v| if v.is_nan() { f32::INFINITY } else { largest.max(v.abs()) })
}

/// The ranges of all values over the samples of `source`.
pub fn observe_ranges(graph: &Graph, source: &mut dyn Activations) -> Result<Ranges, Box<dyn Error + Send + Sync>> {
    let mut ranges = Ranges::default();
    source.observe(graph, &mut |value, tensor| ranges.see(value, tensor))?;
    Ok(ranges)
}

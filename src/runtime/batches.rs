//! More samples than one run takes: cut into batches, run, put together again.

use super::{RunError, Session};
use crate::shapes::{Profile, Range, batch_symbol};
use limpid_graph::tensor::{Bindings, Tensor};

/// Samples of one run on the CPU where the profile allows as many: enough to keep every core busy, few enough for the
/// activations of a large network to fit into memory.
const CPU_BATCH: usize = 16;

impl Session {
    /// Most samples of one run; `None` where any number will do.
    pub fn largest_batch(&self) -> Option<usize> {
        self.batches(&self.engine().metadata.opt()).iter().map(|range| range.max()).max()
    }

    /// How many samples a run may have beside what `extents` say of other dims; none of it where any number will do.
    fn batches(&self, extents: &Bindings) -> Vec<Range> {
        let engine = self.engine();
        let fixed = engine.graph.inputs.first().and_then(|&v| engine.graph.fact(v).shape.first()?.as_usize());
        let Some(batch) = batch_symbol(&engine.graph) else {
            return fixed.and_then(|fixed| Range::exactly(fixed).ok()).into_iter().collect();
        };
        let range = |profile: &Profile| {
            let range = profile.range(&batch)?;
            let smallest = i64::try_from(range.min()).unwrap_or(i64::MAX);
            profile.contains(extents.clone().bind(batch.clone(), smallest)).then_some(range)
        };
        engine.metadata.profiles.iter().filter_map(range).collect()
    }

    /// Runs any number of samples, the first axis of every input, in as many batches as it takes; inputs and outputs
    /// as in [`Session::run_logical`]. Where no profile allows as few as are left for the last one, it is filled up with
    /// copies of the last sample, whose answers are dropped. `after_batch` is told how many samples are done.
    ///
    /// # Errors
    /// Those of [`Session::run_logical`]; [`RunError::NotBatched`] for a network whose outputs do not grow with the batch.
    pub fn run_batches(
        &mut self,
        inputs: &[Tensor],
        after_batch: &mut dyn FnMut(usize),
    ) -> Result<Vec<Tensor>, RunError> {
        let samples = samples_of(inputs);
        let Some((batch, allowed)) = self.cut(inputs) else {
            let outputs = self.run_logical(inputs)?;
            after_batch(samples);
            return Ok(outputs);
        };
        let mut parts: Vec<Vec<Tensor>> = Vec::new();
        for start in (0..samples).step_by(batch) {
            let end = (start + batch).min(samples);
            let filled = filled(&allowed, end - start);
            let chunk: Vec<Tensor> = inputs.iter().map(|t| rows(t, start, end, filled)).collect();
            let outputs = self.run_logical(&chunk)?;
            self.check_batched(&outputs, filled, samples)?;
            parts.push(outputs.iter().map(|t| rows(t, 0, end - start, end - start)).collect());
            after_batch(end);
        }
        let count = parts.first().map_or(0, Vec::len);
        Ok((0..count).map(|i| stack(parts.iter().map(|part| &part[i]))).collect())
    }

    /// What [`Session::run_batches`] begins with, as it lies in memory: all samples, or those of the first run.
    ///
    /// # Errors
    /// [`RunError::Value`].
    pub fn first_batch(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
        let first: Vec<Tensor> = match self.cut(inputs) {
            Some((batch, allowed)) => inputs.iter().map(|t| rows(t, 0, batch, filled(&allowed, batch))).collect(),
            None => inputs.to_vec(),
        };
        Ok(self.engine().to_memory(&first)?)
    }

    /// Samples of a run, and how many a run may have; `None` where all go at once, or nothing can be cut.
    fn cut(&self, inputs: &[Tensor]) -> Option<(usize, Vec<Range>)> {
        let samples = samples_of(inputs);
        let aligned = inputs.iter().all(|t| t.shape().first() == Some(&samples));
        let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
        let allowed = match aligned && samples > 0 {
            true => self.batches(&self.engine().graph.bind(&shapes).unwrap_or_default()),
            false => Vec::new(),
        };
        let batch = most(&allowed, if self.engine().plans.is_empty() { CPU_BATCH } else { usize::MAX }).min(samples);
        (aligned && batch > 0 && samples != filled(&allowed, batch)).then_some((batch, allowed))
    }

    fn check_batched(&self, outputs: &[Tensor], batch: usize, samples: usize) -> Result<(), RunError> {
        let graph = &self.engine().graph;
        for (&id, tensor) in graph.outputs.iter().zip(outputs) {
            if tensor.shape().first() != Some(&batch) {
                let (name, shape) = (graph.value(id).name.clone(), tensor.shape().to_vec());
                return Err(RunError::NotBatched { name, shape, batch, samples });
            }
        }
        Ok(())
    }
}

/// How many samples there are.
fn samples_of(inputs: &[Tensor]) -> usize {
    inputs.first().and_then(|t| t.shape().first()).copied().unwrap_or(0)
}

/// The most samples that are allowed and within `limit`; the fewest allowed if that is more already.
fn most(allowed: &[Range], limit: usize) -> usize {
    let within = allowed.iter().filter(|range| range.min() <= limit).map(|range| range.max().min(limit)).max();
    within.or_else(|| allowed.iter().map(|range| range.min()).min()).unwrap_or(limit.min(CPU_BATCH))
}

/// The fewest samples that are allowed and no fewer than `samples`; as many if none are, which a run then refuses.
fn filled(allowed: &[Range], samples: usize) -> usize {
    let enough = allowed.iter().filter(|range| samples <= range.max()).map(|range| range.min().max(samples));
    enough.min().unwrap_or(samples)
}

/// Rows `start..end` of the first axis, the last repeated until there are `count`.
fn rows(tensor: &Tensor, start: usize, end: usize, count: usize) -> Tensor {
    let row = tensor.bytes().len() / tensor.shape()[0];
    let mut bytes = tensor.bytes()[start * row..end * row].to_vec();
    for _ in end - start..count {
        bytes.extend_from_within(bytes.len() - row..);
    }
    let mut shape = tensor.shape().to_vec();
    shape[0] = count;
    from_bytes(tensor, &shape, &bytes)
}

/// One behind the other along the first axis; the other extents are equal.
fn stack<'a>(parts: impl Iterator<Item = &'a Tensor> + Clone) -> Tensor {
    let Some(first) = parts.clone().next() else { return Tensor::zeros(limpid_graph::tensor::DType::F32, &[0]) };
    let mut shape = first.shape().to_vec();
    shape[0] = parts.clone().map(|t| t.shape()[0]).sum();
    let bytes: Vec<u8> = parts.flat_map(|t| t.bytes().iter().copied()).collect();
    from_bytes(first, &shape, &bytes)
}

/// Lengths agree by construction.
fn from_bytes(like: &Tensor, shape: &[usize], bytes: &[u8]) -> Tensor {
    Tensor::from_bytes(like.dtype(), shape, bytes).unwrap_or_else(|_| Tensor::zeros(like.dtype(), &[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_as_large_as_profiles_allow_and_no_smaller_than_they_ask() {
        let ranges = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a range")).collect::<Vec<Range>>();
        let (one, two, large) = (ranges(&["1..32"]), ranges(&["1", "8..64"]), ranges(&["32"]));
        assert_eq!([most(&one, usize::MAX), most(&one, 16), most(&two, 4), most(&large, 16)], [32, 16, 1, 32]);
        assert_eq!([filled(&one, 5), filled(&two, 5), filled(&two, 1), filled(&large, 5)], [5, 8, 1, 32]);
        assert_eq!([most(&[], usize::MAX), filled(&[], 5)], [CPU_BATCH, 5]);
    }

    #[test]
    fn rows_are_cut_filled_and_put_together() {
        let tensor = Tensor::new(&[3, 2], vec![1i32, 2, 3, 4, 5, 6]).expect("a tensor");
        let last = rows(&tensor, 2, 3, 2);
        assert_eq!(last, Tensor::new(&[2, 2], vec![5i32, 6, 5, 6]).expect("a tensor"));
        let parts = [rows(&tensor, 0, 2, 2), rows(&last, 0, 1, 1)];
        assert_eq!(stack(parts.iter()), tensor);
    }
}

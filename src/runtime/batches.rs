//! More samples than one run takes: cut into batches, run, put together again.

use super::{RunError, Session};
use limpid_graph::tensor::Tensor;

/// Samples of one run where the network leaves the batch open and no plan fixes it: enough to keep every core
/// busy, few enough for the activations of a large network to fit into memory.
const OPEN_BATCH: usize = 16;

impl Session {
    /// Runs any number of samples, the first axis of every input, in as many batches as it takes. Where the batch
    /// is fixed, the last one is filled up with copies of the last sample, whose answers are dropped.
    /// `after_batch` is told how many samples are done.
    ///
    /// # Errors
    /// Those of [`Session::run`]; [`RunError::NotBatched`] for a network whose outputs do not grow with the batch.
    pub fn run_batches(
        &mut self,
        inputs: &[Tensor],
        after_batch: &mut dyn FnMut(usize),
    ) -> Result<Vec<Tensor>, RunError> {
        let samples = inputs.first().and_then(|t| t.shape().first()).copied().unwrap_or(0);
        let aligned = inputs.iter().all(|t| t.shape().first() == Some(&samples));
        let fixed = self.fixed_batch();
        let batch = fixed.unwrap_or(OPEN_BATCH.min(samples));
        if !aligned || samples == 0 || batch == 0 || samples == batch {
            let outputs = self.run(inputs)?;
            after_batch(samples);
            return Ok(outputs);
        }
        let mut parts: Vec<Vec<Tensor>> = Vec::new();
        for start in (0..samples).step_by(batch) {
            let end = (start + batch).min(samples);
            let filled = if fixed.is_some() { batch } else { end - start };
            let chunk: Vec<Tensor> = inputs.iter().map(|t| rows(t, start, end, filled)).collect();
            let outputs = self.run(&chunk)?;
            self.check_batched(&outputs, filled, samples)?;
            parts.push(outputs.iter().map(|t| rows(t, 0, end - start, end - start)).collect());
            after_batch(end);
        }
        let count = parts.first().map_or(0, Vec::len);
        Ok((0..count).map(|i| stack(parts.iter().map(|part| &part[i]))).collect())
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
    fn rows_are_cut_filled_and_put_together() {
        let tensor = Tensor::new(&[3, 2], vec![1i32, 2, 3, 4, 5, 6]).expect("a tensor");
        let last = rows(&tensor, 2, 3, 2);
        assert_eq!(last, Tensor::new(&[2, 2], vec![5i32, 6, 5, 6]).expect("a tensor"));
        let parts = [rows(&tensor, 0, 2, 2), rows(&last, 0, 1, 1)];
        assert_eq!(stack(parts.iter()), tensor);
    }
}

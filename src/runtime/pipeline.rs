//! Inferences one behind the other, with copies beside them.

use super::{Lane, LaneOptions, RunError, Session};
use limpid_graph::tensor::{DType, Tensor};

/// A queue of inferences with inputs of the same extents. On a GPU, copies in and out have streams of their own and run
/// beside the inference of another query; answers come in the order of the inputs. On the CPU every push computes.
///
/// ```
/// # use limpid::{Backend, Builder, Destination, Session, input::random, tensor::DType};
/// # let model = limpid::zoo::find("mlp").ok_or("not in the zoo")?.build(1)?.model.to_bytes()?;
/// # let engine = Builder::new(Destination::Cpu).build_bytes(&model, "mlp.onnx".as_ref(), None, &mut ())?;
/// # let mut session = Session::new(engine.into(), Backend::Cpu)?;
/// let batches: Vec<_> = (0..5).map(|seed| vec![random(DType::F32, &[1, 1, 28, 28], seed)]).collect();
/// let mut pipeline = session.pipeline(&batches[0], 2)?;
/// let mut answers = Vec::new();
/// for batch in &batches {
///     answers.extend(pipeline.push(batch)?);
/// }
/// while let Some(answer) = pipeline.pop()? {
///     answers.push(answer);
/// }
/// assert_eq!(answers.len(), 5);
/// assert_eq!(answers[3], session.run(&batches[3])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline {
    lane: Box<dyn Lane>,
    /// Name, type and extents of each input.
    inputs: Vec<(String, DType, Vec<usize>)>,
    sets: usize,
    next: usize,
    under_way: usize,
}

impl Session {
    /// A pipeline for inputs of the types and extents of `like`, with this many sets of buffers in pinned memory: 2 are
    /// enough to hide copies behind inferences.
    ///
    /// # Errors
    /// As [`Session::run`]; [`RunError::Device`] where there is no room for the buffers.
    pub fn pipeline(&mut self, like: &[Tensor], sets: usize) -> Result<Pipeline, RunError> {
        let sets = sets.max(1);
        let lane = self.lane(like, &LaneOptions { sets, overlap: sets > 1, ..LaneOptions::default() })?;
        let graph = &self.engine().graph;
        let names = graph.inputs.iter().map(|&input| graph.value(input).name.clone());
        let inputs = names.zip(like).map(|(name, tensor)| (name, tensor.dtype(), tensor.shape().to_vec())).collect();
        Ok(Pipeline { lane, inputs, sets, next: 0, under_way: 0 })
    }
}

impl Pipeline {
    /// Begins an inference with these inputs. If all sets of buffers are taken, the oldest inference is waited for first,
    /// and its outputs are returned.
    ///
    /// # Errors
    /// [`RunError::InputCount`], [`RunError::Input`]; what went wrong on the device.
    pub fn push(&mut self, inputs: &[Tensor]) -> Result<Option<Vec<Tensor>>, RunError> {
        self.check(inputs)?;
        let answer = self.make_room()?;
        self.lane.load(self.next, inputs)?;
        self.begin()?;
        Ok(answer)
    }

    /// As [`Pipeline::push`], with inputs that `fill` writes where the GPU copies them from, one slice an input: decoding
    /// a picture right into it saves a copy. What the slices hold before is anything.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn push_with(&mut self, mut fill: impl FnMut(&mut [&mut [u8]])) -> Result<Option<Vec<Tensor>>, RunError> {
        let answer = self.make_room()?;
        self.lane.write(self.next, &mut fill)?;
        self.begin()?;
        Ok(answer)
    }

    /// Waits for the oldest inference under way; its outputs, or `None` if there is none.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn pop(&mut self) -> Result<Option<Vec<Tensor>>, RunError> {
        if self.under_way == 0 {
            return Ok(None);
        }
        let oldest = (self.next + self.sets - self.under_way) % self.sets;
        self.lane.finish()?;
        self.under_way -= 1;
        self.lane.outputs(oldest).map(Some)
    }

    /// Inferences that have begun and whose outputs have not been taken.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    fn make_room(&mut self) -> Result<Option<Vec<Tensor>>, RunError> {
        if self.under_way < self.sets { Ok(None) } else { self.pop() }
    }

    fn begin(&mut self) -> Result<(), RunError> {
        self.lane.submit(self.next)?;
        self.next = (self.next + 1) % self.sets;
        self.under_way += 1;
        Ok(())
    }

    fn check(&self, inputs: &[Tensor]) -> Result<(), RunError> {
        if inputs.len() != self.inputs.len() {
            let names: Vec<&str> = self.inputs.iter().map(|(name, ..)| name.as_str()).collect();
            let (expected, got) = (self.inputs.len(), inputs.len());
            return Err(RunError::InputCount { expected, names: names.join(", "), got });
        }
        for ((name, dtype, shape), tensor) in self.inputs.iter().zip(inputs) {
            if *dtype != tensor.dtype() || shape != tensor.shape() {
                let expected = format!("{dtype}{shape:?}, as the pipeline was made for");
                let got = format!("{}{:?}", tensor.dtype(), tensor.shape());
                return Err(RunError::Input { name: name.clone(), expected, got });
            }
        }
        Ok(())
    }
}

//! The epilogue on whole outputs, for every operator that has one.

use super::{Epilogue, Eval, OpError};
use rayon::prelude::*;

/// An [`Epilogue`] with its operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish<'a> {
    epilogue: &'a Epilogue,
    bias: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
}

impl<'a> Finish<'a> {
    /// The operands of `epilogue` among an operator's inputs, `own` being the operator's own count.
    pub fn new(epilogue: &'a Epilogue, eval: &Eval<'a>, own: usize) -> Result<Self, OpError> {
        let operand = |index: Option<usize>| index.map(|i| eval.inputs[i].as_slice::<f32>()).transpose();
        Ok(Self {
            epilogue,
            bias: operand(epilogue.bias_index(own))?,
            residual: operand(epilogue.residual_index(own))?,
        })
    }

    /// Finishes all accumulators of an output (…, channels, inner…): planes of a picture, or single features.
    pub fn apply(&self, sums: &mut [f32], channels: usize, inner: usize) {
        if *self.epilogue == Epilogue::default() || sums.is_empty() {
            return;
        }
        // A chunk a thread must be worth the hand-over, whether it is one plane or a thousand features.
        let chunks = (1usize << 13).div_ceil(inner);
        sums.par_chunks_mut(inner).with_min_len(chunks).enumerate().for_each(|(index, run)| {
            let bias = self.bias.map_or(0.0, |b| b[index % channels]);
            let residual = self.residual.map(|r| &r[index * inner..][..run.len()]);
            for (i, sum) in run.iter_mut().enumerate() {
                *sum = self.epilogue.apply(*sum, bias, residual.map_or(0.0, |r| r[i]));
            }
        });
    }
}

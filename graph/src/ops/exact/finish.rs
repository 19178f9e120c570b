//! The exact epilogue on whole outputs: the twin of [`Finish`](crate::ops::finish::Finish) for integers.

use super::{Requantize, inverse_scale};
use crate::ops::{Epilogue, Eval, OpError, Spec};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// A [`Requantize`] with the residual it reads and the output it makes.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Finish<'a> {
    requantize: Requantize,
    residual: Option<Residual<'a>>,
    output: &'a Spec,
}

#[derive(Clone, Copy, Debug)]
enum Residual<'a> {
    Integers(&'a [i8]),
    Reals(&'a [f32]),
}

impl Residual<'_> {
    fn at(self, index: usize) -> f32 {
        match self {
            Residual::Integers(integers) => f32::from(integers[index]),
            Residual::Reals(reals) => reals[index],
        }
    }
}

impl<'a> Finish<'a> {
    /// The epilogue of an operator whose inputs are x, w, then what `epilogue` reads; `None` if x is real.
    pub fn of(epilogue: &Epilogue, eval: &Eval<'a>, channels: usize) -> Result<Option<Self>, OpError> {
        let Some(scale) = eval.specs[0].exact_scale() else { return Ok(None) };
        let weights = eval.specs[1].quant.as_ref().map(|q| q.scales.as_slice()).unwrap_or_default();
        // One for all channels, or one for each, or one for each of a group's where groups share them.
        let weights: Vec<f32> = weights.iter().copied().cycle().take(channels).collect();
        let bias = epilogue.bias_index(2).map(|index| eval.inputs[index].as_slice::<f32>()).transpose()?;
        let residual = match epilogue.residual_index(2) {
            None => None,
            Some(index) => Some(match eval.specs[index].exact_scale() {
                Some(scale) => (scale, Residual::Integers(eval.inputs[index].as_slice()?)),
                None => (1.0, Residual::Reals(eval.inputs[index].as_slice()?)),
            }),
        };
        let output = &eval.outputs[0];
        inverse_scale(output)?;
        let requantize =
            Requantize::new(*epilogue, scale, &weights, bias, residual.map(|(scale, _)| scale), output.exact_scale())
                .map_err(|error| OpError::Tensor(error.to_string()))?;
        Ok(Some(Self { requantize, residual: residual.map(|(_, r)| r), output }))
    }

    /// Finishes all sums of an output (…, channels, inner…): planes of a picture, or single features.
    pub fn apply(&self, sums: &[i32], channels: usize, inner: usize) -> Result<Tensor, OpError> {
        let shape = &self.output.shape;
        Ok(match self.requantize.inv_output_scale {
            Some(inverse) => Tensor::new(shape, self.map(sums, channels, inner, |x| super::quantize(x, inverse)))?,
            None => Tensor::new(shape, self.map(sums, channels, inner, |x| x))?,
        })
    }

    fn map<T>(&self, sums: &[i32], channels: usize, inner: usize, store: impl Fn(f32) -> T + Sync) -> Vec<T>
    where
        T: Copy + Default + Send,
    {
        let mut out = vec![T::default(); sums.len()];
        let inner = inner.max(1);
        // A chunk a thread must be worth the hand-over, whether it is one plane or a thousand features.
        let chunks = (1usize << 13).div_ceil(inner);
        let runs = out.par_chunks_mut(inner).zip(sums.par_chunks(inner)).with_min_len(chunks);
        runs.enumerate().for_each(|(run, (out, sums))| {
            for (i, (slot, &sum)) in out.iter_mut().zip(sums).enumerate() {
                let residual = self.residual.map_or(0.0, |residual| residual.at(run * inner + i));
                *slot = store(self.requantize.real(run % channels, sum, residual));
            }
        });
        out
    }
}

//! y = (x - mean) / sqrt(variance + ε) · scale + shift, per channel, with the statistics of training.
//! <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>
//!
//! Inputs: x (N,C,…), scale (C), shift (C), mean (C), variance (C).

use super::{Cost, Eval, OpError, Operator, Spec};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Batch normalization as it is after training: an affine function of each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Added to the variance, so that a channel that never varied does not divide by 0.
    pub epsilon: f32,
}

impl BatchNorm {
    /// The affine form, per channel: y = factor·x + offset, from scale, shift, mean and variance in this order.
    ///
    /// Computed in f64 and rounded once: folded into weights, these errors would reach every product.
    pub fn affine(&self, parameters: [&[f32]; 4]) -> (Vec<f32>, Vec<f32>) {
        let [scale, shift, mean, variance] = parameters;
        let channel = |c: usize| {
            let factor = f64::from(scale[c]) / (f64::from(variance[c]) + f64::from(self.epsilon)).sqrt();
            (factor as f32, (f64::from(shift[c]) - f64::from(mean[c]) * factor) as f32)
        };
        (0..scale.len()).map(channel).unzip()
    }
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "BatchNorm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("epsilon", self.epsilon.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x, parameters @ ..] = OpError::exactly::<5>(inputs)?;
        OpError::real("x", x)?;
        if x.rank() < 2 {
            return Err(OpError::shape("x", "of rank 2 or more", &x.shape));
        }
        for (what, fact) in ["scale", "shift", "mean", "variance"].into_iter().zip(parameters) {
            if fact.rank() != 1 || fact.shape[0] != x.shape[1] {
                return Err(OpError::shape(what, format!("({})", x.shape[1]), &fact.shape));
            }
        }
        Ok(vec![x.clone()])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = eval.inputs[0].as_slice::<f32>()?;
        let parameter = |i: usize| eval.inputs[i].as_slice::<f32>();
        let (factor, offset) = self.affine([parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?]);
        let shape = &eval.outputs[0].shape;
        let plane = shape[2..].iter().product::<usize>().max(1);
        let mut y = x.to_vec();
        y.par_chunks_mut(plane).enumerate().for_each(|(i, plane)| {
            let c = i % factor.len();
            plane.iter_mut().for_each(|v| *v = factor[c] * *v + offset[c]);
        });
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 2 * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl BatchNorm {
    /// Reads ONNX's `BatchNormalization`; a network still in training is refused.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        if node.flag("training_mode")? || (1..node.output_count()).any(|i| node.wants_output(i)) {
            let got = "training (running statistics are outputs)";
            return Err(node.bad_attribute("training_mode", "0: export the network in evaluation mode", got));
        }
        if node.int("spatial")?.is_some_and(|spatial| spatial == 0) {
            return Err(node.bad_attribute("spatial", "1: statistics per channel", 0));
        }
        let inputs = node.all_inputs()?;
        let epsilon = node.float("epsilon")?.unwrap_or(1e-5);
        build.add(node, BatchNorm { epsilon }.into(), &inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{evaluate, tensor};
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn normalizes_scales_and_shifts_each_channel() {
        let x = tensor(&[1, 2, 2], &[1.0, 3.0, 1.0, 3.0]);
        let [scale, shift] = [tensor(&[2], &[1.0, 2.0]), tensor(&[2], &[0.0, 10.0])];
        let [mean, variance] = [tensor(&[2], &[1.0, 2.0]), tensor(&[2], &[3.0, 0.0])];
        let y = evaluate(BatchNorm { epsilon: 1.0 }, &[x, scale, shift, mean, variance]).unwrap();
        assert_eq!(y, tensor(&[1, 2, 2], &[0.0, 1.0, 8.0, 12.0]));
    }

    #[test]
    fn statistics_must_fit_the_channels() {
        let [x, four, three] = [&[2, 4, 5, 5][..], &[4], &[3]].map(|s| Fact::of(DType::F32, s));
        let message = BatchNorm { epsilon: 0.0 }.infer(&[&x, &four, &four, &three, &four]).unwrap_err().to_string();
        assert_eq!(message, "mean must be (4), got (3)");
    }
}

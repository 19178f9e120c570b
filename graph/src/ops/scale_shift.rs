//! y = activation( x · factor + offset ), factor and offset per channel, rounded once.
//!
//! What a BatchNorm comes to when no convolution takes it up. Inputs: x (N,C,…), factor (C), offset (C).
//! ONNX has no such operator; a rule makes it.

use super::{Activation, Cost, Eval, OpError, Operator, Spec};
use crate::ir::Fact;
use crate::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// An affine function of each channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleShift {
    /// Applied last.
    pub activation: Activation,
}

impl Operator for ScaleShift {
    fn name(&self) -> &'static str {
        "ScaleShift"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self.activation {
            Activation::Identity => Vec::new(),
            activation => vec![("activation", activation.to_string())],
        }
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x, parameters @ ..] = OpError::exactly::<3>(inputs)?;
        OpError::real("x", x)?;
        if x.rank() < 2 {
            return Err(OpError::shape("x", "of rank 2 or more", &x.shape));
        }
        for (what, fact) in ["factor", "offset"].into_iter().zip(parameters) {
            if fact.rank() != 1 || fact.shape[0] != x.shape[1] {
                return Err(OpError::shape(what, format!("({})", x.shape[1]), &fact.shape));
            }
        }
        Ok(vec![x.clone()])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let [x, factor, offset] = [0, 1, 2].map(|i| eval.inputs[i].as_slice::<f32>());
        let (x, factor, offset) = (x?, factor?, offset?);
        let shape = &eval.outputs[0].shape;
        let plane = shape[2..].iter().product::<usize>().max(1);
        let mut y = x.to_vec();
        y.par_chunks_mut(plane).enumerate().for_each(|(i, plane)| {
            let c = i % factor.len();
            plane.iter_mut().for_each(|v| *v = self.activation.apply(factor[c].mul_add(*v, offset[c])));
        });
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 2 * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn each_channel_has_its_own_line() -> Result<(), OpError> {
        let op = ScaleShift { activation: Activation::Relu };
        let spec = |shape: &[usize]| Spec { dtype: DType::F32, shape: shape.to_vec(), quant: None };
        let inputs = [
            Tensor::new(&[1, 2, 2], vec![1.0f32, f32::NAN, -1.0, 3.0])?,
            Tensor::new(&[2], vec![2.0f32, -1.0])?,
            Tensor::new(&[2], vec![0.5f32, 1.0])?,
        ];
        let specs = [spec(&[1, 2, 2]), spec(&[2]), spec(&[2])];
        let y = op.reference(&Eval { inputs: &inputs, specs: &specs, outputs: &specs[..1] })?;
        let y = y[0].to_f32();
        assert_eq!((y[0], y[2], y[3]), (2.5, 2.0, 0.0));
        assert!(y[1].is_nan());
        Ok(())
    }
}

//! y = f(x), elementwise; see [`Activation`] for the functions.
//! <https://onnx.ai/onnx/operators/onnx__Relu.html> and its neighbours.

use super::{Activation, Eval, OpError, Operator, exact};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// An activation standing alone, before (or without) being fused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationOp {
    /// The function.
    pub function: Activation,
}

impl Operator for ActivationOp {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self.function {
            Activation::LeakyRelu { alpha } => vec![("alpha", alpha.to_string())],
            Activation::Clip { min, max } => vec![("min", min.to_string()), ("max", max.to_string())],
            Activation::HardSigmoid { alpha, beta } => vec![("alpha", alpha.to_string()), ("beta", beta.to_string())],
            _ => Vec::new(),
        }
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::real_or_int8("x", x)?;
        Ok(vec![Fact::new(exact::result(x), x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        if let Some(scale) = eval.specs[0].exact_scale() {
            // Only 256 numbers can come.
            let known: Vec<f32> =
                (i8::MIN..=i8::MAX).map(|q| exact::activate(self.function, f32::from(q) * scale)).collect();
            let place = |&q: &i8| known[(i16::from(q) + 128) as usize];
            let y = eval.inputs[0].as_slice::<i8>()?.iter().map(place).collect();
            return Ok(vec![exact::reals_as(y, &eval.outputs[0])?]);
        }
        let x = eval.inputs[0].as_slice::<f32>()?;
        let y: Vec<f32> = x.par_iter().with_min_len(1 << 14).map(|&v| self.function.apply(v)).collect();
        Ok(vec![Tensor::new(&eval.outputs[0].shape, y)?])
    }
}

impl ActivationOp {
    /// Reads any of the ONNX operators listed for it.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let function = match node.op_type() {
            "Relu" => Activation::Relu,
            "LeakyRelu" => Activation::LeakyRelu { alpha: node.float("alpha")?.unwrap_or(0.01) },
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "HardSwish" => Activation::HardSwish,
            "HardSigmoid" => Activation::HardSigmoid {
                alpha: node.float("alpha")?.unwrap_or(0.2),
                beta: node.float("beta")?.unwrap_or(0.5),
            },
            _ => Activation::Clip {
                min: Self::bound(node, build, 1, "min")?.unwrap_or(f32::NEG_INFINITY),
                max: Self::bound(node, build, 2, "max")?.unwrap_or(f32::INFINITY),
            },
        };
        build.add(node, ActivationOp { function }.into(), &[x])
    }

    /// A bound of Clip: an attribute before opset 11, a constant input since.
    fn bound(
        node: &NodeView<'_>,
        build: &Builder,
        index: usize,
        name: &'static str,
    ) -> Result<Option<f32>, ImportError> {
        if node.opset() < 11 {
            return node.float(name);
        }
        match node.optional_input(index) {
            None => Ok(None),
            Some(value) => Ok(build.constant_input(node, value, name)?.to_f32().first().copied()),
        }
    }
}

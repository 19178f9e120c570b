//! y = x. <https://onnx.ai/onnx/operators/onnx__Identity.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Nothing at all; a pass removes it. A Dropout at inference is one, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity;

impl Identity {
    /// Reads ONNX's `Identity`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        build.add(node, Identity.into(), &[x])
    }

    /// Reads ONNX's `Dropout`, which does nothing unless a network is being trained.
    /// <https://onnx.ai/onnx/operators/onnx__Dropout.html>
    pub fn from_dropout(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        if node.wants_output(1) {
            return Err(node.error(OpError::Tensor("the mask, its second output, only exists in training".to_owned())));
        }
        if let Some(flag) = node.optional_input(2)
            && build.constant_input(node, flag, "training_mode")?.to_i64().iter().any(|&v| v != 0)
        {
            return Err(node.bad_attribute("training_mode", "false", "true (export the network in evaluation mode)"));
        }
        build.add(node, Identity.into(), &[x])
    }
}

impl Operator for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        Ok(vec![x.clone()])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![eval.inputs[0].clone()])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        inputs.first().copied().flatten().cloned()
    }
}

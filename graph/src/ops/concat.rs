//! Tensors laid one behind the other along an axis.
//! <https://onnx.ai/onnx/operators/onnx__Concat.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A join along one axis. Inputs: one or more, of equal extents along all other axes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Concat {
    /// Reads ONNX's `Concat`; the axis was 1 if left out before opset 4.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let inputs = node.all_inputs()?;
        let rank = build.graph().fact(node.input(0)?).rank();
        let axis = axis::attribute(node, "axis", 1, rank)?;
        build.add(node, Concat { axis }.into(), &inputs)
    }
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        OpError::between(inputs, 1, usize::MAX)?;
        let first = inputs[0];
        if self.axis >= first.rank() {
            return Err(OpError::shape("the first input", format!("of rank {} at least", self.axis + 1), &first.shape));
        }
        let mut extent = Dim::default();
        for input in inputs {
            let fits = input.rank() == first.rank()
                && (0..first.rank()).all(|a| a == self.axis || input.shape[a] == first.shape[a]);
            if !fits {
                let expected = format!("like the first, {}, but along axis {}", first.shape, self.axis);
                return Err(OpError::shape("each input", expected, &input.shape));
            }
            if input.dtype != first.dtype && !(input.dtype.is_float() && first.dtype.is_float()) {
                return Err(OpError::Type { what: "an input", expected: "the first one's type", got: input.dtype });
            }
            if input.quant != first.quant {
                let got = format!("{:?}", input.quant);
                return Err(OpError::Shape { what: "an input's scale", expected: "the first one's".to_owned(), got });
            }
            extent = extent + input.shape[self.axis].clone();
        }
        let mut shape: Vec<Dim> = first.shape.to_vec();
        shape[self.axis] = extent;
        Ok(vec![movement::moved(first, Shape::new(shape))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let shape = &eval.outputs[0].shape;
        let dtype = eval.inputs[0].dtype();
        // Rows of every input in turn: a row is all that lies at and behind the axis.
        let rows: usize = shape[..self.axis].iter().product();
        let mut bytes = Vec::with_capacity(movement::volume(shape, dtype)? * dtype.size());
        let strides: Vec<usize> = eval.inputs.iter().map(|t| t.bytes().len() / rows.max(1)).collect();
        for row in 0..rows {
            for (input, &stride) in eval.inputs.iter().zip(&strides) {
                bytes.extend_from_slice(&input.bytes()[row * stride..(row + 1) * stride]);
            }
        }
        Ok(vec![Tensor::from_bytes(dtype, shape, &bytes)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let parts: Option<Vec<&ShapeValue>> = inputs.iter().copied().collect();
        let parts = parts?;
        if parts.iter().any(|p| p.shape.len() != 1) {
            return None;
        }
        let real = parts.first().is_some_and(|p| p.real);
        let elements = parts.into_iter().flat_map(|p| p.elements.clone()).collect();
        Some(ShapeValue { real, ..ShapeValue::vector(elements) })
    }
}

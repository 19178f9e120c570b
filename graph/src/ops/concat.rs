//! Tensors laid one behind the other along an axis.
//! <https://onnx.ai/onnx/operators/onnx__Concat.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, exact, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
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

impl Concat {
    /// The inputs, in the output's scale where they are integers of the exact INT8 path.
    fn pieces(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let piece = |(x, spec): (&Tensor, &Spec)| match spec.exact_scale() {
            None => Ok(x.clone()),
            Some(scale) => {
                let output = Spec { shape: spec.shape.clone(), ..eval.outputs[0].clone() };
                exact::integers(x.as_slice::<i8>()?.to_vec(), scale, &output)
            }
        };
        eval.inputs.iter().zip(eval.specs).map(piece).collect()
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
            // Integers of the exact INT8 path are brought to one scale; any others are laid down as they are.
            let rescales = input.exact_scale().is_some() && first.exact_scale().is_some();
            if !rescales && input.quant != first.quant {
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
        let pieces = self.pieces(eval)?;
        let dtype = pieces.first().map_or(DType::F32, Tensor::dtype);
        // Rows of every input in turn: a row is all that lies at and behind the axis.
        let rows: usize = shape[..self.axis].iter().product();
        let mut bytes = Vec::with_capacity(movement::volume(shape, dtype)? * dtype.size());
        let strides: Vec<usize> = pieces.iter().map(|t| t.bytes().len() / rows.max(1)).collect();
        for row in 0..rows {
            for (input, &stride) in pieces.iter().zip(&strides) {
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

//! Operators that ONNX gives axes, ranges and shapes as inputs.

use super::super::wire::data_type;
use super::operators::along;
use super::step::ints;
use super::{ExportError, Exporter};
use crate::ir::Node;
use crate::ops::{ConstantOfShape, Expand, Pad, PadMode, Range, Reduce, Slice, Split};
use crate::tensor::{DType, Dim, Shape, Tensor};

impl Exporter<'_> {
    /// <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> and its neighbours.
    pub fn reduce(&mut self, op: &Reduce, node: &Node) -> String {
        let mut inputs = vec![self.read(node.inputs[0])];
        // No axes are all axes to ONNX; only a scalar has none.
        if !op.axes.is_empty() {
            inputs.push(self.vector("axes", ints(&op.axes)));
        }
        self.main(op.function.name(), &inputs, vec![("keepdims", i64::from(op.keep_dims).into())])
    }

    /// <https://onnx.ai/onnx/operators/onnx__Pad.html>
    pub fn pad(&mut self, op: &Pad, node: &Node) -> String {
        let x = node.inputs[0];
        let fact = self.graph.fact(x);
        let mut inputs = vec![self.read(x), self.vector("pads", [op.begin.as_slice(), &op.end].concat())];
        if op.mode == PadMode::Constant && op.value != 0.0 {
            let value = Tensor::scalar(op.value);
            inputs.push(self.constant("value", if fact.quant.is_some() { value } else { value.cast(fact.dtype) }));
        }
        self.main("Pad", &inputs, vec![("mode", op.mode.name().into())])
    }

    /// <https://onnx.ai/onnx/operators/onnx__Split.html>
    pub fn split(&mut self, op: &Split, node: &Node) -> Vec<String> {
        let inputs = [self.read(node.inputs[0]), self.vector("split", ints(&op.sizes))];
        self.main_of("Split", &inputs, op.sizes.len(), along(op.axis))
    }

    /// <https://onnx.ai/onnx/operators/onnx__Slice.html>
    pub fn slice(&mut self, op: &Slice, node: &Node) -> Result<String, ExportError> {
        let x = self.read(node.inputs[0]);
        let ends: Vec<Dim> = op.ranges.iter().map(|range| range.end.clone()).collect();
        let axes: Vec<usize> = op.ranges.iter().map(|range| range.axis).collect();
        let inputs = [
            x,
            self.vector("starts", op.ranges.iter().map(|range| range.start).collect()),
            self.extents("ends", &ends)?,
            self.vector("axes", ints(&axes)),
            self.vector("steps", op.ranges.iter().map(|range| range.step).collect()),
        ];
        Ok(self.main("Slice", &inputs, Vec::new()))
    }

    /// <https://onnx.ai/onnx/operators/onnx__Expand.html>
    pub fn expand(&mut self, op: &Expand, node: &Node) -> Result<String, ExportError> {
        let inputs = [self.read(node.inputs[0]), self.extents("shape", &op.shape)?];
        Ok(self.main("Expand", &inputs, Vec::new()))
    }

    /// <https://onnx.ai/onnx/operators/onnx__Reshape.html>
    pub fn reshape(&mut self, node: &Node) -> Result<String, ExportError> {
        let (from, to) = (&self.graph.fact(node.inputs[0]).shape, &self.graph.fact(node.outputs[0]).shape);
        let empty = to.iter().any(|dim| dim.as_const() == Some(0));
        let target = if empty { to.to_vec() } else { target(from, to) };
        let inputs = [self.read(node.inputs[0]), self.extents("shape", &target)?];
        // With this flag 0 is an extent of 0, without it the input's.
        Ok(self.main("Reshape", &inputs, vec![("allowzero", i64::from(empty).into())]))
    }

    /// <https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html>
    pub fn constant_of_shape(&mut self, op: &ConstantOfShape) -> Result<String, ExportError> {
        let shape = self.extents("shape", &op.shape)?;
        let value = Tensor::vector(vec![op.value]).cast(op.dtype);
        Ok(self.main("ConstantOfShape", &[shape], vec![("value", value.into())]))
    }

    /// <https://onnx.ai/onnx/operators/onnx__Range.html>, in i64, as extents are.
    pub fn range(&mut self, op: &Range) -> Result<String, ExportError> {
        let limit = Dim::from(op.start) + op.count.clone() * Dim::from(op.step);
        let limit = self.extents("limit", &[limit])?;
        let axes = self.vector("axes", vec![0i64]);
        let limit = self.step("Squeeze", &[limit, axes], Vec::new());
        let scalar = |exporter: &mut Self, what, value: i64| exporter.constant(what, Tensor::scalar(value));
        let mut inputs = vec![scalar(self, "start", op.start), limit, scalar(self, "delta", op.step)];
        if op.dtype != DType::I64 {
            let to = i64::from(data_type(op.dtype));
            inputs = inputs.iter().map(|input| self.step("Cast", &[input], vec![("to", to.into())])).collect();
        }
        Ok(self.main("Range", &inputs, Vec::new()))
    }
}

/// A target for a reshape that needs as little computed as can be: 0 for an extent that stays, -1 for another.
fn target(from: &Shape, to: &Shape) -> Vec<Dim> {
    let stays = |axis: usize| from.get(axis) == to.get(axis);
    let open: Vec<usize> = (0..to.rank()).filter(|&axis| to[axis].as_const().is_none() && !stays(axis)).collect();
    let extent = |axis: usize| match to[axis].as_const() {
        Some(_) => to[axis].clone(),
        None if stays(axis) => Dim::from(0),
        None if open == [axis] => Dim::from(-1),
        None => to[axis].clone(),
    };
    (0..to.rank()).map(extent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Symbol;

    #[test]
    fn targets_copy_and_infer_before_they_compute() {
        let [n, h] = ["N", "H"].map(|name| Dim::symbol(Symbol::new(name)));
        let from = Shape::new([n.clone(), Dim::from(4), h.clone()]);
        let numbers = |to: &[Dim]| -> Vec<Option<i64>> {
            target(&from, &Shape::new(to.iter().cloned())).iter().map(Dim::as_const).collect()
        };
        assert_eq!(numbers(&[n.clone(), Dim::from(4) * h.clone()]), [Some(0), Some(-1)]);
        assert_eq!(numbers(&[h.clone(), Dim::from(4), n.clone()]), [None, Some(4), None]);
        assert_eq!(numbers(&[n.clone() * h.clone(), Dim::from(2), Dim::from(2)]), [Some(-1), Some(2), Some(2)]);
    }
}

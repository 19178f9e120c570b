//! A tensor cut into pieces along an axis.
//! <https://onnx.ai/onnx/operators/onnx__Split.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor, row_major_strides};
use serde::{Deserialize, Serialize};

/// A cut along one axis. Input: x; one output a piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The axis.
    pub axis: usize,
    /// The pieces' extents along it; together x's.
    pub sizes: Vec<usize>,
}

impl Split {
    /// Reads ONNX's `Split`: sizes by attribute (before opset 13), by input (since), or as many equal pieces as
    /// there are outputs (since opset 18 the last may be smaller).
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let shape = build.graph().fact(x).shape.clone();
        let axis = axis::attribute(node, "axis", 0, shape.rank())?;
        let sizes = match axis::integers(node, build, 1, "split")? {
            Some(given) => {
                let sizes: Option<Vec<usize>> = given.iter().map(|&s| usize::try_from(s).ok()).collect();
                sizes.ok_or_else(|| node.bad_attribute("split", "no negative sizes", format!("{given:?}")))?
            }
            None => {
                let extent = shape[axis].as_usize().ok_or_else(|| {
                    node.error(OpError::Symbolic { what: "the extent to split", dim: shape[axis].clone() })
                })?;
                let pieces = node.positive("num_outputs")?.unwrap_or(node.output_count()).max(1);
                let uneven = !extent.is_multiple_of(pieces);
                if pieces > extent.max(1) || uneven && node.opset() < 18 {
                    return Err(node.bad_attribute("num_outputs", format!("a divisor of {extent}"), pieces));
                }
                let size = extent.div_ceil(pieces);
                (0..pieces).map(|i| size.min(extent.saturating_sub(i * size))).collect()
            }
        };
        if sizes.len() < node.output_count() {
            let expected = format!("{} sizes, one an output", node.output_count());
            return Err(node.bad_attribute("split", expected, axis::list(&sizes)));
        }
        build.add(node, Split { axis, sizes }.into(), &[x])
    }
}

impl Operator for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("sizes", axis::list(&self.sizes))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let sum = self.sizes.iter().fold(Dim::default(), |sum, &s| sum + Dim::from(s));
        if x.shape.get(self.axis) != Some(&sum) {
            return Err(OpError::shape("x", format!("of extent {sum} along axis {}", self.axis), &x.shape));
        }
        let piece = |&size: &usize| {
            let mut dims = x.shape.to_vec();
            dims[self.axis] = Dim::from(size);
            movement::moved(x, Shape::new(dims))
        };
        self.sizes.iter().map(piece).collect()
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let strides = row_major_strides(x.shape());
        let mut start = 0;
        let mut pieces = Vec::with_capacity(self.sizes.len());
        for &size in &self.sizes {
            let offsets: Vec<_> = (0..x.rank())
                .map(|a| {
                    movement::along(strides[a], if a == self.axis { start..start + size } else { 0..x.shape()[a] })
                })
                .collect();
            pieces.push(movement::gather(x, &offsets, 0.0)?);
            start += size;
        }
        Ok(pieces)
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        // Only the first piece can be told; the others are computed from constants where they are.
        let x = inputs.first().copied().flatten().filter(|v| v.shape.len() == 1)?;
        let first = x.elements.get(..*self.sizes.first()?)?;
        Some(ShapeValue { real: x.real, ..ShapeValue::vector(first.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Concat;
    use crate::ops::evaluate::{counting, evaluate, evaluate_all};
    use proptest::prelude::*;

    #[test]
    fn columns_by_hand() {
        let pieces = evaluate_all(Split { axis: 1, sizes: vec![1, 0, 2] }, &[counting(&[2, 3])]).unwrap();
        let values: Vec<Vec<f32>> = pieces.iter().map(Tensor::to_f32).collect();
        assert_eq!(values, [vec![1.0, 4.0], vec![], vec![2.0, 3.0, 5.0, 6.0]]);
        assert!(evaluate_all(Split { axis: 1, sizes: vec![1, 1] }, &[counting(&[2, 3])]).is_err());
        assert!(evaluate_all(Split { axis: 2, sizes: vec![1] }, &[counting(&[2, 3])]).is_err());
    }

    #[test]
    fn a_join_of_unlike_tensors_is_refused() {
        let join = |a: Tensor, b: Tensor| evaluate(Concat { axis: 0 }, &[a, b]);
        assert!(join(counting(&[2, 3]), counting(&[2, 4])).is_err());
        assert!(join(counting(&[2, 3]), counting(&[2])).is_err());
        assert!(join(counting(&[2]), Tensor::new(&[2], vec![1i64, 2]).unwrap()).is_err());
        assert!(join(Tensor::scalar(1f32), Tensor::scalar(2f32)).is_err());
        assert_eq!(join(counting(&[0, 3]), counting(&[1, 3])), Ok(counting(&[1, 3])));
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_whole(
            shape in proptest::collection::vec(1usize..5, 1..4),
            axis in any::<prop::sample::Index>(),
            sizes in proptest::collection::vec(0usize..4, 1..4),
        ) {
            let axis = axis.index(shape.len());
            let mut shape = shape;
            shape[axis] = sizes.iter().sum();
            let x = counting(&shape).cast(crate::tensor::DType::I32);
            let pieces = evaluate_all(Split { axis, sizes }, &[&x]).unwrap();
            prop_assert_eq!(evaluate(Concat { axis }, &pieces).unwrap(), x);
        }
    }
}

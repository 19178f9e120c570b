//! x (d₀,…,d_{r-1}) as a matrix (d₀·…·d_{axis-1}, d_axis·…·d_{r-1}).
//! <https://onnx.ai/onnx/operators/onnx__Flatten.html>

use super::{Cost, Eval, OpError, Operator, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// The same elements as a matrix. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flatten {
    /// The first axis that goes into the columns; x's rank if none does.
    pub axis: usize,
}

impl Flatten {
    /// Reads ONNX's `Flatten`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let rank = build.graph().fact(x).rank();
        // The axis may stand behind the last one, unlike others.
        let axis = match node.int("axis")? {
            Some(end) if usize::try_from(end) == Ok(rank) => rank,
            Some(given) => axis::resolve(given, rank)
                .ok_or_else(|| node.bad_attribute("axis", format!("an axis of a rank-{rank} tensor"), given))?,
            None => 1.min(rank),
        };
        build.add(node, Flatten { axis }.into(), &[x])
    }
}

impl Operator for Flatten {
    fn name(&self) -> &'static str {
        "Flatten"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if self.axis > x.rank() {
            return Err(OpError::shape("x", format!("of rank {} at least", self.axis), &x.shape));
        }
        let product = |dims: &[Dim]| dims.iter().fold(Dim::from(1), |all, d| all * d.clone());
        let (rows, columns) = x.shape.split_at(self.axis);
        Ok(vec![movement::moved(x, Shape::new([product(rows), product(columns)]))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![eval.inputs[0].reshape(&eval.outputs[0].shape)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};

    #[test]
    fn rows_are_what_stands_before_the_axis() {
        let x = counting(&[2, 3, 4]);
        for (axis, shape) in [(0, [1, 24]), (1, [2, 12]), (2, [6, 4]), (3, [24, 1])] {
            let y = evaluate(Flatten { axis }, &[&x]).unwrap();
            assert_eq!((y.shape(), y.to_f32()), (&shape[..], x.to_f32()));
        }
        assert!(evaluate(Flatten { axis: 4 }, &[x]).is_err());
        assert_eq!(evaluate(Flatten { axis: 0 }, &[Tensor::scalar(1f32)]).unwrap().shape(), [1, 1]);
    }
}

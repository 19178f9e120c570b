//! The same numbers as another element type.
//! <https://onnx.ai/onnx/operators/onnx__Cast.html>, <https://onnx.ai/onnx/operators/onnx__CastLike.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// A change of element type: reals to integers toward zero, f32 to f16 to the nearest even, to bool what is not 0.
/// Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// The new element type.
    pub to: DType,
}

impl Cast {
    /// Reads ONNX's `Cast`. f64 is taken as f32, as import takes f64 tensors; other types limpid has not are refused.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let code = node.int("to")?.ok_or_else(|| node.bad_attribute("to", "given", "nothing"))?;
        // The numbers of TensorProto.DataType.
        let to = match code {
            1 | 11 => DType::F32,
            2 => DType::U8,
            3 => DType::I8,
            6 => DType::I32,
            7 => DType::I64,
            9 => DType::Bool,
            10 => DType::F16,
            other => {
                let expected = "1 (f32), 2 (u8), 3 (i8), 6 (i32), 7 (i64), 9 (bool), 10 (f16) or 11 (f64)";
                return Err(node.bad_attribute("to", expected, other));
            }
        };
        build.add(node, Cast { to }.into(), &[x])
    }

    /// Reads ONNX's `CastLike`: the type is that of the second input, whose elements do not matter.
    pub fn from_cast_like(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let (x, like) = (node.input(0)?, node.input(1)?);
        let to = build.graph().fact(like).dtype;
        build.add(node, Cast { to }.into(), &[x])
    }
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("to", self.to.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::unquantized("x", x)?;
        Ok(vec![Fact::new(self.to, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        // The interpreter rounds f32 to f16 itself.
        let to = if self.to == DType::F16 { DType::F32 } else { self.to };
        Ok(vec![eval.inputs[0].cast(to)])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let x = inputs.first().copied().flatten()?;
        // The small types would cut extents off.
        match self.to {
            DType::I32 | DType::I64 => Some(ShapeValue { real: false, ..x.clone() }),
            DType::F32 => Some(ShapeValue { real: true, ..x.clone() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};

    #[test]
    fn types_by_hand() {
        let x = tensor(&[5], &[-1.9, 2.9, 0.0, 300.0, f32::NAN]);
        let to = |to: DType| evaluate(Cast { to }, &[&x]).unwrap();
        assert_eq!(to(DType::I64).as_slice::<i64>().unwrap(), [-1, 2, 0, 300, 0]);
        assert_eq!(to(DType::I32).as_slice::<i32>().unwrap(), [-1, 2, 0, 300, 0]);
        assert_eq!(to(DType::U8).to_i64(), [0, 2, 0, 255, 0]);
        assert_eq!(to(DType::I8).to_i64(), [-1, 2, 0, 127, 0]);
        assert_eq!(to(DType::Bool).to_i64(), [1, 1, 0, 1, 1]);
        let big = Tensor::scalar((1i64 << 53) + 1);
        assert_eq!(evaluate(Cast { to: DType::I64 }, &[&big]), Ok(big));
        let wide = Tensor::scalar(257i64);
        assert_eq!(evaluate(Cast { to: DType::U8 }, &[wide]), Ok(Tensor::scalar(1u8)));
    }

    #[test]
    fn extents_survive_types_that_hold_them() {
        let x = ShapeValue::scalar(300.into());
        let cast = |to: DType| Cast { to }.shape_arithmetic(&[Some(&x)]);
        assert_eq!(cast(DType::I32), Some(x.clone()));
        assert_eq!(cast(DType::F32), Some(ShapeValue { real: true, ..x.clone() }));
        assert_eq!(cast(DType::U8), None);
        assert_eq!(cast(DType::F16), None);
    }
}

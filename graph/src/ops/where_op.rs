//! y = a where the condition is true, else b, all three broadcast.
//! <https://onnx.ai/onnx/operators/onnx__Where.html>

use super::broadcast::{self, Broadcast};
use super::{Eval, OpError, Operator, ShapeValue};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Element, Tensor};
use serde::{Deserialize, Serialize};

/// A choice between two tensors, element by element. Inputs: condition (bool), a, b.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Where;

impl Where {
    /// Reads ONNX's `Where`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let inputs = node.all_inputs()?;
        build.add(node, Where.into(), &inputs)
    }

    fn choose<T: Element + Default>(eval: &Eval<'_>) -> Result<Tensor, OpError> {
        let [condition, a, b] = [0, 1, 2].map(|i| &eval.inputs[i]);
        let shape = &eval.outputs[0].shape;
        let spread = Broadcast::new(shape, [condition.shape(), a.shape(), b.shape()]);
        let condition = condition.as_slice::<u8>()?;
        let (a, b) = (a.as_slice::<T>()?, b.as_slice::<T>()?);
        Ok(Tensor::new(shape, spread.map(|[i, j, k]| if condition[i] != 0 { a[j] } else { b[k] }))?)
    }
}

impl Operator for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [condition, a, b] = OpError::exactly(inputs)?;
        if condition.dtype != DType::Bool {
            return Err(OpError::Type { what: "the condition", expected: "bool", got: condition.dtype });
        }
        OpError::unquantized("a", a)?;
        OpError::unquantized("b", b)?;
        if a.dtype != b.dtype && !(a.dtype.is_float() && b.dtype.is_float()) {
            return Err(OpError::Type { what: "b", expected: "a's type", got: b.dtype });
        }
        Ok(vec![Fact::new(a.dtype, broadcast::infer(&[&condition.shape, &a.shape, &b.shape])?)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![match eval.inputs[1].dtype() {
            DType::F32 => Self::choose::<f32>(eval)?,
            DType::F16 => Self::choose::<half::f16>(eval)?,
            DType::I8 => Self::choose::<i8>(eval)?,
            DType::U8 => Self::choose::<u8>(eval)?,
            DType::I32 => Self::choose::<i32>(eval)?,
            DType::I64 => Self::choose::<i64>(eval)?,
            DType::Bool => Self::choose::<u8>(eval)?.cast(DType::Bool),
        }])
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let &[Some(condition), Some(a), Some(b)] = inputs else { return None };
        // A condition and the two sides, zipped in two steps: where it does not hold, then where it does.
        let keep = |holds: i64| {
            move |c: &Dim, v: &Dim| if c.as_const()? == holds { Some(v.clone()) } else { Some(Dim::default()) }
        };
        let (yes, no) = (condition.zip(a, keep(1))?, condition.zip(b, keep(0))?);
        let sum = yes.zip(&no, |x, y| Some(x.clone() + y.clone()))?;
        Some(ShapeValue { real: a.real, ..sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};

    #[test]
    fn three_shapes_broadcast() {
        let condition = Tensor::from_bools(&[2, 1], vec![true, false]).unwrap();
        let (a, b) = (tensor(&[3], &[1.0, 2.0, 3.0]), Tensor::scalar(f32::NAN));
        let y = evaluate(Where, &[condition.clone(), a, b]).unwrap().to_f32();
        assert_eq!(y[..3], [1.0, 2.0, 3.0]);
        assert!(y[3..].iter().all(|v| v.is_nan()));
        let bools = [condition.clone(), condition.clone(), Tensor::from_bools(&[1, 1], vec![true]).unwrap()];
        assert_eq!(evaluate(Where, &bools), Ok(Tensor::from_bools(&[2, 1], vec![true, true]).unwrap()));
        assert!(evaluate(Where, &[tensor(&[1], &[1.0]), Tensor::scalar(1i64), Tensor::scalar(2i64)]).is_err());
    }
}

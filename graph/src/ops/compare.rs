//! y = a ⋈ b, elementwise with NumPy's broadcasting, as booleans.
//! <https://onnx.ai/onnx/operators/onnx__Equal.html> and its neighbours.

use super::broadcast::{self, Broadcast};
use super::{Eval, OpError, Operator, ShapeValue};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Tensor};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What is asked of two elements. A comparison with NaN is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// a = b
    Equal,
    /// a > b
    Greater,
    /// a >= b
    GreaterOrEqual,
    /// a < b
    Less,
    /// a <= b
    LessOrEqual,
    /// a and b, of booleans
    And,
    /// a or b, of booleans
    Or,
    /// a or b but not both, of booleans
    Xor,
}

impl Comparison {
    /// The answer for elements in this order; `None` is NaN's order.
    pub fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            // Of two booleans, which is not an order.
            Comparison::And | Comparison::Or | Comparison::Xor => false,
        }
    }

    fn of_bools(self, a: bool, b: bool) -> bool {
        match self {
            Comparison::And => a && b,
            Comparison::Or => a || b,
            Comparison::Xor => a != b,
            _ => self.holds(Some(a.cmp(&b))),
        }
    }

    fn is_logical(self) -> bool {
        matches!(self, Comparison::And | Comparison::Or | Comparison::Xor)
    }

    /// The operator's name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            Comparison::Equal => "Equal",
            Comparison::Greater => "Greater",
            Comparison::GreaterOrEqual => "GreaterOrEqual",
            Comparison::Less => "Less",
            Comparison::LessOrEqual => "LessOrEqual",
            Comparison::And => "And",
            Comparison::Or => "Or",
            Comparison::Xor => "Xor",
        }
    }
}

/// Two tensors compared element by element. Inputs: a, b; output: booleans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// What is asked.
    pub function: Comparison,
}

impl Compare {
    /// Reads any of the ONNX operators listed for it.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let function = match node.op_type() {
            "Equal" => Comparison::Equal,
            "Greater" => Comparison::Greater,
            "GreaterOrEqual" => Comparison::GreaterOrEqual,
            "Less" => Comparison::Less,
            "LessOrEqual" => Comparison::LessOrEqual,
            "And" => Comparison::And,
            "Or" => Comparison::Or,
            _ => Comparison::Xor,
        };
        let inputs = node.all_inputs()?;
        build.add(node, Compare { function }.into(), &inputs)
    }
}

impl Operator for Compare {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [a, b] = OpError::exactly(inputs)?;
        if self.function.is_logical() && a.dtype != DType::Bool {
            return Err(OpError::Type { what: "a", expected: "bool", got: a.dtype });
        }
        OpError::unquantized("a", a)?;
        OpError::unquantized("b", b)?;
        if a.dtype != b.dtype && !(a.dtype.is_float() && b.dtype.is_float()) {
            return Err(OpError::Type { what: "b", expected: "a's type", got: b.dtype });
        }
        Ok(vec![Fact::new(DType::Bool, broadcast::infer(&[&a.shape, &b.shape])?)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (a, b) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        let spread = Broadcast::new(shape, [a.shape(), b.shape()]);
        let answers = if a.dtype().is_float() {
            let (a, b) = (a.to_f32(), b.to_f32());
            spread.map(|[i, j]| self.function.holds(a[i].partial_cmp(&b[j])))
        } else if self.function.is_logical() {
            let (a, b) = (a.as_slice::<u8>()?, b.as_slice::<u8>()?);
            spread.map(|[i, j]| self.function.of_bools(a[i] != 0, b[j] != 0))
        } else {
            let (a, b) = (a.to_i64(), b.to_i64());
            spread.map(|[i, j]| self.function.holds(Some(a[i].cmp(&b[j]))))
        };
        Ok(vec![Tensor::from_bools(shape, answers)?])
    }

    /// Settled where it is the same for every value of the symbols.
    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let &[Some(a), Some(b)] = inputs else { return None };
        if self.function.is_logical() {
            return None;
        }
        let settled = |x: &Dim, y: &Dim| {
            let order = order_of(x, y)?;
            Some(Dim::from(i64::from(self.function.holds(Some(order)))))
        };
        a.zip(b, settled).map(|answers| ShapeValue { real: false, ..answers })
    }
}

/// How two extents compare, if that does not depend on the symbols' values.
fn order_of(x: &Dim, y: &Dim) -> Option<Ordering> {
    if let (Some(x), Some(y)) = (x.as_const(), y.as_const()) {
        return Some(x.cmp(&y));
    }
    if x == y {
        return Some(Ordering::Equal);
    }
    if (x.clone() - y.clone()).lower_bound().is_some_and(|low| low > 0) {
        return Some(Ordering::Greater);
    }
    (y.clone() - x.clone()).lower_bound().filter(|low| *low > 0).map(|_| Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Where;
    use crate::ops::evaluate::{evaluate, tensor};
    use crate::tensor::Symbol;

    fn answers(function: Comparison, a: &Tensor, b: &Tensor) -> Vec<bool> {
        let y = evaluate(Compare { function }, &[a.clone(), b.clone()]).unwrap();
        y.as_slice::<u8>().unwrap().iter().map(|&v| v != 0).collect()
    }

    #[test]
    fn reals_and_nan() {
        let (a, b) = (tensor(&[4], &[1.0, 2.0, 3.0, f32::NAN]), tensor(&[1], &[2.0]));
        assert_eq!(answers(Comparison::Equal, &a, &b), [false, true, false, false]);
        assert_eq!(answers(Comparison::Greater, &a, &b), [false, false, true, false]);
        assert_eq!(answers(Comparison::GreaterOrEqual, &a, &b), [false, true, true, false]);
        assert_eq!(answers(Comparison::Less, &a, &b), [true, false, false, false]);
        assert_eq!(answers(Comparison::LessOrEqual, &a, &b), [true, true, false, false]);
    }

    #[test]
    fn integers_beyond_the_reach_of_reals() {
        let a = Tensor::new(&[1], vec![(1i64 << 53) + 1]).unwrap();
        let b = Tensor::new(&[1], vec![1i64 << 53]).unwrap();
        assert_eq!(answers(Comparison::Greater, &a, &b), [true]);
        assert_eq!(answers(Comparison::Equal, &a, &b), [false]);
    }

    #[test]
    fn booleans() {
        let a = Tensor::from_bools(&[4], vec![true, true, false, false]).unwrap();
        let b = Tensor::from_bools(&[4], vec![true, false, true, false]).unwrap();
        assert_eq!(answers(Comparison::And, &a, &b), [true, false, false, false]);
        assert_eq!(answers(Comparison::Or, &a, &b), [true, true, true, false]);
        assert_eq!(answers(Comparison::Xor, &a, &b), [false, true, true, false]);
        assert_eq!(answers(Comparison::Equal, &a, &b), [true, false, false, true]);
        assert!(
            evaluate(Compare { function: Comparison::And }, &[tensor(&[1], &[1.0]), tensor(&[1], &[1.0])]).is_err()
        );
    }

    /// What exporters write for `expand(-1, …)`: is the extent -1? An extent never is.
    #[test]
    fn a_symbol_is_compared_where_its_value_does_not_matter() {
        let n = Dim::symbol(Symbol::new("N"));
        let settle = |function, a: &Dim, b: i64| {
            let (a, b) = (ShapeValue::scalar(a.clone()), ShapeValue::scalar(Dim::from(b)));
            let answer = Compare { function }.shape_arithmetic(&[Some(&a), Some(&b)])?;
            answer.as_consts().map(|v| v[0] == 1)
        };
        assert_eq!(settle(Comparison::Equal, &n, -1), Some(false));
        assert_eq!(settle(Comparison::Greater, &n, 0), Some(true));
        assert_eq!(settle(Comparison::Less, &n, 0), Some(false));
        assert_eq!(settle(Comparison::Equal, &n, 1), None);
        let asked = ShapeValue::vector(vec![n.clone(), Dim::from(-1)]);
        let minus_one = ShapeValue::vector(vec![Dim::from(-1); 2]);
        let is_open =
            Compare { function: Comparison::Equal }.shape_arithmetic(&[Some(&asked), Some(&minus_one)]).unwrap();
        let ones = ShapeValue::vector(vec![Dim::from(1); 2]);
        let shape = Where.shape_arithmetic(&[Some(&is_open), Some(&ones), Some(&asked)]).unwrap();
        assert_eq!(shape.elements, [n, Dim::from(1)]);
    }
}

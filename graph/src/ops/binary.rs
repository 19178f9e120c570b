//! y = activation( f(a, b) ), elementwise with NumPy's broadcasting.
//! <https://onnx.ai/onnx/operators/onnx__Add.html> and its neighbours; the rule of broadcasting is
//! <https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md>.

use super::broadcast::{self, Broadcast};
use super::{Activation, Eval, OpError, Operator, ShapeValue, exact};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Tensor};
use serde::{Deserialize, Serialize};

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryFunction {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a · b
    Mul,
    /// a / b; of integers, cut toward zero
    Div,
    /// a to the power of b
    Pow,
    /// the smaller; NaN if either is
    Min,
    /// the larger; NaN if either is
    Max,
    /// a if a >= 0, else a · b: a leaky ReLU whose slope is a tensor
    PRelu,
}

impl BinaryFunction {
    /// The value at two reals.
    pub fn apply(self, a: f32, b: f32) -> f32 {
        match self {
            BinaryFunction::Add => a + b,
            BinaryFunction::Sub => a - b,
            BinaryFunction::Mul => a * b,
            BinaryFunction::Div => a / b,
            BinaryFunction::Pow => a.powf(b),
            // `f32::min` drops a NaN; ONNX keeps it.
            BinaryFunction::Min if a.is_nan() || a < b => a,
            BinaryFunction::Max if a.is_nan() || a > b => a,
            BinaryFunction::Min | BinaryFunction::Max => b,
            BinaryFunction::PRelu if a < 0.0 => a * b,
            BinaryFunction::PRelu => a,
        }
    }

    /// The value at two integers, wrapping as machine integers do; `None` for a division by zero.
    pub fn apply_integer(self, a: i64, b: i64) -> Option<i64> {
        Some(match self {
            BinaryFunction::Add => a.wrapping_add(b),
            BinaryFunction::Sub => a.wrapping_sub(b),
            BinaryFunction::Mul => a.wrapping_mul(b),
            BinaryFunction::Div if b == 0 => return None,
            BinaryFunction::Div => a.wrapping_div(b),
            BinaryFunction::Pow => match u32::try_from(b) {
                Ok(exponent) => a.wrapping_pow(exponent),
                // 1/a^|b|, cut toward zero.
                Err(_) if b < 0 => match a {
                    0 => return None,
                    1 => 1,
                    -1 if b % 2 == 0 => 1,
                    -1 => -1,
                    _ => 0,
                },
                Err(_) => i64::from(a == 1),
            },
            BinaryFunction::Min => a.min(b),
            BinaryFunction::Max => a.max(b),
            BinaryFunction::PRelu if a < 0 => a.wrapping_mul(b),
            BinaryFunction::PRelu => a,
        })
    }

    /// The operator's name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            BinaryFunction::Add => "Add",
            BinaryFunction::Sub => "Sub",
            BinaryFunction::Mul => "Mul",
            BinaryFunction::Div => "Div",
            BinaryFunction::Pow => "Pow",
            BinaryFunction::Min => "Min",
            BinaryFunction::Max => "Max",
            BinaryFunction::PRelu => "PRelu",
        }
    }

    /// On extents, symbols kept; `None` where the result is no polynomial of them.
    fn on_extents(self, a: &Dim, b: &Dim, real: bool) -> Option<Dim> {
        if let (Some(a), Some(b)) = (a.as_const(), b.as_const()) {
            let inexact = real && self == BinaryFunction::Div && a.checked_rem(b) != Some(0);
            return if inexact { None } else { self.apply_integer(a, b).map(Dim::from) };
        }
        match self {
            BinaryFunction::Add => Some(a.clone() + b.clone()),
            BinaryFunction::Sub => Some(a.clone() - b.clone()),
            BinaryFunction::Mul => Some(a.clone() * b.clone()),
            // Extents are not negative, so cutting toward zero is rounding down. Reals keep their fraction.
            BinaryFunction::Div => match b.as_const().filter(|d| *d > 0 && !real && a.lower_bound() >= Some(0)) {
                Some(divisor) => Some(a.floor_div(divisor)),
                None => a.exact_div(b),
            },
            BinaryFunction::Min | BinaryFunction::Max if a == b => Some(a.clone()),
            BinaryFunction::Min if b.as_const() <= a.lower_bound() && b.as_const().is_some() => Some(b.clone()),
            BinaryFunction::Min if a.as_const() <= b.lower_bound() && a.as_const().is_some() => Some(a.clone()),
            BinaryFunction::Max if b.as_const() <= a.lower_bound() && b.as_const().is_some() => Some(a.clone()),
            BinaryFunction::Max if a.as_const() <= b.lower_bound() && a.as_const().is_some() => Some(b.clone()),
            _ => None,
        }
    }
}

/// Two tensors joined element by element. Inputs: a, b.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// The function.
    pub function: BinaryFunction,
    /// Applied to each result; `Identity` unless one was fused.
    pub activation: Activation,
}

impl Binary {
    /// Without an activation.
    pub fn new(function: BinaryFunction) -> Self {
        Self { function, activation: Activation::Identity }
    }

    /// Reads any of the ONNX operators listed for it. Min and Max of more than two become a chain.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let function = match node.op_type() {
            "Add" => BinaryFunction::Add,
            "Sub" => BinaryFunction::Sub,
            "Mul" => BinaryFunction::Mul,
            "Div" => BinaryFunction::Div,
            "Pow" => BinaryFunction::Pow,
            "Min" => BinaryFunction::Min,
            "Max" => BinaryFunction::Max,
            _ => BinaryFunction::PRelu,
        };
        // Before opset 7 shapes were aligned at `axis` instead of at the last dim.
        if let Some(axis) = node.int("axis")? {
            return Err(node.bad_attribute("axis", "left out (broadcasting of opset 7 and later)", axis));
        }
        let inputs = node.all_inputs()?;
        let chained = matches!(function, BinaryFunction::Min | BinaryFunction::Max);
        if !chained || inputs.len() == 2 {
            return build.add(node, Self::new(function).into(), &inputs);
        }
        let mut result = node.input(0)?;
        if inputs.len() == 1 {
            return build.add(node, super::Identity.into(), &[result]);
        }
        for (index, &input) in inputs.iter().enumerate().skip(1) {
            let part = if index + 1 == inputs.len() { String::new() } else { index.to_string() };
            result = build.add_part(node, &part, Self::new(function).into(), &[result, input])?[0];
        }
        Ok(vec![result])
    }

    /// On numbers with their scales, a real's being 1, as [`exact`] defines it.
    fn exact(&self, (a, scale_a): (f32, f32), (b, scale_b): (f32, f32)) -> f32 {
        let x = match self.function {
            BinaryFunction::Add => b.mul_add(scale_b, a * scale_a),
            other => other.apply(a * scale_a, b * scale_b),
        };
        exact::activate(self.activation, x)
    }

    fn integers(&self, eval: &Eval<'_>, spread: &Broadcast<2>) -> Result<Tensor, OpError> {
        let (a, b) = (&eval.inputs[0], &eval.inputs[1]);
        let (wide_a, wide_b) = (a.to_i64(), b.to_i64());
        if self.function == BinaryFunction::Div && wide_b.contains(&0) {
            return Err(OpError::Tensor("divides an integer by zero".to_owned()));
        }
        let values = spread.map(|[i, j]| self.function.apply_integer(wide_a[i], wide_b[j]).unwrap_or(0));
        // Narrower integers wrap, which the cast from i64 does.
        Ok(Tensor::new(&eval.outputs[0].shape, values)?.cast(a.dtype()))
    }
}

impl Operator for Binary {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self.activation {
            Activation::Identity => Vec::new(),
            activation => vec![("activation", activation.to_string())],
        }
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [a, b] = OpError::exactly(inputs)?;
        let int8 = a.quant.is_some() || b.quant.is_some();
        if int8 {
            OpError::real_or_int8("a", a)?;
            OpError::real_or_int8("b", b)?;
        }
        if int8 && self.function == BinaryFunction::Pow {
            return Err(OpError::Type {
                what: "an operand",
                expected: "f32 or f16; powers are not exact",
                got: DType::I8,
            });
        }
        let real = |f: &Fact| f.dtype.is_float() || f.quant.is_some();
        let fits = a.dtype == b.dtype || real(a) && real(b) || self.function == BinaryFunction::Pow;
        if !fits {
            return Err(OpError::Type { what: "b", expected: "a's type", got: b.dtype });
        }
        if a.dtype == DType::Bool {
            return Err(OpError::Type { what: "a", expected: "numbers", got: a.dtype });
        }
        if self.activation != Activation::Identity && !real(a) {
            return Err(OpError::Type { what: "a", expected: "f32 or f16, for the activation", got: a.dtype });
        }
        let shape = broadcast::infer(&[&a.shape, &b.shape])?;
        if self.function == BinaryFunction::PRelu && shape != a.shape {
            return Err(OpError::shape("the slope", format!("one that broadcasts to {}", a.shape), &b.shape));
        }
        Ok(vec![Fact::new(exact::result(a), shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (a, b) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        let spread = Broadcast::new(shape, [a.shape(), b.shape()]);
        if eval.specs.iter().any(|spec| spec.exact_scale().is_some()) {
            let [a, b] = [0, 1].map(|i| (eval.inputs[i].to_f32(), eval.specs[i].exact_scale().unwrap_or(1.0)));
            let reals = spread.map(|[i, j]| self.exact((a.0[i], a.1), (b.0[j], b.1)));
            return Ok(vec![exact::reals_as(reals, &eval.outputs[0])?]);
        }
        if !a.dtype().is_float() {
            return Ok(vec![self.integers(eval, &spread)?]);
        }
        let exponents = b.cast(DType::F32);
        let (a, b) = (a.as_slice::<f32>()?, exponents.as_slice::<f32>()?);
        let values = spread.map(|[i, j]| self.activation.apply(self.function.apply(a[i], b[j])));
        Ok(vec![Tensor::new(shape, values)?])
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let &[Some(a), Some(b)] = inputs else { return None };
        a.zip(b, |x, y| self.function.on_extents(x, y, a.real))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};
    use crate::tensor::Symbol;

    fn of(function: BinaryFunction, a: &Tensor, b: &Tensor) -> Result<Tensor, OpError> {
        evaluate(Binary::new(function), &[a.clone(), b.clone()])
    }

    #[test]
    fn reals_by_hand() {
        let (a, b) = (tensor(&[4], &[1.0, -2.0, 9.0, 0.0]), tensor(&[4], &[4.0, 3.0, 0.5, 0.0]));
        let expect = |function, want: [f32; 4]| {
            let got = of(function, &a, &b).unwrap().to_f32();
            for (got, want) in got.iter().zip(want) {
                assert!(*got == want || got.is_nan() && want.is_nan(), "{function:?}: {got} {want}");
            }
        };
        expect(BinaryFunction::Add, [5.0, 1.0, 9.5, 0.0]);
        expect(BinaryFunction::Sub, [-3.0, -5.0, 8.5, 0.0]);
        expect(BinaryFunction::Mul, [4.0, -6.0, 4.5, 0.0]);
        expect(BinaryFunction::Div, [0.25, -2.0 / 3.0, 18.0, f32::NAN]);
        expect(BinaryFunction::Pow, [1.0, -8.0, 3.0, 1.0]);
        expect(BinaryFunction::Min, [1.0, -2.0, 0.5, 0.0]);
        expect(BinaryFunction::Max, [4.0, 3.0, 9.0, 0.0]);
        expect(BinaryFunction::PRelu, [1.0, -6.0, 9.0, 0.0]);
    }

    #[test]
    fn integers_are_exact_and_cut_toward_zero() {
        let big = (1i64 << 53) + 1;
        let ints = |values: &[i64]| Tensor::new(&[values.len()], values.to_vec()).unwrap();
        let expect = |function, a: &[i64], b: &[i64], want: &[i64]| {
            assert_eq!(of(function, &ints(a), &ints(b)), Ok(ints(want)), "{function:?}");
        };
        expect(BinaryFunction::Add, &[big, i64::MAX], &[1, 1], &[big + 1, i64::MIN]);
        expect(BinaryFunction::Div, &[7, -7, 7, i64::MIN], &[2, 2, -2, -1], &[3, -3, -3, i64::MIN]);
        expect(BinaryFunction::Pow, &[3, -2, 2, 1], &[4, 3, -1, -5], &[81, -8, 0, 1]);
        expect(BinaryFunction::Max, &[big, -1], &[0, -2], &[big, -1]);
        let narrow = Tensor::new(&[1], vec![i32::MAX]).unwrap();
        assert_eq!(of(BinaryFunction::Add, &narrow, &narrow), Ok(Tensor::new(&[1], vec![-2i32]).unwrap()));
        assert!(of(BinaryFunction::Div, &ints(&[1]), &ints(&[0])).is_err());
        assert!(of(BinaryFunction::Add, &ints(&[1]), &narrow).is_err());
    }

    #[test]
    fn nan_stays_on_either_side_of_min_and_max() {
        for function in [BinaryFunction::Min, BinaryFunction::Max] {
            assert!(function.apply(f32::NAN, 1.0).is_nan(), "{function:?}");
            assert!(function.apply(1.0, f32::NAN).is_nan(), "{function:?}");
        }
    }

    #[test]
    fn ranks_meet_at_the_last_axis() {
        let (a, b) = (tensor(&[2, 1], &[10.0, 20.0]), tensor(&[3], &[1.0, 2.0, 3.0]));
        let sum = tensor(&[2, 3], &[11.0, 12.0, 13.0, 21.0, 22.0, 23.0]);
        assert_eq!(of(BinaryFunction::Add, &a, &b), Ok(sum));
        assert_eq!(of(BinaryFunction::Mul, &Tensor::scalar(2f32), &Tensor::scalar(3f32)), Ok(Tensor::scalar(6f32)));
        assert!(of(BinaryFunction::Add, &tensor(&[2], &[0.0; 2]), &b).is_err());
        // A slope may be stretched, x may not.
        assert!(of(BinaryFunction::PRelu, &tensor(&[1], &[0.0]), &b).is_err());
    }

    #[test]
    fn a_fused_activation_comes_last() {
        let op = Binary { function: BinaryFunction::Sub, activation: Activation::Relu };
        let (a, b) = (tensor(&[2], &[1.0, 5.0]), tensor(&[2], &[3.0, 3.0]));
        assert_eq!(evaluate(op, &[a, b]), Ok(tensor(&[2], &[0.0, 2.0])));
    }

    #[test]
    fn extents_keep_their_symbols() {
        let n = || Dim::symbol(Symbol::new("N"));
        let value = |dim: Dim| ShapeValue::scalar(dim);
        let run = |function, a: Dim, b: Dim, real: bool| {
            let (a, b) = (ShapeValue { real, ..value(a) }, ShapeValue { real, ..value(b) });
            Binary::new(function).shape_arithmetic(&[Some(&a), Some(&b)]).map(|v| v.elements[0].clone())
        };
        assert_eq!(run(BinaryFunction::Mul, n(), Dim::from(3), false), Some(n() * Dim::from(3)));
        assert_eq!(run(BinaryFunction::Div, n(), Dim::from(2), false), Some(n().floor_div(2)));
        // As a real, N/2 may have a fraction; 2·N/2 has none.
        assert_eq!(run(BinaryFunction::Div, n(), Dim::from(2), true), None);
        assert_eq!(run(BinaryFunction::Div, n() * Dim::from(2), Dim::from(2), true), Some(n()));
        assert_eq!(run(BinaryFunction::Div, Dim::from(5), Dim::from(2), true), None);
        // A negative number is cut up, an extent down.
        assert_eq!(run(BinaryFunction::Div, Dim::from(-5), Dim::from(2), false), Some(Dim::from(-2)));
        assert_eq!(run(BinaryFunction::Div, n() - Dim::from(5), Dim::from(2), false), None);
        assert_eq!(run(BinaryFunction::Max, n(), Dim::from(1), false), Some(n()));
        assert_eq!(run(BinaryFunction::Max, n(), Dim::from(2), false), None);
        assert_eq!(run(BinaryFunction::Min, n(), Dim::from(0), false), Some(Dim::from(0)));
    }
}

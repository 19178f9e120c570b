//! y = activation( f(a, b) ), elementwise with NumPy's broadcasting.
//! <https://onnx.ai/onnx/operators/onnx__Add.html> and its neighbours; the rule of broadcasting is
//! <https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md>.

use super::broadcast::{self, Broadcast};
use super::{Activation, Eval, OpError, Operator, ShapeValue};
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
        Ok(vec![Fact::new(a.dtype, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (a, b) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        let spread = Broadcast::new(shape, [a.shape(), b.shape()]);
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

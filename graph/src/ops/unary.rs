//! y = f(x), elementwise, for the functions that are not fused as activations.
//! <https://onnx.ai/onnx/operators/onnx__Exp.html> and its neighbours.

use super::{Eval, OpError, Operator, ShapeValue};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f32::consts::{FRAC_1_SQRT_2, PI};

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum UnaryFunction {
    /// |x|, also of integers
    Abs,
    /// -x, also of integers
    Neg,
    /// -1, 0 or 1, also of integers; NaN stays NaN
    Sign,
    /// e^x
    Exp,
    /// ln(x)
    Log,
    /// √x
    Sqrt,
    /// 1/x
    Reciprocal,
    /// the next whole number below
    Floor,
    /// the next whole number above
    Ceil,
    /// the nearest whole number, halves to the even one
    Round,
    /// sin(x)
    Sin,
    /// cos(x)
    Cos,
    /// the error function
    Erf,
    /// x · Φ(x) = x/2 · (1 + erf(x/√2))
    Gelu,
    /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))
    GeluTanh,
    /// ln(1 + e^x)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x if x >= 0, else alpha · (e^x - 1)
    Elu {
        /// The limit for x to -∞, negated.
        alpha: f32,
    },
    /// gamma · (x if x > 0, else alpha · (e^x - 1))
    Selu {
        /// As of Elu.
        alpha: f32,
        /// The slope right of 0.
        gamma: f32,
    },
    /// max(x, 0) + min(alpha · (e^(x/alpha) - 1), 0)
    Celu {
        /// As of Elu.
        alpha: f32,
    },
    /// x · tanh(ln(1 + e^x))
    Mish,
}

impl UnaryFunction {
    /// The value at `x`. NaN stays NaN.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            UnaryFunction::Abs => x.abs(),
            UnaryFunction::Neg => -x,
            UnaryFunction::Sign if x > 0.0 => 1.0,
            UnaryFunction::Sign if x < 0.0 => -1.0,
            UnaryFunction::Sign => x,
            UnaryFunction::Exp => x.exp(),
            UnaryFunction::Log => x.ln(),
            UnaryFunction::Sqrt => x.sqrt(),
            UnaryFunction::Reciprocal => 1.0 / x,
            UnaryFunction::Floor => x.floor(),
            UnaryFunction::Ceil => x.ceil(),
            UnaryFunction::Round => x.round_ties_even(),
            UnaryFunction::Sin => x.sin(),
            UnaryFunction::Cos => x.cos(),
            UnaryFunction::Erf => libm::erff(x),
            UnaryFunction::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
            UnaryFunction::GeluTanh => 0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh()),
            UnaryFunction::Softplus => softplus(x),
            UnaryFunction::Softsign => x / (1.0 + x.abs()),
            UnaryFunction::Elu { alpha } if x < 0.0 => alpha * x.exp_m1(),
            UnaryFunction::Elu { .. } => x,
            UnaryFunction::Selu { alpha, gamma } if x <= 0.0 => gamma * (alpha * x.exp_m1()),
            UnaryFunction::Selu { gamma, .. } => gamma * x,
            UnaryFunction::Celu { alpha } if x < 0.0 => alpha * (x / alpha).exp_m1(),
            UnaryFunction::Celu { .. } => x,
            UnaryFunction::Mish => x * softplus(x).tanh(),
        }
    }

    /// The value at an integer, for the functions that take one.
    fn apply_integer(self, x: i64) -> Option<i64> {
        match self {
            UnaryFunction::Abs => Some(x.wrapping_abs()),
            UnaryFunction::Neg => Some(x.wrapping_neg()),
            UnaryFunction::Sign => Some(x.signum()),
            _ => None,
        }
    }

    /// The operator's name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            UnaryFunction::Abs => "Abs",
            UnaryFunction::Neg => "Neg",
            UnaryFunction::Sign => "Sign",
            UnaryFunction::Exp => "Exp",
            UnaryFunction::Log => "Log",
            UnaryFunction::Sqrt => "Sqrt",
            UnaryFunction::Reciprocal => "Reciprocal",
            UnaryFunction::Floor => "Floor",
            UnaryFunction::Ceil => "Ceil",
            UnaryFunction::Round => "Round",
            UnaryFunction::Sin => "Sin",
            UnaryFunction::Cos => "Cos",
            UnaryFunction::Erf => "Erf",
            UnaryFunction::Gelu | UnaryFunction::GeluTanh => "Gelu",
            UnaryFunction::Softplus => "Softplus",
            UnaryFunction::Softsign => "Softsign",
            UnaryFunction::Elu { .. } => "Elu",
            UnaryFunction::Selu { .. } => "Selu",
            UnaryFunction::Celu { .. } => "Celu",
            UnaryFunction::Mish => "Mish",
        }
    }

    fn takes_integers(self) -> bool {
        self.apply_integer(0).is_some()
    }
}

/// ln(1 + e^x) without overflow: e^x is only taken of what is not positive.
fn softplus(x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    positive + (-x.abs()).exp().ln_1p()
}

/// One function of every element. Input: x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// The function.
    pub function: UnaryFunction,
}

impl Unary {
    /// Reads any of the ONNX operators listed for it.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let alpha = |default: f32| Ok::<f32, ImportError>(node.float("alpha")?.unwrap_or(default));
        let function = match node.op_type() {
            "Abs" => UnaryFunction::Abs,
            "Neg" => UnaryFunction::Neg,
            "Sign" => UnaryFunction::Sign,
            "Exp" => UnaryFunction::Exp,
            "Log" => UnaryFunction::Log,
            "Sqrt" => UnaryFunction::Sqrt,
            "Reciprocal" => UnaryFunction::Reciprocal,
            "Floor" => UnaryFunction::Floor,
            "Ceil" => UnaryFunction::Ceil,
            "Round" => UnaryFunction::Round,
            "Sin" => UnaryFunction::Sin,
            "Cos" => UnaryFunction::Cos,
            "Erf" => UnaryFunction::Erf,
            "Gelu" => match node.string("approximate")?.as_deref() {
                None | Some("none") => UnaryFunction::Gelu,
                Some("tanh") => UnaryFunction::GeluTanh,
                Some(other) => return Err(node.bad_attribute("approximate", "none or tanh", other)),
            },
            "Softplus" => UnaryFunction::Softplus,
            "Softsign" => UnaryFunction::Softsign,
            "Elu" => UnaryFunction::Elu { alpha: alpha(1.0)? },
            // The constants of Klambauer et al., "Self-Normalizing Neural Networks", as ONNX gives them.
            "Selu" => {
                let gamma = node.float("gamma")?.unwrap_or(1.050_701);
                UnaryFunction::Selu { alpha: alpha(1.673_263_2)?, gamma }
            }
            "Celu" => UnaryFunction::Celu { alpha: alpha(1.0)? },
            _ => UnaryFunction::Mish,
        };
        build.add(node, Unary { function }.into(), &[x])
    }
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self.function {
            UnaryFunction::GeluTanh => vec![("approximate", "tanh".to_owned())],
            UnaryFunction::Elu { alpha } | UnaryFunction::Celu { alpha } => vec![("alpha", alpha.to_string())],
            UnaryFunction::Selu { alpha, gamma } => vec![("alpha", alpha.to_string()), ("gamma", gamma.to_string())],
            _ => Vec::new(),
        }
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::unquantized("x", x)?;
        let integer = !x.dtype.is_float() && x.dtype != DType::Bool;
        if !(x.dtype.is_float() || integer && self.function.takes_integers()) {
            return Err(OpError::Type { what: "x", expected: "f32 or f16", got: x.dtype });
        }
        Ok(vec![Fact::new(x.dtype, x.shape.clone())])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let shape = &eval.outputs[0].shape;
        if !x.dtype().is_float() {
            let y: Vec<i64> = x.to_i64().iter().map(|&v| self.function.apply_integer(v).unwrap_or(v)).collect();
            return Ok(vec![Tensor::new(shape, y)?.cast(x.dtype())]);
        }
        let x = x.as_slice::<f32>()?;
        let y: Vec<f32> = x.par_iter().with_min_len(1 << 12).map(|&v| self.function.apply(v)).collect();
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let &[Some(x)] = inputs else { return None };
        match self.function {
            // Extents held as reals are whole already.
            UnaryFunction::Floor | UnaryFunction::Ceil | UnaryFunction::Round => Some(x.clone()),
            UnaryFunction::Neg => x.map(|d| Some(Dim::default() - d.clone())),
            UnaryFunction::Abs => x.map(|d| match d.as_const() {
                Some(v) => v.checked_abs().map(Dim::from),
                None => d.lower_bound().filter(|low| *low >= 0).map(|_| d.clone()),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{evaluate, tensor};
    use crate::tensor::Tolerance;

    /// Values from a calculator of many digits.
    #[test]
    fn functions_by_hand() {
        let cases: &[(UnaryFunction, f32, f32)] = &[
            (UnaryFunction::Abs, -3.5, 3.5),
            (UnaryFunction::Neg, 2.0, -2.0),
            (UnaryFunction::Sign, -0.25, -1.0),
            (UnaryFunction::Exp, 1.5, 4.481_689),
            (UnaryFunction::Log, 3.0, 1.098_612_3),
            (UnaryFunction::Sqrt, 3.0, 1.732_050_8),
            (UnaryFunction::Reciprocal, 4.0, 0.25),
            (UnaryFunction::Floor, -1.5, -2.0),
            (UnaryFunction::Ceil, -1.5, -1.0),
            (UnaryFunction::Round, 2.5, 2.0),
            (UnaryFunction::Round, 3.5, 4.0),
            (UnaryFunction::Sin, 1.0, 0.841_470_98),
            (UnaryFunction::Cos, 1.0, 0.540_302_3),
            (UnaryFunction::Erf, 0.5, 0.520_499_9),
            (UnaryFunction::Gelu, 1.0, 0.841_344_7),
            (UnaryFunction::Gelu, -2.0, -0.045_500_264),
            (UnaryFunction::GeluTanh, 1.0, 0.841_192),
            (UnaryFunction::Softplus, 1.0, 1.313_261_7),
            (UnaryFunction::Softsign, -3.0, -0.75),
            (UnaryFunction::Elu { alpha: 0.5 }, -1.0, -0.316_060_28),
            (UnaryFunction::Selu { alpha: 1.673_263_2, gamma: 1.050_701 }, -1.0, -1.111_330_7),
            (UnaryFunction::Selu { alpha: 1.673_263_2, gamma: 1.050_701 }, 2.0, 2.101_402),
            (UnaryFunction::Celu { alpha: 2.0 }, -1.0, -0.786_938_67),
            (UnaryFunction::Mish, 1.0, 0.865_098_4),
        ];
        for &(function, x, want) in cases {
            let got = evaluate(Unary { function }, &[Tensor::scalar(x)]).unwrap().to_f32();
            let checked = Tolerance::elementwise(DType::F32).check(&got, &[want]);
            assert!(checked.is_ok(), "{function:?}({x}): {checked:?}");
        }
    }

    #[test]
    fn nothing_overflows_on_the_way() {
        assert_eq!(UnaryFunction::Softplus.apply(1e4), 1e4);
        assert_eq!(UnaryFunction::Softplus.apply(-1e4), 0.0);
        assert_eq!(UnaryFunction::Mish.apply(1e4), 1e4);
        assert_eq!(UnaryFunction::GeluTanh.apply(1e3), 1e3);
        assert_eq!(UnaryFunction::Elu { alpha: 1.0 }.apply(1e4), 1e4);
    }

    #[test]
    fn nan_stays_nan() {
        let functions = [
            UnaryFunction::Abs,
            UnaryFunction::Neg,
            UnaryFunction::Sign,
            UnaryFunction::Exp,
            UnaryFunction::Log,
            UnaryFunction::Sqrt,
            UnaryFunction::Floor,
            UnaryFunction::Erf,
            UnaryFunction::Gelu,
            UnaryFunction::GeluTanh,
            UnaryFunction::Softplus,
            UnaryFunction::Softsign,
            UnaryFunction::Mish,
            UnaryFunction::Elu { alpha: 1.0 },
            UnaryFunction::Selu { alpha: 1.0, gamma: 1.0 },
            UnaryFunction::Celu { alpha: 1.0 },
        ];
        for function in functions {
            assert!(function.apply(f32::NAN).is_nan(), "{function:?}");
        }
    }

    #[test]
    fn some_functions_take_integers() {
        let x = Tensor::new(&[2], vec![-3i64, (1 << 53) + 1]).unwrap();
        let negated = evaluate(Unary { function: UnaryFunction::Neg }, &[&x]).unwrap();
        assert_eq!(negated.as_slice::<i64>().unwrap(), [3, -(1 << 53) - 1]);
        assert!(evaluate(Unary { function: UnaryFunction::Exp }, &[x]).is_err());
        assert!(evaluate(Unary { function: UnaryFunction::Neg }, &[tensor(&[0], &[])]).unwrap().is_empty());
    }
}

//! Sites at the edges of what `function.cu` does.

use super::edges::{broadcast, image};
use crate::site::{Function, FunctionSite, Site, View};
use limpid_graph::ops::{Activation, BinaryFunction, Comparison, UnaryFunction};
use limpid_graph::tensor::DType;

/// Every function that `function.cu` has, and every way of reading operands.
pub(super) fn sites() -> Vec<Site> {
    let mut sites = Vec::new();
    let mut push = |function, inputs: Vec<View>, y: View| {
        sites.push(Site::Function(FunctionSite { function, inputs, y, activation: Activation::Identity }));
    };
    let (half, single) = (DType::F16, DType::F32);
    for function in UNARY {
        for dtype in [half, single] {
            let x = View::dense(&[1025], dtype);
            push(Function::Unary(function), vec![x.clone()], x);
        }
    }
    let integers = [DType::I32, DType::I64];
    for dtype in integers {
        let x = View::dense(&[37], dtype);
        for function in [UnaryFunction::Abs, UnaryFunction::Neg, UnaryFunction::Sign] {
            push(Function::Unary(function), vec![x.clone()], x.clone());
        }
        for function in ARITHMETIC {
            push(Function::Binary(function), vec![x.clone(), broadcast(&x, &[], dtype)], x.clone());
        }
    }
    // Images with padding lanes, values per channel, mixed types.
    for function in [BinaryFunction::Pow, BinaryFunction::Min, BinaryFunction::Max, BinaryFunction::PRelu] {
        for (dtype, other) in [(half, half), (half, single), (single, single), (single, half)] {
            let y = image(13, 24, dtype);
            push(Function::Binary(function), vec![y.clone(), broadcast(&y, &[3], other)], y.clone());
            let y = View::dense(&[3, 7], dtype);
            push(Function::Binary(function), vec![y.clone(), View { strides: vec![1, 3], ..y.clone() }], y);
        }
    }
    for comparison in RELATIONS {
        for (a, b) in [(half, single), (single, single), (DType::I32, DType::I32), (DType::I64, DType::I64)] {
            let y = View::dense(&[5, 33], DType::Bool);
            push(Function::Compare(comparison), vec![View::dense(&[5, 33], a), broadcast(&y, &[1], b)], y);
        }
    }
    for comparison in [Comparison::And, Comparison::Or, Comparison::Xor, Comparison::Equal] {
        let x = View::dense(&[67], DType::Bool);
        push(Function::Compare(comparison), vec![x.clone(), x.clone()], x);
    }
    for (a, b, y) in [
        (half, half, half),
        (half, single, half),
        (single, half, single),
        (single, single, single),
        (single, single, half),
        (DType::I32, DType::I32, DType::I32),
        (DType::I64, DType::I64, DType::I64),
        (DType::U8, DType::U8, DType::U8),
        (DType::Bool, DType::Bool, DType::Bool),
    ] {
        let y = View::dense(&[4, 3, 19], y);
        let condition = broadcast(&y, &[0, 2], DType::Bool);
        push(Function::Where, vec![condition, View { dtype: a, ..y.clone() }, broadcast(&y, &[], b)], y);
    }
    sites
}

const UNARY: [UnaryFunction; 21] = [
    UnaryFunction::Abs,
    UnaryFunction::Neg,
    UnaryFunction::Sign,
    UnaryFunction::Exp,
    UnaryFunction::Log,
    UnaryFunction::Sqrt,
    UnaryFunction::Reciprocal,
    UnaryFunction::Floor,
    UnaryFunction::Ceil,
    UnaryFunction::Round,
    UnaryFunction::Sin,
    UnaryFunction::Cos,
    UnaryFunction::Erf,
    UnaryFunction::Gelu,
    UnaryFunction::GeluTanh,
    UnaryFunction::Softplus,
    UnaryFunction::Softsign,
    UnaryFunction::Elu { alpha: 0.7 },
    UnaryFunction::Selu { alpha: 1.67, gamma: 1.05 },
    UnaryFunction::Celu { alpha: 1.5 },
    UnaryFunction::Mish,
];

const ARITHMETIC: [BinaryFunction; 6] = [
    BinaryFunction::Add,
    BinaryFunction::Sub,
    BinaryFunction::Mul,
    BinaryFunction::Div,
    BinaryFunction::Min,
    BinaryFunction::Max,
];

const RELATIONS: [Comparison; 5] =
    [Comparison::Equal, Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual];

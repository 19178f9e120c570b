//! Elementwise functions beyond arithmetic.

use super::{check, constant, node};
use limpid_graph::ops::{Activation, Binary, BinaryFunction, Cast, Compare, Comparison, Unary, UnaryFunction, Where};
use limpid_graph::tensor::{DType, Tensor};

#[test]
fn functions_of_one() {
    for function in [UnaryFunction::Erf, UnaryFunction::Gelu, UnaryFunction::Elu { alpha: 0.5 }, UnaryFunction::Sin] {
        check("a picture", &[&[2, 5, 3, 4]], &|g, x| node(g, Unary { function }, x));
    }
    check("many dims", &[&[2, 1, 3, 1, 2, 2, 3]], &|g, x| node(g, Unary { function: UnaryFunction::Exp }, x));
}

#[test]
fn functions_of_two() {
    let smaller = Binary { activation: Activation::Relu, ..Binary::new(BinaryFunction::Min) };
    check("with an activation", &[&[2, 5, 3, 4], &[2, 5, 3, 4]], &|g, x| node(g, smaller.clone(), x));
    check("a slope for each channel", &[&[2, 5, 3, 4], &[5, 1, 1]], &|g, x| {
        node(g, Binary::new(BinaryFunction::PRelu), x)
    });
    check("a constant power", &[&[2, 5, 3, 4]], &|g, x| {
        let two = constant(g, Tensor::scalar(2.0f32));
        node(g, Binary::new(BinaryFunction::Pow), &[x[0], two])
    });
    check("an integer power", &[&[2, 5, 3, 4]], &|g, x| {
        let powers = constant(g, Tensor::new(&[5, 1, 1], vec![0i64, 1, 2, 3, 4]).expect("five"));
        node(g, Binary::new(BinaryFunction::Pow), &[x[0], powers])
    });
}

#[test]
fn choices() {
    check("by comparison", &[&[2, 5, 3, 4], &[5, 1, 1]], &|g, x| {
        let relation = node(g, Compare { function: Comparison::Greater }, &[x[0], x[1]]);
        let low = constant(g, Tensor::scalar(-1.5f32));
        node(g, Where, &[relation, x[0], low])
    });
    check("by two", &[&[3, 7], &[7]], &|g, x| {
        let less = node(g, Compare { function: Comparison::LessOrEqual }, &[x[0], x[1]]);
        let zero = constant(g, Tensor::scalar(0.0f32));
        let positive = node(g, Compare { function: Comparison::Greater }, &[x[0], zero]);
        let both = node(g, Compare { function: Comparison::And }, &[less, positive]);
        node(g, Cast { to: DType::F32 }, &[both])
    });
}

#[test]
fn integers() {
    check("of what was computed", &[&[4, 9]], &|g, x| {
        let ten = constant(g, Tensor::scalar(10.0f32));
        let large = node(g, Binary::new(BinaryFunction::Mul), &[x[0], ten]);
        let whole = node(g, Cast { to: DType::I64 }, &[large]);
        let three = constant(g, Tensor::scalar(3i64));
        let quotient = node(g, Binary::new(BinaryFunction::Div), &[whole, three]);
        let sum = node(g, Binary::new(BinaryFunction::Add), &[quotient, whole]);
        let magnitude = node(g, Unary { function: UnaryFunction::Abs }, &[sum]);
        let narrow = node(g, Cast { to: DType::I32 }, &[magnitude]);
        node(g, Cast { to: DType::F32 }, &[narrow])
    });
}

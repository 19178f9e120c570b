//! Functions of single elements, and what normalizes and reduces.

use super::{ACTIVATIONS, Case, case};
use limpid_graph::ops::*;
use limpid_graph::tensor::{DType, QuantParams, Tensor};

pub fn elementwise() -> Vec<Case> {
    use {BinaryFunction as B, Comparison as C, UnaryFunction as U};
    let unary = [
        (U::Abs, false),
        (U::Neg, false),
        (U::Sign, false),
        (U::Exp, false),
        (U::Log, true),
        (U::Sqrt, true),
        (U::Reciprocal, true),
        (U::Floor, false),
        (U::Ceil, false),
        (U::Round, false),
        (U::Sin, false),
        (U::Cos, false),
        (U::Erf, false),
        (U::Gelu, false),
        (U::GeluTanh, false),
        (U::Softplus, false),
        (U::Softsign, false),
        (U::Elu { alpha: 0.7 }, false),
        (U::Selu { alpha: 1.5, gamma: 1.2 }, false),
        (U::Celu { alpha: 0.6 }, false),
        (U::Mish, false),
    ];
    let mut cases: Vec<Case> = unary
        .into_iter()
        .map(|(function, positive)| {
            case(&format!("{function:?}"), |net| {
                let x = if positive { net.positive(&[3, 5]) } else { net.x(&[3, 5]) };
                vec![net.add(Unary { function }, &[x])]
            })
        })
        .collect();
    cases.extend(ACTIVATIONS.into_iter().skip(1).enumerate().map(|(i, function)| {
        case(&format!("activation_{i}"), |net| {
            let x = net.x(&[3, 5]);
            vec![net.add(ActivationOp { function }, &[x])]
        })
    }));
    let binary = [B::Add, B::Sub, B::Mul, B::Div, B::Pow, B::Min, B::Max, B::PRelu];
    cases.extend(binary.into_iter().map(|function| {
        case(&format!("binary_{function:?}"), |net| {
            let x = if function == B::Pow { net.positive(&[3, 5]) } else { net.x(&[3, 5]) };
            let b = net.w(&[3, 1]);
            vec![net.add(Binary { function, activation: Activation::Silu }, &[x, b])]
        })
    }));
    cases.push(case("quantized", |net| {
        let x = net.x(&[3, 5]);
        let shifted = QuantParams { zero_points: vec![100], dtype: DType::U8, ..QuantParams::per_tensor(0.02) };
        let all = [QuantParams::per_tensor(0.01), shifted, QuantParams::per_axis(vec![0.01, 0.02, 0.03], 1)];
        let pair = |params: QuantParams| {
            let integers = net.add(Quantize { params: params.clone() }, &[x]);
            net.add(Dequantize { params, to: DType::F32 }, &[integers])
        };
        all.into_iter().map(pair).collect()
    }));
    cases.push(case("integers", |net| {
        let a = net.constant(Tensor::new(&[2], vec![7i64, -9]).expect("2"));
        let x = net.x(&[2]);
        let x = net.add(Cast { to: DType::I64 }, &[x]);
        let sum = net.add(Binary::new(B::Add), &[x, a]);
        vec![net.add(Binary::new(B::Div), &[a, sum])]
    }));
    cases.extend([C::Equal, C::Greater, C::GreaterOrEqual, C::Less, C::LessOrEqual].into_iter().map(|function| {
        case(&format!("{function:?}"), |net| {
            let (a, b) = (net.x(&[3, 5]), net.w(&[5]));
            let answer = net.add(Compare { function }, &[a, b]);
            vec![net.add(Where, &[answer, a, b]), answer]
        })
    }));
    cases.extend([C::And, C::Or, C::Xor].into_iter().map(|function| {
        case(&format!("{function:?}"), |net| {
            let (a, b) = (net.x(&[3, 5]), net.w(&[5]));
            let [a, b] = [a, b].map(|v| {
                let zero = net.constant(Tensor::scalar(0f32));
                net.add(Compare { function: C::Greater }, &[v, zero])
            });
            vec![net.add(Compare { function }, &[a, b])]
        })
    }));
    cases
}

pub fn normalizations() -> Vec<Case> {
    use ReduceFunction as R;
    let mut cases = vec![
        case("batch_norm", |net| {
            let (x, mean) = (net.x(&[3, 4]), net.w(&[3]));
            let (scale, shift, variance) =
                (net.w(&[3]), net.w(&[3]), net.constant(Tensor::vector(vec![1f32, 0.5, 2.0])));
            vec![net.add(BatchNorm { epsilon: 1e-3 }, &[x, scale, shift, mean, variance])]
        }),
        case("scale_shift", |net| {
            let (x, factor, offset) = (net.x(&[3, 4, 2]), net.w(&[3]), net.w(&[3]));
            vec![net.add(ScaleShift { activation: Activation::Relu }, &[x, factor, offset])]
        }),
        case("instance_norm", |net| {
            let (x, scale, bias) = (net.x(&[3, 4, 5]), net.w(&[3]), net.w(&[3]));
            vec![net.add(InstanceNormalization { epsilon: 1e-4 }, &[x, scale, bias])]
        }),
        case("layer_norm", |net| {
            let (x, scale, bias) = (net.x(&[3, 4, 5]), net.w(&[4, 5]), net.w(&[4, 5]));
            let with_bias = net.add(LayerNormalization { axis: 2, epsilon: 1e-4 }, &[x, scale, bias]);
            vec![net.add(LayerNormalization { axis: 2, epsilon: 1e-5 }, &[with_bias, scale])]
        }),
    ];
    cases.extend([false, true].map(|log| {
        case(&format!("softmax_{log}"), |net| {
            let x = net.x(&[3, 5]);
            vec![net.add(Softmax { axis: 1, log }, &[x])]
        })
    }));
    let functions = [R::Mean, R::Sum, R::Max, R::Min, R::Prod, R::L1, R::L2, R::SumSquare, R::LogSumExp];
    cases.extend(functions.into_iter().enumerate().map(|(i, function)| {
        case(&format!("reduce_{function:?}"), |net| {
            let x = net.x(&[3, 4, 5]);
            vec![net.add(Reduce { function, axes: vec![1, 3], keep_dims: i % 2 == 0 }, &[x])]
        })
    }));
    cases.push(case("argmax", |net| {
        let x = net.x(&[3, 5]);
        let rounded = net.add(Unary { function: UnaryFunction::Round }, &[x]);
        let last = ArgMax { axis: 2, keep_dims: true, select_last: true };
        vec![net.add(ArgMax { axis: 1, keep_dims: false, select_last: false }, &[x]), net.add(last, &[rounded])]
    }));
    cases
}

//! Binary, Activation, Concat, and what is only moved.

use crate::operands::{Numbers, Operand, activation, run};
use limpid_graph::ops::exact::{activate, quantize, requantize, rescale};
use limpid_graph::ops::{
    Activation, ActivationOp, Binary, BinaryFunction, Concat, DepthOrder, DepthToSpace, Flatten, Gather, Identity, Op,
    Pad, PadMode, Transpose,
};
use limpid_graph::tensor::{DType, Tensor};
use proptest::prelude::*;

proptest! {
    #[test]
    fn two_operands_meet_in_the_documented_roundings(
        function in prop::sample::select(vec![
            BinaryFunction::Add, BinaryFunction::Sub, BinaryFunction::Mul, BinaryFunction::Div,
        ]),
        activation in activation(),
        (real_a, real_b) in prop_oneof![Just((false, false)), Just((true, false)), Just((false, true))],
        (channels, plane) in (1usize..6, 1usize..10),
        spread in any::<bool>(),
        scales in [0.01f32..0.1, 0.01..0.1],
        output in prop::option::of(0.01f32..0.1),
        seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let mut operand = |shape: &[usize], real: bool, scale: f32| {
            let len = shape.iter().product();
            if real {
                Operand::real(shape, numbers.reals(len, 4.0))
            } else {
                Operand::int8(shape, numbers.integers(len), scale)
            }
        };
        let a = operand(&[2, channels, plane], real_a, scales[0]);
        let b_shape = if spread { [1, channels, 1] } else { [2, channels, plane] };
        let b = operand(&b_shape, real_b, scales[1]);
        let reals = (0..2 * channels * plane).map(|i| {
            let (a, scale_a) = a.at(i);
            let (b, scale_b) = b.at(if spread { i / plane % channels } else { i });
            let x = match function {
                BinaryFunction::Add => b.mul_add(scale_b, a * scale_a),
                BinaryFunction::Sub => a * scale_a - b * scale_b,
                BinaryFunction::Mul => (a * scale_a) * (b * scale_b),
                _ => (a * scale_a) / (b * scale_b),
            };
            activate(activation, x)
        });
        let y = run(Binary { function, activation }, &[a.clone(), b.clone()], output).unwrap();
        match output {
            Some(scale) => {
                let expected: Vec<i8> = reals.map(|x| quantize(x, 1.0 / scale)).collect();
                prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
            }
            None => {
                let bits = |x: f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
                let expected: Vec<u32> = reals.map(bits).collect();
                prop_assert_eq!(y.to_f32().into_iter().map(bits).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn activations_see_the_real_number(function in activation(), scales in [0.01f32..0.1, 0.01..0.1]) {
        let all: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        let real: Vec<f32> = all.iter().map(|&q| activate(function, f32::from(q) * scales[0])).collect();
        let x = Operand::int8(&[256], all, scales[0]);
        let y = run(ActivationOp { function }, std::slice::from_ref(&x), Some(scales[1])).unwrap();
        let expected: Vec<i8> = real.iter().map(|&x| quantize(x, 1.0 / scales[1])).collect();
        prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
        prop_assert_eq!(run(ActivationOp { function }, &[x], None).unwrap().to_f32(), real);
    }

    #[test]
    fn concat_brings_each_input_to_the_output_s_scale(
        extents in prop::collection::vec(1usize..4, 1..4),
        scales in prop::collection::vec(0.01f32..0.1, 4),
        seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        // The output's scale is that of the first input, which is therefore moved as it is.
        let to = scales[0];
        let inputs: Vec<Operand> = extents.iter().zip(&scales)
            .map(|(&extent, &scale)| Operand::int8(&[2, extent, 3], numbers.integers(2 * extent * 3), scale))
            .collect();
        let mut expected = Vec::new();
        for row in 0..2 {
            for ((x, extent), &from) in inputs.iter().zip(&extents).zip(&scales) {
                let piece = &x.integers()[row * extent * 3..][..extent * 3];
                expected.extend(piece.iter().map(|&q| requantize(q, rescale(from, to))));
            }
        }
        prop_assert_eq!(&expected[..extents[0] * 3], &inputs[0].integers()[..extents[0] * 3]);
        let y = run(Concat { axis: 1 }, &inputs, Some(to)).unwrap();
        prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
    }
}

#[test]
fn division_by_zero_saturates_and_nothing_becomes_zero() {
    let a = Operand::int8(&[3], vec![5, -5, 0], 0.5);
    let b = Operand::int8(&[3], vec![0, 0, 0], 0.5);
    let y = run(Binary::new(BinaryFunction::Div), &[a, b], Some(0.1)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [127, -128, 0]);
}

#[test]
fn powers_of_integers_are_refused() {
    let a = Operand::int8(&[1], vec![5], 0.5);
    let message = run(Binary::new(BinaryFunction::Pow), &[a.clone(), a], Some(0.1)).unwrap_err().to_string();
    assert!(message.contains("powers are not exact"), "{message}");
}

#[test]
fn what_is_only_moved_keeps_its_integers_and_its_scale() {
    let x = Operand::int8(&[1, 4, 1, 2], vec![1, -2, 3, -4, 5, -6, 127, -128], 0.25);
    let moved = |op: Op, expected: &[i8]| {
        assert!(op.as_operator().only_moves(), "{op}");
        assert_eq!(run(op, std::slice::from_ref(&x), Some(0.25)).unwrap().as_slice::<i8>().unwrap(), expected);
    };
    moved(Identity.into(), &[1, -2, 3, -4, 5, -6, 127, -128]);
    moved(Flatten { axis: 1 }.into(), &[1, -2, 3, -4, 5, -6, 127, -128]);
    moved(Transpose { perm: vec![0, 3, 1, 2] }.into(), &[1, 3, 5, 127, -2, -4, -6, -128]);
    let order = DepthOrder::DepthColumnRow;
    moved(DepthToSpace { block: 2, order }.into(), &[1, 3, -2, -4, 5, 127, -6, -128]);
    let (begin, end) = (vec![0, 0, 0, 1], vec![0; 4]);
    let pad = |value| Pad { begin: begin.clone(), end: end.clone(), mode: PadMode::Constant, value };
    moved(pad(0.0).into(), &[0, 1, -2, 0, 3, -4, 0, 5, -6, 0, 127, -128]);
    assert!(!Op::from(pad(1.0)).as_operator().only_moves());
    assert!(run(pad(1.0), std::slice::from_ref(&x), Some(0.25)).unwrap_err().to_string().contains("whose own 0 is 0"));

    let indices = Operand { tensor: Tensor::new(&[1], vec![-1i64]).unwrap(), quant: None };
    let y = run(Gather { axis: 1 }, &[x, indices], Some(0.25)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [127, -128]);
}

#[test]
fn what_has_no_exact_arithmetic_takes_no_integers() {
    use limpid_graph::ops::{Cast, MatMul, Reduce, ReduceFunction, Softmax, Unary, UnaryFunction};
    let x = Operand::int8(&[2, 2], vec![1, 2, 3, 4], 0.25);
    let ops: Vec<(Op, usize)> = vec![
        (Cast { to: DType::F32 }.into(), 1),
        (MatMul.into(), 2),
        (Softmax { axis: 1, log: false }.into(), 1),
        (Unary { function: UnaryFunction::Abs }.into(), 1),
        (Reduce { function: ReduceFunction::Sum, axes: vec![1], keep_dims: true }.into(), 1),
    ];
    for (op, count) in ops {
        let text = op.to_string();
        let message = run(op, &vec![x.clone(); count], None).unwrap_err().to_string();
        assert!(message.contains("element type i8"), "{text}: {message}");
    }
}

#[test]
fn relu_of_integers_is_exact_between_equal_scales() {
    let x = Operand::int8(&[4], vec![-128, -1, 0, 127], 0.3);
    let y = run(ActivationOp { function: Activation::Relu }, &[x], Some(0.3)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [0, 0, 0, 127]);
}

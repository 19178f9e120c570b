//! Conv, ConvTranspose and Gemm.

use crate::operands::{Numbers, Operand, activation, run};
use limpid_graph::ir::Fact;
use limpid_graph::ops::exact::{MAX_TERMS, Requantize};
use limpid_graph::ops::{Activation, Conv, ConvTranspose, Epilogue, Gemm, OpError, Operator, Padding, Window};
use limpid_graph::tensor::{DType, QuantParams, Shape, Tensor};
use proptest::prelude::*;

/// What is asked of an epilogue.
#[derive(Clone, Copy, Debug)]
struct Steps {
    bias: bool,
    pre: Activation,
    /// None, reals, or integers.
    residual: Option<bool>,
    post: Activation,
    output_scale: Option<f32>,
}

fn steps() -> impl Strategy<Value = Steps> {
    let residual = prop::option::of(any::<bool>());
    let scale = prop::option::of(0.01f32..0.5);
    (any::<bool>(), activation(), residual, activation(), scale).prop_map(
        |(bias, pre, residual, post, output_scale)| {
            let pre = if residual.is_some() { pre } else { Activation::Identity };
            Steps { bias, pre, residual, post, output_scale }
        },
    )
}

impl Steps {
    fn epilogue(&self) -> Epilogue {
        Epilogue { bias: self.bias, pre: self.pre, residual: self.residual.is_some(), post: self.post }
    }

    /// x and w with what the steps read; `shape` is the output's.
    fn operands(
        &self,
        x: Operand,
        w: Operand,
        channels: usize,
        shape: &[usize],
        numbers: &mut Numbers,
    ) -> Vec<Operand> {
        let mut operands = vec![x, w];
        if self.bias {
            operands.push(Operand::real(&[channels], numbers.reals(channels, 3.0)));
        }
        let len = shape.iter().product();
        match self.residual {
            Some(true) => operands.push(Operand::int8(shape, numbers.integers(len), 0.037)),
            Some(false) => operands.push(Operand::real(shape, numbers.reals(len, 4.0))),
            None => {}
        }
        operands
    }

    /// Finishes sums in row-major order, the channel of each being given by `channel`.
    fn finish(&self, operands: &[Operand], scales: &[f32], sums: &[i64], channel: impl Fn(usize) -> usize) -> Tensor {
        let bias = self.bias.then(|| operands[2].tensor.as_slice::<f32>().unwrap());
        let residual = self.residual.map(|_| operands.last().unwrap());
        let finish = Requantize::new(
            self.epilogue(),
            operands[0].at(0).1,
            scales,
            bias,
            residual.map(|r| r.at(0).1),
            self.output_scale,
        )
        .unwrap();
        let parts = sums.iter().enumerate().map(|(i, &sum)| {
            (channel(i), i32::try_from(sum).expect("an i32 holds every sum"), residual.map_or(0.0, |r| r.at(i).0))
        });
        match self.output_scale {
            Some(_) => {
                let integers = parts.map(|(k, sum, r)| finish.integer(k, sum, r).unwrap());
                Tensor::new(&[sums.len()], integers.collect::<Vec<i8>>()).unwrap()
            }
            None => Tensor::new(&[sums.len()], parts.map(|(k, sum, r)| finish.real(k, sum, r)).collect()).unwrap(),
        }
    }
}

fn flat(tensor: &Tensor) -> Tensor {
    tensor.reshape(&[tensor.len()]).unwrap()
}

/// A window over a picture.
#[derive(Clone, Debug)]
struct Geometry {
    batch: usize,
    groups: usize,
    channels: usize,
    filters: usize,
    input: [usize; 2],
    window: Window,
}

/// Few channels a group (also one, which is depthwise) or, rarely, more than one exact product in f32 takes.
fn geometry() -> impl Strategy<Value = Geometry> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let channels = prop_oneof![9 => 1usize..6, 1 => 300usize..700];
    let window = (pair(1..4), pair(1..4), pair(1..4), pair(0..3), pair(0..3));
    (1usize..3, 1usize..4, channels, 1usize..5, pair(1..9), window).prop_map(
        |(batch, groups, channels, filters, input, (kernel, strides, dilations, begin, end))| {
            let padding = Padding::Explicit { begin: begin.to_vec(), end: end.to_vec() };
            let window =
                Window { kernel: kernel.to_vec(), strides: strides.to_vec(), dilations: dilations.to_vec(), padding };
            Geometry { batch, groups, channels, filters, input, window }
        },
    )
}

impl Geometry {
    fn begin(&self, axis: usize) -> usize {
        let Padding::Explicit { begin, .. } = &self.window.padding else { unreachable!() };
        begin[axis]
    }

    fn pads(&self, axis: usize) -> usize {
        let Padding::Explicit { begin, end } = &self.window.padding else { unreachable!() };
        begin[axis] + end[axis]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn conv_is_its_definition(g in geometry(), steps in steps(), seed in any::<u64>()) {
        let w = &g.window;
        prop_assume!((0..2).all(|a| g.input[a] + g.pads(a) >= w.reach(a)));
        let output = [0, 1].map(|a| (g.input[a] + g.pads(a) - w.reach(a)) / w.strides[a] + 1);
        let (all_in, all_out) = (g.groups * g.channels, g.groups * g.filters);
        let mut numbers = Numbers(seed);
        let x_shape = [g.batch, all_in, g.input[0], g.input[1]];
        let w_shape = [all_out, g.channels, w.kernel[0], w.kernel[1]];
        let x = Operand::int8(&x_shape, numbers.integers(x_shape.iter().product()), 0.02);
        let scales = numbers.scales(all_out, 0.004);
        let weights = Operand::weights(&w_shape, numbers.weights(w_shape.iter().product()), scales.clone(), 0);

        let shape = [g.batch, all_out, output[0], output[1]];
        let mut sums = vec![0i64; shape.iter().product()];
        for (place, sum) in sums.iter_mut().enumerate() {
            let (q, p) = (place % output[1], place / output[1] % output[0]);
            let (k, n) = (place / (output[0] * output[1]) % all_out, place / (output[0] * output[1] * all_out));
            for c in 0..g.channels {
                for (r, s) in (0..w.kernel[0]).flat_map(|r| (0..w.kernel[1]).map(move |s| (r, s))) {
                    let h = (p * w.strides[0] + r * w.dilations[0]).checked_sub(g.begin(0)).filter(|h| *h < g.input[0]);
                    let v = (q * w.strides[1] + s * w.dilations[1]).checked_sub(g.begin(1)).filter(|v| *v < g.input[1]);
                    let (Some(h), Some(v)) = (h, v) else { continue };
                    let channel = k / g.filters * g.channels + c;
                    let x = x.integers()[((n * all_in + channel) * g.input[0] + h) * g.input[1] + v];
                    let w = weights.integers()[((k * g.channels + c) * w.kernel[0] + r) * w.kernel[1] + s];
                    *sum += i64::from(x) * i64::from(w);
                }
            }
        }
        let operands = steps.operands(x, weights, all_out, &shape, &mut numbers);
        let op = Conv { window: g.window.clone(), groups: g.groups, epilogue: steps.epilogue() };
        let expected = steps.finish(&operands, &scales, &sums, |i| i / (output[0] * output[1]) % all_out);
        prop_assert_eq!(flat(&run(op, &operands, steps.output_scale).unwrap()), expected);
    }

    #[test]
    fn conv_transpose_is_its_definition(
        g in geometry(), steps in steps(), more in [0usize..2, 0..2], seed in any::<u64>(),
    ) {
        let w = &g.window;
        let full = [0, 1].map(|a| (g.input[a] - 1) * w.strides[a] + w.reach(a) + more[a]);
        prop_assume!((0..2).all(|a| full[a] > g.pads(a)));
        let output = [0, 1].map(|a| full[a] - g.pads(a));
        let (all_in, all_out) = (g.groups * g.channels, g.groups * g.filters);
        let mut numbers = Numbers(seed);
        let x_shape = [g.batch, all_in, g.input[0], g.input[1]];
        let w_shape = [all_in, g.filters, w.kernel[0], w.kernel[1]];
        let x = Operand::int8(&x_shape, numbers.integers(x_shape.iter().product()), 0.02);
        // One scale for each filter of a group, which the groups share.
        let scales = numbers.scales(g.filters, 0.004);
        let weights = Operand::weights(&w_shape, numbers.weights(w_shape.iter().product()), scales.clone(), 1);

        let shape = [g.batch, all_out, output[0], output[1]];
        let mut sums = vec![0i64; shape.iter().product()];
        for (place, &x) in x.integers().iter().enumerate() {
            let (v, h) = (place % g.input[1], place / g.input[1] % g.input[0]);
            let (channel, n) = (place / (g.input[0] * g.input[1]) % all_in, place / (g.input[0] * g.input[1] * all_in));
            for k in 0..g.filters {
                for (r, s) in (0..w.kernel[0]).flat_map(|r| (0..w.kernel[1]).map(move |s| (r, s))) {
                    let p = (h * w.strides[0] + r * w.dilations[0]).checked_sub(g.begin(0)).filter(|p| *p < output[0]);
                    let q = (v * w.strides[1] + s * w.dilations[1]).checked_sub(g.begin(1)).filter(|q| *q < output[1]);
                    let (Some(p), Some(q)) = (p, q) else { continue };
                    let filter = channel / g.channels * g.filters + k;
                    let w = weights.integers()[((channel * g.filters + k) * w.kernel[0] + r) * w.kernel[1] + s];
                    sums[((n * all_out + filter) * output[0] + p) * output[1] + q] += i64::from(x) * i64::from(w);
                }
            }
        }
        let operands = steps.operands(x, weights, all_out, &shape, &mut numbers);
        let op = ConvTranspose {
            window: g.window.clone(), output_padding: more.to_vec(), groups: g.groups, epilogue: steps.epilogue(),
        };
        let scales: Vec<f32> = (0..all_out).map(|k| scales[k % g.filters]).collect();
        let expected = steps.finish(&operands, &scales, &sums, |i| i / (output[0] * output[1]) % all_out);
        prop_assert_eq!(flat(&run(op, &operands, steps.output_scale).unwrap()), expected);
    }

    #[test]
    fn gemm_is_its_definition(
        rows in prop::collection::vec(1usize..4, 1..3),
        depth in prop_oneof![1usize..70, 1020usize..1030, 2040usize..2060],
        features in 1usize..20,
        one_scale in any::<bool>(),
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let count: usize = rows.iter().product();
        let a = Operand::int8(&[rows.as_slice(), &[depth]].concat(), numbers.integers(count * depth), 0.02);
        let scales = numbers.scales(if one_scale { 1 } else { features }, 0.004);
        let b = numbers.weights(features * depth);
        let b = if one_scale {
            Operand::int8(&[features, depth], b, scales[0])
        } else {
            Operand::weights(&[features, depth], b, scales.clone(), 0)
        };
        let term = |row: usize, n: usize, k: usize| {
            i64::from(a.integers()[row * depth + k]) * i64::from(b.integers()[n * depth + k])
        };
        let sum = |i: usize| (0..depth).map(|k| term(i / features, i % features, k)).sum();
        let sums: Vec<i64> = (0..count * features).map(sum).collect();
        let shape = [rows.as_slice(), &[features]].concat();
        let operands = steps.operands(a, b, features, &shape, &mut numbers);
        let scales: Vec<f32> = scales.into_iter().cycle().take(features).collect();
        let expected = steps.finish(&operands, &scales, &sums, |i| i % features);
        let op = Gemm::dense(steps.epilogue());
        prop_assert_eq!(flat(&run(op, &operands, steps.output_scale).unwrap()), expected);
    }
}

/// Added up in f32, one after the other, these would drift: past 2^24 f32 drops odd units.
#[test]
fn sums_beyond_24_bits_keep_every_unit() {
    let depth = 4099;
    let sum: i32 = -127 * 127 * depth;
    let drifted = (0..depth).fold(0f32, |sum, _| sum - 127.0 * 127.0);
    assert_ne!(sum as f32, drifted, "the example must be one that an f32 sum does not get right");
    let depth = depth as usize;

    let a = Operand::int8(&[1, depth], vec![127; depth], 1.0);
    let b = Operand::int8(&[1, depth], vec![-127; depth], 1.0);
    let y = run(Gemm::dense(Epilogue::default()), &[a, b], None).unwrap();
    assert_eq!(y.to_f32(), [sum as f32]);

    let x = Operand::int8(&[1, depth, 1, 1], vec![-127; depth], 1.0);
    let w = Operand::weights(&[1, depth, 1, 1], vec![127; depth], vec![1.0], 0);
    let conv = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() };
    assert_eq!(run(conv, &[x, w], None).unwrap().to_f32(), [sum as f32]);
}

#[test]
fn results_saturate_and_ties_go_to_even() {
    let pointwise = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() };
    let x = Operand::int8(&[1, 1, 1, 6], vec![127, -128, 1, 3, 5, -3], 1.0);
    let w = Operand::weights(&[1, 1, 1, 1], vec![1], vec![1.0], 0);
    let y = run(pointwise.clone(), &[x.clone(), w.clone()], Some(0.5)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [127, -128, 2, 6, 10, -6]);
    let y = run(pointwise, &[x, w], Some(2.0)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [64, -64, 0, 2, 2, -2], "63.5, -64, 0.5, 1.5, 2.5, -1.5");
}

#[test]
fn a_residual_of_another_scale_is_added_in_its_own() {
    let epilogue = Epilogue { residual: true, pre: Activation::Relu, ..Epilogue::default() };
    let op = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue };
    let x = Operand::int8(&[1, 1, 1, 3], vec![10, -10, 20], 0.5);
    let w = Operand::weights(&[1, 1, 1, 1], vec![2], vec![0.25], 0);
    let residual = Operand::int8(&[1, 1, 1, 3], vec![-3, 4, 127], 2.0);
    // relu(2.5) - 6, relu(-2.5) + 8, relu(5) + 254.
    let y = run(op.clone(), &[x.clone(), w.clone(), residual], Some(0.5)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [-7, 16, 127]);
    let real = Operand::real(&[1, 1, 1, 3], vec![-3.0, 4.0, 127.0]);
    assert_eq!(run(op, &[x, w, real], None).unwrap().to_f32(), [-0.5, 4.0, 132.0]);
}

fn conv_error(x: Option<QuantParams>, w: Option<QuantParams>, depth: usize) -> OpError {
    let conv = Conv { window: Window::of(&[1, 1]), groups: 1, epilogue: Epilogue::default() };
    let fact = |quant: Option<QuantParams>, dims: &[usize]| {
        let dtype = quant.as_ref().map_or(DType::F32, |q| q.dtype);
        Fact { dtype, shape: Shape::of(dims), quant }
    };
    conv.infer(&[&fact(x, &[1, depth, 2, 2]), &fact(w, &[3, depth, 1, 1])]).unwrap_err()
}

#[test]
fn what_does_not_fit_is_refused() {
    let (tensor, filters) = (QuantParams::per_tensor, |n| QuantParams::per_axis(vec![0.5; n], 0));
    let refused = |x, w, depth, text: &str| {
        let message = conv_error(x, w, depth).to_string();
        assert!(message.contains(text), "{message}");
    };
    for (scale, text) in [(0.0, "zero"), (-0.5, "negative"), (f32::NAN, "NaN"), (f32::INFINITY, "infinite")] {
        refused(Some(tensor(scale)), Some(filters(3)), 4, &format!("the scale of x is {text}"));
        refused(Some(tensor(0.5)), Some(tensor(scale)), 4, &format!("the scale of w is {text}"));
    }
    refused(Some(tensor(0.5)), None, 4, "w has element type f32");
    refused(None, Some(filters(3)), 4, "w has element type i8; expected f32 or f16");
    refused(Some(filters(3)), Some(filters(3)), 3, "x has element type i8");
    refused(Some(tensor(0.5)), Some(filters(2)), 4, "scales must be one, or one for each slice along axis 0");
    refused(Some(tensor(0.5)), Some(QuantParams::per_axis(vec![0.5; 4], 1)), 4, "4 along axis 1");
    let asymmetric = QuantParams { zero_points: vec![3], ..tensor(0.5) };
    refused(Some(asymmetric.clone()), Some(filters(3)), 4, "zero point 0");
    refused(Some(tensor(0.5)), Some(asymmetric), 4, "zero point 0");
    refused(Some(tensor(0.5)), Some(filters(3)), MAX_TERMS + 1, "may exceed 32 bits");

    let a = Fact::int8(0.5, Shape::of(&[2, 4]));
    let gemm = Gemm { trans_b: false, ..Gemm::dense(Epilogue::default()) };
    let b = Fact::int8(0.5, Shape::of(&[4, 3]));
    assert!(gemm.infer(&[&a, &b]).unwrap_err().to_string().contains("(N,K) and alpha 1, for INT8"));
}

#[test]
fn a_depth_at_the_limit_is_taken() {
    let op = Gemm::dense(Epilogue::default());
    let a = Operand::int8(&[1, MAX_TERMS], vec![-128; MAX_TERMS], 1.0);
    let b = Operand::int8(&[1, MAX_TERMS], vec![-127; MAX_TERMS], 1.0);
    let sum = 128 * 127 * MAX_TERMS as i64;
    assert_eq!(run(op, &[a, b], None).unwrap().to_f32(), [i32::try_from(sum).unwrap() as f32]);
}

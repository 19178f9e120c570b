//! Resize, nearest and linear.

use crate::operands::{Numbers, Operand, run};
use limpid_graph::ops::exact::{quantize, rescale};
use limpid_graph::ops::{CoordinateMode, NearestMode, Resize, ResizeAxis, ResizeMode};
use limpid_graph::tensor::Dim;
use proptest::prelude::*;

/// How an axis of 2 reads its input at `o`: the clamped coordinate's neighbours and the share of the second.
fn neighbours(resize: &Resize, axis: usize, input: usize, output: usize, o: usize) -> (usize, usize, f32) {
    let (a, b) = resize.line(axis, input, output);
    let at = a.mul_add(o as f32, b);
    if let ResizeMode::Nearest(mode) = resize.mode {
        let (below, fraction) = (at.floor(), at - at.floor());
        let up = match mode {
            NearestMode::Floor => false,
            NearestMode::Ceil => fraction > 0.0,
            NearestMode::RoundPreferFloor => fraction > 0.5,
            NearestMode::RoundPreferCeil => fraction >= 0.5,
        };
        let index = (below as i64 + i64::from(up)).clamp(0, input as i64 - 1) as usize;
        return (index, index, 0.0);
    }
    let at = at.clamp(0.0, input as f32 - 1.0);
    let low = at.floor() as usize;
    (low, (low + 1).min(input - 1), at - at.floor())
}

fn mode() -> impl Strategy<Value = ResizeMode> {
    use NearestMode::{Ceil, Floor, RoundPreferCeil, RoundPreferFloor};
    let nearest = prop::sample::select(vec![Floor, Ceil, RoundPreferFloor, RoundPreferCeil]);
    prop_oneof![Just(ResizeMode::Linear), nearest.prop_map(ResizeMode::Nearest)]
}

fn coordinates() -> impl Strategy<Value = CoordinateMode> {
    prop::sample::select(vec![
        CoordinateMode::HalfPixel,
        CoordinateMode::HalfPixelSymmetric,
        CoordinateMode::PytorchHalfPixel,
        CoordinateMode::AlignCorners,
        CoordinateMode::Asymmetric,
    ])
}

proptest! {
    #[test]
    fn both_axes_are_blended_in_the_documented_order(
        mode in mode(),
        coordinates in coordinates(),
        input in [1usize..8, 1..8],
        output in [1usize..17, 1..17],
        scales in [0.01f32..0.1, 0.01..0.1],
        real in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let size = |extent: usize| ResizeAxis::Size(Dim::from(extent));
        let axes = vec![ResizeAxis::Same, ResizeAxis::Same, size(output[0]), size(output[1])];
        let op = Resize { mode, coordinates, axes };
        let values = Numbers(seed).integers(2 * input[0] * input[1]);
        let at = |plane: usize, h: usize, w: usize| f32::from(values[(plane * input[0] + h) * input[1] + w]);
        let mut expected = Vec::new();
        for plane in 0..2 {
            for (p, q) in (0..output[0]).flat_map(|p| (0..output[1]).map(move |q| (p, q))) {
                let (h0, h1, fy) = neighbours(&op, 2, input[0], output[0], p);
                let (w0, w1, fx) = neighbours(&op, 3, input[1], output[1], q);
                let top = fx.mul_add(at(plane, h0, w1) - at(plane, h0, w0), at(plane, h0, w0));
                let bottom = fx.mul_add(at(plane, h1, w1) - at(plane, h1, w0), at(plane, h1, w0));
                expected.push(fy.mul_add(bottom - top, top));
            }
        }
        let x = Operand::int8(&[1, 2, input[0], input[1]], values.clone(), scales[0]);
        if real {
            let expected: Vec<f32> = expected.into_iter().map(|v| v * scales[0]).collect();
            prop_assert_eq!(run(op, &[x], None).unwrap().to_f32(), expected);
        } else {
            let expected: Vec<i8> =
                expected.into_iter().map(|v| quantize(v, rescale(scales[0], scales[1]))).collect();
            let y = run(op, &[x], Some(scales[1])).unwrap();
            prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
        }
    }
}

#[test]
fn the_value_outside_is_a_real_in_the_output_s_scale() {
    // The region reaches half an extent beyond both ends; coordinates are -1, 0, 1, 2, 3 of an axis of 3.
    let (start, end) = (vec![0.0, 0.0, -0.5], vec![1.0, 1.0, 1.5]);
    let coordinates = CoordinateMode::TfCropAndResize { start, end, extrapolation: 3.0 };
    let axes = vec![ResizeAxis::Same, ResizeAxis::Same, ResizeAxis::Size(Dim::from(5))];
    for mode in [ResizeMode::Linear, ResizeMode::Nearest(NearestMode::Floor)] {
        let op = Resize { mode, coordinates: coordinates.clone(), axes: axes.clone() };
        let x = Operand::int8(&[1, 1, 3], vec![10, 20, -128], 0.5);
        let y = run(op.clone(), std::slice::from_ref(&x), Some(1.0)).unwrap();
        assert_eq!(y.as_slice::<i8>().unwrap(), [3, 5, 10, -64, 3], "{mode:?}");
        assert_eq!(run(op, &[x], None).unwrap().to_f32(), [3.0, 5.0, 10.0, -64.0, 3.0], "{mode:?}");
    }
}

#[test]
fn cubic_is_refused() {
    let mode = ResizeMode::Cubic { coefficient: -0.75, exclude_outside: false };
    let axes = vec![ResizeAxis::Same, ResizeAxis::Same, ResizeAxis::Size(Dim::from(5))];
    let op = Resize { mode, coordinates: CoordinateMode::HalfPixel, axes };
    let x = Operand::int8(&[1, 1, 3], vec![10, 20, -128], 0.5);
    assert!(run(op, &[x], Some(0.5)).unwrap_err().to_string().contains("x has element type i8"));
}

//! Pool and GlobalPool.

use crate::operands::{Numbers, Operand, run};
use limpid_graph::ir::Fact;
use limpid_graph::ops::exact::{quantize, requantize, rescale};
use limpid_graph::ops::{GlobalPool, OpError, Operator, Padding, Pool, PoolKind, Window};
use limpid_graph::tensor::Shape;
use proptest::prelude::*;

/// Finishes what one window met, as the definition says.
fn finish(kind: PoolKind, met: &[i8], count: usize, [from, to]: [f32; 2]) -> i8 {
    match kind {
        PoolKind::Max => requantize(met.iter().copied().max().unwrap(), rescale(from, to)),
        PoolKind::Average => {
            let sum: i32 = met.iter().map(|&q| i32::from(q)).sum();
            quantize(sum as f32 * (from / count as f32), 1.0 / to)
        }
    }
}

proptest! {
    #[test]
    fn pools_are_their_definition(
        average in any::<bool>(),
        count_include_pad in any::<bool>(),
        planes in 1usize..4,
        input in [1usize..9, 1..9],
        kernel in [1usize..4, 1..4],
        strides in [1usize..4, 1..4],
        pads in [0usize..3, 0..3],
        scales in [0.01f32..0.1, 0.01..0.1],
        equal in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let pads = [0, 1].map(|a| pads[a].min(kernel[a] - 1));
        prop_assume!((0..2).all(|a| input[a] + 2 * pads[a] >= kernel[a]));
        let scales = if equal { [scales[0]; 2] } else { scales };
        let kind = if average { PoolKind::Average } else { PoolKind::Max };
        let mut window = Window::of(&kernel);
        window.strides = strides.to_vec();
        window.padding = Padding::Explicit { begin: pads.to_vec(), end: pads.to_vec() };
        let output = [0, 1].map(|a| (input[a] + 2 * pads[a] - kernel[a]) / strides[a] + 1);

        let values = Numbers(seed).integers(planes * input[0] * input[1]);
        let mut expected = Vec::new();
        for (plane, (p, q)) in (0..planes)
            .flat_map(|plane| (0..output[0]).flat_map(move |p| (0..output[1]).map(move |q| (plane, (p, q)))))
        {
            let mut met = Vec::new();
            for (r, s) in (0..kernel[0]).flat_map(|r| (0..kernel[1]).map(move |s| (r, s))) {
                let h = (p * strides[0] + r).checked_sub(pads[0]).filter(|h| *h < input[0]);
                let w = (q * strides[1] + s).checked_sub(pads[1]).filter(|w| *w < input[1]);
                if let (Some(h), Some(w)) = (h, w) {
                    met.push(values[(plane * input[0] + h) * input[1] + w]);
                }
            }
            let count = if count_include_pad { kernel[0] * kernel[1] } else { met.len() };
            expected.push(finish(kind, &met, count, scales));
        }
        let x = Operand::int8(&[1, planes, input[0], input[1]], values, scales[0]);
        let op = Pool { kind, window, ceil_mode: false, count_include_pad };
        let y = run(op, &[x], Some(scales[1])).unwrap();
        prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
    }

    #[test]
    fn global_pools_are_their_definition(
        average in any::<bool>(),
        (planes, h, w) in (1usize..5, 1usize..12, 1usize..12),
        scales in [0.01f32..0.1, 0.01..0.1],
        seed in any::<u64>(),
    ) {
        let kind = if average { PoolKind::Average } else { PoolKind::Max };
        let values = Numbers(seed).integers(planes * h * w);
        let expected: Vec<i8> = values.chunks(h * w).map(|plane| finish(kind, plane, h * w, scales)).collect();
        let x = Operand::int8(&[1, planes, h, w], values, scales[0]);
        let y = run(GlobalPool { kind }, &[x], Some(scales[1])).unwrap();
        prop_assert_eq!(y.as_slice::<i8>().unwrap(), expected.as_slice());
    }
}

#[test]
fn padding_never_wins() {
    let mut window = Window::of(&[2]);
    window.padding = Padding::Explicit { begin: vec![1], end: vec![1] };
    let pool = Pool { kind: PoolKind::Max, window, ceil_mode: false, count_include_pad: false };
    let x = Operand::int8(&[1, 1, 2], vec![-7, -128], 0.5);
    let y = run(pool, &[x], Some(0.5)).unwrap();
    assert_eq!(y.as_slice::<i8>().unwrap(), [-7, -7, -128]);
}

#[test]
fn means_may_stay_real() {
    let x = Operand::int8(&[1, 1, 3], vec![1, 1, 2], 0.5);
    let y = run(GlobalPool { kind: PoolKind::Average }, &[x], None).unwrap();
    assert_eq!(y.to_f32(), [4.0 * (0.5f32 / 3.0)]);
}

#[test]
fn sums_that_32_bits_may_not_hold_are_refused() {
    let x = Fact::int8(0.5, Shape::of(&[1, 1, 1 << 25]));
    let op =
        Pool { kind: PoolKind::Average, window: Window::of(&[1 << 24]), ceil_mode: false, count_include_pad: false };
    assert_eq!(op.infer(&[&x]), Err(OpError::Terms { terms: 1 << 24, largest: 128, bits: 32 }));
}

use super::*;
use half::f16;

/// Weights whose values are their own index, plus one so that padding stands out.
fn counted(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::new(shape, (1..=len).map(|i| i as f32).collect()).unwrap()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

/// Value of `counted(shape)` at an index.
fn at(shape: &[usize], index: &[usize]) -> f32 {
    index.iter().zip(shape).fold(0, |at, (&i, &extent)| at * extent + i) as f32 + 1.0
}

#[test]
fn krsc_puts_channels_last_and_pads_each_group() {
    let shape = [6, 3, 2, 2];
    let packing = Packing::Krsc { groups: 2, k_pad: 4, c_pad: 5, dtype: DType::F32 };
    let packed = floats(&packing.pack(&counted(&shape)).unwrap());
    assert_eq!(packed.len(), 2 * 4 * 4 * 5);
    for (i, &value) in packed.iter().enumerate() {
        let (c, tap, k, g) = (i % 5, i / 5 % 4, i / 20 % 4, i / 80);
        let real = c < 3 && k < 3;
        let want = if real { at(&shape, &[g * 3 + k, c, tap / 2, tap % 2]) } else { 0.0 };
        assert_eq!(value, want, "g={g} k={k} tap={tap} c={c}");
    }
}

#[test]
fn rsck_puts_filters_last() {
    let shape = [6, 3, 2, 2];
    let packed = floats(&Packing::Rsck { k_pad: 8, dtype: DType::F32 }.pack(&counted(&shape)).unwrap());
    assert_eq!(packed.len(), 4 * 3 * 8);
    for (i, &value) in packed.iter().enumerate() {
        let (k, c, tap) = (i % 8, i / 8 % 3, i / 24);
        let want = if k < 6 { at(&shape, &[k, c, tap / 2, tap % 2]) } else { 0.0 };
        assert_eq!(value, want, "tap={tap} c={c} k={k}");
    }
}

#[test]
fn rsc_is_taps_by_channels() {
    let shape = [5, 1, 3, 1];
    let packed = floats(&Packing::Rsc { c_pad: 8, dtype: DType::F32 }.pack(&counted(&shape)).unwrap());
    for (i, &value) in packed.iter().enumerate() {
        let (c, tap) = (i % 8, i / 8);
        assert_eq!(value, if c < 5 { at(&shape, &[c, 0, tap, 0]) } else { 0.0 });
    }
}

#[test]
fn transposed_rskc_swaps_the_two_channel_axes() {
    let shape = [4, 3, 2, 2];
    let packing = Packing::TransposedRskc { groups: 2, k_pad: 4, c_pad: 3, dtype: DType::F32 };
    let packed = floats(&packing.pack(&counted(&shape)).unwrap());
    assert_eq!(packed.len(), 2 * 4 * 4 * 3);
    for (i, &value) in packed.iter().enumerate() {
        let (c, k, tap, g) = (i % 3, i / 3 % 4, i / 12 % 4, i / 48);
        let real = c < 2 && k < 3;
        let want = if real { at(&shape, &[g * 2 + c, k, tap / 2, tap % 2]) } else { 0.0 };
        assert_eq!(value, want, "g={g} tap={tap} k={k} c={c}");
    }
}

#[test]
fn a_lane_of_a_warpgroup_holds_eight_neighbouring_filters() {
    let shape = [37, 3, 2, 2];
    let packing = Packing::Warpgroup { k_pad: 64, c_pad: 4, dtype: DType::F32, tf32: false };
    let packed = floats(&packing.pack(&counted(&shape)).unwrap());
    assert_eq!(packed.len() as u64 * 4, packing.bytes(&shape));
    for first in [0, 32] {
        for t in 0..4 {
            // The columns of wgmma's accumulators of lane t, in the order of its registers.
            let columns = (0..4).flat_map(|u| [8 * u + 2 * t, 8 * u + 2 * t + 1]);
            for (i, row) in columns.enumerate() {
                let k = first + 8 * t + i;
                for (tap, c) in [(0, 0), (3, 2), (1, 3)] {
                    let real = k < 37 && c < 3;
                    let want = if real { at(&shape, &[k, c, tap / 2, tap % 2]) } else { 0.0 };
                    assert_eq!(packed[((first + row) * 4 + tap) * 4 + c], want, "k={k} tap={tap} c={c}");
                }
            }
        }
    }
    assert_eq!(packing.pack(&counted(&[37, 3])), packing.pack(&counted(&[37, 3, 1, 1])), "a matrix has one tap");
}

#[test]
fn lines_of_taps_are_padded_to_whole_words() {
    let shape = [37, 3, 2, 3];
    // Lines of 9 numbers in 10, two of them in 24.
    let packing = Packing::Lines { k_pad: 64, c_pad: 3, taps: 3, line: 10, row: 24, dtype: DType::F32, tf32: false };
    let packed = floats(&packing.pack(&counted(&shape)).unwrap());
    assert_eq!(packed.len() as u64 * 4, packing.bytes(&shape));
    for (i, &value) in packed.iter().enumerate() {
        let (place, row) = (i % 24, i / 24);
        let k = row / 32 * 32 + 8 * (row / 2 % 4) + 2 * (row / 8 % 4) + row % 2;
        let (r, s, c) = (place / 10, place % 10 / 3, place % 10 % 3);
        let real = k < 37 && r < 2 && s < 3;
        assert_eq!(value, if real { at(&shape, &[k, c, r, s]) } else { 0.0 }, "row={row} place={place}");
    }
    let short = Packing::Lines { k_pad: 64, c_pad: 3, taps: 3, line: 8, row: 24, dtype: DType::F32, tf32: false };
    assert!(short.pack(&counted(&shape)).is_err(), "a line has 9 numbers");
}

#[test]
fn tf32_rounds_to_nearest() {
    let packing = Packing::Warpgroup { k_pad: 32, c_pad: 4, dtype: DType::F32, tf32: true };
    let step = 1.0 / 1024.0;
    let weights = [1.0 + 0.49 * step, 1.0 + 0.5 * step, -1.0 - 0.51 * step, f32::INFINITY];
    let packed = floats(&packing.pack(&Tensor::new(&[1, 4], weights.to_vec()).unwrap()).unwrap());
    assert_eq!(packed[..4], [1.0, 1.0 + step, -1.0 - step, f32::INFINITY]);
}

#[test]
fn rows_are_padded_and_rounded_to_f16() {
    let packing = Packing::Rows { n_pad: 4, k_pad: 8, dtype: DType::F16 };
    let weights = Tensor::new(&[3, 2], vec![1.0f32, 2049.0, -0.5, 1e-8, 65504.0, 3.0]).unwrap();
    let packed: Vec<f16> = bytemuck::pod_collect_to_vec(&packing.pack(&weights).unwrap());
    assert_eq!(packed.len(), 32);
    assert_eq!(packed[1].to_f32(), 2048.0, "2049 lies between 2048 and 2050; the tie goes to the even one");
    assert_eq!([packed[8].to_f32(), packed[9].to_f32()], [-0.5, 0.0]);
    assert_eq!([packed[16].to_f32(), packed[17].to_f32()], [65504.0, 3.0]);
    assert!(packed[24..].iter().chain(&packed[2..8]).all(|v| v.to_bits() == 0));
}

#[test]
fn one_dimensional_kernels_need_no_height() {
    let packing = Packing::Krsc { groups: 1, k_pad: 2, c_pad: 3, dtype: DType::F32 };
    let flat = packing.pack(&counted(&[2, 3, 5])).unwrap();
    assert_eq!(flat, packing.pack(&counted(&[2, 3, 1, 5])).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let packing = Packing::Krsc { groups: 2, k_pad: 4, c_pad: 8, dtype: DType::F32 };
    for shape in [&[5usize, 3, 1, 1][..], &[10, 3, 1, 1], &[4, 9, 1, 1], &[4, 4]] {
        assert!(packing.pack(&counted(shape)).is_err(), "{shape:?}");
    }
    assert!(Packing::Rows { n_pad: 2, k_pad: 2, dtype: DType::F32 }.pack(&counted(&[1, 2, 1])).is_err());
}

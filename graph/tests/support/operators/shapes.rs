//! What resamples, moves and makes shapes, open extents included.

use super::{Case, case, symbol};
use limpid_graph::ops::*;
use limpid_graph::tensor::{Bindings, DType, Dim, Shape, Symbol, Tensor};

pub fn resizes() -> Vec<Case> {
    use CoordinateMode as P;
    use ResizeAxis::{Fitted, Same, Scale, Size};
    let cubic = ResizeMode::Cubic { coefficient: -0.5, exclude_outside: true };
    let nearest = ResizeMode::Nearest;
    let crop =
        P::TfCropAndResize { start: vec![0.0, 0.0, 0.1, 0.2], end: vec![1.0, 1.0, 1.2, 0.9], extrapolation: 0.5 };
    let size = |n: usize| Size(Dim::from(n));
    // Half of 7 rounded to 4 and of 6 to 3: the policy of equal proportions.
    let fitted = [Same, Same, Fitted { size: 4, scale: 0.5 }, Fitted { size: 3, scale: 0.5 }];
    let settings = [
        (ResizeMode::Linear, P::HalfPixel, [Same, Same, Scale(2.0), Scale(1.5)]),
        (ResizeMode::Linear, P::AlignCorners, [Same, Same, size(11), size(5)]),
        (ResizeMode::Linear, P::PytorchHalfPixel, [Same, Same, size(1), size(9)]),
        (ResizeMode::Linear, P::HalfPixelSymmetric, [Same, Same, Scale(1.3), Scale(0.6)]),
        (ResizeMode::Linear, P::HalfPixel, fitted),
        (ResizeMode::Linear, crop, [Same, Same, size(5), size(4)]),
        (cubic, P::HalfPixel, [Same, Same, Scale(1.5), Scale(2.0)]),
        (nearest(NearestMode::Floor), P::Asymmetric, [Same, Same, Scale(2.0), Scale(3.0)]),
        (nearest(NearestMode::RoundPreferFloor), P::HalfPixel, [Same, Same, size(3), size(11)]),
        (nearest(NearestMode::RoundPreferCeil), P::AlignCorners, [Same, Same, size(3), size(11)]),
        (nearest(NearestMode::Ceil), P::Asymmetric, [Same, Same, Scale(0.5), Scale(1.5)]),
        (nearest(NearestMode::Floor), P::TfHalfPixelForNn, [Same, Same, size(3), size(11)]),
        (nearest(NearestMode::Floor), P::HalfPixel, [Same, Same, Same, Same]),
    ];
    let one = |(i, (mode, coordinates, axes)): (usize, (ResizeMode, P, [ResizeAxis; 4]))| {
        case(&format!("resize_{i}"), |net| {
            let x = net.x(&[3, 7, 6]);
            vec![net.add(Resize { mode, coordinates, axes: axes.to_vec() }, &[x])]
        })
    };
    settings.into_iter().enumerate().map(one).collect()
}

pub fn shapes() -> Vec<Case> {
    let mut cases = vec![
        case("concat_split", |net| {
            let (a, b) = (net.x(&[3, 4]), net.x(&[2, 4]));
            let whole = net.add(Concat { axis: 1 }, &[a, b]);
            net.add_all(Split { axis: 1, sizes: vec![1, 3, 1] }, &[whole])
        }),
        case("slice", |net| {
            let x = net.x(&[5, 9]);
            let ranges = vec![
                SliceRange { axis: 1, start: -1, end: Dim::from(i64::from(i32::MIN)), step: -2 },
                SliceRange { axis: 2, start: 1, end: Dim::from(-1), step: 3 },
            ];
            vec![net.add(Slice { ranges }, &[x])]
        }),
        case("gather_transpose", |net| {
            let x = net.x(&[5, 4]);
            let indices = net.constant(Tensor::new(&[2, 2], vec![3i64, -1, 0, 2]).expect("4"));
            let picked = net.add(Gather { axis: 1 }, &[x, indices]);
            vec![net.add(Transpose { perm: vec![3, 0, 2, 1] }, &[picked])]
        }),
        case("depth_and_space", |net| {
            let x = net.x(&[8, 2, 4]);
            let a = net.add(DepthToSpace { block: 2, order: DepthOrder::DepthColumnRow }, &[x]);
            let b = net.add(DepthToSpace { block: 2, order: DepthOrder::ColumnRowDepth }, &[x]);
            vec![a, b, net.add(SpaceToDepth { block: 2 }, &[x])]
        }),
        case("repeat", |net| {
            let x = net.x(&[1, 4]);
            let tiled = net.add(Tile { repeats: vec![1, 2, 3] }, &[x]);
            vec![tiled, net.add(Expand { shape: vec![symbol("N"), Dim::from(3), Dim::from(1)] }, &[x])]
        }),
        case("views", |net| {
            let x = net.x(&[1, 4, 3]);
            let y = net.add(Squeeze { axes: vec![1] }, &[x]);
            let y = net.add(Unsqueeze { axes: vec![1, 4] }, &[y]);
            let y = net.add(Identity, &[y]);
            vec![
                net.add(Flatten { axis: 2 }, &[y]),
                net.add(Reshape::to(&Shape::new([symbol("N"), 2.into(), 6.into()])), &[y]),
            ]
        }),
        case("shape_arithmetic", |net| {
            let mut bindings = Bindings::new();
            bindings.bind(Symbol::new("N"), 2).bind(Symbol::new("H"), 6);
            let x = net.open(&[symbol("N"), Dim::from(2), symbol("H"), Dim::from(4)], &bindings);
            let half = (symbol("H") + Dim::from(1)).floor_div(2);
            let swapped = net.add(Reshape::to(&Shape::new([symbol("H"), Dim::from(8), symbol("N")])), &[x]);
            let sum = Dim::from(2) * symbol("N") + half.clone() + Dim::from(1);
            let zeros = ConstantOfShape { shape: vec![sum, Dim::from(2)], dtype: DType::I64, value: 3.0 };
            let first = SliceRange { axis: 2, start: 0, end: half.clone(), step: 1 };
            let resized = [ResizeAxis::Same, ResizeAxis::Same, ResizeAxis::Size(half * symbol("N")), ResizeAxis::Same];
            let (mode, coordinates) = (ResizeMode::Linear, CoordinateMode::HalfPixel);
            vec![
                swapped,
                net.add(zeros, &[]),
                net.add(Slice { ranges: vec![first] }, &[x]),
                net.add(Resize { mode, coordinates, axes: resized.to_vec() }, &[x]),
                net.add(Range { start: 3, step: -2, count: symbol("H"), dtype: DType::I32 }, &[]),
                net.add(ShapeOf { start: 1, end: 3 }, &[x]),
                net.add(Size, &[x]),
            ]
        }),
        case("casts", |net| {
            let x = net.x(&[3]);
            let four = net.constant(Tensor::scalar(4f32));
            let x = net.add(Binary::new(BinaryFunction::Mul), &[x, four]);
            [DType::I64, DType::I32, DType::I8, DType::Bool].into_iter().map(|to| net.add(Cast { to }, &[x])).collect()
        }),
        case("given_out_twice", |net| {
            let x = net.x(&[3]);
            let w = net.w(&[2]);
            let y = net.add(Unary { function: UnaryFunction::Exp }, &[x]);
            vec![y, x, y, w]
        }),
    ];
    cases.extend([PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap].map(|mode| {
        case(&format!("pad_{mode:?}"), |net| {
            let x = net.x(&[3, 5]);
            vec![net.add(Pad { mode, begin: vec![0, 1, 2], end: vec![0, 0, 3], value: 0.5 }, &[x])]
        })
    }));
    cases
}

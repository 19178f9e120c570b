//! Resize and Upsample: the examples of their pages in the ONNX documentation, and laws.
//! <https://onnx.ai/onnx/operators/onnx__Resize.html>
#![allow(clippy::excessive_precision)] // numbers as the page gives them

use limpid_graph::ir::Fact;
use limpid_graph::onnx::{self, ImportError, ModelWriter, NodeWriter};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor, Tolerance};
use proptest::prelude::*;
use std::path::Path;

/// A Resize of (1,1,H,W) to be: its attributes and the extents it leads to.
struct Resize {
    node: NodeWriter,
    constants: Vec<(&'static str, Tensor)>,
    opset: i64,
}

fn reals(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len()], values.to_vec()).unwrap()
}

fn ints(values: &[i64]) -> Tensor {
    Tensor::new(&[values.len()], values.to_vec()).unwrap()
}

impl Resize {
    fn new(inputs: [&str; 4], constant: (&'static str, Tensor)) -> Self {
        let node = NodeWriter::new("Resize", "resize").inputs(inputs).outputs(["y"]);
        Self { node, constants: vec![constant], opset: 19 }
    }

    fn by_scales(h: f32, w: f32) -> Self {
        Self::new(["x", "", "scales", ""], ("scales", reals(&[1.0, 1.0, h, w])))
    }

    fn to_sizes(h: i64, w: i64) -> Self {
        Self::new(["x", "", "", "sizes"], ("sizes", ints(&[1, 1, h, w])))
    }

    fn region(roi: [f32; 8], h: i64, w: i64) -> Self {
        let mut resize = Self::new(["x", "roi", "", "sizes"], ("sizes", ints(&[1, 1, h, w])));
        resize.constants.push(("roi", reals(&roi)));
        resize.coordinates("tf_crop_and_resize")
    }

    fn with(mut self, name: &str, value: impl Into<onnx::Attribute>) -> Self {
        self.node = self.node.attribute(name, value);
        self
    }

    fn mode(self, mode: &str) -> Self {
        self.with("mode", mode)
    }

    fn coordinates(self, mode: &str) -> Self {
        self.with("coordinate_transformation_mode", mode)
    }

    fn try_run(self, x: &[&[f32]]) -> Result<Tensor, ImportError> {
        let shape = [1, 1, x.len(), x[0].len()];
        let fact = Fact::of(DType::F32, &shape);
        let mut writer = ModelWriter::new("resize", self.opset);
        writer.add_input("x", &fact);
        self.constants.into_iter().for_each(|(name, tensor)| writer.add_initializer(name, tensor));
        writer.add_node(self.node);
        writer.add_output("y", &fact);
        let model = onnx::load_bytes(&writer.to_bytes().unwrap(), Path::new("resize.onnx"), None)?;
        let input = Tensor::new(&shape, x.concat()).unwrap();
        Ok(Interpreter::new(&model.graph).unwrap().run(&[input]).unwrap().swap_remove(0))
    }

    fn expect(self, x: &[&[f32]], want: &[&[f32]]) {
        let y = self.try_run(x).unwrap();
        assert_eq!(y.shape()[2..], [want.len(), want[0].len()]);
        // The page gives 8 decimals of numbers up to 16.
        let tolerance = Tolerance { relative: 4.0 * f32::EPSILON, absolute: 1e-6 };
        if let Err(mismatch) = tolerance.check(&y.to_f32(), &want.concat()) {
            panic!("{mismatch} in {:?}", y.to_f32());
        }
    }
}

const TWO: &[&[f32]] = &[&[1.0, 2.0], &[3.0, 4.0]];
const WIDE: &[&[f32]] = &[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]];
const FOUR: &[&[f32]] =
    &[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0], &[9.0, 10.0, 11.0, 12.0], &[13.0, 14.0, 15.0, 16.0]];

/// `rows` repeated by `pattern`, each row's elements by it, too: what nearest makes of FOUR.
fn drawn(pattern: &[usize]) -> Vec<Vec<f32>> {
    pattern.iter().map(|&r| pattern.iter().map(|&c| FOUR[r][c]).collect()).collect()
}

fn expect_drawn(resize: Resize, pattern: &[usize]) {
    let rows = drawn(pattern);
    resize.expect(FOUR, &rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn linear_examples() {
    Resize::by_scales(0.6, 0.6).mode("linear").expect(WIDE, &[&[2.666_666_5, 4.333_333]]);
    Resize::by_scales(2.0, 2.0).mode("linear").expect(
        TWO,
        &[&[1.0, 1.25, 1.75, 2.0], &[1.5, 1.75, 2.25, 2.5], &[2.5, 2.75, 3.25, 3.5], &[3.0, 3.25, 3.75, 4.0]],
    );
    Resize::by_scales(2.0, 2.0).mode("linear").coordinates("align_corners").expect(
        TWO,
        &[
            &[1.0, 1.333_333_3, 1.666_666_6, 2.0],
            &[1.666_666_6, 2.0, 2.333_333_3, 2.666_666_7],
            &[2.333_333_3, 2.666_666_7, 3.0, 3.333_333_3],
            &[3.0, 3.333_333_3, 3.666_666_7, 4.0],
        ],
    );
    Resize::to_sizes(3, 1)
        .mode("linear")
        .coordinates("pytorch_half_pixel")
        .expect(FOUR, &[&[1.666_666_6], &[7.0], &[12.333_333]]);
}

#[test]
fn symmetric_half_pixel_examples() {
    let symmetric = |h, w| Resize::by_scales(h, w).mode("linear").coordinates("half_pixel_symmetric");
    symmetric(1.0, 0.6).expect(&[&[1.0, 2.0, 3.0, 4.0]], &[&[1.666_666_7, 3.333_333_3]]);
    symmetric(2.3, 2.94).expect(
        TWO,
        &[
            &[1.0, 1.159_863_95, 1.5, 1.840_136_05, 2.0],
            &[1.565_217_4, 1.725_081_3, 2.065_217_4, 2.405_353_4, 2.565_217_4],
            &[2.434_782_6, 2.594_646_6, 2.934_782_6, 3.274_918_7, 3.434_782_6],
            &[3.0, 3.159_863_95, 3.5, 3.840_136_05, 4.0],
        ],
    );
}

#[test]
fn cubic_examples() {
    Resize::by_scales(0.8, 0.8).mode("cubic").expect(
        FOUR,
        &[
            &[1.471_191_4, 2.781_25, 4.082_519_5],
            &[6.711_425_8, 8.021_484_4, 9.322_753_9],
            &[11.916_504, 13.226_562_5, 14.527_832],
        ],
    );
    let first_row = |resize: Resize, want: [f32; 8]| {
        let y = resize.mode("cubic").try_run(FOUR).unwrap();
        let tolerance = Tolerance { relative: 4.0 * f32::EPSILON, absolute: 1e-6 };
        assert_eq!(tolerance.check(&y.to_f32()[..8], &want), Ok(()));
    };
    let double = || Resize::by_scales(2.0, 2.0);
    first_row(
        double(),
        [0.472_656_25, 0.769_531_25, 1.246_093_75, 1.875, 2.281_25, 2.910_156_25, 3.386_718_75, 3.683_593_75],
    );
    first_row(
        double().with("cubic_coeff_a", -0.5f32).with("exclude_outside", 1i64),
        [0.558_823_53, 0.814_942_04, 1.356_982_5, 1.897_058_8, 2.397_058_8, 2.937_135_2, 3.479_175_6, 3.735_294_1],
    );
    first_row(double().coordinates("asymmetric"), [1.0, 1.406_25, 2.0, 2.5, 3.0, 3.593_75, 4.0, 4.093_75]);
}

#[test]
fn nearest_examples() {
    Resize::by_scales(0.6, 0.6).mode("nearest").expect(WIDE, &[&[1.0, 3.0]]);
    Resize::to_sizes(1, 3).mode("nearest").expect(WIDE, &[&[1.0, 2.0, 4.0]]);
    let rounded = |nearest: &str, coordinates: &str| {
        Resize::to_sizes(8, 8).mode("nearest").with("nearest_mode", nearest).coordinates(coordinates)
    };
    expect_drawn(rounded("floor", "align_corners"), &[0, 0, 0, 1, 1, 2, 2, 3]);
    expect_drawn(rounded("ceil", "half_pixel"), &[0, 1, 1, 2, 2, 3, 3, 3]);
    expect_drawn(rounded("round_prefer_ceil", "asymmetric"), &[0, 1, 1, 2, 2, 3, 3, 3]);
    expect_drawn(rounded("round_prefer_floor", "asymmetric"), &[0, 0, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn regions_of_the_input() {
    Resize::region([0.0, 0.0, 0.4, 0.6, 1.0, 1.0, 0.6, 0.8], 3, 3)
        .mode("linear")
        .expect(FOUR, &[&[7.6, 7.9, 8.2], &[8.8, 9.1, 9.4], &[10.0, 10.3, 10.6]]);
    let beyond = || Resize::region([0.0, 0.0, 0.4, 0.6, 1.0, 1.0, 1.2, 1.7], 3, 3).with("extrapolation_value", 10f32);
    beyond().mode("linear").expect(FOUR, &[&[7.6, 10.0, 10.0], &[12.4, 10.0, 10.0], &[10.0, 10.0, 10.0]]);
    beyond().mode("nearest").expect(FOUR, &[&[7.0, 10.0, 10.0], &[11.0, 10.0, 10.0], &[10.0, 10.0, 10.0]]);
}

#[test]
fn proportions_kept() {
    let bounds = |policy: &str| {
        let mut resize = Resize::new(["x", "", "", "sizes"], ("sizes", ints(&[7, 8])));
        resize.node = resize.node.attribute("axes", vec![2i64, 3]).attribute("keep_aspect_ratio_policy", policy);
        resize.mode("nearest").try_run(TWO).unwrap()
    };
    assert_eq!(bounds("stretch").shape(), [1, 1, 7, 8]);
    assert_eq!(bounds("not_smaller").shape(), [1, 1, 8, 8]);
    let within = bounds("not_larger");
    assert_eq!(within.shape(), [1, 1, 7, 7]);
    assert_eq!(within.to_f32()[..7], [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
}

#[test]
fn axes_may_come_in_any_order() {
    let mut resize = Resize::new(["x", "", "scales", ""], ("scales", reals(&[3.0, 2.0])));
    resize.node = resize.node.attribute("axes", vec![3i64, 2]);
    assert_eq!(resize.try_run(TWO).unwrap().shape(), [1, 1, 4, 6]);
}

#[test]
fn upsample_of_older_opsets() {
    let want: &[&[f32]] = &[
        &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0],
        &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0],
        &[3.0, 3.0, 3.0, 4.0, 4.0, 4.0],
        &[3.0, 3.0, 3.0, 4.0, 4.0, 4.0],
    ];
    let scales = reals(&[1.0, 1.0, 2.0, 3.0]);
    let node = |op: &str, inputs: &[&str]| NodeWriter::new(op, "up").inputs(inputs.iter().copied()).outputs(["y"]);
    let by_input = |op: &str, opset| Resize {
        node: node(op, &["x", "scales"]),
        constants: vec![("scales", scales.clone())],
        opset,
    };
    by_input("Upsample", 9).expect(TWO, want);
    by_input("Resize", 10).expect(TWO, want);
    let by_attribute = node("Upsample", &["x"]).attribute("scales", vec![1f32, 1.0, 2.0, 3.0]);
    Resize { node: by_attribute, constants: vec![], opset: 7 }.expect(TWO, want);
    // Linear without half pixels: the last column and row repeat.
    by_input("Upsample", 9).mode("linear").expect(
        TWO,
        &[
            &[1.0, 1.333_333_3, 1.666_666_6, 2.0, 2.0, 2.0],
            &[2.0, 2.333_333_3, 2.666_666_7, 3.0, 3.0, 3.0],
            &[3.0, 3.333_333_3, 3.666_666_7, 4.0, 4.0, 4.0],
            &[3.0, 3.333_333_3, 3.666_666_7, 4.0, 4.0, 4.0],
        ],
    );
}

#[test]
fn what_limpid_does_not_do_is_refused_by_name() {
    let refusal = |resize: Resize| resize.try_run(TWO).unwrap_err().to_string();
    assert!(refusal(Resize::by_scales(0.5, 0.5).with("antialias", 1i64)).contains("antialias"));
    assert!(refusal(Resize::by_scales(2.0, 2.0).mode("lanczos")).contains("`mode`"));
    assert!(refusal(Resize::by_scales(2.0, 2.0).coordinates("centre")).contains("coordinate_transformation_mode"));
    assert!(refusal(Resize::by_scales(2.0, 2.0).with("nearest_mode", "up")).contains("nearest_mode"));
    assert!(refusal(Resize::by_scales(0.0, 2.0)).contains("scales"));
    assert!(refusal(Resize::by_scales(f32::NAN, 2.0)).contains("scales"));
    assert!(refusal(Resize::by_scales(0.1, 0.1)).contains("without empty axes"));
}

const COORDINATES: &[&str] = &[
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A constant picture stays constant, whatever is done to it.
    #[test]
    fn constants_stay(
        h in 1i64..9, w in 1i64..9, mode in prop::sample::select(&["nearest", "linear", "cubic"][..]),
        coordinates in prop::sample::select(COORDINATES),
    ) {
        let row: &[f32] = &[3.0; 5];
        let y = Resize::to_sizes(h, w).mode(mode).coordinates(coordinates).try_run(&[row, row, row]).unwrap();
        // Weights sum to 1 but for rounding, each of two axes.
        let tolerance = Tolerance { relative: 16.0 * f32::EPSILON, absolute: 0.0 };
        prop_assert_eq!(tolerance.check(&y.to_f32(), &vec![3.0; (h * w) as usize]), Ok(()));
    }

    /// The same extents leave everything in place, in every mode that puts positions on positions.
    #[test]
    fn the_same_extents_change_nothing(
        values in proptest::collection::vec(-9f32..9.0, 12),
        mode in prop::sample::select(&["nearest", "linear", "cubic"][..]),
        coordinates in prop::sample::select(&COORDINATES[..5]),
    ) {
        let rows: Vec<&[f32]> = values.chunks(4).collect();
        let y = Resize::to_sizes(3, 4).mode(mode).coordinates(coordinates).try_run(&rows).unwrap();
        prop_assert_eq!(y.to_f32(), values);
    }

    /// Nearest draws from what is there, linear stays between its extremes.
    #[test]
    fn results_stay_within_the_input(
        values in proptest::collection::vec(-9f32..9.0, 12), h in 1i64..9, w in 1i64..9,
        coordinates in prop::sample::select(COORDINATES),
    ) {
        let rows: Vec<&[f32]> = values.chunks(4).collect();
        let run = |mode: &str| {
            Resize::to_sizes(h, w).mode(mode).coordinates(coordinates).try_run(&rows).unwrap().to_f32()
        };
        prop_assert!(run("nearest").iter().all(|v| values.contains(v)));
        let (low, high) = (values.iter().copied().fold(f32::MAX, f32::min), values.iter().copied().fold(f32::MIN, f32::max));
        let slack = 16.0 * f32::EPSILON * 9.0;
        prop_assert!(run("linear").iter().all(|v| (low - slack..=high + slack).contains(v)));
    }
}

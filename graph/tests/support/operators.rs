//! A small graph for every operator, and for the settings of it that ONNX says otherwise than limpid.
#![allow(dead_code)] // each test program uses part of it

use limpid_graph::ir::{Fact, Graph, ValueId};
use limpid_graph::ops::*;
use limpid_graph::tensor::{Bindings, DType, Dim, Shape, Symbol, Tensor};

/// A graph and inputs for it.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
}

/// A graph under construction. The first extent of its inputs is the symbol `N`, here 2; others may be open, too.
pub struct Net {
    pub graph: Graph,
    inputs: Vec<Tensor>,
    seed: u64,
}

impl Net {
    /// An input of random numbers in [-1, 1); extents given as symbols are bound as `bindings` says.
    pub fn open(&mut self, dims: &[Dim], bindings: &Bindings) -> ValueId {
        let shape = Shape::new(dims.iter().cloned());
        let values = self.random(&shape.eval(bindings).expect("all symbols bound"));
        self.inputs.push(values);
        let name = format!("x{}", self.inputs.len());
        self.graph.add_input(&name, Fact::new(DType::F32, shape))
    }

    /// An input with a batch of 2, which the graph leaves open.
    pub fn x(&mut self, sample: &[usize]) -> ValueId {
        let dims: Vec<Dim> = std::iter::once(symbol("N")).chain(sample.iter().map(|&d| Dim::from(d))).collect();
        self.open(&dims, Bindings::new().bind(Symbol::new("N"), 2))
    }

    /// A constant of random numbers.
    pub fn w(&mut self, shape: &[usize]) -> ValueId {
        let values = self.random(shape);
        self.constant(values)
    }

    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("w{}", self.graph.values().count());
        self.graph.add_constant(&name, tensor)
    }

    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.add_all(op, inputs)[0]
    }

    pub fn add_all(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Vec<ValueId> {
        let name = format!("node{}", self.graph.nodes().count());
        let node = self.graph.add_node(&name, op.into(), inputs).unwrap_or_else(|e| panic!("{e}"));
        self.graph.node(node).outputs.clone()
    }

    /// |x|, for functions that want that.
    fn positive(&mut self, sample: &[usize]) -> ValueId {
        let x = self.x(sample);
        self.add(Unary { function: UnaryFunction::Abs }, &[x])
    }

    fn random(&mut self, shape: &[usize]) -> Tensor {
        let mut draw = || {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        Tensor::new(shape, (0..shape.iter().product::<usize>()).map(|_| draw()).collect::<Vec<f32>>()).expect("filled")
    }
}

pub fn symbol(name: &str) -> Dim {
    Dim::symbol(Symbol::new(name))
}

/// A graph built by `build`, which returns what it gives out.
pub fn case(name: &str, build: impl FnOnce(&mut Net) -> Vec<ValueId>) -> Case {
    let mut net = Net { graph: Graph::new(name), inputs: Vec::new(), seed: 1 };
    net.graph.outputs = build(&mut net);
    net.graph.verify().unwrap_or_else(|e| panic!("{name}: {e}"));
    Case { name: name.to_owned(), graph: net.graph, inputs: net.inputs }
}

/// Every operator.
pub fn cases() -> Vec<Case> {
    [products(), pools(), elementwise(), normalizations(), resizes(), shapes()].into_iter().flatten().collect()
}

pub const ACTIVATIONS: [Activation; 10] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { alpha: 0.3 },
    Activation::Clip { min: -0.5, max: f32::INFINITY },
    Activation::Clip { min: 0.0, max: 0.25 },
    Activation::Sigmoid,
    Activation::HardSigmoid { alpha: 0.3, beta: 0.4 },
    Activation::HardSwish,
    Activation::Silu,
    Activation::Tanh,
];

fn products() -> Vec<Case> {
    let fused = |post| Epilogue { bias: true, pre: Activation::Silu, residual: true, post };
    let conv = |kernel: &[usize]| Conv { window: Window::of(kernel), groups: 1, epilogue: Epilogue::default() };
    let mut cases = vec![
        case("conv_padded_dilated_groups", |net| {
            let (x, w) = (net.x(&[4, 7, 9]), net.w(&[6, 2, 3, 2]));
            let mut op = Conv { groups: 2, ..conv(&[3, 2]) };
            op.window.dilations = vec![2, 1];
            op.window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![2, 1] };
            vec![net.add(op, &[x, w])]
        }),
        case("conv_same_upper", |net| {
            let (x, w) = (net.x(&[3, 8, 7]), net.w(&[5, 3, 3, 4]));
            let mut op = conv(&[3, 4]);
            op.window.strides = vec![2, 3];
            op.window.padding = Padding::SameUpper;
            vec![net.add(op, &[x, w])]
        }),
        case("conv_transpose_fused", |net| {
            let (x, w, bias) = (net.x(&[4, 3, 3]), net.w(&[4, 3, 3, 3]), net.w(&[6]));
            let mut window = Window::of(&[3, 3]);
            window.strides = vec![2, 2];
            window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![0, 1] };
            let epilogue = Epilogue { bias: true, post: Activation::Silu, ..Epilogue::default() };
            vec![net.add(ConvTranspose { window, output_padding: vec![1, 0], groups: 2, epilogue }, &[x, w, bias])]
        }),
        case("gemm_plain", |net| {
            let (a, b) = (net.x(&[5]), net.w(&[5, 3]));
            let op = Gemm { trans_a: false, trans_b: false, alpha: 0.5, epilogue: Epilogue::default() };
            vec![net.add(op, &[a, b])]
        }),
        case("gemm_transposed", |net| {
            let (a, b) = (net.x(&[5]), net.w(&[3, 2]));
            let op = Gemm { trans_a: true, trans_b: true, alpha: 2.0, epilogue: Epilogue::default() };
            let a = net.add(Slice { ranges: vec![SliceRange { axis: 0, start: 0, end: Dim::from(2), step: 1 }] }, &[a]);
            vec![net.add(op, &[a, b])]
        }),
        case("gemm_rows_fused", |net| {
            let (a, b, bias, residual) = (net.x(&[3, 5]), net.w(&[4, 5]), net.w(&[4]), net.x(&[3, 4]));
            vec![net.add(Gemm { alpha: 1.5, ..Gemm::dense(fused(Activation::Relu)) }, &[a, b, bias, residual])]
        }),
        case("gemm_rows_computed", |net| {
            let (a, b) = (net.x(&[3, 5]), net.w(&[4, 5]));
            let b = net.add(Unary { function: UnaryFunction::Sin }, &[b]);
            vec![net.add(Gemm::dense(Epilogue::default()), &[a, b])]
        }),
        case("matmul", |net| {
            let (a, b) = (net.x(&[3, 4, 5]), net.w(&[3, 5, 2]));
            vec![net.add(MatMul, &[a, b])]
        }),
    ];
    cases.extend(ACTIVATIONS.into_iter().enumerate().map(|(i, post)| {
        case(&format!("conv_fused_{i}"), |net| {
            let (x, w, bias) = (net.x(&[3, 6, 6]), net.w(&[4, 3, 1, 1]), net.w(&[4]));
            let residual = net.x(&[4, 6, 6]);
            let epilogue = Epilogue { pre: ACTIVATIONS[ACTIVATIONS.len() - 1 - i], ..fused(post) };
            vec![net.add(Conv { epilogue, ..conv(&[1, 1]) }, &[x, w, bias, residual])]
        })
    }));
    cases
}

fn pools() -> Vec<Case> {
    let pool = |kind, ceil_mode, count_include_pad| {
        let mut window = Window::of(&[3, 2]);
        window.strides = vec![2, 2];
        window.padding = Padding::Explicit { begin: vec![1, 0], end: vec![0, 1] };
        Pool { kind, window, ceil_mode, count_include_pad }
    };
    let average = PoolKind::Average;
    let one = |name: &str, op: Op| {
        case(name, |net| {
            let x = net.x(&[3, 8, 7]);
            vec![net.add(op, &[x])]
        })
    };
    let mut same = pool(PoolKind::Max, false, false);
    same.window.padding = Padding::SameLower;
    let mut dilated = pool(average, false, true);
    dilated.window.dilations = vec![2, 1];
    vec![
        one("max_pool", pool(PoolKind::Max, false, false).into()),
        one("max_pool_ceil", pool(PoolKind::Max, true, false).into()),
        one("max_pool_same", same.into()),
        one("average_pool", pool(average, false, false).into()),
        one("average_pool_with_padding", pool(average, true, true).into()),
        one("average_pool_dilated", dilated.into()),
        one("global_max", GlobalPool { kind: PoolKind::Max }.into()),
        one("global_average", GlobalPool { kind: average }.into()),
    ]
}

fn elementwise() -> Vec<Case> {
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

fn normalizations() -> Vec<Case> {
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

fn resizes() -> Vec<Case> {
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

fn shapes() -> Vec<Case> {
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

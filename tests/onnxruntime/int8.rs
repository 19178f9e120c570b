//! INT8 graphs as Q/DQ: ONNX Runtime computes what limpid computes exactly, but for the rounding of reals.

use super::operators::{Case, Net, case, symbol};
use super::runner::{Models, Python};
use super::{data, difference, reference};
use limpid::builder::{Batches, Builder, Destination, Int8};
use limpid::input::npy;
use limpid_graph::ir::{Precision, ValueId};
use limpid_graph::ops::*;
use limpid_graph::reference::Interpreter;
use limpid_graph::rewrite::Ledger;
use limpid_graph::tensor::{Dim, Shape, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A graph in INT8, every tensor's scale the largest magnitude that it has on the case's inputs.
fn converted(case: Case) -> Case {
    let Case { name, mut graph, inputs } = case;
    let mut scales = BTreeMap::new();
    let mut see = |id: ValueId, tensor: &Tensor| {
        let largest = tensor.to_f32().into_iter().fold(0f32, |largest, v| largest.max(v.abs()));
        scales.insert(graph.value(id).name.clone(), largest / 127.0);
    };
    Interpreter::new(&graph).expect("a sound graph").run_observed(&inputs, &mut see).expect("it runs");
    let mut ledger = Ledger::default();
    let scale_of = |name: &str| scales.get(name).copied();
    let done = limpid_quant::int8::convert(&mut graph, &mut ledger, &scale_of, &|_, _| Ok(())).expect("it converts");
    assert_eq!(done.declined, 0, "{name}: {:?}", ledger.records());
    Case { name, graph, inputs }
}

/// A convolution with its bias; `residual` is added.
fn conv(net: &mut Net, x: ValueId, shape: [usize; 4], groups: usize, residual: Option<ValueId>) -> ValueId {
    let post = if residual.is_some() { Activation::Relu } else { Activation::Clip { min: 0.0, max: 6.0 } };
    let epilogue = Epilogue { bias: true, pre: Activation::Identity, residual: residual.is_some(), post };
    let mut window = Window::of(&shape[2..]);
    let pad = vec![shape[2] / 2, shape[3] / 2];
    window.padding = Padding::Explicit { begin: pad.clone(), end: pad };
    let mut inputs = vec![x, net.w(&shape), net.w(&shape[..1])];
    inputs.extend(residual);
    net.add(Conv { window, groups, epilogue }, &inputs)
}

fn pool(kind: PoolKind) -> Pool {
    let mut window = Window::of(&[2, 2]);
    window.strides = vec![2, 2];
    Pool { kind, window, ceil_mode: false, count_include_pad: false }
}

fn resize(mode: ResizeMode) -> Resize {
    let axes = vec![ResizeAxis::Same, ResizeAxis::Same, ResizeAxis::Scale(2.0), ResizeAxis::Scale(1.5)];
    Resize { mode, coordinates: CoordinateMode::HalfPixel, axes }
}

/// Every kind of INT8 group, between two convolutions.
fn groups() -> Vec<Case> {
    let between = |name: &str, op: Op| {
        case(name, |net| {
            let x = net.x(&[4, 8, 8]);
            let a = conv(net, x, [8, 4, 3, 3], 1, None);
            let b = net.add(op, &[a]);
            vec![conv(net, b, [4, 8, 3, 3], 1, None)]
        })
    };
    let join = |name: &str, op: Op, channels: usize| {
        case(name, |net| {
            let x = net.x(&[4, 8, 8]);
            let a = conv(net, x, [8, 4, 3, 3], 1, None);
            let b = conv(net, x, [8, 4, 1, 1], 1, None);
            let c = conv(net, b, [8, 4, 1, 1], 2, None);
            let joined = net.add(op, &[a, b]);
            let y = conv(net, joined, [4, channels, 3, 3], 1, None);
            vec![y, c]
        })
    };
    let binary = |function, activation| Op::from(Binary { function, activation });
    vec![
        case("residuals", |net| {
            let x = net.x(&[4, 8, 8]);
            let a = conv(net, x, [4, 4, 3, 3], 1, None);
            let depthwise = conv(net, a, [4, 1, 3, 3], 4, None);
            let sum = conv(net, depthwise, [4, 4, 1, 1], 1, Some(a));
            // A residual of reals: the network's input.
            let y = conv(net, sum, [4, 4, 3, 3], 1, Some(x));
            vec![conv(net, y, [6, 4, 1, 1], 1, None)]
        }),
        case("conv_transpose", |net| {
            let x = net.x(&[4, 5, 5]);
            let a = conv(net, x, [4, 4, 3, 3], 1, None);
            let mut window = Window::of(&[2, 2]);
            window.strides = vec![2, 2];
            let epilogue = Epilogue { bias: true, ..Epilogue::default() };
            let op = ConvTranspose { window, output_padding: vec![0, 0], groups: 2, epilogue };
            let (w, bias) = (net.w(&[4, 3, 2, 2]), net.w(&[6]));
            let b = net.add(op, &[a, w, bias]);
            vec![conv(net, b, [4, 6, 3, 3], 1, None)]
        }),
        case("classifier", |net| {
            let x = net.x(&[4, 8, 8]);
            let a = conv(net, x, [8, 4, 3, 3], 1, None);
            let mean = net.add(GlobalPool { kind: PoolKind::Average }, &[a]);
            let flat = net.add(Flatten { axis: 1 }, &[mean]);
            let epilogue = Epilogue { bias: true, post: Activation::Relu, ..Epilogue::default() };
            let (w, bias) = (net.w(&[16, 8]), net.w(&[16]));
            let hidden = net.add(Gemm::dense(epilogue), &[flat, w, bias]);
            let w = net.w(&[10, 16]);
            vec![net.add(Gemm::dense(Epilogue::default()), &[hidden, w])]
        }),
        case("movements", |net| {
            let x = net.x(&[4, 8, 8]);
            let a = conv(net, x, [8, 4, 3, 3], 1, None);
            let y = net.add(Transpose { perm: vec![0, 2, 3, 1] }, &[a]);
            let y = net.add(Reshape::to(&Shape::new([symbol("N"), Dim::from(64), Dim::from(8)])), &[y]);
            let y =
                net.add(Slice { ranges: vec![SliceRange { axis: 1, start: 1, end: Dim::from(-1), step: 2 }] }, &[y]);
            let y = net.add_all(Split { axis: 2, sizes: vec![2, 6] }, &[y])[1];
            let epilogue = Epilogue { bias: true, ..Epilogue::default() };
            let (w, bias) = (net.w(&[5, 6]), net.w(&[5]));
            vec![net.add(Gemm::dense(epilogue), &[y, w, bias])]
        }),
        between("max_pool", pool(PoolKind::Max).into()),
        between("average_pool", pool(PoolKind::Average).into()),
        between("silu", ActivationOp { function: Activation::Silu }.into()),
        between("nearest", resize(ResizeMode::Nearest(NearestMode::RoundPreferFloor)).into()),
        between("linear", resize(ResizeMode::Linear).into()),
        join("add", binary(BinaryFunction::Add, Activation::Relu), 8),
        join("mul", binary(BinaryFunction::Mul, Activation::Sigmoid), 8),
        join("concat", Concat { axis: 1 }.into(), 16),
    ]
}

/// One value in a hundred off by one of 127 steps, relative to the whole. Where a real falls within its own rounding
/// error of the middle between two integers, limpid may take one and ONNX Runtime the other.
const FEW_NEIGHBOURS: f64 = 0.1 / 127.0;

/// All values off by one step: ONNX Runtime's integer kernels round biases, and requantize by rules of their own.
const ALL_NEIGHBOURS: f64 = 1.0 / 127.0;

#[test]
fn every_kind_of_group_is_taken_and_answered_alike() {
    let Some(python) = Python::find() else { return };
    let cases: Vec<Case> = groups().into_iter().map(converted).collect();
    let mut models = Models::new();
    cases.iter().for_each(|case| models.add(&case.name, &case.graph, &case.inputs));
    for (case, answer) in cases.iter().zip(models.run(&python)) {
        let want = reference(&case.graph, &case.inputs);
        let [plain, fused] = [&answer.plain, &answer.fused].map(|got| difference(got, &want));
        println!("{}: {plain:.1e} as it stands, {fused:.1e} fused", case.name);
        assert!(plain <= FEW_NEIGHBOURS && fused <= ALL_NEIGHBOURS, "{}: {plain:e}, {fused:e}", case.name);
    }
}

/// Products with real biases: ONNX Runtime is to make integer kernels of them all the same.
#[test]
fn products_become_integer_kernels() {
    let Some(python) = Python::find() else { return };
    let bare = |shape: &[usize]| Conv {
        window: Window::of(&shape[2..]),
        groups: 1,
        epilogue: Epilogue { bias: true, ..Epilogue::default() },
    };
    let chain = converted(case("chain", |net| {
        let mut y = net.x(&[4, 8, 8]);
        for shape in [[8, 4, 3, 3], [8, 8, 1, 1], [6, 8, 3, 3], [4, 6, 1, 1]] {
            let (w, bias) = (net.w(&shape), net.w(&shape[..1]));
            y = net.add(bare(&shape), &[y, w, bias]);
        }
        vec![y]
    }));
    let mut models = Models::new();
    models.add("chain", &chain.graph, &chain.inputs);
    let answer = models.run(&python).swap_remove(0);
    // The last one's result stays real, which ONNX Runtime has no integer convolution for.
    assert_eq!((answer.count("QLinearConv"), answer.count("Conv")), (3, 1), "{answer:?}");
    let error = difference(&answer.fused, &reference(&chain.graph, &chain.inputs));
    assert!(error <= ALL_NEIGHBOURS, "{error:e}");
}

/// Fashion-MNIST's pixels as the network was trained on them (tests/data/README.md), some images at a time.
fn pictures(archive: &str, batch: usize) -> Vec<Tensor> {
    let arrays = npy::read(&data("fashion").join(archive)).expect("an archive");
    let pixels = arrays.into_iter().find(|a| a.name.as_deref() == Some("images")).expect("images").tensor.to_f32();
    let normalized: Vec<f32> = pixels.iter().map(|pixel| (pixel / 255.0 - 0.2860) / 0.3530).collect();
    let batches = normalized.chunks_exact(batch * 28 * 28);
    batches.map(|batch_of| Tensor::new(&[batch, 1, 28, 28], batch_of.to_vec()).expect("whole images")).collect()
}

/// Class and cosine of each pair of logits: the share of equal classes, and the least cosine.
fn agreement(got: &[f32], want: &[f32]) -> (f64, f64) {
    let top = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let rows = || got.chunks_exact(10).zip(want.chunks_exact(10));
    let same = rows().filter(|(a, b)| top(a) == top(b)).count();
    let cosine = rows().map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).fold(1.0, f64::min);
    (same as f64 / rows().count() as f64, cosine)
}

#[test]
fn the_trained_network_classifies_alike() {
    let Some(python) = Python::find() else { return };
    let samples = pictures("calib_200.npz", 20).into_iter().map(|batch| vec![batch]).collect();
    let int8 = Int8 { samples: Some(Arc::new(Batches(samples))), ..Int8::default() };
    let builder = Builder::new(Destination::Cpu).precision(Precision::Int8).int8(int8);
    let engine = builder.build(&data("fashion/fashion.onnx"), &mut ()).expect("it can be built");
    let products = |op: &Op| matches!(op, Op::Conv(_) | Op::Gemm(_));
    assert!(engine.graph.nodes().all(|(_, n)| !products(&n.op) || n.precision == Precision::Int8), "{}", engine.graph);

    let images = pictures("test_1000.npz", 1000);
    let want = reference(&engine.graph, &images)[0].to_f32();
    let mut models = Models::new();
    models.add("fashion", &engine.graph, &images);
    let answer = models.run(&python).swap_remove(0);
    for (how, logits) in [("as it stands", &answer.plain), ("fused", &answer.fused)] {
        let (same, cosine) = agreement(&logits[0].to_f32(), &want);
        println!("{how}: the same class for {:.1} % of 1000 images, least cosine {cosine:.6}", 100.0 * same);
        assert!(same >= 0.995 && cosine >= 0.999, "{how}: {same}, {cosine}");
    }
}

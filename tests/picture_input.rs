//! Engines that take pictures as bytes: their first node against the host's preprocessing, to the bit, and its kernel
//! (emulated) against both.

#[path = "support/emulator.rs"]
mod emulator;
mod workplace;

use emulator::{emulator, random_input};
use image::{Rgb, RgbImage};
use limpid::builder::{Batches, Builder, Destination, Int8, PictureInput};
use limpid::engine::Engine;
use limpid::input::{Channels, Crop, InputFile, Preprocessing, load};
use limpid::plan::plan;
use limpid::runtime::emulated::EmulatedSession;
use limpid::runtime::{Backend, Session};
use limpid_graph::ir::{Fact, Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::ops::{Conv, Epilogue, Transpose, Window};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor, relative_l2};
use limpid_kernels::site::Site;
use limpid_kernels::target::{Arch, Target};
use std::path::Path;
use std::sync::Arc;

const SIZE: [usize; 2] = [12, 34];

/// What a network's input looks like.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Planes(usize),
    ChannelsLast,
}

/// One convolution.
fn network(kind: Kind) -> Vec<u8> {
    let mut graph = Graph::new("net");
    let batch = Dim::symbol(Symbol::new("N"));
    let [h, w] = SIZE.map(Dim::from);
    let (channels, shape) = match kind {
        Kind::Planes(channels) => (channels, Shape::new([batch, channels.into(), h, w])),
        Kind::ChannelsLast => (3, Shape::new([batch, h, w, 3.into()])),
    };
    let mut value = graph.add_input("x", Fact::new(DType::F32, shape));
    if kind == Kind::ChannelsLast {
        let node = graph.add_node("planes", Transpose { perm: vec![0, 3, 1, 2] }.into(), &[value]).expect("it fits");
        value = graph.node(node).outputs[0];
    }
    let weights = graph.add_constant("weight", random_input(&[8, channels, 3, 3]));
    let op = Conv { window: Window::of(&[3, 3]), groups: 1, epilogue: Epilogue::default() };
    let node = graph.add_node("conv", op.into(), &[value, weights]).expect("it fits");
    graph.outputs.push(graph.node(node).outputs[0]);
    onnx::export(&graph).expect("ONNX has convolutions").to_bytes().expect("it holds together")
}

fn build(kind: Kind, precision: Precision, how: &Preprocessing, pictures: Option<PictureInput>) -> Arc<Engine> {
    let shape = match kind {
        Kind::Planes(channels) => [2, channels, SIZE[0], SIZE[1]],
        Kind::ChannelsLast => [2, SIZE[0], SIZE[1], 3],
    };
    let samples = Batches(vec![vec![random_input(&shape)]]);
    let builder = Builder::new(Destination::Cpu)
        .precision(precision)
        .int8(Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() })
        .preprocessing(how.clone())
        .bindings(extents(pictures))
        .picture_input(pictures);
    Arc::new(builder.build_bytes(&network(kind), Path::new("net.onnx"), None, &mut ()).expect("it builds"))
}

/// The extents of pictures that an engine is to take beside those of [`draw`].
fn extents(pictures: Option<PictureInput>) -> limpid_graph::tensor::Bindings {
    let mut extents = limpid_graph::tensor::Bindings::new();
    if pictures == Some(PictureInput::Any) {
        for (name, extent) in PictureInput::SYMBOLS.into_iter().zip([37, 53]) {
            extents.bind(Symbol::new(name), extent);
        }
    }
    extents
}

/// A picture with soft and with sharp edges.
fn draw(path: &Path, height: u32, width: u32) {
    let pixel = |x: u32, y: u32| {
        let soft = |phase: f32| (127.5 + 127.5 * (phase + (x * x + 3 * y) as f32 * 0.01).sin()) as u8;
        let sharp = if (x / 5 + y / 7).is_multiple_of(2) { 255 } else { 0 };
        Rgb([soft(0.0), soft(2.0), sharp])
    };
    RgbImage::from_fn(width, height, pixel).save(path).expect("it can be written");
}

/// The picture as an engine takes it, and what the CPU reference makes of it.
fn answer(engine: &Arc<Engine>, path: &Path, how: &Preprocessing) -> (Tensor, Tensor) {
    let file = InputFile { input: None, path: path.to_owned() };
    let input = load(&engine.graph, &[file], how).expect("it is a picture").inputs.remove(0);
    let mut session = Session::new(Arc::clone(engine), Backend::Cpu).expect("the CPU is there");
    let output = session.run_logical(std::slice::from_ref(&input)).expect("it runs").remove(0);
    (input, output)
}

/// Every option, with a network that it is for.
fn ways() -> Vec<(Kind, Preprocessing)> {
    let plain = Preprocessing::default();
    let mut imagenet = Preprocessing { crop: Crop::Center, ..plain.clone() };
    imagenet.imagenet_norm();
    let bgr = Preprocessing { channels: Some(Channels::Bgr), mean: vec![1.0, 2.0, 3.0], scale: 1.0, ..plain.clone() };
    let gray = Preprocessing { mean: vec![0.5], std: vec![0.25], crop: Crop::Center, ..plain.clone() };
    vec![
        (Kind::Planes(3), plain),
        (Kind::Planes(3), imagenet.clone()),
        (Kind::Planes(3), bgr),
        (Kind::Planes(1), gray),
        (Kind::ChannelsLast, imagenet),
    ]
}

#[test]
fn the_stage_has_the_bits_of_the_hosts_preprocessing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (height, width) in [(37, 53), (12, 34), (9, 20)] {
        let path = folder.path().join(format!("{height}x{width}.png"));
        draw(&path, height, width);
        for (kind, how) in ways() {
            for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
                let (_, expected) = answer(&build(kind, precision, &how, None), &path, &how);
                let fixed = PictureInput::Fixed { height: height as usize, width: width as usize };
                let engine = build(kind, precision, &how, Some(fixed));
                let (bytes, got) = answer(&engine, &path, &how);
                assert_eq!((bytes.dtype(), bytes.shape()), (DType::U8, &[1, height as usize, width as usize, 3][..]));
                assert_eq!(got, expected, "{how}, {precision}, {height}x{width}");
            }
        }
    }
}

#[test]
fn its_kernel_has_the_bits_of_the_reference() {
    let Some(emulator) = emulator() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("picture.png");
    draw(&path, 37, 53);
    for (kind, how) in ways() {
        for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
            let engine = build(kind, precision, &how, Some(PictureInput::Any));
            let (bytes, want) = answer(&engine, &path, &how);
            let bindings = engine.graph.bind(&[bytes.shape()]).expect("it fits");
            let (layouts, target) = (&engine.metadata.layouts, Target::typical(Arch(80)));
            let plan = plan(&engine.graph, &bindings, layouts, &target, None).expect("it has kernels");
            assert!(plan.steps.iter().any(|step| matches!(step.site, Site::Picture(_))));
            let mut session = EmulatedSession::new(&engine.graph, &plan, &emulator).expect("constants fit");
            let got = session.run(&[bytes]).unwrap_or_else(|error| panic!("{how}, {precision}: {error}")).remove(0);
            let error = relative_l2(&got.to_f32(), &want.to_f32());
            let bound = match precision {
                Precision::Int8 => 0.0,
                Precision::Fp16 => 2e-3,
                _ => 1e-5,
            };
            assert!(error <= bound, "{how}, {precision}: relative L2 {error}");
        }
    }
}

#[test]
fn nothing_stands_between_the_stage_and_the_first_group() {
    let steps = |kind, precision| {
        let engine = build(kind, precision, &Preprocessing::default(), Some(PictureInput::Any));
        let bindings = engine.graph.bind(&[&[1, 37, 53, 3]]).expect("it fits");
        let (layouts, target) = (&engine.metadata.layouts, Target::typical(Arch(90)));
        let plan = plan(&engine.graph, &bindings, layouts, &target, None).expect("it has kernels");
        plan.steps.iter().map(|step| step.what.clone()).collect::<Vec<_>>()
    };
    for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8] {
        let steps = steps(Kind::Planes(3), precision);
        assert!(steps[0] == "Picture" && steps[1].starts_with("Conv"), "{precision}: {steps:?}");
    }
}

#[test]
fn the_command_takes_pictures_of_the_size_it_was_built_for() {
    let work = workplace::Workplace::new();
    work.write("net.onnx", &network(Kind::Planes(3)));
    draw(&work.path("small.png"), 37, 53);
    draw(&work.path("large.png"), 90, 41);
    let how = ["--center-crop", "--imagenet-norm"];
    let build = ["build", "net.onnx", "--backend", "cpu", "-o"];
    work.ok(&[&build[..], &["plain.engine"], &how].concat());
    work.ok(&[&build[..], &["fixed.engine", "--picture-input", "37x53"], &how].concat());
    let open = ["--extent", "picture_height=8..100", "--extent", "picture_width=8..100"];
    work.ok(&[&build[..], &["any.engine", "--picture-input", "any"], &open, &how].concat());
    let shown = work.json(&["inspect", "fixed.engine"]);
    assert_eq!(shown["inputs"][0], "x u8(N,37,53,3)", "{shown}");
    let run = |engine: &str, picture: &str| {
        work.ok(&["run", engine, "--backend", "cpu", "-i", picture, "-o", "out.npy"]);
        std::fs::read(work.path("out.npy")).expect("it is there")
    };
    assert_eq!(run("fixed.engine", "small.png"), run("plain.engine", "small.png"));
    assert_eq!(run("any.engine", "small.png"), run("plain.engine", "small.png"));
    assert_eq!(run("any.engine", "large.png"), run("plain.engine", "large.png"));
    let words = ["large.png", "a picture of 90x41", "u8(N,37,53,3)"];
    work.fails(1, &words, &["run", "fixed.engine", "--backend", "cpu", "-i", "large.png"]);
    work.fails(2, &["`12` is no size of pictures"], &[&build[..], &["x.engine", "--picture-input", "12"]].concat());
    let both = ["x.engine", "--picture-input", "any", "--input-formats", "fp16:chw"];
    work.fails(2, &["cannot be used with"], &[&build[..], &both].concat());
}

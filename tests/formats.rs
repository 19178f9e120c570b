//! Inputs and outputs in every type and layout: the CPU reference against the network in its own format, the plan's
//! kernels (emulated) against the CPU reference.

#[path = "support/emulator.rs"]
mod emulator;

use emulator::{emulator, random_input};
use limpid::builder::{Batches, BuildError, Builder, Destination, FormatError, Int8};
use limpid::engine::Engine;
use limpid::plan::{Plan, plan};
use limpid::port::{Layout, requests};
use limpid::runtime::emulated::EmulatedSession;
use limpid::runtime::{Backend, Session};
use limpid_graph::ir::{Fact, Graph, Precision};
use limpid_graph::onnx;
use limpid_graph::ops::{Activation, Conv, Epilogue, Window, exact};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor, relative_l2};
use limpid_kernels::site::Site;
use limpid_kernels::target::{Arch, Target};
use std::path::Path;
use std::sync::Arc;

const BATCH: usize = 2;
const SIZE: [usize; 2] = [5, 6];
const SCALE: f32 = 1.0 / 64.0;

/// Two convolutions, `input` to `output` channels.
fn network(input: usize, output: usize) -> Vec<u8> {
    let mut graph = Graph::new("net");
    let shape = Shape::new([Dim::symbol(Symbol::new("N")), input.into(), SIZE[0].into(), SIZE[1].into()]);
    let mut value = graph.add_input("x", Fact::new(DType::F32, shape));
    for (name, from, to, kernel) in [("conv1", input, 16, 3), ("conv2", 16, output, 1)] {
        let weights = random_input(&[to, from, kernel, kernel]);
        let weights = graph.add_constant(&format!("{name}.weight"), weights);
        let activation = if name == "conv1" { Activation::Relu } else { Activation::Identity };
        let epilogue = Epilogue { pre: activation, ..Epilogue::default() };
        let op = Conv { window: Window::of(&[kernel, kernel]), groups: 1, epilogue };
        let node = graph.add_node(name, op.into(), &[value, weights]).expect("it fits");
        value = graph.node(node).outputs[0];
    }
    graph.value_mut(value).name = "y".to_owned();
    graph.outputs.push(value);
    onnx::export(&graph).expect("ONNX has convolutions").to_bytes().expect("it holds together")
}

fn try_build(
    channels: (usize, usize),
    precision: Precision,
    inputs: &str,
    outputs: &str,
) -> Result<Engine, BuildError> {
    let list = |text: &str| if text.is_empty() { Vec::new() } else { requests(text).expect("formats") };
    let samples = Batches(vec![vec![random_input(&[4, channels.0, SIZE[0], SIZE[1]])]]);
    Builder::new(Destination::Cpu)
        .precision(precision)
        .int8(Int8 { samples: Some(Arc::new(samples)), everywhere: true, ..Int8::default() })
        .input_formats(&list(inputs))
        .output_formats(&list(outputs))
        .build_bytes(&network(channels.0, channels.1), Path::new("net.onnx"), None, &mut ())
}

fn build(channels: (usize, usize), precision: Precision, inputs: &str, outputs: &str) -> Arc<Engine> {
    Arc::new(try_build(channels, precision, inputs, outputs).expect("it builds"))
}

fn run(engine: &Arc<Engine>, input: Tensor) -> Tensor {
    let mut session = Session::new(Arc::clone(engine), Backend::Cpu).expect("the CPU is there");
    session.run(&[input]).expect("it runs").remove(0)
}

/// Reals as a type stores them, int8 with [`SCALE`].
fn stored(reals: &[f32], shape: &[usize], dtype: DType) -> Tensor {
    let reals = Tensor::new(shape, reals.to_vec()).expect("it has that size");
    match dtype {
        DType::I8 => Tensor::new(shape, exact::quantize_all(&reals.to_f32(), SCALE)).expect("as many"),
        dtype => reals.cast(dtype),
    }
}

/// What they stand for then.
fn meant(tensor: &Tensor) -> Tensor {
    let reals = match tensor.as_slice::<i8>() {
        Ok(integers) => exact::dequantize(integers, SCALE),
        Err(_) => tensor.to_f32(),
    };
    Tensor::new(tensor.shape(), reals).expect("as many")
}

fn type_name(dtype: DType) -> String {
    let name = limpid::port::type_name(dtype);
    if dtype == DType::I8 { format!("{name}@{SCALE}") } else { name.to_owned() }
}

/// Numbers that every type holds differently: reals around 0, for bytes from 0 to 255.
fn numbers(dtype: DType, channels: usize) -> (Vec<f32>, Vec<usize>) {
    let shape = vec![BATCH, channels, SIZE[0], SIZE[1]];
    let reals = random_input(&shape).to_f32();
    let reals = if dtype == DType::U8 { reals.iter().map(|v| v.abs() * 255.0).collect() } else { reals };
    (reals, shape)
}

#[test]
fn types_and_layouts_change_nothing_but_the_bytes() {
    let channels = (5, 19);
    let plain = build(channels, Precision::Fp32, "", "");
    for dtype in [DType::F32, DType::F16, DType::I8, DType::U8] {
        let (reals, shape) = numbers(dtype, channels.0);
        let input = stored(&reals, &shape, dtype);
        let answer = run(&plain, meant(&input));
        let expected = stored(&answer.to_f32(), answer.shape(), dtype);
        for layout in Layout::ALL {
            let format = format!("{}:{layout}", type_name(dtype));
            let engine = build(channels, Precision::Fp32, &format, &format);
            let laid = layout.to_memory(&input).expect("a picture");
            assert_eq!(run(&engine, laid), layout.to_memory(&expected).expect("a picture"), "{format}");
            let mut session = Session::new(engine, Backend::Cpu).expect("the CPU is there");
            let numbers = session.run_logical(std::slice::from_ref(&input)).expect("it runs").remove(0);
            let (got, want) = (numbers.to_f32(), meant(&expected).to_f32());
            assert_eq!(got, want, "{format}: the numbers themselves");
        }
    }
}

/// A plan of `engine` for sm_80.
fn planned(engine: &Engine) -> Plan {
    let bindings = engine.graph.bind(&[&[BATCH, engine.inputs()[0].channels().expect("known"), SIZE[0], SIZE[1]]]);
    let target = Target::typical(Arch(80));
    plan(&engine.graph, &bindings.expect("it fits"), &engine.metadata.layouts, &target, None).expect("it has kernels")
}

/// The same tensor with NaN (or -1) in its padding lanes.
fn spoilt(laid: &Tensor, layout: Layout, shape: &[usize]) -> Tensor {
    let ones = Tensor::new(shape, vec![1u8; shape.iter().product()]).expect("as many");
    let used = layout.to_memory(&ones).expect("a picture");
    let size = laid.dtype().size();
    let mut bytes = laid.bytes().to_vec();
    for (lane, _) in used.bytes().iter().enumerate().filter(|(_, used)| **used == 0) {
        bytes[lane * size..(lane + 1) * size].fill(0xFF);
    }
    Tensor::from_bytes(laid.dtype(), laid.shape(), &bytes).expect("as many")
}

#[test]
fn plans_read_and_write_every_format() {
    let Some(emulator) = emulator() else { return };
    let types = [DType::F32, DType::F16, DType::I8, DType::U8];
    let precisions = [Precision::Fp16, Precision::Fp16, Precision::Int8, Precision::Int8];
    for (index, layout) in Layout::ALL.into_iter().enumerate() {
        // Every type with every kind of layout, in half as many pairs as there are.
        for (dtype, precision) in types.into_iter().zip(precisions).skip(index % 2).step_by(2) {
            // Channels with and without padding, a different pair for each.
            let channels = [(3, 8), (16, 19), (32, 32)][index % 3];
            let format = format!("{}:{layout}", type_name(dtype));
            let engine = build(channels, precision, &format, &format);
            let (reals, shape) = numbers(dtype, channels.0);
            let laid = layout.to_memory(&stored(&reals, &shape, dtype)).expect("a picture");
            let want = run(&engine, laid.clone());
            let plan = planned(&engine);
            let mut session = EmulatedSession::new(&engine.graph, &plan, &emulator).expect("constants fit");
            let input = spoilt(&laid, layout, &shape);
            let got = session.run(&[input]).unwrap_or_else(|error| panic!("{format}: {error}")).remove(0);
            assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{format}");
            if precision == Precision::Int8 {
                let apart = |(i, (g, w)): (usize, (f32, f32))| (g != w).then(|| format!("{i}: {g} for {w}"));
                let apart: Vec<String> =
                    got.to_f32().into_iter().zip(want.to_f32()).enumerate().filter_map(apart).take(8).collect();
                assert!(apart.is_empty(), "{format}: INT8 is exact, but {apart:?}");
            } else {
                let error = relative_l2(&got.to_f32(), &want.to_f32());
                assert!(error < 2e-3, "{format}: relative L2 {error}");
            }
            let (channels, used) = (channels.1, layout.to_memory(&got_ones(&engine, channels.1)).expect("a picture"));
            let zeros = got.to_f32().iter().zip(used.bytes()).all(|(v, used)| *used == 1 || v.to_bits() == 0);
            assert!(zeros, "{format}: padding lanes of {channels} channels");
        }
    }
}

/// Ones of the output's extents.
fn got_ones(engine: &Engine, channels: usize) -> Tensor {
    let [h, w] = [2, 3].map(|axis| engine.outputs()[0].shape[axis].as_usize().expect("known"));
    Tensor::new(&[BATCH, channels, h, w], vec![1u8; BATCH * channels * h * w]).expect("as many")
}

fn copies(plan: &Plan) -> usize {
    plan.steps.iter().filter(|step| matches!(step.site, Site::Copy(_))).count()
}

#[test]
fn what_kernels_work_in_costs_nothing() {
    let count = |channels, precision, inputs: &str, outputs: &str| {
        copies(&planned(&build(channels, precision, inputs, outputs)))
    };
    assert_eq!(count((16, 8), Precision::Fp16, "fp16:hwc8", "fp16:hwc8"), 0);
    assert_eq!(count((16, 8), Precision::Fp16, "fp16:chw+hwc8", "fp16:chw+hwc8"), 0);
    assert_eq!(count((16, 16), Precision::Int8, "int8:hwc16", "int8:hwc16"), 0);
    assert_eq!(count((16, 16), Precision::Int8, "int8:chw16", "int8:hwc"), 0, "one block is all");
    assert_eq!(count((16, 8), Precision::Fp32, "fp32:hwc", "fp32:hwc"), 0);
    // Nobody vouches for zeros in an input's padding.
    assert_eq!(count((5, 3), Precision::Fp16, "fp16:hwc8", "fp16:hwc8"), 1);
    // Type and layout at once.
    assert_eq!(count((3, 8), Precision::Fp16, "uint8:hwc", "fp16:hwc8"), 1);
    assert_eq!(count((3, 16), Precision::Int8, "uint8:hwc", "int8:hwc16"), 1);
    assert_eq!(count((5, 8), Precision::Fp16, "", ""), 2);
}

/// A convolution of few channels takes what it alone reads as it is given, converts it and passes padding by.
#[test]
fn few_channels_are_read_as_they_are_given() {
    let plan = |precision, inputs: &str| planned(&build((3, 16), precision, inputs, "fp16:hwc8"));
    let stems = |plan: &Plan| plan.steps.iter().filter(|step| matches!(step.site, Site::Stem(_))).count();
    for format in ["", "fp32:hwc", "fp16:chw", "fp16:hwc", "fp16:hwc8", "fp32:hwc16", "fp32:chw4"] {
        for precision in [Precision::Fp16, Precision::Int8, Precision::Tf32] {
            let plan = plan(precision, format);
            let kernels: Vec<&str> = plan.steps.iter().map(|step| step.tactic.kernel.as_str()).collect();
            assert_eq!((stems(&plan), kernels[0]), (1, "conv/stem"), "{format} {precision}: {kernels:?}");
        }
    }
    // FP32 has no tensor cores, and bytes become reals by other conversions.
    assert_eq!(stems(&plan(Precision::Fp32, "")), 0);
    for format in ["uint8:hwc", "uint8:chw", "int8@0.1:chw"] {
        assert_eq!(stems(&plan(Precision::Fp16, format)), 0, "{format}");
    }
    // Without the kernel that can, the input is brought into an image.
    let engine = build((3, 16), Precision::Fp16, "", "");
    let bindings = engine.graph.bind(&[&[BATCH, 3, SIZE[0], SIZE[1]]]).expect("it fits");
    let kernels = "-conv/stem".parse().expect("a selection");
    let target = Target { kernels, ..Target::typical(Arch(80)) };
    let without = limpid::plan::plan(&engine.graph, &bindings, &engine.metadata.layouts, &target, None);
    let without = without.expect("other kernels do it");
    assert_eq!((stems(&without), copies(&without)), (0, 2));
}

/// What a window does not cover does not come into its sums, however wide the words are that it is read in.
#[test]
fn numbers_beside_a_window_stay_outside() {
    let Some(emulator) = emulator() else { return };
    for (precision, format) in [(Precision::Fp16, ""), (Precision::Fp16, "fp16:hwc"), (Precision::Tf32, "")] {
        let engine = build((3, 8), precision, format, "");
        let layout = engine.metadata.layouts.input(0);
        let dtype = engine.inputs()[0].dtype;
        let mut reals = numbers(dtype, 3).0;
        // One pixel in the middle of the first picture, in its first channel.
        reals[2 * SIZE[1] + 3] = f32::NAN;
        let input = layout.to_memory(&stored(&reals, &[BATCH, 3, SIZE[0], SIZE[1]], dtype)).expect("a picture");
        let want = run(&engine, input.clone());
        let plan = planned(&engine);
        assert!(matches!(plan.steps[0].site, Site::Stem(_)));
        let mut session = EmulatedSession::new(&engine.graph, &plan, &emulator).expect("constants fit");
        let got = session.run(&[input]).expect("it runs").remove(0);
        let nan = |tensor: &Tensor| tensor.to_f32().iter().map(|v| v.is_nan()).collect::<Vec<_>>();
        assert!(nan(&want).contains(&true) && nan(&want).contains(&false), "{format}");
        assert_eq!(nan(&got), nan(&want), "{format}");
    }
}

#[test]
fn int8_ports_have_the_scales_of_their_tensors() {
    let engine = build((16, 16), Precision::Int8, "int8:chw", "int8:chw");
    let calibrated = engine.calibration.as_ref().expect("it was calibrated just now");
    for (port, side) in [(engine.inputs(), "x"), (engine.outputs(), "y")] {
        let scale = calibrated.scales().find(|(name, _)| *name == side).map(|(_, scale)| scale);
        assert!(scale.is_some() && port[0].scale == scale, "{side}: {:?}", port[0]);
        assert_eq!((port[0].name.as_str(), port[0].dtype), (side, DType::I8));
    }
    assert!(engine.graph.nodes().all(|(_, node)| node.precision == Precision::Int8), "{}", engine.graph);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let error = |channels, inputs: &str, outputs: &str| {
        try_build(channels, Precision::Fp32, inputs, outputs).expect_err("it cannot be").to_string()
    };
    assert_eq!(error((3, 4), "fp16:chw,fp16:chw", ""), "2 formats for 1 input(s); give one for each, or one for all");
    assert_eq!(error((3, 4), "", "int8:chw"), "`y` as int8 needs a scale, and the network has none for it");
    assert_eq!(error((3, 4), "int64:chw", ""), "`x` is fp32: it cannot be int64");
    let mlp = limpid::zoo::find("mlp").expect("it is in the zoo").build(1).expect("it can be built");
    let bytes = mlp.model.to_bytes().expect("it can be written");
    let formats = requests("fp16:hwc8").expect("a format");
    let built =
        Builder::new(Destination::Cpu).output_formats(&formats).build_bytes(&bytes, Path::new("m"), None, &mut ());
    let error = built.expect_err("scores are no picture");
    assert!(matches!(error, BuildError::Format(FormatError::Layout { .. })), "{error}");
}

#[test]
fn names_tell_what_an_engine_is() {
    let name = |precision, inputs: &str, outputs: &str| build((3, 8), precision, inputs, outputs).file_name();
    assert_eq!(name(Precision::Fp16, "", ""), "net.fp16.engine");
    assert_eq!(name(Precision::Fp16, "fp16:chw", "fp16:chw"), "net.fp16.fp16infp16out.engine");
    assert_eq!(name(Precision::Int8, "uint8:hwc", ""), "net.int8.uint8hwcin.engine");
    let mut engine = try_build((3, 8), Precision::Int8, "", "fp16:hwc8").expect("it builds");
    engine.metadata.quantized = true;
    assert_eq!(engine.file_name(), "net_qat.int8.fp16hwc8out.engine");
    engine.metadata.name = "net_qat".to_owned();
    assert_eq!(engine.file_name(), "net_qat.int8.fp16hwc8out.engine");
}

mod workplace;

#[test]
fn the_command_builds_runs_and_shows_formats() {
    let work = workplace::Workplace::new();
    work.write("net.onnx", &network(3, 8));
    let build = ["build", "net.onnx", "--backend", "cpu", "--precision", "fp16"];
    work.ok(&build);
    work.ok(&[&build[..], &["--input-formats", "fp16:chw+hwc8", "--output-formats", "fp16:chw4"]].concat());
    let formatted = "net.fp16.fp16hwc8infp16chw4out.engine";
    for engine in ["net.fp16.engine", formatted] {
        let input = random_input(&[3, 3, SIZE[0], SIZE[1]]);
        limpid::input::npy::write(&work.path("x.npy"), &[("x", &input)]).expect("it can be written");
        work.ok(&["run", engine, "-i", "x.npy", "-o", &format!("{engine}.npy"), "--backend", "cpu"]);
    }
    let read = |engine: &str| {
        let arrays = limpid::input::npy::read(&work.path(&format!("{engine}.npy"))).expect("it is there");
        arrays.into_iter().next().expect("one array").tensor
    };
    let (plain, laid) = (read("net.fp16.engine"), read(formatted));
    assert_eq!((plain.shape(), laid.shape()), (&[3, 8, 3, 4][..], &[3, 8, 3, 4][..]));
    // The one stores halves of what the other stores as singles.
    assert_eq!(plain.cast(DType::F16), laid.cast(DType::F16));
    let shown = work.ok(&["inspect", formatted]);
    assert!(shown.contains("x f16(N,3,5,6) in hwc8") && shown.contains("y f16(N,8,3,4) in chw4"), "{shown}");
    let bench = work.json(&["bench", formatted, "--iterations", "2", "--backend", "cpu"]);
    assert_eq!(bench["iterations"], 2);
    for command in [&["bench", formatted, "--iterations", "2"][..], &["run", formatted, "-i", "x.npy"]] {
        work.ok(&[command, &["--backend", "cpu", "--chrome-trace", "trace.json"]].concat());
        let text = std::fs::read_to_string(work.path("trace.json")).expect("it is there");
        let trace: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("a list");
        let spans = |name: &str| events.iter().filter(|e| e["ph"] == "X" && e["name"] == name).count();
        assert!(spans("conv1") == 1 && spans("conv2") == 1, "{text}");
        assert!(spans("query 0") == 4 || spans("samples 0..3") == 1, "{text}");
    }
    work.fails(2, &["`nchw` is no layout"], &[&build[..], &["--input-formats", "fp16:nchw"]].concat());
}

//! The engine of a command line: built as its flags say, or read.

use super::log::{Log, number};
use super::options::{BuildOptions, Constraints, LayerType, NamedShapes, Options, ShapeProfile};
use crate::builder::{Batches, BuildError, Builder, Destination, Int8, LayerPrecision, Search};
use crate::cli::CommandError;
use crate::cli::console::Console;
use crate::engine::Engine;
use crate::input::random;
use crate::plan::select::MOST_MEASURED;
use crate::runtime::{RunError, gpu_missing};
use crate::shapes::{InputShapes, ProfileRequest, ShapeError, batch_symbol};
use limpid_graph::ir::{Graph, Node, Precision};
use limpid_graph::reference::specs_of;
use limpid_graph::tensor::{Bindings, Tensor};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Random samples that INT8 takes its scales from where there is no cache: they are for timing, so a few will do.
const RANDOM_SAMPLES: u64 = 2;

/// Height and width of those samples where nobody says what they are.
const PICTURE: i64 = 224;

/// Builds or reads the engine, and writes it if that is asked for.
pub(super) fn obtain(options: &Options, log: &Log) -> Result<Engine, CommandError> {
    if let Some(path) = &options.build.load_engine {
        return load(path, log);
    }
    let Some(model) = &options.model else { return Err(CommandError::usage("there is no model")) };
    let engine = build(options, model, log)?;
    if let Some(path) = &options.build.save_engine {
        engine.write(path)?;
        log.info(format_args!("Created engine with size: {} MiB", mebibytes(path)))?;
    }
    Ok(engine)
}

fn load(path: &Path, log: &Log) -> Result<Engine, CommandError> {
    let start = Instant::now();
    let engine = Engine::read(path)?;
    log.info(format_args!("Engine loaded in {} sec.", number(start.elapsed().as_secs_f64())))?;
    log.info(format_args!("Loaded engine with size: {} MiB", mebibytes(path)))?;
    Ok(engine)
}

fn mebibytes(path: &Path) -> String {
    number(std::fs::metadata(path).map_or(0.0, |file| file.len() as f64) / 1_048_576.0)
}

fn build(options: &Options, model: &Path, log: &Log) -> Result<Engine, CommandError> {
    let build = &options.build;
    if let Some(path) = &build.save_engine {
        crate::cli::build::check_output(path)?;
    }
    let destination = match gpu_missing() {
        Some(_) => Destination::Cpu,
        None => Destination::Gpu { ordinal: options.system.device },
    };
    let precision = precision(build, destination);
    let layers = layers(build);
    let mut builder = Builder::new(destination)
        .precision(precision)
        .layer_precisions(&layers)
        .timing_cache(build.timing_cache.clone())
        .search(search(build))
        .input_formats(&build.input_formats)
        .output_formats(&build.output_formats);
    for profile in &build.profiles {
        builder = builder.profile(request(profile)?);
    }
    if precision == Precision::Int8 || layers.iter().any(|layer| layer.precision() == Precision::Int8) {
        builder = builder.int8(int8(build, model)?);
        if !build.fp16 {
            log.info("Groups that are not INT8 are FP16, which INT8 kernels read and write: as with --int8 --fp16.")?;
        }
    }
    if precision == Precision::Tf32 {
        log.info(
            "TF32 is enabled by default. Add --noTF32 flag to further improve accuracy with some performance cost.",
        )?;
    }
    let start = Instant::now();
    let engine = builder.build(model, &mut Console::new(false, !options.reporting.verbose).progress())?;
    engine.metadata.notes.iter().for_each(|note| log.warning(note));
    if engine.calibration.is_some() && build.calibration.is_none() {
        log.warning(
            "INT8 without --calib: its scales come from random numbers, which is good for its speed and not for its answers",
        );
    }
    if build.constraints == Constraints::Obey {
        obeyed(&engine.graph, &layers)?;
    }
    log.info(format_args!("Engine built in {} sec.", number(start.elapsed().as_secs_f64())))?;
    Ok(engine)
}

/// What groups are built in that no layer's precision is for. INT8 is where it pays, in FP16 otherwise; FP16 is wherever
/// it can be.
fn precision(build: &BuildOptions, destination: Destination) -> Precision {
    match (build.int8, build.fp16) {
        (true, _) => Precision::Int8,
        (false, true) => Precision::Fp16,
        // The reference multiplies in FP32 anyway.
        (false, false) if build.tf32 && destination != Destination::Cpu => Precision::Tf32,
        (false, false) => Precision::Fp32,
    }
}

/// The layers with a precision of their own, the last that matches counting.
fn layers(build: &BuildOptions) -> Vec<LayerPrecision> {
    if build.constraints == Constraints::None {
        return Vec::new();
    }
    let layer = |layer: &LayerType| LayerPrecision::wildcard(&layer.layer, layer.precision);
    build.layer_output_types.iter().chain(&build.layer_precisions).map(layer).collect()
}

/// That every layer came out as it was asked for.
fn obeyed(graph: &Graph, layers: &[LayerPrecision]) -> Result<(), CommandError> {
    // What a pass invented, and what handles no reals, has no precision to speak of.
    let reals = |node: &Node| {
        let values = node.inputs.iter().chain(&node.outputs);
        !node.origins.is_empty() && values.into_iter().any(|&value| graph.fact(value).dtype.is_float())
    };
    let asked =
        |node: &Node| layers.iter().rev().find(|layer| layer.matches(&node.name)).map(LayerPrecision::precision);
    let broken = graph
        .nodes()
        .map(|(_, node)| node)
        .find(|node| reals(node) && asked(node).is_some_and(|precision| precision != node.precision));
    match broken {
        None => Ok(()),
        Some(node) => Err(CommandError::Absent {
            message: format!(
                "layer `{}` cannot be {}; it is {}",
                node.name,
                asked(node).unwrap_or_default(),
                node.precision
            ),
            help: "--precisionConstraints=prefer takes what is possible; `limpid inspect ENGINE --why LAYER` says why"
                .to_owned(),
        }),
    }
}

/// How many tactics each level times: none, a few, and in the end all.
fn search(build: &BuildOptions) -> Search {
    let timed = match build.optimization_level {
        0 => 0,
        1 => MOST_MEASURED / 6,
        2 => MOST_MEASURED / 2,
        3 => MOST_MEASURED,
        4 => MOST_MEASURED * 2,
        _ => usize::MAX,
    };
    let unlimited = Search::default();
    let shared = build.tactic_shared.map_or(unlimited.shared, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
    Search {
        timed: build.max_tactics.unwrap_or(timed),
        workspace: build.workspace.unwrap_or(unlimited.workspace),
        shared,
    }
}

/// Shapes by input as the builder has them.
fn request(profile: &ShapeProfile) -> Result<ProfileRequest, CommandError> {
    let shapes =
        |shapes: &NamedShapes| shapes.iter().fold(InputShapes::new(), |shapes, (name, shape)| shapes.with(name, shape));
    let [min, opt, max] = [&profile.min, &profile.opt, &profile.max].map(shapes);
    let request = ProfileRequest::new().shapes(Some(&min), Some(&opt), Some(&max));
    request.map_err(|error: ShapeError| CommandError::usage(error.to_string()))
}

/// Where scales come from: the cache that was named, or random numbers.
fn int8(build: &BuildOptions, model: &Path) -> Result<Int8, CommandError> {
    if let Some(cache) = &build.calibration {
        return Ok(Int8 { cache: Some(cache.clone()), ..Int8::default() });
    }
    let graph = limpid_graph::onnx::load(model).map_err(BuildError::from)?.graph;
    let opt = build.profiles.get(build.calibration_profile).map(|profile| &profile.opt);
    let shapes = match build.calibration_shapes.is_empty() {
        true => opt.cloned().unwrap_or_default(),
        false => build.calibration_shapes.clone(),
    };
    let mut extents = calibration_extents(&graph, &shapes);
    // Scales hardly depend on the batch, and the reference takes its time.
    if let (true, Some(batch)) = (build.calibration_shapes.is_empty(), batch_symbol(&graph)) {
        extents.bind(batch, 1);
    }
    let specs = specs_of(&graph, &graph.inputs, &extents).map_err(RunError::from)?;
    let inputs = specs.len() as u64;
    let sample = |index: u64| -> Vec<Tensor> {
        let seeds = index * inputs..;
        specs.iter().zip(seeds).map(|(spec, seed)| random(spec.dtype, &spec.shape, seed)).collect()
    };
    let samples = Batches((0..RANDOM_SAMPLES).map(sample).collect());
    Ok(Int8 { samples: Some(Arc::new(samples)), ..Int8::default() })
}

/// What the model leaves open, by these shapes; otherwise a picture is 224x224 and everything else 1.
fn calibration_extents(graph: &Graph, shapes: &NamedShapes) -> Bindings {
    let mut extents = Bindings::new();
    for &input in &graph.inputs {
        let value = graph.value(input);
        let given = shapes.iter().find(|(name, _)| *name == value.name).map(|(_, shape)| shape);
        for (axis, symbol) in
            value.fact.shape.iter().enumerate().filter_map(|(axis, dim)| Some((axis, dim.as_symbol()?)))
        {
            let picture = value.fact.rank() == 4 && axis >= 2;
            let extent = match given.and_then(|shape| shape.get(axis)) {
                Some(&extent) => i64::try_from(extent).unwrap_or(i64::MAX),
                None if extents.get(symbol).is_some() => continue,
                None if picture => PICTURE,
                None => 1,
            };
            extents.bind(symbol.clone(), extent);
        }
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use limpid_graph::ir::Fact;
    use limpid_graph::tensor::{DType, Dim, Shape, Symbol};

    fn build_of(line: &str) -> BuildOptions {
        let line: Vec<String> = format!("--onnx=m {line}").split_whitespace().map(str::to_owned).collect();
        parse(&line).expect("a command line").build
    }

    #[test]
    fn precisions_are_what_trtexec_means() {
        let gpu = Destination::Gpu { ordinal: 0 };
        for (line, wanted) in [
            ("", Precision::Tf32),
            ("--noTF32", Precision::Fp32),
            ("--fp16", Precision::Fp16),
            ("--int8", Precision::Int8),
            ("--int8 --fp16", Precision::Int8),
            ("--best", Precision::Int8),
            ("--stronglyTyped --fp16", Precision::Tf32),
        ] {
            assert_eq!(precision(&build_of(line), gpu), wanted, "{line}");
        }
        assert_eq!(precision(&build_of(""), Destination::Cpu), Precision::Fp32);
    }

    #[test]
    fn levels_time_more_and_more_tactics() {
        let timed = |line: &str| search(&build_of(line)).timed;
        let levels: Vec<usize> = (0..=5).map(|n| timed(&format!("--builderOptimizationLevel={n}"))).collect();
        assert!(levels.is_sorted_by(|a, b| a < b) && levels[0] == 0, "{levels:?}");
        assert_eq!(timed(""), levels[3]);
        assert_eq!(timed("--maxTactics=7 --builderOptimizationLevel=5"), 7);
        let limited = search(&build_of("--memPoolSize=workspace:2M,tacticSharedMem:48K"));
        assert_eq!((limited.workspace, limited.shared), (2 << 20, 48 << 10));
    }

    #[test]
    fn layers_are_constrained_only_if_constraints_hold() {
        assert!(layers(&build_of("--layerPrecisions=a:fp16")).is_empty());
        let both =
            layers(&build_of("--layerPrecisions=a*:fp16 --layerOutputTypes=*:fp32 --precisionConstraints=prefer"));
        let last = |name: &str| both.iter().rev().find(|layer| layer.matches(name)).map(LayerPrecision::precision);
        assert_eq!((last("abc"), last("xyz")), (Some(Precision::Fp16), Some(Precision::Fp32)));
    }

    #[test]
    fn samples_have_the_shapes_that_were_given() {
        let mut graph = Graph::new("test");
        let dims = ["N", "C", "H", "W"].map(|name| Dim::symbol(Symbol::new(name)));
        graph.add_input("x", Fact::new(DType::F32, Shape::new(dims)));
        let extents = |shapes: NamedShapes| {
            let extents = calibration_extents(&graph, &shapes);
            ["N", "C", "H", "W"].map(|name| extents.get(&Symbol::new(name)).unwrap_or(0))
        };
        assert_eq!(extents(Vec::new()), [1, 1, 224, 224]);
        assert_eq!(extents(vec![("x".to_owned(), vec![4, 3, 32, 16])]), [4, 3, 32, 16]);
    }
}

//! Every ONNX node of well-known networks is in a row, or listed, whatever version and quantizer named it.

use crate::imitation::{Imitation, Node, QUANTIZERS, Quantizer, VERSIONS, Version, imitate, nodes};
use crate::{holds, oracle, schema};
use limpid::duel::export::{Export, LayerInfo, Profile};
use limpid::duel::{Alignment, Group, Layer, Network, TimedStep, Timing, align, groups, time};
use limpid::{Builder, Destination, Engine, Precision};
use limpid_graph::onnx;
use std::path::Path;

/// A network of the zoo, with limpid's engine of it.
struct Zoo {
    nodes: Vec<Node>,
    network: Network,
    groups: Vec<Group>,
    engine: Engine,
}

fn zoo(name: &str, size: usize, precision: Precision) -> Zoo {
    let built = limpid::zoo::find(name).expect("it is in the zoo").build_for(size, 0).expect("it is built");
    let bytes = built.model.to_bytes().expect("a model");
    drop(built);
    let model = onnx::load_bytes(&bytes, Path::new(name), None).expect("it is imported");
    let builder = Builder::new(Destination::Cpu).precision(precision).open_extents();
    let engine = builder.build_bytes(&bytes, Path::new(name), None, &mut ()).expect("an engine");
    let network = Network::of_engine(&engine).with_tensors(&model);
    let mut groups = groups(&engine, &engine.metadata.opt()).expect("groups");
    let step = |(at, group): (usize, &Group)| TimedStep {
        group: group.name.clone(),
        what: "a kernel".to_owned(),
        tactic: Some("a/tactic".to_owned()),
        time: Timing::told((at + 1) as f64, None),
    };
    let steps: Vec<TimedStep> = groups.iter().enumerate().map(step).collect();
    time(&mut groups, &steps).expect("the same groups");
    Zoo { nodes: nodes(&model), network, groups, engine }
}

/// The layers as they come out of files.
fn layers(imitation: &Imitation) -> Vec<Layer> {
    holds(&schema("trtexec/layers"), &imitation.layers);
    holds(&schema("trtexec/profile"), &imitation.profile);
    let parse = |value: &serde_json::Value| Export::parse(&value.to_string()).expect("an export");
    let (Export::Layers(LayerInfo { layers, .. }), Export::Profile(profile)) =
        (parse(&imitation.layers), parse(&imitation.profile))
    else {
        panic!("the kinds of exports are mistaken")
    };
    let timed = Profile::times(&profile, layers);
    assert!(timed.iter().all(|layer| layer.time.is_some()));
    timed
}

/// Checks an alignment for each version and quantizer, and hands it on.
fn check(name: &str, size: usize, precision: Precision, mut further: impl FnMut(Version, Quantizer, &Zoo, &Alignment)) {
    let zoo = zoo(name, size, precision);
    assert!(zoo.nodes.len() > 50, "{name} has only {} nodes", zoo.nodes.len());
    for version in VERSIONS {
        for quantizer in QUANTIZERS {
            let imitation = imitate(&zoo.nodes, version, quantizer);
            let layers = layers(&imitation);
            let alignment = align(&zoo.network, zoo.groups.clone(), layers.clone());
            oracle::nothing_is_lost_or_doubled(&zoo.network, &zoo.groups, &layers, &alignment);
            oracle::rows_are_what_shares_nodes(&zoo.groups, &imitation.truth, &alignment);
            assert!(alignment.strangers.is_empty(), "{version:?} {quantizer:?}: {:?}", alignment.strangers);
            further(version, quantizer, &zoo, &alignment);
        }
    }
}

/// Layers that stand alone by right: those of Myelin that wait for each other, and the quantization of what a concatenation
/// makes, which no layer computes.
fn stands_alone(layer: &Layer) -> bool {
    layer.name.starts_with("entry^bb^") || layer.name.ends_with("Concat_output_0_QuantizeLinear")
}

#[test]
fn resnet50() {
    check("resnet50", 64, Precision::Fp32, |version, quantizer, zoo, alignment| {
        let alone: Vec<_> = alignment.layers_alone.iter().filter(|layer| !stands_alone(layer)).collect();
        assert!(alone.is_empty() && alignment.groups_alone.is_empty(), "{version:?} {quantizer:?}: {alone:?}");
        if [Version::Names8, Version::Detailed8].contains(&version) {
            assert_eq!(
                alignment.aligned_nodes(),
                zoo.engine.ledger.account(&zoo.engine.graph).len(),
                "every node is aligned"
            );
            assert!(alignment.rows.len() > 50, "{} rows", alignment.rows.len());
        }
    });
}

#[test]
fn unet() {
    check("unet", 64, Precision::Fp32, |version, quantizer, _, alignment| {
        // Nobody names a concatenation that became copies; the copies are told beside what they serve.
        let concats = alignment.limpid_only.iter().filter(|node| node.op_type == "Concat").count();
        let expected = if version == Version::Foreign { 0 } else { 4 };
        assert_eq!(concats, expected, "{version:?} {quantizer:?}");
        let alone: Vec<_> = alignment.layers_alone.iter().filter(|layer| !stands_alone(layer)).collect();
        assert!(alone.is_empty(), "{version:?} {quantizer:?}: {alone:?}");
    });
}

#[test]
fn mobilenetv2() {
    // In FP16, so that there are conversions of limpid's own.
    check("mobilenetv2", 64, Precision::Fp16, |version, quantizer, zoo, alignment| {
        assert!(zoo.groups.iter().any(|group| group.nodes.is_empty()), "conversions");
        assert!(alignment.groups_alone.iter().all(|group| group.nodes.is_empty()), "{version:?} {quantizer:?}");
        assert!(alignment.aligned_nodes() > 100 && alignment.rows.len() > 10, "{version:?} {quantizer:?}");
        let dropout = alignment.neither.iter().chain(&alignment.tensorrt_only).find(|node| node.op_type == "Dropout");
        assert!(
            dropout.is_some_and(|node| node.limpid.contains("removed") || node.limpid.contains("folded")),
            "{dropout:?}"
        );
    });
}

/// TensorRT got what `limpid export` writes: its nodes are limpid's groups, unrolled.
#[test]
fn an_exported_network_is_aligned_by_its_groups() {
    let zoo = zoo("mobilenetv2", 64, Precision::Fp32);
    let bytes = onnx::export(&zoo.engine.graph).expect("it is exported").to_bytes().expect("a model");
    let exported = onnx::load_bytes(&bytes, Path::new("exported.onnx"), None).expect("it is imported");
    let network = zoo.network.clone().exported(&zoo.engine);
    for version in [Version::Names8, Version::Detailed8, Version::V11] {
        let imitation = imitate(&nodes(&exported), version, Quantizer::None);
        let alignment = align(&network, zoo.groups.clone(), layers(&imitation));
        oracle::nothing_is_lost_or_doubled(&network, &zoo.groups, &layers(&imitation), &alignment);
        let held: usize = zoo.groups.iter().map(|group| group.nodes.len()).sum();
        let unnamed = if version == Version::V11 { alignment.limpid_only.len() } else { 0 };
        assert_eq!(alignment.aligned_nodes() + unnamed, held, "{version:?}: {:?}", alignment.limpid_only);
        assert!(alignment.strangers.is_empty() && alignment.rows.len() > 30, "{version:?}: {:?}", alignment.strangers);
        assert!(unnamed < held / 4, "{version:?}: {:?}", alignment.limpid_only);
    }
}

//! Files as trtexec of 8.6, 10 and 11 writes them, for a small residual network; what is in which row is told by hand.

use crate::{holds, oracle, read, schema, tests};
use limpid::duel::export::{self, Exports, FileError, LayerInfo};
use limpid::duel::{Alignment, Evidence, Group, Network, align};
use serde_json::Value;
use std::path::PathBuf;

const NODES: [(&str, &str); 12] = [
    ("/conv1/Conv", "Conv"),
    ("/bn1/BatchNormalization", "BatchNormalization"),
    ("/relu/Relu", "Relu"),
    ("/maxpool/MaxPool", "MaxPool"),
    ("/layer1/conv1/Conv", "Conv"),
    ("/layer1/relu/Relu", "Relu"),
    ("/layer1/conv2/Conv", "Conv"),
    ("/layer1/Add", "Add"),
    ("/layer1/relu_1/Relu", "Relu"),
    ("/avgpool/GlobalAveragePool", "GlobalAveragePool"),
    ("/Flatten", "Flatten"),
    ("/fc/Gemm", "Gemm"),
];

/// limpid's groups: each by its first node.
fn groups() -> Vec<Group> {
    let sizes = [3, 1, 2, 3, 1, 1, 1];
    let mut nodes = NODES.iter().map(|(name, _)| (*name).to_owned());
    let group = |size| {
        let nodes: Vec<String> = nodes.by_ref().take(size).collect();
        Group { name: nodes[0].clone(), nodes, ..Group::default() }
    };
    sizes.map(group).into()
}

fn file(version: &str, name: &str) -> PathBuf {
    tests("fixtures/trtexec").join(version).join(name)
}

fn exports(version: &str) -> (Exports, Alignment) {
    let paths = ["profile.json", "layers.json", "times.json"].map(|name| file(version, name));
    let exports = export::read(&paths).unwrap_or_else(|e| panic!("{version}: {e}"));
    let network = Network::new(NODES);
    let alignment = align(&network, groups(), exports.layers.clone());
    oracle::nothing_is_lost_or_doubled(&network, &groups(), &exports.layers, &alignment);
    (exports, alignment)
}

/// Names of groups, names of layers with what places them, and what the layers take, µs.
type Told = (String, Vec<(String, Evidence)>, f64);

/// Rows as text: leading nodes of the groups, then names of the layers, each shortened to what tells it.
fn rows(alignment: &Alignment) -> Vec<Told> {
    let row = |row: &limpid::duel::Row| {
        let groups: Vec<&str> = row.groups.iter().map(|group| group.name.as_str()).collect();
        let layers = row.layers.iter().map(|placed| (placed.layer.name.clone(), placed.by)).collect();
        let us = row.tensorrt.map_or(f64::NAN, |time| (time.median_us * 10.0).round() / 10.0);
        (groups.join(" & "), layers, us)
    };
    alignment.rows.iter().map(row).collect()
}

fn row(groups: &str, layers: &[(&str, Evidence)], us: f64) -> Told {
    (groups.to_owned(), layers.iter().map(|(name, by)| ((*name).to_owned(), *by)).collect(), us)
}

use Evidence::{Beside, Metadata, Output};

#[test]
fn they_keep_to_the_schemas() {
    for version in ["8.6", "10", "11"] {
        for name in ["layers", "profile", "times"] {
            let text = read(&file(version, &format!("{name}.json")));
            // 11's separators are no JSON, as it is with some versions; everything else is.
            let text = text.replace("\\x1E", "\\u001e");
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{version} {name}: {e}"));
            holds(&schema(&format!("trtexec/{name}")), &value);
        }
    }
}

#[test]
fn int8_of_version_8_with_quantize_nodes() {
    let (exports, alignment) = exports("8.6");
    let weight = |layer: &str| format!("{layer}.weight + {layer}.weight_QuantizeLinear + ");
    let stem = weight("conv1") + "/conv1/Conv + /bn1/BatchNormalization + PWN(/relu/Relu)";
    let first = weight("layer1.conv1") + "/layer1/conv1/Conv + PWN(/layer1/relu/Relu)";
    let second = weight("layer1.conv2") + "/layer1/conv2/Conv + /layer1/Add + PWN(/layer1/relu_1/Relu)";
    let expected = [
        row("/conv1/Conv", &[(&stem, Metadata)], 9.4),
        row("/maxpool/MaxPool", &[("/maxpool/MaxPool", Metadata)], 3.1),
        row("/layer1/conv1/Conv", &[(&first, Metadata)], 7.9),
        row("/layer1/conv2/Conv", &[(&second, Metadata)], 8.6),
        row("/avgpool/GlobalAveragePool", &[("/avgpool/GlobalAveragePool", Metadata)], 3.4),
        row("/fc/Gemm", &[("/fc/Gemm", Metadata), ("reshape_after_/fc/Gemm", Beside)], 4.6),
    ];
    assert_eq!(rows(&alignment), expected);
    let alone: Vec<&str> = alignment.layers_alone.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(alone, ["Reformatting CopyNode for Input Tensor 0 to image_QuantizeLinear", "image_QuantizeLinear"]);
    let strangers: Vec<&str> = alignment.strangers.iter().map(|stranger| stranger.name.as_str()).collect();
    assert_eq!(strangers, ["image_QuantizeLinear"], "weights are no strangers");
    // A Flatten of one pixel is nothing; neither side runs it, but limpid keeps a group for it.
    let only: Vec<&str> = alignment.limpid_only.iter().map(|node| node.name.as_str()).collect();
    assert_eq!((only, alignment.groups_alone.len()), (vec!["/Flatten"], 1));
    assert_eq!(exports.times.compute().and_then(|time| time.samples), Some(5));
    assert!(exports.times.compute().is_some_and(|time| (time.median_us - 39.1).abs() < 0.01), "{:?}", exports.times);
}

#[test]
fn fp16_of_version_10() {
    let (_, alignment) = exports("10");
    let stem = "/conv1/Conv + /bn1/BatchNormalization + /relu/Relu + /maxpool/MaxPool";
    let copy = |layer: &str| format!("Reformatting CopyNode for Input Tensor 0 to {layer}");
    let foreign = copy("{ForeignNode[fc.bias + ONNXTRT_unsqueezeTensor_9.../fc/Gemm]}");
    let expected = [
        row("/conv1/Conv & /maxpool/MaxPool", &[(&copy(stem), Beside), (stem, Metadata)], 15.0),
        row("/layer1/conv1/Conv", &[("/layer1/conv1/Conv + /layer1/relu/Relu", Metadata)], 8.5),
        row("/layer1/conv2/Conv", &[("/layer1/conv2/Conv + /layer1/Add + /layer1/relu_1/Relu", Metadata)], 9.5),
        row("/avgpool/GlobalAveragePool", &[("/avgpool/GlobalAveragePool", Metadata)], 3.5),
        row("/Flatten", &[("__myl_Resh_myl5_0", Metadata)], 2.1),
        row("/fc/Gemm", &[(&foreign, Beside), ("/fc/Gemm_myl5_1", Metadata)], 7.0),
    ];
    assert_eq!(rows(&alignment), expected);
    assert_eq!(alignment.aligned_nodes(), NODES.len());
    assert!(alignment.layers_alone.is_empty() && alignment.strangers.is_empty());
}

#[test]
fn version_11_where_one_compiler_has_it_all() {
    let (_, alignment) = exports("11");
    let mix = "__myl_AddReluMean_myl0_6";
    let expected = [
        row("/conv1/Conv", &[("__myl_CastTran_myl0_0", Metadata), ("/conv1/Conv_myl0_1", Metadata)], 9.0),
        row("/maxpool/MaxPool", &[("__myl_Maxp_myl0_3", Output)], 2.4),
        row("/layer1/conv1/Conv", &[("/layer1/conv1/Conv_myl0_4", Metadata)], 6.1),
        row(
            "/layer1/conv2/Conv & /avgpool/GlobalAveragePool & /Flatten",
            &[("/layer1/conv2/Conv_myl0_5", Metadata), (mix, Metadata)],
            9.2,
        ),
        row("/fc/Gemm", &[("/fc/Gemm_myl0_7", Metadata)], 4.1),
    ];
    assert_eq!(rows(&alignment), expected);
    let alone: Vec<&str> = alignment.layers_alone.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!((alone, alignment.aligned_nodes()), (vec!["entry^bb^signal^1_myl0_2"], NODES.len()));

    // The inspector's lines tell the same as its JSON.
    let lines = LayerInfo::parse(&read(&file("11", "layers.txt"))).expect("layers");
    let objects = LayerInfo::parse(&read(&file("11", "layers.json"))).expect("layers");
    for (line, object) in lines.layers.iter().zip(&objects.layers) {
        assert_eq!(
            (&line.name, &line.onnx, &line.kind, &line.outputs),
            (&object.name, &object.onnx, &object.kind, &object.outputs)
        );
    }
    assert_eq!((lines.layers.len(), &lines.bindings), (4, &objects.bindings));
}

#[test]
fn a_profile_alone_has_the_names() {
    let exports = export::read(&[file("10", "profile.json")]).expect("a profile");
    assert!(exports.profiled && !exports.described);
    let alignment = align(&Network::new(NODES), groups(), exports.layers);
    let by_name: Vec<Evidence> = alignment.rows.iter().flat_map(|row| &row.layers).map(|placed| placed.by).collect();
    assert!(by_name.iter().all(|by| [Evidence::Name, Beside].contains(by)), "{by_name:?}");
    let only: Vec<&str> = alignment.limpid_only.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(only, ["/Flatten"], "Myelin's `__myl_Resh` does not say what it reshapes");
}

#[test]
fn files_that_do_not_go_together_are_refused() {
    let twice = export::read(&[file("8.6", "profile.json"), file("10", "profile.json")]);
    assert!(matches!(&twice, Err(FileError::Twice { flag: "--exportProfile", .. })), "{twice:?}");
    let none = export::read(&[tests("fixtures/trtexec/output.json")]);
    assert!(none.as_ref().is_err_and(|error| error.to_string().contains("--exportOutput")), "{none:?}");
    assert!(matches!(export::read(&[file("9", "layers.json")]), Err(FileError::Read { .. })));
    let many = export::read(&[file("8.6", "times.json"), file("10", "times.json")]).expect("times add up");
    assert_eq!((many.times.latency_us.len(), many.layers.len()), (10, 0));
}

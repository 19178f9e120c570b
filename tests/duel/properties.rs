//! Whatever the names, nothing is lost and nothing doubled; and where names can be told apart, layers are found.

use crate::oracle;
use limpid::duel::export::{Export, LayerInfo};
use limpid::duel::{Group, Layer, Network, Timing, align};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Names made of what TensorRT joins names with, and of what Q/DQ tools put behind them.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "/conv/Conv",
        "layer1.0",
        " + ",
        " || ",
        ", ",
        "PWN(",
        ")",
        "{ForeignNode[",
        "]}",
        "...",
        "[",
        "(Unnamed Layer* ",
        " copy",
        "_output_0",
        "_QuantizeLinear",
        "/DequantizeLinear",
        "Reformatting CopyNode for Input Tensor 0 to ",
        "_myl0_1",
        "#2",
        "_clone_3",
        "node_of_",
        "onnx::",
        "é",
        "\u{1e}",
        "[ONNX Layer: ",
        " ",
        "_",
        "1",
        ".",
        "/",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..6).prop_map(|parts| parts.concat())
}

fn layer(names: Vec<String>) -> impl Strategy<Value = Layer> {
    let some = move |most| prop::collection::vec(prop::sample::select(names.clone()), 0..most);
    let join = prop::sample::select(vec![" + ", " || ", ", ", "..."]);
    let kind = prop::sample::select(vec!["kgen", "Reformat", "CaskConvolution", "NoOp"]);
    let ends = prop::sample::select(vec![
        ("", ""),
        ("PWN(", ")"),
        ("{ForeignNode[", "]}"),
        ("Reformatting CopyNode for Input Tensor 0 to ", ""),
    ]);
    (some(4), some(3), some(2), join, kind, ends, 0.0..9.0).prop_map(|(parts, onnx, outputs, join, kind, ends, us)| {
        Layer {
            name: format!("{}{}{}", ends.0, parts.join(join), ends.1),
            onnx,
            kind: Some(kind.to_owned()),
            tactic: None,
            outputs,
            time: Some(Timing::told(us, None)),
        }
    })
}

/// Nodes, groups that hold some of them, and layers that name some of them, and some that are none.
fn any_engines() -> impl Strategy<Value = (Vec<String>, Vec<Group>, Vec<Layer>)> {
    let names = prop::collection::vec(nasty(), 1..12);
    names.prop_flat_map(|names| {
        let held = prop::collection::vec(prop::sample::subsequence(names.clone(), 0..=names.len().min(3)), 0..6);
        let beside = prop::sample::subsequence(names.clone(), 0..=1);
        let layers = prop::collection::vec(layer(names.clone()), 0..8);
        let listed = prop::sample::subsequence(names.clone(), 0..=names.len());
        (listed, held, beside, layers).prop_map(|(listed, held, beside, layers)| {
            let group = |(at, nodes): (usize, Vec<String>)| Group {
                name: format!("group {at}"),
                nodes,
                beside: beside.clone(),
                time: Some(Timing::told(at as f64, None)),
                ..Group::default()
            };
            (listed, held.into_iter().enumerate().map(group).collect(), layers)
        })
    })
}

/// Nodes with names as exporters make them, and a way to put each into one of so many layers and groups.
fn plain_engines() -> impl Strategy<Value = (Vec<(usize, usize)>, Vec<u8>)> {
    let nodes = prop::collection::vec((0_usize..9, 0_usize..9), 1..40);
    nodes.prop_flat_map(|nodes| {
        let styles = prop::collection::vec(0_u8..6, 9);
        (Just(nodes), styles)
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled_whatever_the_names((names, groups, layers) in any_engines()) {
        let network = Network::new(names.iter().map(|name| (name.as_str(), "Conv")));
        let alignment = align(&network, groups.clone(), layers.clone());
        oracle::nothing_is_lost_or_doubled(&network, &groups, &layers, &alignment);
    }

    #[test]
    fn layers_are_found_by_any_of_the_styles((nodes, styles) in plain_engines()) {
        let ops = ["Conv", "Relu", "Add"];
        let names: Vec<String> = (0..nodes.len()).map(|at| format!("/layer{}/block.{at}/{}", at % 3, ops[at % 3])).collect();
        let network = Network::new(names.iter().map(|name| (name.as_str(), "Conv")));
        let (mut held, mut inside): (BTreeMap<usize, Vec<String>>, BTreeMap<usize, Vec<String>>) = Default::default();
        for ((group, layer), name) in nodes.iter().zip(&names) {
            // The last group and the last layer are none: limpid folded the node, or TensorRT does not name it.
            if *group < 8 { held.entry(*group).or_default().push(name.clone()) }
            if *layer < 8 { inside.entry(*layer).or_default().push(name.clone()) }
        }
        let group = |(at, nodes): (&usize, &Vec<String>)| Group { name: format!("g{at}"), nodes: nodes.clone(), ..Group::default() };
        let groups: Vec<Group> = held.iter().map(group).collect();
        let (mut layers, mut truth) = (Vec::new(), BTreeMap::new());
        for (at, nodes) in &inside {
            let joined = nodes.join(" + ");
            let layer = match styles[*at] {
                0 => Layer::named(joined),
                1 => Layer::named(nodes.join(" || ")),
                2 => Layer::named(format!("PWN({})", nodes.join(", "))),
                3 => Layer { onnx: nodes.clone(), ..Layer::named(format!("__myl_ConvAdd_myl0_{at}")) },
                4 => Layer { onnx: nodes.clone(), kind: Some("Reformat".to_owned()), ..Layer::named(joined) },
                _ => Layer::named(format!("w{at}.weight + {joined} + (Unnamed Layer* {at}) [Shuffle]")),
            };
            layers.push(Layer::named(format!("Reformatting CopyNode for Input Tensor 0 to {}", layer.name)));
            let name = layer.name.clone();
            layers.push(layer);
            prop_assert!(truth.insert(name, nodes.iter().cloned().collect::<BTreeSet<_>>()).is_none());
        }
        let alignment = align(&network, groups.clone(), layers.clone());
        oracle::nothing_is_lost_or_doubled(&network, &groups, &layers, &alignment);
        oracle::rows_are_what_shares_nodes(&groups, &truth, &alignment);
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused(text in prop_oneof![any::<String>(), nasty(), nasty().prop_map(|t| format!("Layers:\nName: {t}"))]) {
        // It may be an error; it must not be a panic, and what is read must be alignable.
        if let Ok(info) = LayerInfo::parse(&text) {
            let groups = vec![Group { name: "g".to_owned(), nodes: vec!["a".to_owned()], ..Group::default() }];
            let alignment = align(&Network::new([("a", "Conv")]), groups.clone(), info.layers.clone());
            oracle::nothing_is_lost_or_doubled(&Network::new([("a", "Conv")]), &groups, &info.layers, &alignment);
        }
        let _ = Export::parse(&text);
        let _ = Export::parse(&format!("{{\"Layers\": [{}]}}", serde_json::json!(text)));
    }
}

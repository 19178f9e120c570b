//! What a name that TensorRT writes stands for.
//!
//! Beside ONNX nodes there are names that its ONNX parser makes (`(Unnamed Layer* 3) [Shuffle]`, `ONNXTRT_…`), its optimizer
//! (`copied_squeeze_after_X`), its compiler Myelin (`X_myl0_7`, `__myl_…`), and the tools that insert Q/DQ nodes: ONNX
//! Runtime's quantizer (`TENSOR_QuantizeLinear`), NVIDIA's (`/conv1/_weight_quantizer/QuantizeLinear`) and limpid's own
//! export (`/conv1/Conv/QuantizeLinear`).

use super::Network;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// These nodes.
    Nodes(Vec<usize>),
    /// A part of what these nodes do: one of several layers that a node became.
    PartOf(Vec<usize>),
    /// What only moves, quantizes or dequantizes, at these nodes.
    Beside(Vec<usize>),
    /// Nothing of the model's: TensorRT made it, or it is a weight or an input.
    Nothing,
    /// Nobody knows.
    Unknown,
}

/// What follows a name, of TensorRT's making.
const SUFFIXES: [&str; 4] = ["_quantize_scale_node", "_dequantize_scale_node", "_clone_", "_myl"];

/// What stands before the name of a node or tensor that something was inserted at.
const INSERTED: [&str; 6] = [
    "copied_squeeze_after_",
    "unsqueeze_node_after_",
    "squeeze_after_",
    "reshape_before_",
    "reshape_after_",
    "shuffle_after_",
];

/// The meaning of a name in a layer's name.
pub(super) fn meaning(name: &str, network: &Network) -> Meaning {
    let node = |name: &str| network.named(name).map(<[usize]>::to_vec);
    if let Some(nodes) = node(name) {
        return Meaning::Nodes(nodes);
    }
    let bare = undecorated(name);
    if let Some(nodes) = network.served_by(bare) {
        return Meaning::Beside(nodes.to_vec());
    }
    if let Some(nodes) = node(bare).or_else(|| network.spelled_without_dots(bare)) {
        return Meaning::Nodes(nodes);
    }
    if let Some(index) = name.strip_prefix("node_of_").and_then(|tensor| network.maker(tensor)) {
        return Meaning::Nodes(vec![index]);
    }
    let at = |name: &str| node(name).or_else(|| network.maker(name).map(|index| vec![index]));
    if let Some(inserted) = INSERTED.iter().find_map(|word| name.strip_prefix(word)) {
        return at(inserted).map_or(Meaning::Nothing, Meaning::Beside);
    }
    if let Some(place) = quantized(bare) {
        let module = || network.first_under(place).map(|index| vec![index]);
        let known = at(place).or_else(module).map(Meaning::Beside);
        let given = || (network.is_given(place) || is_weight(place)).then_some(Meaning::Nothing);
        return known.or_else(given).unwrap_or(Meaning::Unknown);
    }
    if let Some(nodes) = whole(bare).and_then(node) {
        return Meaning::PartOf(nodes);
    }
    if let Some(index) = network.maker(bare) {
        return Meaning::Beside(vec![index]);
    }
    let made = bare != name || is_made_by_tensorrt(name);
    if made || network.is_given(name) || is_weight(name) { Meaning::Nothing } else { Meaning::Unknown }
}

/// The name without what TensorRT adds behind it.
fn undecorated(name: &str) -> &str {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let suffix = |word: &&str| name.rfind(word).filter(|at| number(&name[at + word.len()..]));
    SUFFIXES.iter().filter_map(suffix).min().map_or(name, |at| &name[..at])
}

/// Of a Q/DQ node's name, the tensor, node or module that it is at.
fn quantized(name: &str) -> Option<&str> {
    let (name, _) = name.rsplit_once('#').unwrap_or((name, ""));
    let name = ["_Input", "_Output"].iter().find_map(|word| name.strip_suffix(word)).unwrap_or(name);
    let name = name.trim_end_matches(|sign: char| sign.is_ascii_digit()).trim_end_matches('_');
    let rest = name.strip_suffix("DequantizeLinear").or_else(|| name.strip_suffix("QuantizeLinear"))?;
    let rest = rest.strip_suffix(['_', '/'])?;
    let module = rest.rsplit_once('/').filter(|(_, last)| last.ends_with("_quantizer"));
    Some(module.map_or(rest, |(module, _)| module)).filter(|place| !place.is_empty())
}

/// Of a name like `/conv1/Conv/Relu`, `/conv1/Conv/Relu#2` or `/fc/Gemm_2`, that of the node it is a part of.
fn whole(name: &str) -> Option<&str> {
    let (name, _) = name.rsplit_once('#').unwrap_or((name, ""));
    let step = name.rsplit_once('/').filter(|(_, last)| last.starts_with(|first: char| first.is_ascii_uppercase()));
    let counted =
        || name.rsplit_once('_').filter(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    counted().or(step).map(|(name, _)| name)
}

/// PyTorch's names of parameters, and those its exporter gives to parameters it has changed.
fn is_weight(name: &str) -> bool {
    name.starts_with("onnx::") || name.ends_with(".weight") || name.ends_with(".bias")
}

fn is_made_by_tensorrt(name: &str) -> bool {
    ["(Unnamed Layer", "ONNXTRT_", "__my", "["].iter().any(|start| name.starts_with(start)) || name.contains("^bb^")
}

#[cfg(test)]
mod tests {
    use super::Meaning::{Beside, Nodes, Nothing, PartOf, Unknown};
    use super::*;

    fn network() -> Network {
        Network::new([
            ("/conv1/Conv", "Conv"),
            ("/relu/Relu", "Relu"),
            ("/layers.9/MatMul", "MatMul"),
            ("Conv_12", "Conv"),
        ])
    }

    #[test]
    fn names_of_nodes_are_known_in_every_dress() {
        let names = ["/conv1/Conv", "/conv1/Conv_myl0_7", "/conv1/Conv_clone_2", "node_of_/conv1/Conv_output_0"];
        for name in names {
            assert_eq!(meaning(name, &network()), Nodes(vec![0]), "{name}");
        }
        assert_eq!(meaning("/layers_9/MatMul_myl0_70", &network()), Nodes(vec![2]), "Myelin writes no dots");
        assert_eq!(meaning("/conv1/Conv/Relu", &network()), PartOf(vec![0]), "what limpid's export unrolls");
        assert_eq!(meaning("/relu/Relu_2", &network()), PartOf(vec![1]), "the second layer of one node");
    }

    #[test]
    fn quantization_is_beside_what_it_quantizes() {
        let names = [
            "/conv1/Conv_output_0_QuantizeLinear",
            "/conv1/Conv_output_0_DequantizeLinear_Output",
            "/conv1/Conv_output_0_QuantizeLinear_1_myl0_3",
            "/conv1/Conv/QuantizeLinear",
            "/conv1/Conv/DequantizeLinear#2",
            "/conv1/_weight_quantizer/QuantizeLinear",
            "/conv1/_input_quantizer/DequantizeLinear_quantize_scale_node",
            "/conv1/Conv_output_0",
            "copied_squeeze_after_/conv1/Conv",
            "reshape_before_/conv1/Conv",
        ];
        for name in names {
            assert_eq!(meaning(name, &network()), Beside(vec![0]), "{name}");
        }
    }

    #[test]
    fn what_tensorrt_makes_is_nothing_and_the_rest_is_unknown() {
        let made = [
            "(Unnamed Layer* 14) [Shuffle]",
            "ONNXTRT_unsqueezeTensor_9",
            "__myl_ConvAdd_myl0_7",
            "entry^bb^signal^1_myl0_2",
            "__mye31311_myl4_5",
            "conv1.weight",
            "onnx::Conv_1063",
            "conv1.weight_QuantizeLinear",
            "[HostToDeviceCopy 0]",
            "reshape_after_/elsewhere/Conv",
        ];
        for name in made {
            assert_eq!(meaning(name, &network()), Nothing, "{name}");
        }
        for name in ["/elsewhere/Conv", "QuantizeLinear_337", "image_QuantizeLinear", "", "_", "#", "/"] {
            assert_eq!(meaning(name, &network()), Unknown, "{name}");
        }
    }
}

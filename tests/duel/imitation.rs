//! Layers as TensorRT would make and name them: fusions by simple rules, names by each version's.

use limpid_graph::ir::ValueId;
use limpid_graph::onnx::Model;
use limpid_graph::rewrite::Account;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A node of the ONNX file.
pub struct Node {
    pub name: String,
    pub op: String,
    /// Tensors that other nodes make.
    pub inputs: Vec<String>,
    pub output: String,
}

/// All nodes of a model, in the file's order; what the import left out reads and makes nothing.
pub fn nodes(model: &Model) -> Vec<Node> {
    let graph = &model.graph;
    let name = |value: &ValueId| graph.value(*value).name.clone();
    let node = |account: Account| {
        let found = graph.nodes().map(|(_, node)| node).find(|node| node.name == account.origin.name);
        let made = |node: &limpid_graph::ir::Node| {
            let values = node.inputs.iter().filter(|&&value| graph.value(value).producer.is_some());
            values.map(name).collect()
        };
        let inputs = found.map(made).unwrap_or_default();
        let output = found.map(|node| name(&node.outputs[0])).unwrap_or_default();
        Node { name: account.origin.name, op: account.origin.op_type, inputs, output }
    };
    model.ledger.account(graph).into_iter().map(node).collect()
}

/// How a version of TensorRT tells its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 8.6 with `--profilingVerbosity=layer_names_only`.
    Names8,
    /// 8.6 in detail.
    Detailed8,
    /// 10: joined names, and Myelin for what follows the last convolution.
    V10,
    /// 11: Myelin throughout.
    V11,
    /// Everything from the middle of the network on in one foreign node.
    Foreign,
}

pub const VERSIONS: [Version; 5] = [Version::Names8, Version::Detailed8, Version::V10, Version::V11, Version::Foreign];

/// Where the network's Q/DQ nodes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantizer {
    /// There are none.
    None,
    /// ONNX Runtime's names: `TENSOR_QuantizeLinear`.
    OnnxRuntime,
    /// NVIDIA's names: `/module/_weight_quantizer/QuantizeLinear`.
    Nvidia,
}

pub const QUANTIZERS: [Quantizer; 3] = [Quantizer::None, Quantizer::OnnxRuntime, Quantizer::Nvidia];

/// What trtexec would have exported, and what is true of it.
pub struct Imitation {
    pub layers: Value,
    pub profile: Value,
    /// The ONNX nodes in each layer that computes any, as far as the files tell.
    pub truth: BTreeMap<String, BTreeSet<String>>,
}

/// Nodes that TensorRT would run as one layer: a convolution or product with what follows it, else each for itself. A
/// Concat is none, since its inputs are copied to where they belong, and neither is what does nothing.
fn fused(nodes: &[Node]) -> Vec<Vec<usize>> {
    let place: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (node.output.as_str(), at)).collect();
    let readers = |at: usize| -> Vec<usize> {
        (0..nodes.len()).filter(|&reader| nodes[reader].inputs.contains(&nodes[at].output)).collect()
    };
    let mut taken = vec![false; nodes.len()];
    let mut layers = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let nothing = ["Concat", "Dropout", "Identity"].contains(&node.op.as_str());
        if std::mem::replace(&mut taken[at], true) || nothing {
            continue;
        }
        let mut layer = vec![at];
        let product = ["Conv", "ConvTranspose", "Gemm"].contains(&node.op.as_str());
        let mut last = at;
        while let [next] = readers(last)[..] {
            // A sum goes to whichever of its inputs is made last.
            let here = nodes[next].inputs.iter().all(|input| place[input.as_str()] <= last);
            let follows = ["BatchNormalization", "Relu", "Clip", "Add"].contains(&nodes[next].op.as_str());
            if !product || !follows || !here || std::mem::replace(&mut taken[next], true) {
                break;
            }
            layer.push(next);
            last = next;
        }
        layers.push(layer);
    }
    layers
}

/// Layers of `nodes` as this version tells them.
pub fn imitate(nodes: &[Node], version: Version, quantizer: Quantizer) -> Imitation {
    let mut made = Maker { nodes, version, quantizer, layers: Vec::new(), truth: BTreeMap::new() };
    let layers = fused(nodes);
    let foreign = if version == Version::Foreign { layers.len() / 2 } else { layers.len() };
    let first = made.classic(&layers[0]);
    made.other(&format!("Reformatting CopyNode for Input Tensor 0 to {first}"), "Reformat", "");
    for (number, layer) in layers[..foreign].iter().enumerate() {
        made.concats_before(layer[0]);
        made.layer(number, layer);
    }
    if let (Some(start), Some(end)) =
        (layers[foreign..].iter().flatten().min(), layers[foreign..].iter().flatten().max())
    {
        // What a concatenation in between does is compiled in as well.
        let name = format!("{{ForeignNode[{}...{}]}}", nodes[*start].name, nodes[*end].name);
        let before: BTreeSet<usize> = layers[..foreign].iter().flatten().copied().collect();
        let inside = (*start..=*end).filter(|at| !before.contains(at)).collect::<Vec<_>>();
        made.other(&format!("Reformatting CopyNode for Input Tensor 0 to {name}"), "Reformat", "");
        made.push(&name, "Myelin", &inside, json!({ "Metadata": "" }));
    }
    made.finish()
}

struct Maker<'a> {
    nodes: &'a [Node],
    version: Version,
    quantizer: Quantizer,
    layers: Vec<Value>,
    truth: BTreeMap<String, BTreeSet<String>>,
}

impl Maker<'_> {
    /// A layer's name where fused names are joined.
    fn classic(&self, layer: &[usize]) -> String {
        let mut parts = self.weights(layer[0]);
        parts.extend(layer.iter().map(|&at| match self.nodes[at].op.as_str() {
            "Clip" => format!("PWN({})", self.nodes[at].name),
            "Flatten" => format!("{} + (Unnamed Layer* {at}) [Shuffle]", self.nodes[at].name),
            _ => self.nodes[at].name.clone(),
        }));
        parts.join(" + ")
    }

    /// The names of a product's quantized weights, and of the node that quantizes them.
    fn weights(&self, at: usize) -> Vec<String> {
        let (node, name) = (&self.nodes[at], self.nodes[at].name.as_str());
        let module = name.rsplit_once('/').map_or(name, |(module, _)| module);
        let weight = format!("{}.weight", module.trim_start_matches('/').replace('/', "."));
        match self.quantizer {
            _ if !["Conv", "ConvTranspose", "Gemm"].contains(&node.op.as_str()) => Vec::new(),
            Quantizer::None => Vec::new(),
            Quantizer::OnnxRuntime => vec![weight.clone(), format!("{weight}_QuantizeLinear")],
            Quantizer::Nvidia => vec![weight, format!("{module}/_weight_quantizer/QuantizeLinear")],
        }
    }

    fn layer(&mut self, number: usize, layer: &[usize]) {
        let (node, lead) = (&self.nodes[layer[0]], self.nodes[layer[0]].name.clone());
        let product = ["Conv", "ConvTranspose", "Gemm"].contains(&node.op.as_str());
        if product && self.quantizer == Quantizer::OnnxRuntime && !node.inputs.is_empty() {
            // Where a sum or a concatenation is read, a quantization stands for itself.
            let name = format!("{}_QuantizeLinear", node.inputs[0]);
            self.other(&name, "Scale", &format!("[ONNX Layer: {name}]"));
        }
        let names: Vec<String> = self
            .weights(layer[0])
            .into_iter()
            .skip(1)
            .chain(layer.iter().map(|&at| self.nodes[at].name.clone()))
            .collect();
        let metadata =
            |between: &str| names.iter().map(|name| format!("[ONNX Layer: {name}]")).collect::<Vec<_>>().join(between);
        let output = json!([{ "Name": self.nodes[layer[layer.len() - 1]].output, "Dimensions": [1], "Format/Datatype": "Half" }]);
        let initials: String = layer.iter().map(|&at| &self.nodes[at].op[..4.min(self.nodes[at].op.len())]).collect();
        let after_convolutions = !self.nodes[layer[0]..].iter().any(|node| node.op == "Conv");
        match self.version {
            Version::Names8 | Version::Foreign => self.push(&self.classic(layer), "", layer, Value::Null),
            Version::Detailed8 => {
                let more = json!({ "Metadata": metadata("\u{1e}"), "Outputs": output });
                self.push(&self.classic(layer), "CaskConvolution", layer, more);
            }
            Version::V10 if !after_convolutions => {
                let more = json!({ "Metadata": metadata("\u{1f}"), "Outputs": output });
                self.push(&self.classic(layer), "CaskConvolution", layer, more);
            }
            Version::V10 | Version::V11 if number % 5 == 4 => {
                // Without metadata, all that is known is whose output it writes.
                let name = format!("__myl_{initials}_myl0_{number}");
                self.push(&name, "kgen", &layer[layer.len() - 1..], json!({ "Metadata": "", "Outputs": output }));
            }
            Version::V10 | Version::V11 => {
                let name = if product {
                    format!("{}_myl0_{number}", lead.replace('.', "_"))
                } else {
                    format!("__myl_{initials}_myl0_{number}")
                };
                let more = json!({ "Metadata": metadata(""), "Outputs": output });
                self.push(&name, if product { "gemm" } else { "kgen" }, layer, more);
                self.other(&format!("entry^bb^signal^1_myl0_{number}"), "signal", "");
            }
        }
    }

    /// The copies that a Concat came to, before the layer that reads it; in Myelin's hands, a kernel of its own.
    fn concats_before(&mut self, at: usize) {
        let reads = |node: &&Node| node.op == "Concat" && self.nodes[at].inputs.contains(&node.output);
        let concats: Vec<(Vec<String>, String)> =
            self.nodes.iter().filter(reads).map(|node| (node.inputs.clone(), node.output.clone())).collect();
        for (inputs, _) in concats {
            for input in inputs {
                self.other(&format!("{input} copy"), "Reformat", "");
            }
        }
    }

    /// A layer that computes nodes.
    fn push(&mut self, name: &str, kind: &str, inside: &[usize], more: Value) {
        let names = inside.iter().map(|&at| self.nodes[at].name.clone()).collect();
        assert!(self.truth.insert(name.to_owned(), names).is_none(), "{name} is there twice");
        self.tell(name, kind, more);
    }

    /// A layer that computes none.
    fn other(&mut self, name: &str, kind: &str, metadata: &str) {
        self.tell(name, kind, json!({ "Metadata": metadata }));
    }

    fn tell(&mut self, name: &str, kind: &str, more: Value) {
        let mut layer =
            json!({ "Name": name, "LayerType": kind, "Inputs": [], "Outputs": [], "StreamId": 0, "Metadata": "" });
        for (key, value) in more.as_object().into_iter().flatten() {
            layer[key] = value.clone();
        }
        let names_only = [Version::Names8, Version::Foreign].contains(&self.version);
        self.layers.push(if names_only { json!(name) } else { layer });
    }

    fn finish(self) -> Imitation {
        let name = |layer: &Value| layer.as_str().map_or_else(|| layer["Name"].clone(), |name| json!(name));
        let timed = self.layers.iter().enumerate().map(|(at, layer)| {
            let ms = 0.001 * (at + 1) as f64;
            json!({ "name": name(layer), "timeMs": 10.0 * ms, "averageMs": ms, "medianMs": ms, "percentage": 1.0 })
        });
        let profile: Vec<Value> = std::iter::once(json!({ "count": 10 })).chain(timed).collect();
        let layers = json!({ "Layers": self.layers, "Bindings": ["input", "logits"] });
        Imitation { layers, profile: Value::Array(profile), truth: self.truth }
    }
}

//! `--dumpLayerInfo` and `--exportLayerInfo`: the layers of the engine, in trtexec's schema
//! (tests/schemas/trtexec/layers.json), so that what reads TensorRT's engines reads limpid's.

use super::options::Verbosity;
use crate::engine::Engine;
use crate::plan::{Plan, Step};
use crate::port::{Layout, PortFormat};
use limpid_graph::ir::{Graph, GraphError, Node, ValueId};
use limpid_graph::tensor::{Bindings, DType};
use serde::Serialize;
use std::fmt::Write;

/// An engine's layers, and the names of its inputs and outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LayerInfo {
    layers: Vec<Layer>,
    bindings: Vec<String>,
}

/// A layer, by its name or with all that is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Layer {
    Name(String),
    Detailed(Box<Detailed>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detailed {
    name: String,
    layer_type: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// limpid's own: what the layer multiplies in.
    precision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<Weights>,
    tactic_name: String,
    stream_id: u32,
    /// The ONNX nodes that are in it, separated as TensorRT separates them.
    metadata: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    name: String,
    location: &'static str,
    dimensions: Vec<usize>,
    #[serde(rename = "Format/Datatype")]
    format: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    r#type: &'static str,
    count: usize,
}

impl LayerInfo {
    /// Of the kernels planned for these extents, or, where the engine has no plan, of the reference's operators.
    ///
    /// # Errors
    /// A graph that does not hold together.
    pub(super) fn of(engine: &Engine, extents: &Bindings, verbosity: Verbosity) -> Result<Self, GraphError> {
        let graph = &engine.graph;
        let names = |values: &[ValueId]| values.iter().map(|&v| graph.value(v).name.clone()).collect::<Vec<_>>();
        let bindings = [names(&graph.inputs), names(&graph.outputs)].concat();
        let layers = match verbosity {
            Verbosity::None => Vec::new(),
            Verbosity::LayerNamesOnly => {
                Self::detailed(engine, extents)?.into_iter().map(|l| Layer::Name(l.name)).collect()
            }
            Verbosity::Detailed => {
                Self::detailed(engine, extents)?.into_iter().map(|layer| Layer::Detailed(Box::new(layer))).collect()
            }
        };
        Ok(Self { layers, bindings })
    }

    fn detailed(engine: &Engine, extents: &Bindings) -> Result<Vec<Detailed>, GraphError> {
        let graph = &engine.graph;
        let plan = engine.plans.iter().find(|plan| plan.bindings == *extents).or(engine.plans.first());
        let about = About::of(engine);
        if let Some(plan) = plan {
            return Ok(plan.steps.iter().map(|step| of_step(graph, plan, step, &about)).collect());
        }
        let order = graph.topological_order()?;
        let layer = |node: &Node| of_node(graph, node, extents, &about, "CPU reference".to_owned(), false);
        Ok(order.into_iter().map(|id| layer(graph.node(id))).collect())
    }

    /// As trtexec prints it: a line for each layer.
    pub(super) fn text(&self) -> String {
        let mut text = "Layers:\n".to_owned();
        for layer in &self.layers {
            // Writing into memory does not fail.
            let _ = match layer {
                Layer::Name(name) => writeln!(text, "{name}"),
                Layer::Detailed(layer) => writeln!(
                    text,
                    "Name: {}, LayerType: {}, Inputs: [{}], Outputs: [{}], Precision: {}, TacticName: {}, StreamId: {}, \
                     Metadata: {}",
                    layer.name,
                    layer.layer_type,
                    ports(&layer.inputs),
                    ports(&layer.outputs),
                    layer.precision,
                    layer.tactic_name,
                    layer.stream_id,
                    layer.metadata.replace(SEPARATOR, "+"),
                ),
            };
        }
        let _ = write!(text, "\nBindings:\n{}", self.bindings.join("\n"));
        text
    }
}

fn ports(ports: &[Port]) -> String {
    let port = |port: &Port| {
        let Port { name, location, dimensions, format } = port;
        format!(" {{ Name: {name}, Location: {location}, Dimensions: {dimensions:?}, Format/Datatype: {format} }}")
    };
    ports.iter().map(port).collect::<Vec<_>>().join(",")
}

/// A kernel's work.
fn of_step(graph: &Graph, plan: &Plan, step: &Step, about: &About) -> Detailed {
    let tactic = step.tactic.to_string();
    let node = step.node.and_then(|id| graph.get_node(id));
    match node {
        Some(node) => {
            let layer = of_node(graph, node, &plan.bindings, about, tactic, true);
            Detailed { layer_type: step.what.clone(), ..layer }
        }
        // The network's inputs and outputs brought into the form that kernels work in.
        None => Detailed {
            name: step.group.clone(),
            layer_type: step.what.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            precision: "",
            weights: None,
            tactic_name: tactic,
            stream_id: 0,
            metadata: String::new(),
        },
    }
}

fn of_node(
    graph: &Graph,
    node: &Node,
    extents: &Bindings,
    about: &About,
    tactic_name: String,
    packed: bool,
) -> Detailed {
    let port = |&value: &ValueId| {
        let fact = graph.fact(value);
        let border = about.borders.iter().find(|(id, _)| *id == value).map(|(_, layout)| *layout);
        let layout = border.unwrap_or(if packed && fact.rank() == 4 { packed_layout(fact.dtype) } else { Layout::Chw });
        Port {
            name: graph.value(value).name.clone(),
            location: "Device",
            dimensions: fact.shape.eval(extents).unwrap_or_default(),
            format: format(fact.dtype, layout),
        }
    };
    let variable = |value: &&ValueId| graph.constant(**value).is_none();
    let weights = node.inputs.iter().filter_map(|&value| graph.constant(value)).find(|tensor| tensor.rank() > 1);
    Detailed {
        name: node.name.clone(),
        layer_type: node.op.name().to_owned(),
        inputs: node.inputs.iter().filter(variable).map(port).collect(),
        outputs: node.outputs.iter().map(port).collect(),
        precision: node.precision.name(),
        weights: weights.map(|tensor| Weights { r#type: weight_type(tensor.dtype()), count: tensor.len() }),
        tactic_name,
        stream_id: 0,
        metadata: about.metadata(&node.name),
    }
}

/// Between the names of ONNX nodes: TensorRT's record separator.
const SEPARATOR: char = '\u{1e}';

/// What of an engine is in no node.
struct About {
    /// The ONNX nodes of each group: the group's name, and a node's.
    origins: Vec<(String, String)>,
    /// The network's inputs and outputs, with their layouts.
    borders: Vec<(ValueId, Layout)>,
}

impl About {
    fn of(engine: &Engine) -> Self {
        let graph = &engine.graph;
        let accounts = engine.ledger.account(graph).into_iter();
        let origins = accounts.filter_map(|account| Some((account.group?, account.origin.name))).collect();
        let layouts = |ports: Vec<PortFormat>| ports.into_iter().map(|port| port.layout);
        let inputs = graph.inputs.iter().copied().zip(layouts(engine.inputs()));
        let borders = inputs.chain(graph.outputs.iter().copied().zip(layouts(engine.outputs()))).collect();
        Self { origins, borders }
    }

    fn metadata(&self, group: &str) -> String {
        let inside = self.origins.iter().filter(|(of, _)| of == group);
        let names: Vec<String> = inside.map(|(_, name)| format!("[ONNX Layer: {name}]")).collect();
        names.join(&SEPARATOR.to_string())
    }
}

/// How kernels have pictures: channels last, padded to vectors of 16 bytes. For FP32 no layout of ports is that.
fn packed_layout(dtype: DType) -> Layout {
    match dtype {
        DType::F16 => Layout::Hwc8,
        DType::I8 => Layout::Hwc16,
        _ => Layout::Hwc,
    }
}

/// How a tensor lies, in TensorRT's words.
fn format(dtype: DType, layout: Layout) -> String {
    let name = match dtype {
        DType::F32 => "FP32",
        DType::F16 => "FP16",
        DType::I8 => "Int8",
        DType::U8 => "UInt8",
        DType::I32 => "Int32",
        DType::I64 => "Int64",
        DType::Bool => "BOOL",
    };
    match (layout, dtype) {
        (Layout::Chw, DType::F32 | DType::I32 | DType::Bool) => format!("Row major linear {name}"),
        (Layout::Chw, DType::I8) => "Row major Int8 format".to_owned(),
        (Layout::Chw, _) => format!("Row major linear {name} format"),
        (Layout::Hwc, _) => format!("Channel major {name} format"),
        (Layout::Hwc8, _) => format!("Channel major {name} format where channel % 8 == 0"),
        (Layout::Hwc16, _) => format!("Channel major {} format where channel % 16 == 0", name.to_uppercase()),
        (Layout::Chw4, _) => format!("Four wide channel vectorized row major {name} format"),
        (Layout::Chw16, _) => format!("Sixteen wide channel vectorized row major {name} format"),
        (Layout::Chw32, _) => format!("Thirty-two wide channel vectorized row major {name} format"),
    }
}

fn weight_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "Float",
        DType::F16 => "Half",
        DType::I8 => "Int8",
        DType::U8 => "UInt8",
        DType::I32 => "Int32",
        DType::I64 => "Int64",
        DType::Bool => "Bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Builder, Destination};
    use limpid_kernels::target::Arch;

    fn engine(destination: Destination) -> Engine {
        let network = crate::zoo::find("mlp").expect("it is in the zoo").build(1).expect("it is built");
        let bytes = network.model.to_bytes().expect("a model");
        Builder::new(destination).build_bytes(&bytes, "mlp.onnx".as_ref(), None, &mut ()).expect("an engine")
    }

    #[test]
    fn layers_are_told_by_name_or_in_detail() {
        let engine = engine(Destination::Cpu);
        let of = |verbosity| LayerInfo::of(&engine, &engine.metadata.opt(), verbosity).expect("layers");
        let (names, detailed) = (of(Verbosity::LayerNamesOnly), of(Verbosity::Detailed));
        assert_eq!(names.bindings.len(), 2);
        assert_eq!(names.layers.len(), engine.graph.nodes().count());
        assert!(of(Verbosity::None).layers.is_empty());
        for (name, layer) in names.layers.iter().zip(&detailed.layers) {
            let (Layer::Name(name), Layer::Detailed(layer)) = (name, layer) else { panic!("{layer:?}") };
            assert_eq!(*name, layer.name);
            assert!(layer.metadata.contains("[ONNX Layer: "), "{layer:?}");
            assert!(layer.outputs.iter().all(|port| port.dimensions[0] == 1), "{layer:?}");
        }
        let weights: usize = detailed
            .layers
            .iter()
            .map(|layer| match layer {
                Layer::Detailed(layer) => layer.weights.as_ref().map_or(0, |weights| weights.count),
                Layer::Name(_) => 0,
            })
            .sum();
        let matrices = engine.graph.values().filter_map(|(_, value)| value.constant.as_ref()).filter(|t| t.rank() > 1);
        assert_eq!(weights, matrices.map(limpid_graph::tensor::Tensor::len).sum::<usize>());
        assert!(detailed.text().lines().count() > names.layers.len());
    }

    #[test]
    fn the_layers_of_a_gpu_are_its_kernels() {
        if limpid_kernels::device::Compiler::new().is_err() {
            eprintln!("SKIPPED: no NVRTC");
            return;
        }
        let engine = engine(Destination::Target(Arch(80)));
        let info = LayerInfo::of(&engine, &engine.metadata.opt(), Verbosity::Detailed).expect("layers");
        assert_eq!(info.layers.len(), engine.plans[0].steps.len());
        let tactics =
            info.layers.iter().filter(|layer| matches!(layer, Layer::Detailed(l) if l.tactic_name.contains('/')));
        assert_eq!(tactics.count(), info.layers.len());
    }
}

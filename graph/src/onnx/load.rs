use super::{Builder, ImportError, Model, NodeView, UnsupportedNode, tensor};
use crate::ir::{Fact, ValueId};
use crate::ops;
use crate::tensor::{Dim, Shape, Symbol};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tract_onnx::pb;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::prelude::Framework;

/// Reads a model file; tensors kept in files beside it are found relative to it.
pub fn load(path: &Path) -> Result<Model, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io { path: path.to_owned(), source })?;
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    load_bytes(&bytes, path, Some(directory))
}

/// Reads a model from memory; `path` is only for messages, `directory` for external data.
pub fn load_bytes(bytes: &[u8], path: &Path, directory: Option<&Path>) -> Result<Model, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty(path.to_owned()));
    }
    let not_onnx = |reason: String| ImportError::NotOnnx { path: path.to_owned(), reason };
    let proto = tract_onnx::Onnx::default().proto_model_for_read(&mut &bytes[..]).map_err(|e| {
        not_onnx(describe(bytes).map_or_else(|| format!("{e:#}; the file may be cut off"), str::to_owned))
    })?;
    let graph = proto.graph.as_ref().filter(|g| !g.output.is_empty()).ok_or_else(|| {
        not_onnx(describe(bytes).unwrap_or("it holds no graph with outputs; the file may be cut off").to_owned())
    })?;
    let opset = |domain: &str| {
        proto.opset_import.iter().filter(|o| canonical(&o.domain) == canonical(domain)).map(|o| o.version).max()
    };
    let mut reader = Reader {
        build: Builder::new(if graph.name.is_empty() { "model" } else { &graph.name }),
        values: BTreeMap::new(),
        directory,
        opset: opset("").unwrap_or(1),
    };
    reader.initializers(graph)?;
    reader.inputs(graph)?;
    reader.nodes(graph, &|domain| opset(domain).unwrap_or(1))?;
    reader.outputs(graph)?;
    let Reader { build: Builder { graph, ledger, .. }, opset, .. } = reader;
    graph.verify()?;
    let producer = format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned();
    Ok(Model { graph, ledger, opset, producer })
}

/// The default domain has two spellings.
fn canonical(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// What a file that is no model most likely is, by its first bytes.
pub fn describe(bytes: &[u8]) -> Option<&'static str> {
    const SIGNATURES: &[(&[u8], &str)] = &[
        (b"\x89PNG", "it is a PNG picture"),
        (b"\xff\xd8\xff", "it is a JPEG picture"),
        (b"GIF8", "it is a GIF picture"),
        (b"PK\x03\x04", "it is a zip archive (a PyTorch .pt file? export it with torch.onnx.export)"),
        (b"\x80\x02", "it is a Python pickle (export the network with torch.onnx.export)"),
        (b"\x89HDF", "it is an HDF5 file (a Keras model? convert it with tf2onnx)"),
        (b"TFL3", "it is a TensorFlow Lite model"),
        (b"<", "it is a text file that starts like HTML or XML"),
        (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"),
        (b"\x93NUMPY", "it is a NumPy array"),
        (b"LIMPID", "it is a limpid engine; this command takes the ONNX model it was built from"),
    ];
    SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)).map(|(_, text)| *text)
}

struct Reader<'a> {
    build: Builder,
    /// ONNX names to values.
    values: BTreeMap<String, ValueId>,
    directory: Option<&'a Path>,
    opset: i64,
}

impl<'a> Reader<'a> {
    fn initializers(&mut self, graph: &pb::GraphProto) -> Result<(), ImportError> {
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map(|v| v.name.clone()).unwrap_or_default();
            return Err(ImportError::Tensor {
                name,
                reason: "sparse initializers are not supported; store it dense".into(),
            });
        }
        for proto in &graph.initializer {
            let tensor = tensor::decode(proto, &proto.name, self.directory)?;
            let id = self.build.graph.add_constant(&proto.name, tensor);
            self.values.insert(proto.name.clone(), id);
        }
        Ok(())
    }

    /// Inputs that are not initializers (before IR version 4 every initializer is listed as an input, too).
    fn inputs(&mut self, graph: &pb::GraphProto) -> Result<(), ImportError> {
        for input in graph.input.iter().filter(|i| !self.values.contains_key(&i.name)).collect::<Vec<_>>() {
            let fact = fact_of(input)?;
            let id = self.build.graph.add_input(&input.name, fact);
            self.values.insert(input.name.clone(), id);
        }
        Ok(())
    }

    /// Nodes in dependency order, whatever their order in the file. All unsupported ones are found before giving up.
    fn nodes(&mut self, graph: &'a pb::GraphProto, opset: &dyn Fn(&str) -> i64) -> Result<(), ImportError> {
        self.check_names(graph)?;
        let mut unsupported = Vec::new();
        let mut unknown: BTreeSet<&str> = BTreeSet::new();
        let mut pending: Vec<&pb::NodeProto> = graph.node.iter().collect();
        let mut names = BTreeSet::new();
        while !pending.is_empty() {
            let before = pending.len();
            let mut waiting = Vec::new();
            for proto in pending {
                let mut inputs = proto.input.iter().filter(|i| !i.is_empty());
                let ready = inputs.clone().all(|i| self.values.contains_key(i) || unknown.contains(i.as_str()));
                if !ready {
                    waiting.push(proto);
                    continue;
                }
                let name = unique_name(proto, &mut names);
                let supported = canonical(&proto.domain).is_empty() && ops::importer(&proto.op_type).is_some();
                let blocked = inputs.any(|i| unknown.contains(i.as_str()));
                if !supported {
                    unsupported.push(self.unsupported(proto, &name, opset(&proto.domain)));
                }
                if !supported || blocked {
                    unknown.extend(proto.output.iter().map(String::as_str));
                    continue;
                }
                self.node(proto, name)?;
            }
            if waiting.len() == before {
                return Err(ImportError::Cycle(waiting.iter().take(8).map(|n| label(n)).collect()));
            }
            pending = waiting;
        }
        if unsupported.is_empty() { Ok(()) } else { Err(ImportError::Unsupported(unsupported)) }
    }

    fn check_names(&self, graph: &pb::GraphProto) -> Result<(), ImportError> {
        let mut made: BTreeSet<&str> = BTreeSet::new();
        for node in &graph.node {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if self.values.contains_key(output) || !made.insert(output) {
                    return Err(ImportError::Duplicate { value: output.clone(), node: label(node) });
                }
            }
        }
        for node in &graph.node {
            let missing = node
                .input
                .iter()
                .find(|i| !i.is_empty() && !made.contains(i.as_str()) && !self.values.contains_key(i.as_str()));
            if let Some(value) = missing {
                let (node, op) = (label(node), node.op_type.clone());
                return Err(ImportError::MissingValue { node, op, value: value.clone() });
            }
        }
        Ok(())
    }

    fn node(&mut self, proto: &'a pb::NodeProto, name: String) -> Result<(), ImportError> {
        let Some(importer) = ops::importer(&proto.op_type) else { return Ok(()) };
        let origin = self.build.ledger.register(&name, &proto.op_type);
        let inputs = proto.input.iter().map(|i| self.values.get(i).copied()).collect();
        let view = NodeView { proto, name, origin, opset: self.opset, inputs, directory: self.directory };
        let outputs = importer(&view, &mut self.build)?;
        for (name, value) in proto.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            // An importer may pass an input through; that value keeps the name it has.
            if self.build.graph.value(value).producer.is_some() {
                self.build.graph.value_mut(value).name = name.clone();
            }
            self.values.insert(name.clone(), value);
        }
        Ok(())
    }

    fn unsupported(&self, proto: &pb::NodeProto, name: &str, opset: i64) -> UnsupportedNode {
        let shape = |input: &String| match self.values.get(input) {
            Some(&value) => self.build.graph.fact(value).to_string(),
            None if input.is_empty() => "left out".to_owned(),
            None => "unknown".to_owned(),
        };
        let domain = canonical(&proto.domain);
        let op = if domain.is_empty() { proto.op_type.clone() } else { format!("{domain}.{}", proto.op_type) };
        UnsupportedNode { node: name.to_owned(), op, opset, inputs: proto.input.iter().map(shape).collect() }
    }

    fn outputs(&mut self, graph: &pb::GraphProto) -> Result<(), ImportError> {
        for output in &graph.output {
            let value = self.values.get(&output.name).copied().ok_or_else(|| ImportError::MissingValue {
                node: graph.name.clone(),
                op: "graph output".to_owned(),
                value: output.name.clone(),
            })?;
            self.build.graph.outputs.push(value);
        }
        Ok(())
    }
}

fn label(node: &pb::NodeProto) -> String {
    if !node.name.is_empty() {
        return node.name.clone();
    }
    node.output.first().map_or_else(|| node.op_type.clone(), |o| format!("{}:{o}", node.op_type))
}

fn unique_name(node: &pb::NodeProto, taken: &mut BTreeSet<String>) -> String {
    let base = label(node);
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{base}#{count}");
    }
    name
}

fn fact_of(input: &pb::ValueInfoProto) -> Result<Fact, ImportError> {
    let fail = |reason: String| ImportError::Input { name: input.name.clone(), reason };
    let Some(pb::type_proto::Value::TensorType(kind)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(fail("is not a tensor; sequences and maps are not supported".to_owned()));
    };
    let dtype = tensor::input_dtype(kind.elem_type).ok_or_else(|| {
        fail(format!("has element type {}; expected f32, f16, i8, u8, i32, i64 or bool", kind.elem_type))
    })?;
    let shape = kind
        .shape
        .as_ref()
        .ok_or_else(|| fail("has no shape; export the model with shapes, symbolic ones where they vary".to_owned()))?;
    let dims = shape.dim.iter().enumerate().map(|(axis, dim)| match &dim.value {
        Some(DimValue::DimValue(0)) => {
            Err(fail(format!("has extent 0 along axis {axis}; there is nothing to compute")))
        }
        Some(DimValue::DimValue(extent)) if *extent > 0 => Ok(Dim::from(*extent)),
        Some(DimValue::DimParam(name)) if !name.is_empty() => Ok(Dim::symbol(Symbol::new(name))),
        _ => Ok(Dim::symbol(Symbol::new(&format!("{}_dim{axis}", input.name)))),
    });
    Ok(Fact::new(dtype, Shape::new(dims.collect::<Result<Vec<_>, _>>()?)))
}

use super::wire::{EncodedModel, data_type, tensor_header};
use crate::ir::Fact;
use crate::tensor::{Dim, Tensor};
use std::collections::BTreeSet;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as DimValue};

/// Why a model cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A node (or the list of outputs) reads a name that nothing before it defines.
    #[error("`{reader}` reads `{value}`, which no input, initializer or earlier node defines")]
    Undefined {
        /// The node, or `outputs`.
        reader: String,
        /// The name it reads.
        value: String,
    },
    /// Two things define one name.
    #[error("`{0}` is defined twice; every value of an ONNX graph has one source")]
    Duplicate(String),
    /// More than a protobuf message can hold.
    #[error("the model takes {bytes} bytes, an ONNX file without external data holds at most {}", i32::MAX)]
    TooLarge {
        /// What it would take.
        bytes: usize,
    },
}

/// The value of a node's attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A number; flags are 0 and 1.
    Int(i64),
    /// A real number.
    Float(f32),
    /// A word such as `half_pixel`.
    Text(String),
    /// A list such as the strides.
    Ints(Vec<i64>),
    /// A list of reals.
    Floats(Vec<f32>),
    /// A constant.
    Tensor(Tensor),
}

macro_rules! attribute_from {
    ($($source:ty => |$value:ident| $make:expr;)*) => {
        $(impl From<$source> for Attribute {
            fn from($value: $source) -> Self { $make }
        })*
    };
}
attribute_from! {
    i64 => |v| Attribute::Int(v);
    f32 => |v| Attribute::Float(v);
    &str => |v| Attribute::Text(v.to_owned());
    Vec<i64> => |v| Attribute::Ints(v);
    Vec<f32> => |v| Attribute::Floats(v);
    Tensor => |v| Attribute::Tensor(v);
}

/// One node to be written: operator, name, what it reads, what it makes, attributes.
///
/// ```
/// use limpid_graph::onnx::NodeWriter;
/// let pool = NodeWriter::new("MaxPool", "/maxpool/MaxPool")
///     .inputs(["x"])
///     .outputs(["y"])
///     .attribute("kernel_shape", vec![2, 2])
///     .attribute("strides", vec![2, 2]);
/// # let _ = pool;
/// ```
#[derive(Clone, Debug)]
pub struct NodeWriter(pb::NodeProto);

impl NodeWriter {
    /// A node of the default domain without inputs, outputs or attributes.
    pub fn new(op_type: &str, name: &str) -> Self {
        Self(pb::NodeProto { op_type: op_type.to_owned(), name: name.to_owned(), ..Default::default() })
    }

    /// The values it reads, in the operator's order; `""` for an optional one that is left out.
    pub fn inputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.0.input.extend(names.into_iter().map(Into::into));
        self
    }

    /// The values it makes.
    pub fn outputs<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.0.output.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        let mut proto = pb::AttributeProto { name: name.to_owned(), ..Default::default() };
        let kind = match value.into() {
            Attribute::Int(v) => {
                proto.i = v;
                AttributeType::Int
            }
            Attribute::Float(v) => {
                proto.f = v;
                AttributeType::Float
            }
            Attribute::Text(v) => {
                proto.s = v.into_bytes();
                AttributeType::String
            }
            Attribute::Ints(v) => {
                proto.ints = v;
                AttributeType::Ints
            }
            Attribute::Floats(v) => {
                proto.floats = v;
                AttributeType::Floats
            }
            Attribute::Tensor(v) => {
                proto.t = Some(pb::TensorProto { raw_data: v.bytes().to_vec(), ..tensor_header(name, &v) });
                AttributeType::Tensor
            }
        };
        proto.r#type = kind as i32;
        self.0.attribute.push(proto);
        self
    }
}

/// An ONNX model as it is being stated: inputs, initializers, nodes in the order they run, outputs.
///
/// Names are checked once, when the model is written.
#[derive(Clone, Debug)]
pub struct ModelWriter {
    opset: i64,
    graph: pb::GraphProto,
    initializers: Vec<(String, Tensor)>,
}

impl ModelWriter {
    /// An empty model whose nodes mean what version `opset` of the default operator set says.
    pub fn new(name: &str, opset: i64) -> Self {
        let graph = pb::GraphProto { name: name.to_owned(), ..Default::default() };
        Self { opset, graph, initializers: Vec::new() }
    }

    /// Adds an input of the network; symbolic dims are written by their name.
    pub fn add_input(&mut self, name: &str, fact: &Fact) {
        self.graph.input.push(value_info(name, fact));
    }

    /// Adds an output of the network: a value that a node makes.
    pub fn add_output(&mut self, name: &str, fact: &Fact) {
        self.graph.output.push(value_info(name, fact));
    }

    /// Adds a constant, such as weights. The tensor is shared, not copied.
    pub fn add_initializer(&mut self, name: &str, tensor: Tensor) {
        self.initializers.push((name.to_owned(), tensor));
    }

    /// Adds a node; what it reads must have been defined before.
    pub fn add_node(&mut self, node: NodeWriter) {
        self.graph.node.push(node.0);
    }

    /// The file's bytes, in memory.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let encoded = self.encode()?;
        let mut bytes = Vec::with_capacity(encoded.len());
        // Writing to memory does not fail.
        let _ = encoded.write_to(&mut bytes);
        Ok(bytes)
    }

    /// Checks the model and lays out its file; the weights stay where they are until it is written.
    ///
    /// # Errors
    /// [`WriteError::Undefined`], [`WriteError::Duplicate`] or [`WriteError::TooLarge`].
    pub fn encode(&self) -> Result<EncodedModel<'_>, WriteError> {
        self.check()?;
        let encoded = EncodedModel::new(&self.model(), &self.graph, &self.initializers);
        match encoded.len() {
            bytes if i32::try_from(bytes).is_err() => Err(WriteError::TooLarge { bytes }),
            _ => Ok(encoded),
        }
    }

    /// All of the model but its graph.
    fn model(&self) -> pb::ModelProto {
        // The oldest format version that goes with the operator set, so that older readers take the file
        // (onnx/docs/Versioning.md, "Released Versions").
        let ir_version = match self.opset {
            ..=18 => 8,
            19..=20 => 9,
            _ => 10,
        };
        pb::ModelProto {
            ir_version,
            opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: self.opset }],
            producer_name: "limpid".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        }
    }

    /// Every name has one definition, and it comes before its uses.
    fn check(&self) -> Result<(), WriteError> {
        let mut defined: BTreeSet<&str> = BTreeSet::new();
        let inputs = self.graph.input.iter().map(|i| i.name.as_str());
        for name in inputs.chain(self.initializers.iter().map(|(name, _)| name.as_str())) {
            define(&mut defined, name)?;
        }
        for node in &self.graph.node {
            if let Some(value) = node.input.iter().find(|i| !i.is_empty() && !defined.contains(i.as_str())) {
                return Err(WriteError::Undefined { reader: node.name.clone(), value: value.clone() });
            }
            node.output.iter().filter(|o| !o.is_empty()).try_for_each(|name| define(&mut defined, name))?;
        }
        match self.graph.output.iter().find(|o| !defined.contains(o.name.as_str())) {
            Some(output) => Err(WriteError::Undefined { reader: "outputs".to_owned(), value: output.name.clone() }),
            None => Ok(()),
        }
    }
}

fn define<'a>(defined: &mut BTreeSet<&'a str>, name: &'a str) -> Result<(), WriteError> {
    if defined.insert(name) { Ok(()) } else { Err(WriteError::Duplicate(name.to_owned())) }
}

fn value_info(name: &str, fact: &Fact) -> pb::ValueInfoProto {
    let dimension = |dim: &Dim| Dimension {
        value: Some(dim.as_const().map_or_else(|| DimValue::DimParam(dim.to_string()), DimValue::DimValue)),
        ..Default::default()
    };
    let shape = pb::TensorShapeProto { dim: fact.shape.iter().map(dimension).collect() };
    let tensor = pb::type_proto::Tensor { elem_type: data_type(fact.dtype), shape: Some(shape) };
    let kind = pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
}

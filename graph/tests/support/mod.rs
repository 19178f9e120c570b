//! Small ONNX models made in memory, run by limpid's interpreter and by tract.
#![allow(dead_code)] // each test program uses part of it

use limpid_graph::onnx::{self, ImportError, Model};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{DType, Tensor};
use prost::Message;
use std::path::Path;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::prelude::*;

/// An attribute's value.
pub enum Attribute {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Text(&'static str),
}

/// One node: operator, inputs, outputs, attributes.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<(&str, Attribute)>) -> pb::NodeProto {
    let attribute = attributes.into_iter().map(|(name, value)| {
        let mut proto = pb::AttributeProto { name: name.to_owned(), ..Default::default() };
        let kind = match value {
            Attribute::Int(i) => {
                proto.i = i;
                AttributeType::Int
            }
            Attribute::Float(f) => {
                proto.f = f;
                AttributeType::Float
            }
            Attribute::Ints(ints) => {
                proto.ints = ints;
                AttributeType::Ints
            }
            Attribute::Text(text) => {
                proto.s = text.as_bytes().to_vec();
                AttributeType::String
            }
        };
        proto.r#type = kind as i32;
        proto
    });
    pb::NodeProto {
        op_type: op.to_owned(),
        name: outputs[0].to_owned(),
        input: inputs.iter().map(|s| (*s).to_owned()).collect(),
        output: outputs.iter().map(|s| (*s).to_owned()).collect(),
        attribute: attribute.collect(),
        ..Default::default()
    }
}

/// A model with f32 inputs `(name, shape)`, initializers and outputs by name; opset 13 unless changed.
pub fn model(
    inputs: &[(&str, &[usize])],
    constants: &[(&str, Tensor)],
    nodes: Vec<pb::NodeProto>,
    outputs: &[&str],
) -> pb::ModelProto {
    let initializer = constants.iter().map(|(name, tensor)| {
        let kind = match tensor.dtype() {
            DType::I8 => pb::tensor_proto::DataType::Int8,
            DType::U8 => pb::tensor_proto::DataType::Uint8,
            DType::I32 => pb::tensor_proto::DataType::Int32,
            dtype if dtype.is_float() => pb::tensor_proto::DataType::Float,
            _ => pb::tensor_proto::DataType::Int64,
        };
        pb::TensorProto {
            name: (*name).to_owned(),
            dims: tensor.shape().iter().map(|&d| d as i64).collect(),
            data_type: kind as i32,
            raw_data: tensor.bytes().to_vec(),
            ..Default::default()
        }
    });
    let graph = pb::GraphProto {
        name: "test".to_owned(),
        node: nodes,
        initializer: initializer.collect(),
        input: inputs.iter().map(|(name, shape)| value(name, Some(shape))).collect(),
        output: outputs.iter().map(|name| value(name, None)).collect(),
        ..Default::default()
    };
    pb::ModelProto {
        ir_version: 7,
        opset_import: vec![pb::OperatorSetIdProto { version: 13, ..Default::default() }],
        graph: Some(graph),
        ..Default::default()
    }
}

fn value(name: &str, shape: Option<&&[usize]>) -> pb::ValueInfoProto {
    let dim = |&extent: &usize| pb::tensor_shape_proto::Dimension {
        value: Some(pb::tensor_shape_proto::dimension::Value::DimValue(extent as i64)),
        ..Default::default()
    };
    let shape = shape.map(|s| pb::TensorShapeProto { dim: s.iter().map(dim).collect() });
    let tensor = pb::type_proto::Tensor { elem_type: pb::tensor_proto::DataType::Float as i32, shape };
    let kind = pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.to_owned(), r#type: Some(kind), ..Default::default() }
}

/// limpid's import of it.
pub fn import(model: &pb::ModelProto) -> Result<Model, ImportError> {
    onnx::load_bytes(&model.encode_to_vec(), Path::new("test.onnx"), None)
}

/// limpid's answer.
pub fn limpid(model: &pb::ModelProto, inputs: &[Tensor]) -> Vec<Tensor> {
    let model = import(model).unwrap();
    Interpreter::new(&model.graph).unwrap().run(inputs).unwrap()
}

/// tract's answer.
pub fn tract(model: &pb::ModelProto, inputs: &[Tensor]) -> Vec<Tensor> {
    let bytes = model.encode_to_vec();
    let plan = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    let plan = plan.into_typed().unwrap().into_runnable().unwrap();
    let inputs = inputs.iter().map(|t| {
        let values = t.as_slice::<f32>().unwrap();
        tract_onnx::prelude::Tensor::from_shape(t.shape(), values).unwrap().into_tvalue()
    });
    let outputs = plan.run(inputs.collect()).unwrap();
    outputs
        .iter()
        .map(|t| {
            let values: Vec<f32> = t.to_plain_array_view::<f32>().unwrap().iter().copied().collect();
            Tensor::new(t.shape(), values).unwrap()
        })
        .collect()
}

/// Reproducible numbers in [-1, 1), different for each seed.
pub fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    Tensor::new(shape, (0..shape.iter().product()).map(draw).collect::<Vec<f32>>()).unwrap()
}

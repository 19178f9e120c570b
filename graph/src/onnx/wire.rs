//! The bytes of an ONNX file, streamed.
//!
//! A protobuf message is its fields one after another, each a key (number and wire type), a length and a
//! payload ([Encoding](https://protobuf.dev/programming-guides/encoding/)). That makes it possible to let the
//! protobuf library encode all that is small, and to copy the weights, which are nearly the whole file, straight
//! from where they lie: VGG-16's 553 MB are never held twice.

use crate::tensor::{DType, Tensor};
use prost::Message;
use std::io::{self, Write};
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

/// `ModelProto.graph`, `GraphProto.initializer` and `TensorProto.raw_data` in onnx.proto.
const GRAPH: u8 = 7;
const INITIALIZER: u8 = 5;
const RAW_DATA: u8 = 9;

/// Wire type 2: a length, then that many bytes.
const LENGTH_DELIMITED: u8 = 2;

/// ONNX's number for an element type.
pub(super) fn data_type(dtype: DType) -> i32 {
    let kind = match dtype {
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::I8 => DataType::Int8,
        DType::U8 => DataType::Uint8,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::Bool => DataType::Bool,
    };
    kind as i32
}

/// A tensor's name, type and extents; the elements follow as raw data.
pub(super) fn tensor_header(name: &str, tensor: &Tensor) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        data_type: data_type(tensor.dtype()),
        dims: tensor.shape().iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect(),
        ..Default::default()
    }
}

/// A model ready to be written: every length is known.
///
/// Made by [`ModelWriter::encode`](super::ModelWriter::encode).
#[derive(Debug)]
pub struct EncodedModel<'a> {
    model: Vec<u8>,
    graph: Vec<u8>,
    initializers: Vec<(Vec<u8>, &'a [u8])>,
}

impl<'a> EncodedModel<'a> {
    /// `model` without its graph, `graph` without its initializers, and those.
    pub(super) fn new(model: &pb::ModelProto, graph: &pb::GraphProto, initializers: &'a [(String, Tensor)]) -> Self {
        let header =
            |(name, tensor): &'a (String, Tensor)| (tensor_header(name, tensor).encode_to_vec(), tensor.bytes());
        Self {
            model: model.encode_to_vec(),
            graph: graph.encode_to_vec(),
            initializers: initializers.iter().map(header).collect(),
        }
    }

    /// Bytes of the whole file.
    #[expect(clippy::len_without_is_empty, reason = "no model is empty")]
    pub fn len(&self) -> usize {
        self.model.len() + field_len(self.graph_len())
    }

    /// Writes the file's bytes. Raw data is little-endian, as every machine with a CUDA GPU is.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.model)?;
        write_key(out, GRAPH, self.graph_len())?;
        out.write_all(&self.graph)?;
        for (header, data) in &self.initializers {
            write_key(out, INITIALIZER, tensor_len(header, data))?;
            out.write_all(header)?;
            write_key(out, RAW_DATA, data.len())?;
            out.write_all(data)?;
        }
        Ok(())
    }

    fn graph_len(&self) -> usize {
        let tensors = self.initializers.iter().map(|(header, data)| field_len(tensor_len(header, data)));
        self.graph.len() + tensors.sum::<usize>()
    }
}

fn tensor_len(header: &[u8], data: &[u8]) -> usize {
    header.len() + field_len(data.len())
}

/// Bytes of a field with a payload of `len` bytes. The key of a field below 16 is one byte.
fn field_len(len: usize) -> usize {
    1 + varint(len).len() + len
}

fn write_key(out: &mut dyn Write, field: u8, len: usize) -> io::Result<()> {
    out.write_all(&[field << 3 | LENGTH_DELIMITED])?;
    out.write_all(&varint(len))
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streamed_bytes_are_what_the_protobuf_library_reads() {
        let weights = vec![
            ("small".to_owned(), Tensor::new(&[3], vec![1f32, -2.0, 3.5]).unwrap()),
            // Long enough that lengths take three bytes.
            ("large".to_owned(), Tensor::new(&[130, 130], vec![7i64; 130 * 130]).unwrap()),
            ("empty".to_owned(), Tensor::new(&[0], Vec::<f32>::new()).unwrap()),
        ];
        let mut graph = pb::GraphProto { name: "g".to_owned(), ..Default::default() };
        let mut model = pb::ModelProto { ir_version: 8, ..Default::default() };
        let encoded = EncodedModel::new(&model, &graph, &weights);
        let mut bytes = Vec::new();
        encoded.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len(), encoded.len());

        graph.initializer = weights
            .iter()
            .map(|(name, t)| pb::TensorProto { raw_data: t.bytes().to_vec(), ..tensor_header(name, t) })
            .collect();
        model.graph = Some(graph);
        assert_eq!(pb::ModelProto::decode(bytes.as_slice()).unwrap(), model);
    }

    #[test]
    fn varints_match_the_specification() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [127]);
        assert_eq!(varint(150), [0x96, 0x01]);
        assert_eq!(varint(1 << 14), [0x80, 0x80, 0x01]);
    }
}

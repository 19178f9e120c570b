use super::{ImportError, tensor};
use crate::ir::{OriginId, ValueId};
use crate::ops::OpError;
use crate::tensor::Tensor;
use std::path::Path;
use tract_onnx::pb;
use tract_onnx::pb::attribute_proto::AttributeType;

/// One ONNX node, as an operator's `from_onnx` sees it: inputs already resolved to values, attributes typed.
pub struct NodeView<'a> {
    pub(super) proto: &'a pb::NodeProto,
    pub(super) name: String,
    pub(super) origin: OriginId,
    pub(super) opset: i64,
    pub(super) inputs: Vec<Option<ValueId>>,
    pub(super) directory: Option<&'a Path>,
}

impl NodeView<'_> {
    /// The node's name; made from its operator and first output if the file gives none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its operator.
    pub fn op_type(&self) -> &str {
        &self.proto.op_type
    }

    /// Version of its operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Its place in the ledger.
    pub fn origin(&self) -> OriginId {
        self.origin
    }

    /// Number of inputs listed, left-out ones included.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Number of outputs listed.
    pub fn output_count(&self) -> usize {
        self.proto.output.len()
    }

    /// True if the output of this index is named, so that somebody may read it.
    pub fn wants_output(&self, index: usize) -> bool {
        self.proto.output.get(index).is_some_and(|name| !name.is_empty())
    }

    /// The input of this index; an error if it is left out.
    pub fn input(&self, index: usize) -> Result<ValueId, ImportError> {
        self.optional_input(index).ok_or_else(|| {
            self.error(OpError::Arity { expected: format!("at least {}", index + 1), got: self.inputs.len() })
        })
    }

    /// The input of this index, if given.
    pub fn optional_input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// All inputs; an error if one is left out.
    pub fn all_inputs(&self) -> Result<Vec<ValueId>, ImportError> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// An integer attribute.
    pub fn int(&self, name: &'static str) -> Result<Option<i64>, ImportError> {
        Ok(self.attribute(name, AttributeType::Int)?.map(|a| a.i))
    }

    /// An integer attribute that must be positive.
    pub fn positive(&self, name: &'static str) -> Result<Option<usize>, ImportError> {
        let Some(value) = self.int(name)? else { return Ok(None) };
        match usize::try_from(value) {
            Ok(size) if size > 0 => Ok(Some(size)),
            _ => Err(self.bad_attribute(name, "a positive number", value)),
        }
    }

    /// An integer attribute that is 0 or 1.
    pub fn flag(&self, name: &'static str) -> Result<bool, ImportError> {
        Ok(self.int(name)?.is_some_and(|v| v != 0))
    }

    /// A real attribute.
    pub fn float(&self, name: &'static str) -> Result<Option<f32>, ImportError> {
        Ok(self.attribute(name, AttributeType::Float)?.map(|a| a.f))
    }

    /// A list of integers.
    pub fn ints(&self, name: &'static str) -> Result<Option<Vec<i64>>, ImportError> {
        Ok(self.attribute(name, AttributeType::Ints)?.map(|a| a.ints.clone()))
    }

    /// A list of reals.
    pub fn floats(&self, name: &'static str) -> Result<Option<Vec<f32>>, ImportError> {
        Ok(self.attribute(name, AttributeType::Floats)?.map(|a| a.floats.clone()))
    }

    /// A text attribute.
    pub fn string(&self, name: &'static str) -> Result<Option<String>, ImportError> {
        let Some(attribute) = self.attribute(name, AttributeType::String)? else { return Ok(None) };
        match String::from_utf8(attribute.s.clone()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.bad_attribute(name, "UTF-8 text", "other bytes")),
        }
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &'static str) -> Result<Option<Tensor>, ImportError> {
        let Some(attribute) = self.attribute(name, AttributeType::Tensor)? else { return Ok(None) };
        let proto = attribute.t.as_ref().ok_or_else(|| self.bad_attribute(name, "a tensor", "nothing"))?;
        let label = format!("{}.{name}", self.name);
        tensor::decode(proto, &label, self.directory).map(Some)
    }

    fn attribute(&self, name: &'static str, kind: AttributeType) -> Result<Option<&pb::AttributeProto>, ImportError> {
        let Some(attribute) = self.proto.attribute.iter().find(|a| a.name == name) else { return Ok(None) };
        // Files older than IR version 3 leave the type out.
        if attribute.r#type == kind as i32 || attribute.r#type == AttributeType::Undefined as i32 {
            return Ok(Some(attribute));
        }
        let got = AttributeType::try_from(attribute.r#type)
            .map_or_else(|_| format!("type {}", attribute.r#type), |t| t.as_str_name().to_owned());
        Err(self.bad_attribute(name, kind.as_str_name(), got))
    }

    /// An error about this node.
    pub fn error(&self, source: OpError) -> ImportError {
        ImportError::Node { node: self.name.clone(), op: self.proto.op_type.clone(), source }
    }

    /// An error about an attribute (or an input that older opsets had as an attribute).
    pub fn bad_attribute(&self, name: &'static str, expected: impl ToString, got: impl ToString) -> ImportError {
        self.error(OpError::Attribute { name, expected: expected.to_string(), got: got.to_string() })
    }
}

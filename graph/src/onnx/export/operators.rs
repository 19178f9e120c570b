//! Every operator's form in ONNX. Most read there what they read here, and differ in their attributes only.

use super::super::wire::data_type;
use super::step::{Attributes, int, ints};
use super::{ExportError, Exporter};
use crate::ir::Node;
use crate::ops::{Binary, DepthOrder, Op, PoolKind, UnaryFunction};
use crate::tensor::Element;

impl Exporter<'_> {
    /// Adds the steps a node comes to and returns the names of its results.
    pub fn operator(&mut self, node: &Node) -> Result<Vec<String>, ExportError> {
        Ok(vec![match &node.op {
            Op::Conv(op) => self.conv(op, node),
            Op::ConvTranspose(op) => self.conv_transpose(op, node),
            Op::Gemm(op) => self.gemm(op, node)?,
            Op::MatMul(_) => self.call("MatMul", node, Vec::new()),
            Op::BatchNorm(op) => self.call("BatchNormalization", node, vec![("epsilon", op.epsilon.into())]),
            Op::ScaleShift(op) => self.scale_shift(op, node)?,
            Op::Pool(op) if op.kind == PoolKind::Max => self.pool(op, "MaxPool", node),
            Op::Pool(op) => self.pool(op, "AveragePool", node),
            Op::GlobalPool(op) if op.kind == PoolKind::Max => self.call("GlobalMaxPool", node, Vec::new()),
            Op::GlobalPool(_) => self.call("GlobalAveragePool", node, Vec::new()),
            Op::Activation(op) => self.activation(op.function, node),
            Op::Binary(op) => self.binary(op, node),
            Op::Unary(op) => self.call(op.function.name(), node, unary(op.function)),
            Op::Compare(op) => self.call(op.function.name(), node, Vec::new()),
            Op::Where(_) => self.call("Where", node, Vec::new()),
            Op::Softmax(op) => self.call(if op.log { "LogSoftmax" } else { "Softmax" }, node, along(op.axis)),
            Op::Reduce(op) => self.reduce(op, node),
            Op::ArgMax(op) => {
                let mut attributes = along(op.axis);
                attributes.push(("keepdims", i64::from(op.keep_dims).into()));
                attributes.push(("select_last_index", i64::from(op.select_last).into()));
                self.call("ArgMax", node, attributes)
            }
            Op::InstanceNormalization(op) => {
                self.call("InstanceNormalization", node, vec![("epsilon", op.epsilon.into())])
            }
            Op::LayerNormalization(op) => {
                let mut attributes = along(op.axis);
                attributes.push(("epsilon", op.epsilon.into()));
                self.call("LayerNormalization", node, attributes)
            }
            Op::Picture(_) => {
                let (node, op, what) = (node.name.clone(), "Picture", "resizing of pictures in 8 bits");
                return Err(ExportError::Inexpressible { node, op, what });
            }
            Op::Resize(op) => self.resize(op, node)?,
            Op::Pad(op) => self.pad(op, node),
            Op::Concat(op) => self.call("Concat", node, along(op.axis)),
            Op::Split(op) => return Ok(self.split(op, node)),
            Op::Slice(op) => self.slice(op, node)?,
            Op::Gather(op) => self.call("Gather", node, along(op.axis)),
            Op::Transpose(op) => self.call("Transpose", node, vec![("perm", ints(&op.perm).into())]),
            Op::DepthToSpace(op) => {
                let mode = match op.order {
                    DepthOrder::DepthColumnRow => "DCR",
                    DepthOrder::ColumnRowDepth => "CRD",
                };
                self.call("DepthToSpace", node, vec![("blocksize", int(op.block).into()), ("mode", mode.into())])
            }
            Op::SpaceToDepth(op) => self.call("SpaceToDepth", node, vec![("blocksize", int(op.block).into())]),
            Op::Expand(op) => self.expand(op, node)?,
            Op::Tile(op) => self.with_vector("Tile", node, "repeats", ints(&op.repeats)),
            Op::Reshape(_) => self.reshape(node)?,
            Op::Flatten(op) => self.call("Flatten", node, along(op.axis)),
            Op::Squeeze(op) => self.with_vector("Squeeze", node, "axes", ints(&op.axes)),
            Op::Unsqueeze(op) => self.with_vector("Unsqueeze", node, "axes", ints(&op.axes)),
            Op::Cast(op) => self.call("Cast", node, vec![("to", i64::from(data_type(op.to)).into())]),
            Op::Quantize(op) => self.quantize_node(op, node),
            Op::Dequantize(op) => self.dequantize_node(op, node),
            Op::Identity(_) => self.call("Identity", node, Vec::new()),
            Op::ShapeOf(op) => {
                self.call("Shape", node, vec![("start", int(op.start).into()), ("end", int(op.end).into())])
            }
            Op::Size(_) => self.call("Size", node, Vec::new()),
            Op::ConstantOfShape(op) => self.constant_of_shape(op)?,
            Op::Range(op) => self.range(op)?,
        }])
    }

    /// A node that reads in ONNX what it reads here.
    pub fn call(&mut self, op: &'static str, node: &Node, attributes: Attributes) -> String {
        let inputs: Vec<String> = node.inputs.iter().map(|&v| self.read(v)).collect();
        self.main(op, &inputs, attributes)
    }

    /// A node whose second input in ONNX is a constant vector.
    pub fn with_vector<T: Element>(&mut self, op: &'static str, node: &Node, what: &str, values: Vec<T>) -> String {
        let inputs = [self.read(node.inputs[0]), self.vector(what, values)];
        self.main(op, &inputs, Vec::new())
    }

    fn binary(&mut self, op: &Binary, node: &Node) -> String {
        let y = self.call(op.function.name(), node, Vec::new());
        self.activated(op.activation, y)
    }
}

pub(super) fn along(axis: usize) -> Attributes {
    vec![("axis", int(axis).into())]
}

fn unary(function: UnaryFunction) -> Attributes {
    match function {
        UnaryFunction::GeluTanh => vec![("approximate", "tanh".into())],
        UnaryFunction::Elu { alpha } | UnaryFunction::Celu { alpha } => vec![("alpha", alpha.into())],
        UnaryFunction::Selu { alpha, gamma } => vec![("alpha", alpha.into()), ("gamma", gamma.into())],
        _ => Vec::new(),
    }
}

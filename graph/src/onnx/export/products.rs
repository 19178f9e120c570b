//! Convolutions, matrix products and what stands in for them.

use super::super::Attribute;
use super::step::{Attributes, int, ints};
use super::{ExportError, Exporter};
use crate::ir::{Node, ValueId};
use crate::ops::{Conv, ConvTranspose, Epilogue, Gemm, Padding, Pool, ScaleShift, Window, transposed};
use crate::tensor::{QuantParams, Tensor};

impl Exporter<'_> {
    /// <https://onnx.ai/onnx/operators/onnx__Conv.html>
    pub fn conv(&mut self, op: &Conv, node: &Node) -> String {
        let mut attributes = window(&op.window);
        attributes.push(("group", int(op.groups).into()));
        self.sliding("Conv", node, &op.epilogue, attributes)
    }

    /// <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html>
    pub fn conv_transpose(&mut self, op: &ConvTranspose, node: &Node) -> String {
        let mut attributes = window(&op.window);
        attributes.push(("output_padding", ints(&op.output_padding).into()));
        attributes.push(("group", int(op.groups).into()));
        self.sliding("ConvTranspose", node, &op.epilogue, attributes)
    }

    fn sliding(&mut self, op: &'static str, node: &Node, epilogue: &Epilogue, attributes: Attributes) -> String {
        let mut inputs = vec![self.read(node.inputs[0]), self.read(node.inputs[1])];
        inputs.extend(self.bias(node, epilogue, 2));
        let y = self.main(op, &inputs, attributes);
        self.epilogue(node, epilogue, 2, y)
    }

    /// <https://onnx.ai/onnx/operators/onnx__Gemm.html>; ONNX's takes matrices only, what has more dims a MatMul.
    pub fn gemm(&mut self, op: &Gemm, node: &Node) -> Result<String, ExportError> {
        let a = self.read(node.inputs[0]);
        if self.graph.fact(node.inputs[0]).rank() == 2 {
            let mut inputs = vec![a, self.read(node.inputs[1])];
            inputs.extend(self.bias(node, &op.epilogue, 2));
            let transposed = [("transA", op.trans_a), ("transB", op.trans_b)];
            let mut attributes: Attributes =
                transposed.map(|(name, flag)| (name, i64::from(flag).into())).into_iter().collect();
            attributes.push(("alpha", op.alpha.into()));
            let y = self.main("Gemm", &inputs, attributes);
            return Ok(self.epilogue(node, &op.epilogue, 2, y));
        }
        let b = if op.trans_b { self.transposed(node.inputs[1])? } else { self.read(node.inputs[1]) };
        let mut y = self.main("MatMul", &[a, b], Vec::new());
        if op.alpha != 1.0 {
            let alpha = self.real_constant("alpha", Tensor::scalar(op.alpha));
            y = self.step("Mul", &[y, alpha], Vec::new());
        }
        if let Some(bias) = self.bias(node, &op.epilogue, 2) {
            y = self.step("Add", &[y, bias], Vec::new());
        }
        Ok(self.epilogue(node, &op.epilogue, 2, y))
    }

    /// A matrix with its two axes exchanged. A constant is so in the file: runtimes look for weights there, and the
    /// scales of its rows become those of its columns.
    fn transposed(&mut self, value: ValueId) -> Result<String, ExportError> {
        let Some(tensor) = self.graph.constant(value) else {
            let b = self.read(value);
            return Ok(self.step("Transpose", &[b], vec![("perm", vec![1, 0].into())]));
        };
        let flipped = transposed(tensor).map_err(|source| ExportError::Constant { node: self.node.clone(), source })?;
        let dtype = flipped.dtype();
        let name = self.constant("weights", flipped);
        Ok(match &self.graph.fact(value).quant {
            Some(params) => {
                let params = QuantParams { axis: params.axis.map(|axis| 1 - axis.min(1)), ..params.clone() };
                self.dequantize(&name, &params, dtype)
            }
            None => name,
        })
    }

    /// A BatchNormalization of mean 0 and variance 1, which is the same line: one operator that runtimes know how to
    /// fuse, and limpid's own import makes the same factor and offset of it again.
    /// <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>
    pub fn scale_shift(&mut self, op: &ScaleShift, node: &Node) -> Result<String, ExportError> {
        let Some(channels) = self.graph.fact(node.inputs[1]).shape.first().and_then(|dim| dim.as_usize()) else {
            return Err(self.inexpressible(node, "line for each of an open number of channels"));
        };
        let mut inputs: Vec<String> = node.inputs.iter().map(|&v| self.read(v)).collect();
        inputs.push(self.real_constant("mean", Tensor::vector(vec![0f32; channels])));
        inputs.push(self.real_constant("variance", Tensor::vector(vec![1f32; channels])));
        let y = self.main("BatchNormalization", &inputs, vec![("epsilon", 0f32.into())]);
        Ok(self.activated(op.activation, y))
    }

    /// <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, <https://onnx.ai/onnx/operators/onnx__AveragePool.html>
    pub fn pool(&mut self, op: &Pool, op_type: &'static str, node: &Node) -> String {
        let mut attributes = window(&op.window);
        attributes.push(("ceil_mode", i64::from(op.ceil_mode).into()));
        if op_type == "AveragePool" {
            attributes.push(("count_include_pad", i64::from(op.count_include_pad).into()));
        }
        self.call(op_type, node, attributes)
    }
}

/// Kernel, strides, dilations and padding.
fn window(window: &Window) -> Attributes {
    let padding: (_, Attribute) = match &window.padding {
        Padding::SameUpper => ("auto_pad", "SAME_UPPER".into()),
        Padding::SameLower => ("auto_pad", "SAME_LOWER".into()),
        Padding::Explicit { begin, end } => ("pads", ints(&[begin.as_slice(), end].concat()).into()),
    };
    let mut attributes =
        vec![("kernel_shape", ints(&window.kernel).into()), ("strides", ints(&window.strides).into()), padding];
    // ONNX Runtime's integer AveragePool is of a time before it could be dilated and takes not even ones.
    if window.dilations.iter().any(|&dilation| dilation != 1) {
        attributes.push(("dilations", ints(&window.dilations).into()));
    }
    attributes
}

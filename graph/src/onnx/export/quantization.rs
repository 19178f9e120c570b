//! Where integers meet reals: QuantizeLinear and DequantizeLinear.
//! <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>,
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>
//!
//! Activations have one scale, weights one for each output channel, and zero points are 0, as TensorRT has it. They
//! are written out all the same: ONNX Runtime's fusions look for them.
//!
//! **Biases stay f32.** ONNX Runtime's own quantizer makes them i32 with the scale `scale_x·scale_w[k]`, but TensorRT
//! refuses a DequantizeLinear of i32 ("only activation types allowed"). Of reals it makes what it needs, and so does
//! ONNX Runtime, which quantizes biases itself where it fuses a convolution. limpid adds them as f32, too.
//!
//! ONNX divides by the scale where limpid multiplies with its inverse, so that a real that lies within a rounding
//! error of the middle between two integers may become either.

use super::Exporter;
use super::step::{Attributes, int};
use crate::ir::Node;
use crate::ops::{Dequantize, Quantize};
use crate::tensor::{DType, QuantParams, Tensor};

impl Exporter<'_> {
    /// The node that quantizes reals, or integers of another scale.
    pub fn quantize_node(&mut self, op: &Quantize, node: &Node) -> String {
        let x = self.read(node.inputs[0]);
        let [scale, zero_point] = self.parameters(&self.node.clone(), &op.params, op.params.dtype);
        self.main("QuantizeLinear", &[x, scale, zero_point], axis(&op.params))
    }

    /// The node that makes integers reals.
    pub fn dequantize_node(&mut self, op: &Dequantize, node: &Node) -> String {
        let x = self.integers(node.inputs[0]);
        let inputs = self.parameters(&self.node.clone(), &op.params, self.graph.fact(node.inputs[0]).dtype);
        self.main("DequantizeLinear", &[&[x], &inputs[..]].concat(), axis(&op.params))
    }

    /// Stores reals as integers of this name.
    pub fn quantize(&mut self, x: &str, name: &str, params: &QuantParams) {
        let [scale, zero_point] = self.parameters(name, params, params.dtype);
        let integers = self.step("QuantizeLinear", &[x, &scale, &zero_point], axis(params));
        self.rename(&integers, name);
    }

    /// The reals that integers stand for.
    pub fn dequantize(&mut self, integers: &str, params: &QuantParams, dtype: DType) -> String {
        let [scale, zero_point] = self.parameters(integers, params, dtype);
        self.step("DequantizeLinear", &[integers, &scale, &zero_point], axis(params))
    }

    /// Scale and zero point, scalars if there is one for the whole tensor.
    fn parameters(&mut self, of: &str, params: &QuantParams, dtype: DType) -> [String; 2] {
        let zero_points: Vec<i64> = params.zero_points.iter().map(|&z| i64::from(z)).collect();
        let (scales, zero_points) = match (params.axis, params.scales.as_slice(), zero_points.as_slice()) {
            (None, &[scale], &[zero_point]) => (Tensor::scalar(scale), Tensor::scalar(zero_point)),
            _ => (Tensor::vector(params.scales.clone()), Tensor::vector(zero_points)),
        };
        [("scale", scales), ("zero_point", zero_points.cast(dtype))].map(|(what, tensor)| {
            let name = self.value_names.claim(&format!("{of}/{what}"));
            self.model.add_initializer(&name, tensor);
            name
        })
    }
}

/// Of several scales, the axis they lie along.
fn axis(params: &QuantParams) -> Attributes {
    params.axis.map(|axis| ("axis", int(axis).into())).into_iter().collect()
}

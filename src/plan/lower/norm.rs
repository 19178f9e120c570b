//! Normalizations: of rows where they look at the data, an affine function where they do not.

use super::{LowerError, Lowering, narrow};
use crate::plan::types::Operand;
use limpid_graph::ir::Node;
use limpid_graph::ops::{Activation, BatchNorm, Cost, InstanceNormalization, LayerNormalization, UnaryFunction};
use limpid_graph::tensor::DType;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{
    ElementwiseOp, ElementwiseSite, FillSite, Function, FunctionSite, NormSite, Scale, Site, View,
};

/// A vector of one element a channel, or, with stride 0, one element for all.
#[derive(Clone, Copy)]
struct Channels {
    at: Operand,
    dtype: DType,
    stride: i64,
}

impl Lowering<'_> {
    /// Rows are what the trailing axes hold; each of their places has a scale and a bias.
    pub fn layer_normalization(&mut self, node: &Node, op: &LayerNormalization) -> Result<(), LowerError> {
        let shape = &self.spec(node.inputs[0]).shape;
        let (rows, length) = shape.split_at(op.axis);
        let dims = [narrow(rows.iter().product())?, narrow(length.iter().product())?];
        self.norm(node, &dims, &[0, 1], op.epsilon)
    }

    /// Rows are planes; each channel has a scale and a bias.
    pub fn instance_normalization(&mut self, node: &Node, op: &InstanceNormalization) -> Result<(), LowerError> {
        let shape = &self.spec(node.inputs[0]).shape;
        let dims = [narrow(shape[0])?, narrow(shape[1])?, narrow(shape[2..].iter().product())?];
        self.norm(node, &dims, &[0, 1, 0], op.epsilon)
    }

    fn norm(&mut self, node: &Node, dims: &[u32], parameter: &[i64], epsilon: f32) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let mut operands = vec![(Role::Input(0), self.read_dense(input)?)];
        let mut parameters = Vec::with_capacity(2);
        for (index, &value) in node.inputs.iter().enumerate().skip(1) {
            operands.push((Role::Input(index as u8), self.read_dense(value)?));
            let dtype = self.spec(value).dtype;
            parameters.push(View { strides: parameter.to_vec(), ..View::dense(dims, dtype) });
        }
        let mut parameters = parameters.into_iter();
        let Some(scale) = parameters.next() else {
            return Err(self.unsupported(node, node.op.name(), "it has no scale"));
        };
        operands.push((Role::Output(0), self.write_dense(output)?));
        let (x, y) = (self.spec(input).dtype, self.spec(output).dtype);
        let (x, y) = (View::dense(dims, x), View::dense(dims, y));
        let site = Site::Norm(NormSite { x, y, scale, bias: parameters.next(), epsilon });
        self.emit(node.op.name().to_owned(), site, operands, self.cost_of(node));
        Ok(())
    }

    /// With statistics that are computed, or where the rule that makes constants of them is off: first what is the
    /// same for a whole channel, factor = scale / √(variance + ε) and offset = shift - mean · factor.
    pub fn batch_norm(&mut self, node: &Node, op: &BatchNorm) -> Result<(), LowerError> {
        let [_, scale, shift, mean, variance] = *node.inputs.as_slice() else {
            return Err(self.unsupported(node, "BatchNorm", "it has not four parameters"));
        };
        let channels = self.spec(scale).len();
        let mut read = |value| {
            Ok::<_, LowerError>(Channels { at: self.read_dense(value)?, dtype: self.spec(value).dtype, stride: 1 })
        };
        let [scale, shift, mean, variance] = [read(scale)?, read(shift)?, read(mean)?, read(variance)?];
        let epsilon = self.scratch("epsilon", 1, DType::F32, Scale::ONE).operand;
        let site = Site::Fill(FillSite { y: View::dense(&[1], DType::F32), value: op.epsilon });
        self.emit("epsilon".to_owned(), site, vec![(Role::Output(0), epsilon)], Cost { flops: 0, bytes: 4 });
        let epsilon = Channels { at: epsilon, dtype: DType::F32, stride: 0 };
        let sum = self.per_channel("variance + ε", ElementwiseOp::Add, [variance, epsilon], channels)?;
        let deviation = self.square_root(sum, channels)?;
        let factor = self.per_channel("factor", ElementwiseOp::Div, [scale, deviation], channels)?;
        let moved = self.per_channel("mean · factor", ElementwiseOp::Mul, [mean, factor], channels)?;
        let offset = self.per_channel("offset", ElementwiseOp::Sub, [shift, moved], channels)?;
        self.affine(node, [(factor.at, factor.dtype), (offset.at, offset.dtype)], Activation::Identity)
    }

    /// A function of two vectors of one element a channel.
    fn per_channel(
        &mut self,
        what: &str,
        op: ElementwiseOp,
        inputs: [Channels; 2],
        channels: usize,
    ) -> Result<Channels, LowerError> {
        let dims = [narrow(channels)?];
        let y = self.scratch(what, channels, DType::F32, Scale::ONE).operand;
        let views = inputs.map(|v| View { strides: vec![v.stride], ..View::dense(&dims, v.dtype) });
        let site = ElementwiseSite {
            op,
            inputs: views.to_vec(),
            y: View::dense(&dims, DType::F32),
            activation: Activation::Identity,
        };
        let operands = vec![(Role::Input(0), inputs[0].at), (Role::Input(1), inputs[1].at), (Role::Output(0), y)];
        let cost = Cost { flops: channels as u64, bytes: 12 * channels as u64 };
        self.emit(what.to_owned(), Site::Elementwise(site), operands, cost);
        Ok(Channels { at: y, dtype: DType::F32, stride: 1 })
    }

    fn square_root(&mut self, x: Channels, channels: usize) -> Result<Channels, LowerError> {
        let dims = [narrow(channels)?];
        let y = self.scratch("deviation", channels, DType::F32, Scale::ONE).operand;
        let site = FunctionSite {
            function: Function::Unary(UnaryFunction::Sqrt),
            inputs: vec![View::dense(&dims, x.dtype)],
            y: View::dense(&dims, DType::F32),
            activation: Activation::Identity,
        };
        let operands = vec![(Role::Input(0), x.at), (Role::Output(0), y)];
        let cost = Cost { flops: channels as u64, bytes: 8 * channels as u64 };
        self.emit("deviation".to_owned(), Site::Function(site), operands, cost);
        Ok(Channels { at: y, dtype: DType::F32, stride: 1 })
    }
}

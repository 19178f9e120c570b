//! y[n,k,p] = epilogue( Σ_c Σ_r w[k,c,r] · x[n,c, p·stride + r·dilation - pad] ), over any number of spatial axes.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>
//!
//! Inputs: x (N,C,spatial…), w (K,C/groups,kernel…), bias (K) if the epilogue has one, residual (y's shape) if it has one.

use super::conv_sums::Sums;
use super::finish::Finish;
use super::sliding::Sliding;
use super::{Cost, Epilogue, Eval, OpError, Operator, Spec, Window, exact, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A convolution with what was fused into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv {
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// Input channels are split into this many independent groups.
    pub groups: usize,
    /// What happens to each sum before it is stored.
    pub epilogue: Epilogue,
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = self.window.attributes();
        if self.groups != 1 {
            out.push(("groups", self.groups.to_string()));
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let count = 2 + self.epilogue.input_count();
        OpError::between(inputs, count, count)?;
        let (x, w) = (inputs[0], inputs[1]);
        if x.rank() != self.window.rank() + 2 || w.rank() != x.rank() {
            return Err(OpError::shape("x", format!("of rank {}", self.window.rank() + 2), &x.shape));
        }
        let channels = w.shape[1].clone() * Dim::from(self.groups);
        if x.shape[1] != channels {
            return Err(OpError::shape("x", format!("of {channels} channels"), &x.shape));
        }
        let filters = w.shape[0].clone();
        if filters.as_usize().is_none_or(|k| self.groups == 0 || k % self.groups != 0) {
            return Err(OpError::shape("w", format!("a multiple of {} filters", self.groups), &w.shape));
        }
        let mut dims = vec![x.shape[0].clone(), filters.clone()];
        dims.extend(self.window.infer(&x.shape[2..], false)?);
        let shape = Shape::new(dims);
        self.epilogue.check(inputs, 2, &filters, &shape)?;
        let dtype = exact::check_product(inputs, &self.epilogue, 0, &w.shape[1..])?;
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, w) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        let sliding = Sliding::new(&self.window, &x.shape()[2..], &shape[2..]);
        let (filters, plane) = (w.shape()[0], sliding.output_len());
        let volume = movement::volume(shape, DType::F32)?;
        if let Some(finish) = exact::Finish::of(&self.epilogue, eval, filters)? {
            let sums =
                Sums { x: x.as_slice::<i8>()?, w: w.as_slice()?, shape: w.shape(), sliding, groups: self.groups };
            let mut y = vec![0i32; volume];
            sums.integers(&mut y)?;
            return Ok(vec![finish.apply(&y, filters, plane)?]);
        }
        let sums = Sums { x: x.as_slice::<f32>()?, w: w.as_slice()?, shape: w.shape(), sliding, groups: self.groups };
        let mut y = vec![0f32; volume];
        sums.reals(&mut y)?;
        Finish::new(&self.epilogue, eval, 2)?.apply(&mut y, filters, plane);
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let per_output: usize = inputs[1].shape[1..].iter().product();
        Cost { flops: 2 * (outputs[0].len() * per_output) as u64, bytes: Cost::traffic(inputs, outputs) }
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }
}

impl Conv {
    /// Reads ONNX's `Conv`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        Self::read(node, build, "", [node.input(0)?, node.input(1)?], node.optional_input(2))
    }

    /// Adds the convolution of a node with `Conv`'s attributes, whatever its inputs went through before.
    pub(super) fn read(
        node: &NodeView<'_>,
        build: &mut Builder,
        part: &str,
        [x, w]: [ValueId; 2],
        bias: Option<ValueId>,
    ) -> Result<Vec<ValueId>, ImportError> {
        let weights = build.known_shape(node, w, "w")?;
        let kernel = weights.get(2..).unwrap_or_default();
        let window = Window::from_onnx(node, kernel)?;
        let groups = node.positive("group")?.unwrap_or(1);
        let epilogue = Epilogue { bias: bias.is_some(), ..Epilogue::default() };
        let inputs: Vec<ValueId> = [x, w].into_iter().chain(bias).collect();
        build.add_part(node, part, Conv { window, groups, epilogue }.into(), &inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Activation;
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;
    use crate::ops::Padding;
    use crate::tensor::Symbol;

    fn conv(kernel: &[usize]) -> Conv {
        Conv { window: Window::of(kernel), groups: 1, epilogue: Epilogue::default() }
    }

    #[test]
    fn slides_a_kernel_over_a_picture() {
        // Each output is the difference of its window's corners: x[i+1][j+1] - x[i][j] = 4.
        let w = tensor(&[1, 1, 2, 2], &[-1.0, 0.0, 0.0, 1.0]);
        let y = evaluate(conv(&[2, 2]), &[counting(&[1, 1, 3, 3]), w]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 2, 2], &[4.0; 4]));
    }

    #[test]
    fn pads_each_side_by_its_own_amount() {
        let mut op = conv(&[3]);
        op.window.padding = Padding::Explicit { begin: vec![2], end: vec![0] };
        let y = evaluate(op, &[tensor(&[1, 1, 3], &[1.0, 2.0, 3.0]), tensor(&[1, 1, 3], &[1.0, 10.0, 100.0])]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 3], &[100.0, 210.0, 321.0]));
    }

    #[test]
    fn groups_do_not_mix() {
        let op = Conv { groups: 2, ..conv(&[1, 1]) };
        let x = tensor(&[1, 4, 1, 1], &[1.0, 2.0, 3.0, 4.0]);
        let w = tensor(&[2, 2, 1, 1], &[1.0, 10.0, 1.0, 10.0]);
        assert_eq!(evaluate(op, &[x, w]).unwrap(), tensor(&[1, 2, 1, 1], &[21.0, 43.0]));
    }

    #[test]
    fn epilogue_adds_bias_then_activates_then_adds_the_residual() {
        let epilogue = Epilogue {
            bias: true,
            pre: Activation::Relu,
            residual: true,
            post: Activation::Clip { min: 0.0, max: 5.0 },
        };
        let x = tensor(&[1, 1, 1, 3], &[1.0, -3.0, 9.0]);
        let (w, bias) = (tensor(&[1, 1, 1, 1], &[1.0]), tensor(&[1], &[1.0]));
        let residual = tensor(&[1, 1, 1, 3], &[-10.0, 2.5, 0.0]);
        // relu(1+1)-10 -> 0; relu(-3+1)+2.5; relu(9+1)+0 -> 5.
        let y = evaluate(Conv { epilogue, ..conv(&[1, 1]) }, &[x, w, bias, residual]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 1, 3], &[0.0, 2.5, 5.0]));
    }

    #[test]
    fn nan_reaches_just_the_outputs_that_see_it() {
        let x = tensor(&[1, 1, 1, 4], &[f32::NAN, 1.0, 1.0, 1.0]);
        let y = evaluate(conv(&[1, 2]), &[x, tensor(&[1, 1, 1, 2], &[1.0, 1.0])]).unwrap().to_f32();
        assert!(y[0].is_nan() && y[1..] == [2.0, 2.0]);
    }

    #[test]
    fn symbols_pass_through_and_mismatches_are_named() {
        let mut op = conv(&[3, 3]);
        op.window.strides = vec![2, 2];
        let symbolic = Shape::new([Dim::symbol(Symbol::new("N")), 3.into(), Dim::symbol(Symbol::new("H")), 9.into()]);
        let (x, w) = (Fact::new(DType::F32, symbolic), Fact::of(DType::F32, &[8, 3, 3, 3]));
        assert_eq!(op.infer(&[&x, &w]).unwrap()[0].to_string(), "f32(N,8,⌊(H+1)/2⌋-1,4)");
        let wrong = Fact::of(DType::F32, &[8, 4, 3, 3]);
        let message = op.infer(&[&x, &wrong]).unwrap_err().to_string();
        assert_eq!(message, "x must be of 4 channels, got (N,3,H,9)");
        let message = op.infer(&[&Fact::of(DType::F32, &[1, 3, 2, 9]), &w]).unwrap_err().to_string();
        assert!(message.contains("at least the window's reach, 3 along spatial axis 0"), "{message}");
    }
}

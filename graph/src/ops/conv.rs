//! y[n,k,p] = epilogue( Σ_c Σ_r w[k,c,r] · x[n,c, p·stride + r·dilation - pad] ), over any number of spatial axes.
//! <https://onnx.ai/onnx/operators/onnx__Conv.html>
//!
//! Inputs: x (N,C,spatial…), w (K,C/groups,kernel…), bias (K) if the epilogue has one, residual (y's shape) if it has one.

use super::{Cost, Epilogue, Eval, OpError, Operator, Spec, Window};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
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
        OpError::real("x", x)?;
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
        let y = Fact { dtype: x.dtype, shape: Shape::new(dims), quant: x.quant.clone() };
        self.epilogue.check(inputs, 2, &filters, &y.shape)?;
        Ok(vec![y])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let _ = eval;
        todo!("im2col + gemm")
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
        let (x, w) = (node.input(0)?, node.input(1)?);
        let weights = build.known_shape(node, w, "w")?;
        let kernel = weights.get(2..).unwrap_or_default();
        let window = Window::from_onnx(node, kernel)?;
        let groups = node.positive("group")?.unwrap_or(1);
        let mut inputs = vec![x, w];
        inputs.extend(node.optional_input(2));
        let epilogue = Epilogue { bias: inputs.len() == 3, ..Epilogue::default() };
        build.add(node, Conv { window, groups, epilogue }.into(), &inputs)
    }
}

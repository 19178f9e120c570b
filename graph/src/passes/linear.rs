//! What convolutions, transposed convolutions and dense layers have in common for rules that fold arithmetic into
//! weights: they are linear in their weights, one slice of which belongs to each output channel.
//!
//! ```text
//! y[k] = Σ w[k,·]·x + b[k]   ⇒   f[k]·y[k] + o[k] = Σ (f[k]·w[k,·])·x + (f[k]·b[k] + o[k])
//! ```

use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::ops::{Activation, Epilogue, Op};
use crate::rewrite::{Patch, Source};
use crate::tensor::{Tensor, TensorError};

/// A linear operator in a graph.
#[derive(Clone, Copy)]
pub(super) struct Linear<'g> {
    graph: &'g Graph,
    pub id: NodeId,
    pub node: &'g Node,
    pub epilogue: &'g Epilogue,
}

impl<'g> Linear<'g> {
    /// The node, if it is linear.
    pub fn at(graph: &'g Graph, id: NodeId) -> Option<Self> {
        let node = graph.get_node(id)?;
        let epilogue = match &node.op {
            Op::Conv(op) => &op.epilogue,
            Op::ConvTranspose(op) => &op.epilogue,
            Op::Gemm(op) => &op.epilogue,
            _ => return None,
        };
        Some(Self { graph, id, node, epilogue })
    }

    /// The linear node that makes a value.
    pub fn making(graph: &'g Graph, value: ValueId) -> Option<Self> {
        Self::at(graph, graph.value(value).producer?)
    }

    /// What it makes.
    pub fn output(&self) -> ValueId {
        self.node.outputs[0]
    }

    /// Which axis of its output is the channel: the last for a dense layer, else the second.
    pub fn channel_axis(&self) -> usize {
        match self.node.op {
            Op::Gemm(_) => self.graph.fact(self.output()).rank() - 1,
            _ => 1,
        }
    }

    /// Output channels, if known.
    pub fn channels(&self) -> Option<usize> {
        self.graph.fact(self.output()).shape[self.channel_axis()].as_usize()
    }

    /// The weights, or why they cannot be folded into.
    pub fn weights(&self) -> Result<&'g Tensor, String> {
        let value = self.node.inputs[1];
        self.graph
            .constant(value)
            .ok_or_else(|| format!("the weights `{}` are computed, not constant", self.graph.value(value).name))
    }

    /// The bias; `None` if there is none; an error if it is not constant.
    pub fn bias(&self) -> Result<Option<&'g Tensor>, String> {
        let Some(index) = self.epilogue.bias_index(2) else { return Ok(None) };
        let value = self.node.inputs[index];
        let constant = self.graph.constant(value);
        constant
            .map(Some)
            .ok_or_else(|| format!("the bias `{}` is computed, not constant", self.graph.value(value).name))
    }

    /// An error if something happens between its sums (and bias) and its output.
    pub fn is_plain(&self) -> Result<(), String> {
        let name = &self.node.name;
        if self.epilogue.residual {
            return Err(format!("`{name}` adds a residual before it is done"));
        }
        match self.epilogue.post {
            Activation::Identity => Ok(()),
            activation => Err(format!("`{name}` applies {activation} before it is done")),
        }
    }

    /// Takes `reader`, which makes factor·y + offset for each channel of this node's y, into the weights and the
    /// bias. `None` stands for factors of 1.
    pub fn take_in(
        &self,
        reader: NodeId,
        factors: Option<&[f32]>,
        offsets: &[f32],
        detail: &str,
    ) -> Result<Patch, String> {
        only_read_by(self.graph, self.output(), reader)?;
        self.is_plain()?;
        let weights = self.weights()?;
        let bias = self.bias()?.map_or_else(|| vec![0.0; offsets.len()], Tensor::to_f32);
        let factor = |k: usize| factors.map_or(1.0, |f| f[k]);
        let bias: Vec<f32> = bias.iter().zip(offsets).enumerate().map(|(k, (b, o))| factor(k) * b + o).collect();
        let own = &self.graph.node(reader).name;
        let mut patch = Patch::new(detail);
        let weights = match factors {
            None => Source::Value(self.node.inputs[1]),
            Some(factors) => {
                let scaled = self.scaled(weights, factors).map_err(|e| e.to_string())?;
                patch.constant(self.constant_name("weights", own), scaled)
            }
        };
        let bias = Tensor::new(&[bias.len()], bias).map_err(|e| e.to_string())?;
        let bias = patch.constant(self.constant_name("bias", own), bias);
        let mut op = self.node.op.clone();
        if let Some(epilogue) = op.as_operator_mut().epilogue_mut() {
            epilogue.bias = true;
        }
        let inputs = vec![Source::Value(self.node.inputs[0]), weights, bias];
        patch.replace(self.graph, self.id, &[reader], op, inputs, self.graph.node(reader).outputs.clone());
        Ok(patch)
    }

    fn constant_name(&self, what: &str, reader: &str) -> String {
        format!("{}.{what}*{reader}", self.node.name)
    }

    /// The weights, each output channel's slice times its factor.
    fn scaled(&self, weights: &Tensor, factors: &[f32]) -> Result<Tensor, TensorError> {
        let shape = weights.shape();
        let inner: usize = shape[2..].iter().product();
        let channel = |i: usize| match &self.node.op {
            // (C, K/groups, kernel…): the first axis tells the group, the second the channel in it.
            Op::ConvTranspose(op) => {
                let group = i / (inner * shape[1]) / (shape[0] / op.groups);
                group * shape[1] + i / inner % shape[1]
            }
            Op::Gemm(op) if !op.trans_b => i % shape[1],
            _ => i / weights.len().max(1).div_ceil(shape[0]),
        };
        let values = weights.to_f32().into_iter().enumerate().map(|(i, w)| w * factors[channel(i)]);
        Ok(Tensor::new(shape, values.collect::<Vec<f32>>())?.cast(weights.dtype()))
    }
}

/// An error that says who else needs `value`, if `reader` is not the only one.
pub(super) fn only_read_by(graph: &Graph, value: ValueId, reader: NodeId) -> Result<(), String> {
    let name = &graph.value(value).name;
    if graph.outputs.contains(&value) {
        return Err(format!("`{name}` is an output of the network"));
    }
    match graph.readers(value).find(|(id, _)| *id != reader) {
        Some((_, other)) => Err(format!("`{name}` is read by `{}`, too", other.name)),
        None => Ok(()),
    }
}

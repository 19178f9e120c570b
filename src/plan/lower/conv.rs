//! Convolutions, plain and transposed.

use super::ports::Given;
use super::{LowerError, Lowering};
use crate::plan::types::{Operand, Work};
use limpid_graph::ir::{Node, Precision, ValueId};
use limpid_graph::ops::{Conv, ConvTranspose, Epilogue, Window};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{ConvSite, EpilogueSite, Image, Site, StemSite};

impl Lowering<'_> {
    pub fn conv(&mut self, node: &Node, op: &Conv) -> Result<(), LowerError> {
        match self.given(node.inputs[0])? {
            Some(given) => self.stem(node, op, given),
            None => self.windowed(node, &op.window, op.groups, &op.epilogue, Site::Conv),
        }
    }

    /// A convolution of a network's input: it takes it as it is given where a kernel does, else as an image.
    fn stem(&mut self, node: &Node, op: &Conv, (x, source, x_at): Given) -> Result<(), LowerError> {
        let output = node.outputs[0];
        let weights = self.constant_operand(node, 1, "weights")?;
        let (epilogue, bias, residual) = self.epilogue(node, &op.epilogue, 2)?;
        let asked = self.conv_site(node, &op.window, op.groups, epilogue, x, self.image_of(output)?)?;
        if !(self.takes)(&Site::Stem(StemSite { conv: asked, source })) {
            return self.windowed(node, &op.window, op.groups, &op.epilogue, Site::Conv);
        }
        let (y, y_at) = self.write_image(output)?;
        let site = Site::Stem(StemSite { conv: ConvSite { y, ..asked }, source });
        let mut operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        operands.extend(residual.map(|at| (Role::Residual, at)));
        self.emit_product(node, site, operands, Some(weights), bias);
        Ok(())
    }

    pub fn conv_transpose(&mut self, node: &Node, op: &ConvTranspose) -> Result<(), LowerError> {
        self.windowed(node, &op.window, op.groups, &op.epilogue, Site::ConvTranspose)
    }

    fn windowed(
        &mut self,
        node: &Node,
        window: &Window,
        groups: usize,
        epilogue: &Epilogue,
        site: fn(ConvSite) -> Site,
    ) -> Result<(), LowerError> {
        let output = node.outputs[0];
        let weights = self.constant_operand(node, 1, "weights")?;
        let (x, x_at) = self.read_image(node.inputs[0])?;
        let (epilogue_site, bias, residual) = self.epilogue(node, epilogue, 2)?;
        let (y, y_at) = self.write_image(output)?;
        let conv = self.conv_site(node, window, groups, epilogue_site, x, y)?;
        let mut operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        operands.extend(residual.map(|at| (Role::Residual, at)));
        self.emit_product(node, site(conv), operands, Some(weights), bias);
        Ok(())
    }

    fn conv_site(
        &self,
        node: &Node,
        window: &Window,
        groups: usize,
        epilogue: EpilogueSite,
        x: Image,
        y: Image,
    ) -> Result<ConvSite, LowerError> {
        // A transposed convolution's padding is explicit: it is cut off the output, wherever the input ends.
        let pad = self.window_pad(node, window, node.inputs[0], node.outputs[0])?;
        Ok(ConvSite {
            x,
            y,
            kernel: self.pair(node, &window.kernel, 1)?,
            stride: self.pair(node, &window.strides, 1)?,
            dilation: self.pair(node, &window.dilations, 1)?,
            pad,
            groups: super::narrow(groups)?,
            precision: node.precision,
            epilogue,
        })
    }

    /// Padding before the first element along h and w.
    pub fn window_pad(
        &self,
        node: &Node,
        window: &Window,
        input: ValueId,
        output: ValueId,
    ) -> Result<[u32; 2], LowerError> {
        let spatial = |value: ValueId| self.spec(value).shape.get(2..).unwrap_or_default().to_vec();
        self.pair(node, &window.pad_begin(&spatial(input), &spatial(output)), 0)
    }

    /// One number per spatial axis as (h, w); along the h that a 1-D operator does not have, `missing`.
    pub fn pair(&self, node: &Node, values: &[usize], missing: u32) -> Result<[u32; 2], LowerError> {
        match *values {
            [w] => Ok([missing, super::narrow(w)?]),
            [h, w] => Ok([super::narrow(h)?, super::narrow(w)?]),
            _ => Err(self.unsupported(node, node.op.name(), format!("{} spatial axes; kernels have 2", values.len()))),
        }
    }

    /// The bias and residual of an operator whose own inputs come first.
    pub fn epilogue(
        &mut self,
        node: &Node,
        steps: &Epilogue,
        own: usize,
    ) -> Result<(EpilogueSite, Option<ValueId>, Option<Operand>), LowerError> {
        let bias = steps.bias_index(own).map(|index| self.constant_operand(node, index, "bias")).transpose()?;
        let residual = steps.residual_index(own).map(|i| self.read_image(node.inputs[i])).transpose()?;
        let site = EpilogueSite { steps: *steps, residual: residual.map(|(image, _)| image) };
        Ok((site, bias, residual.map(|(_, at)| at)))
    }

    /// An input that kernels need to know beforehand.
    pub fn constant_operand(&self, node: &Node, index: usize, what: &str) -> Result<ValueId, LowerError> {
        let value = node.inputs[index];
        if self.graph.constant(value).is_some() {
            return Ok(value);
        }
        let reason = format!("its {what} `{}` are computed at run time; kernels take constants", self.name(value));
        Err(self.unsupported(node, node.op.name(), reason))
    }

    /// Work with an epilogue, and weights to pack if it has any.
    pub fn emit_product(
        &mut self,
        node: &Node,
        site: Site,
        operands: Vec<(Role, Operand)>,
        weights: Option<ValueId>,
        bias: Option<ValueId>,
    ) {
        let (group, cost, what) = (self.group.clone(), self.cost_of(node), describe(node));
        let weights = weights.map(|value| (value, self.spec(value).shape.clone()));
        let scales = (node.precision == Precision::Int8).then(|| self.scale(node.inputs[0]));
        let (node, parts) = (self.node, Vec::new());
        self.work.push(Work { group, node, what, site, operands, weights, bias, scales, cost, parts });
    }
}

/// `Conv+bias+Relu`.
fn describe(node: &Node) -> String {
    let epilogue = node.op.as_operator().epilogue().map(ToString::to_string).filter(|e| !e.is_empty());
    match epilogue {
        Some(steps) => format!("{}+{steps}", node.op.name()),
        None => node.op.name().to_owned(),
    }
}

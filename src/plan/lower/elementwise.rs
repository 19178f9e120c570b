//! Operators that treat every element alike.

use super::forms::{Form, padding_lanes, physical_order};
use super::{LowerError, Lowering, narrow};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Activation, ActivationOp, Binary, BinaryFunction, ScaleShift};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{ElementwiseOp, ElementwiseSite, Site, View};

impl Lowering<'_> {
    pub fn activation(&mut self, node: &Node, op: &ActivationOp) -> Result<(), LowerError> {
        self.elementwise(node, ElementwiseOp::Identity, op.function)
    }

    pub fn binary(&mut self, node: &Node, op: &Binary) -> Result<(), LowerError> {
        let function = match op.function {
            BinaryFunction::Add => ElementwiseOp::Add,
            BinaryFunction::Sub => ElementwiseOp::Sub,
            BinaryFunction::Mul => ElementwiseOp::Mul,
            BinaryFunction::Div => ElementwiseOp::Div,
            other => return Err(self.unsupported(node, other.name(), "it has no CUDA kernel")),
        };
        self.elementwise(node, function, op.activation)
    }

    fn elementwise(&mut self, node: &Node, op: ElementwiseOp, activation: Activation) -> Result<(), LowerError> {
        let output = node.outputs[0];
        self.check_real(node)?;
        let form = self.common_form(&node.inputs, output)?;
        let mut views = Vec::with_capacity(node.inputs.len());
        let mut operands = Vec::with_capacity(node.inputs.len() + 1);
        for (index, &input) in node.inputs.iter().enumerate() {
            let own = self.operand_form(input, output, form)?;
            views.push(self.view_for(input, own, output, form)?);
            operands.push((Role::Input(index as u8), self.forms[&(input, own)].operand));
        }
        self.emit_elementwise(node, op, activation, form, views, operands)
    }

    /// An affine function of each channel.
    pub fn scale_shift(&mut self, node: &Node, op: &ScaleShift) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let form = self.common_form(&[input], output)?;
        let x = self.operand_form(input, output, form)?;
        let mut views = vec![self.view_for(input, x, output, form)?];
        let mut operands = vec![(Role::Input(0), self.forms[&(input, x)].operand)];
        for (index, &parameter) in node.inputs.iter().enumerate().skip(1) {
            let at = self.read_dense(parameter)?;
            views.push(self.channel_view(parameter, output, form)?);
            operands.push((Role::Input(index as u8), at));
        }
        self.emit_elementwise(node, ElementwiseOp::MulAdd, op.activation, form, views, operands)
    }

    fn emit_elementwise(
        &mut self,
        node: &Node,
        op: ElementwiseOp,
        activation: Activation,
        form: Form,
        mut inputs: Vec<View>,
        mut operands: Vec<(Role, crate::plan::types::Operand)>,
    ) -> Result<(), LowerError> {
        let output = node.outputs[0];
        let placed = self.write(output, form)?;
        let y = self.view(output, form)?;
        if y.dims.len() > View::MAX_RANK {
            let reason = format!("{} dims; kernels take {}", y.dims.len(), View::MAX_RANK);
            return Err(self.unsupported(node, node.op.name(), reason));
        }
        inputs.iter_mut().for_each(|view| view.zero_lanes = 0);
        operands.push((Role::Output(0), placed.operand));
        let what = match activation {
            Activation::Identity => node.op.name().to_owned(),
            function if op == ElementwiseOp::Identity => function.to_string(),
            function => format!("{}+{function}", node.op.name()),
        };
        let site = Site::Elementwise(ElementwiseSite { op, inputs, y, activation });
        self.emit(what, site, operands, self.cost_of(node));
        Ok(())
    }

    /// Images where an operand of the output's shape is one; then no layout changes.
    fn common_form(&mut self, inputs: &[ValueId], output: ValueId) -> Result<Form, LowerError> {
        if !self.is_pictorial(output) {
            return Ok(Form::Dense);
        }
        for &input in inputs {
            let whole = self.spec(input).shape == self.spec(output).shape;
            if whole && self.graph.constant(input).is_none() && self.any_form(input)?.1 == Form::Image {
                return Ok(Form::Image);
            }
        }
        Ok(Form::Dense)
    }

    /// The form to read an operand in: as the output, unless it is a constant or has other dims.
    fn operand_form(&mut self, input: ValueId, output: ValueId, form: Form) -> Result<Form, LowerError> {
        let same_rank = self.spec(input).shape.len() == self.spec(output).shape.len();
        let own = if form == Form::Image && same_rank && self.graph.constant(input).is_none() {
            self.read_image(input)?;
            Form::Image
        } else {
            self.read_dense(input)?;
            Form::Dense
        };
        Ok(own)
    }

    /// A vector with one element a channel, seen with the extents of `like`.
    fn channel_view(&self, vector: ValueId, like: ValueId, form: Form) -> Result<View, LowerError> {
        let shape = &self.spec(like).shape;
        let dims = shape.iter().map(|&d| narrow(d)).collect::<Result<Vec<u32>, _>>()?;
        let order = physical_order(form, shape.len());
        Ok(View {
            dims: order.iter().map(|&axis| dims[axis]).collect(),
            strides: order.iter().map(|&axis| i64::from(axis == 1)).collect(),
            dtype: self.spec(vector).dtype,
            zero_lanes: if form == Form::Image { padding_lanes(self.spec(like))? } else { 0 },
            scale: self.scale(vector),
        })
    }

    /// Integers are fine where they stand for reals.
    fn check_real(&self, node: &Node) -> Result<(), LowerError> {
        let real = |value: ValueId| self.spec(value).dtype.is_float() || self.spec(value).quant.is_some();
        let integer = node.inputs.iter().chain(&node.outputs).find(|&&value| !real(value));
        match integer {
            Some(&value) => {
                let reason = format!("`{}` is {}; kernels compute reals", self.name(value), self.spec(value).dtype);
                Err(self.unsupported(node, node.op.name(), reason))
            }
            None => Ok(()),
        }
    }
}

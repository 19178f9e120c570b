//! Operators that treat every element alike.

use super::forms::{Form, padding_lanes, physical_order};
use super::strided::Step;
use super::{LowerError, Lowering, narrow};
use crate::plan::types::Operand;
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Activation, ActivationOp, Binary, BinaryFunction, ScaleShift};
use limpid_graph::tensor::DType;
use limpid_kernels::index::Walk;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{ElementwiseOp, ElementwiseSite, Function, FunctionSite, Scale, Site, View};

/// What a piece of work reads and writes.
type Operands = Vec<(Role, Operand)>;

impl Lowering<'_> {
    pub fn activation(&mut self, node: &Node, op: &ActivationOp) -> Result<(), LowerError> {
        self.elementwise(node, ElementwiseOp::Identity, op.function)
    }

    /// Arithmetic of reals has its own kernel; other functions, and integers, have another.
    pub fn binary(&mut self, node: &Node, op: &Binary) -> Result<(), LowerError> {
        let arithmetic = match op.function {
            BinaryFunction::Add => Some(ElementwiseOp::Add),
            BinaryFunction::Sub => Some(ElementwiseOp::Sub),
            BinaryFunction::Mul => Some(ElementwiseOp::Mul),
            BinaryFunction::Div => Some(ElementwiseOp::Div),
            _ => None,
        };
        match arithmetic.filter(|_| self.is_real(node.inputs[0])) {
            Some(function) => self.elementwise(node, function, op.activation),
            None => self.function(node, Function::Binary(op.function), op.activation),
        }
    }

    fn elementwise(&mut self, node: &Node, op: ElementwiseOp, activation: Activation) -> Result<(), LowerError> {
        self.check_real(node)?;
        let (form, views, operands) = self.operands_of(node)?;
        self.emit_elementwise(node, op, activation, form, views, operands)
    }

    /// What the arithmetic kernel has not: any function of reals, of integers or of bools.
    pub fn function(&mut self, node: &Node, function: Function, activation: Activation) -> Result<(), LowerError> {
        if let Some(value) = node.inputs.iter().find(|&&value| self.spec(value).quant.is_some()) {
            let reason = format!("`{}` is quantized; kernels take reals and plain integers", self.name(*value));
            return Err(self.unsupported(node, node.op.name(), reason));
        }
        let (form, inputs, mut operands) = self.operands_of(node)?;
        let output = node.outputs[0];
        let placed = self.write(output, form)?;
        let (inputs, y) = self.merged(node, inputs, self.view(output, form)?)?;
        operands.push((Role::Output(0), placed.operand));
        let what = described(node, activation);
        let site = Site::Function(FunctionSite { function, inputs, y, activation });
        self.emit(what, site, operands, self.cost_of(node));
        Ok(())
    }

    /// The form to compute in, and each operand as a view with the output's extents.
    fn operands_of(&mut self, node: &Node) -> Result<(Form, Vec<View>, Operands), LowerError> {
        let output = node.outputs[0];
        let form = self.common_form(&node.inputs, output)?;
        let mut views = Vec::with_capacity(node.inputs.len());
        let mut operands = Vec::with_capacity(node.inputs.len() + 1);
        for (index, &input) in node.inputs.iter().enumerate() {
            let own = self.operand_form(input, output, form)?;
            let mut view = self.view_for(input, own, output, form)?;
            let mut at = self.forms[&(input, own)].operand;
            // An integer among reals, the exponent of a power, say.
            if self.is_real(node.inputs[0]) && !self.is_real(input) && self.spec(input).dtype != DType::Bool {
                (at, view.dtype) = (self.as_real(input, own)?, DType::F32);
            }
            views.push(view);
            operands.push((Role::Input(index as u8), at));
        }
        Ok((form, views, operands))
    }

    /// A copy of integers as f32, strides and all.
    fn as_real(&mut self, value: ValueId, form: Form) -> Result<Operand, LowerError> {
        let (shape, strides) = (self.spec(value).shape.clone(), self.logical_strides(value, form));
        let reach: usize = shape.iter().zip(&strides).map(|(&d, &stride)| (d - 1) * stride as usize).sum();
        let y = self.scratch(&format!("{} as f32", self.name(value)), reach + 1, DType::F32, Scale::ONE);
        let steps: Vec<Step> = physical_order(form, shape.len())
            .into_iter()
            .map(|axis| Step { extent: shape[axis], from: strides[axis], to: strides[axis] })
            .collect();
        self.move_along("cast", self.place(value, form), y, &steps, 0)?;
        Ok(y.operand)
    }

    /// An affine function of each channel, its factors and offsets constant.
    pub fn scale_shift(&mut self, node: &Node, op: &ScaleShift) -> Result<(), LowerError> {
        let (factor, offset) = (node.inputs[1], node.inputs[2]);
        let read = [self.read_dense(factor)?, self.read_dense(offset)?];
        let types = [self.spec(factor).dtype, self.spec(offset).dtype];
        self.affine(node, [(read[0], types[0]), (read[1], types[1])], op.activation)
    }

    /// `activation(x · factor + offset)`, each of the two given by its place and type, one element a channel.
    pub fn affine(
        &mut self,
        node: &Node,
        parameters: [(Operand, DType); 2],
        activation: Activation,
    ) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let form = self.common_form(&[input], output)?;
        let x = self.operand_form(input, output, form)?;
        let mut views = vec![self.view_for(input, x, output, form)?];
        let mut operands = vec![(Role::Input(0), self.forms[&(input, x)].operand)];
        for (role, (at, dtype)) in [Role::Input(1), Role::Input(2)].into_iter().zip(parameters) {
            views.push(self.channel_view(dtype, output, form)?);
            operands.push((role, at));
        }
        self.emit_elementwise(node, ElementwiseOp::MulAdd, activation, form, views, operands)
    }

    fn emit_elementwise(
        &mut self,
        node: &Node,
        op: ElementwiseOp,
        activation: Activation,
        form: Form,
        inputs: Vec<View>,
        mut operands: Operands,
    ) -> Result<(), LowerError> {
        let output = node.outputs[0];
        let placed = self.write(output, form)?;
        let (inputs, y) = self.merged(node, inputs, self.view(output, form)?)?;
        operands.push((Role::Output(0), placed.operand));
        let what = match op {
            ElementwiseOp::Identity => activation.to_string(),
            _ => described(node, activation),
        };
        let site = Site::Elementwise(ElementwiseSite { op, inputs, y, activation });
        self.emit(what, site, operands, self.cost_of(node));
        Ok(())
    }

    /// Inputs without padding to write, and all views in as many dims as kernels take.
    fn merged(&self, node: &Node, mut inputs: Vec<View>, mut y: View) -> Result<(Vec<View>, View), LowerError> {
        inputs.iter_mut().for_each(|view| view.zero_lanes = 0);
        if y.dims.len() > View::MAX_RANK {
            let strides: Vec<&[i64]> = inputs.iter().chain([&y]).map(|view| view.strides.as_slice()).collect();
            let walk = Walk::new(&y.dims, &strides, y.zero_lanes > 0);
            if walk.rank() > View::MAX_RANK {
                let reason = format!("{} dims that broadcast apart; kernels take {}", walk.rank(), View::MAX_RANK);
                return Err(self.unsupported(node, node.op.name(), reason));
            }
            for (view, strides) in inputs.iter_mut().chain([&mut y]).zip(walk.strides) {
                (view.dims, view.strides) = (walk.dims.clone(), strides);
            }
        }
        Ok((inputs, y))
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
    fn channel_view(&self, dtype: DType, like: ValueId, form: Form) -> Result<View, LowerError> {
        let shape = &self.spec(like).shape;
        let dims = shape.iter().map(|&d| narrow(d)).collect::<Result<Vec<u32>, _>>()?;
        let order = physical_order(form, shape.len());
        Ok(View {
            dims: order.iter().map(|&axis| dims[axis]).collect(),
            strides: order.iter().map(|&axis| i64::from(axis == 1)).collect(),
            dtype,
            zero_lanes: if form == Form::Image { padding_lanes(self.spec(like))? } else { 0 },
            scale: Scale::ONE,
        })
    }

    /// True of floats, and of integers that stand for reals.
    fn is_real(&self, value: ValueId) -> bool {
        self.spec(value).dtype.is_float() || self.spec(value).quant.is_some()
    }

    /// Integers are fine where they stand for reals.
    fn check_real(&self, node: &Node) -> Result<(), LowerError> {
        let integer = node.inputs.iter().chain(&node.outputs).find(|&&value| !self.is_real(value));
        match integer {
            Some(&value) => {
                let reason = format!("`{}` is {}; kernels compute reals", self.name(value), self.spec(value).dtype);
                Err(self.unsupported(node, node.op.name(), reason))
            }
            None => Ok(()),
        }
    }
}

/// `Mul+Relu`.
fn described(node: &Node, activation: Activation) -> String {
    match activation {
        Activation::Identity => node.op.name().to_owned(),
        function => format!("{}+{function}", node.op.name()),
    }
}

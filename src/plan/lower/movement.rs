//! Operators that only move elements. Where the bytes are right already, nothing is done.

use super::forms::{Form, Placed, physical_order, pictorial};
use super::{LowerError, Lowering, narrow};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Cost, Gather, Op, Pad, PadMode, Slice, Split, Transpose};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{CopySite, FillSite, GatherSite, Site, View};

impl Lowering<'_> {
    /// The output is the input.
    pub fn alias(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, form) = self.any_form(input)?;
        if source == input {
            let placed = self.forms[&(source, form)];
            self.put(output, form, placed);
        } else {
            self.casts.insert(output, input);
        }
        Ok(())
    }

    /// The same numbers in another type or at another scale: made together with a change of form, if there is one.
    ///
    /// What is itself a conversion is made first: two conversions in one would round once where the network
    /// rounds twice.
    pub fn conversion(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, form) = self.any_form(input)?;
        if source != input {
            self.read(input, form)?;
        }
        self.casts.insert(output, input);
        Ok(())
    }

    /// Another shape for the same elements: free in row-major order, and for images of one pixel.
    pub fn reshape(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let pictures = self.is_pictorial(input) && self.is_pictorial(output);
        let ([n, c, h, w], y) = (pictorial(self.spec(input)), pictorial(self.spec(output)));
        let same_pixels = pictures && n == y[0] && c == y[1] && h * w == 1 && y[2] * y[3] == 1;
        if same_pixels && self.any_form(input)?.1 == Form::Image {
            let (image, operand) = self.read_image(input)?;
            self.put(output, Form::Image, Placed { operand, pitch: image.pitch });
        } else {
            let operand = self.read_dense(input)?;
            self.put(output, Form::Dense, Placed::dense(operand));
        }
        Ok(())
    }

    pub fn transpose(&mut self, node: &Node, op: &Transpose) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let form = if self.wants_image(output) { Form::Image } else { Form::Dense };
        let (source, from) = self.any_form(input)?;
        let strides = self.logical_strides(source, from);
        let strides: Vec<i64> = op.perm.iter().map(|&axis| strides[axis]).collect();
        self.move_elements(node, source, from, strides, 0, output, form)
    }

    pub fn slice(&mut self, node: &Node, op: &Slice) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let mut strides = self.logical_strides(source, from);
        let extents = self.spec(input).shape.clone();
        let mut offset = 0;
        for range in &op.ranges {
            let (input, output) = (extents[range.axis], self.spec(output).shape[range.axis]);
            let first = range.first(input, output).map_err(|e| self.unsupported(node, "Slice", e.to_string()))?;
            offset += first as i64 * strides[range.axis];
            strides[range.axis] *= range.step;
        }
        let form = self.like(from, output);
        self.move_elements(node, source, from, strides, offset, output, form)
    }

    pub fn split(&mut self, node: &Node, op: &Split) -> Result<(), LowerError> {
        let (source, from) = self.any_form(node.inputs[0])?;
        let strides = self.logical_strides(source, from);
        let mut start = 0;
        for (&output, size) in node.outputs.iter().zip(&op.sizes) {
            let form = self.like(from, output);
            self.move_elements(node, source, from, strides.clone(), start * strides[op.axis], output, form)?;
            start += *size as i64;
        }
        Ok(())
    }

    pub fn pad(&mut self, node: &Node, op: &Pad) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        if op.mode != PadMode::Constant {
            return Err(self.unsupported(node, "Pad", "only constant padding has a kernel"));
        }
        let value = op.value;
        if op.begin.iter().chain(&op.end).any(|&p| p < 0) {
            return Err(self.unsupported(node, "Pad", "it also cuts off elements (negative pads)"));
        }
        let (source, from) = self.any_form(input)?;
        let form = self.like(from, output);
        let placed = self.write(output, form)?;
        let y = self.view(output, form)?;
        let cost = Cost { flops: 0, bytes: self.spec(output).bytes() as u64 };
        let site = Site::Fill(FillSite { y: y.clone(), value });
        self.emit(format!("fill with {value}"), site, vec![(Role::Output(0), placed.operand)], cost);
        let strides = self.logical_strides(output, form);
        let y_offset = op.begin.iter().zip(&strides).map(|(&begin, stride)| begin * stride).sum();
        let mut x = self.view_for(source, from, input, form)?;
        x.zero_lanes = 0;
        let y = View { dims: x.dims.clone(), zero_lanes: 0, ..y };
        let operands = vec![(Role::Input(0), self.forms[&(source, from)].operand), (Role::Output(0), placed.operand)];
        self.emit("Pad".to_owned(), Site::Copy(CopySite { x, x_offset: 0, y, y_offset }), operands, self.cost_of(node));
        Ok(())
    }

    pub fn gather(&mut self, node: &Node, op: &Gather) -> Result<(), LowerError> {
        let (input, indices, output) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        let (x, at) = (self.read_dense(input)?, self.read_dense(indices)?);
        let y = self.write_dense(output)?;
        let shape = &self.spec(input).shape;
        let site = GatherSite {
            outer: narrow(shape[..op.axis].iter().product())?,
            axis: narrow(shape[op.axis])?,
            inner: narrow(shape[op.axis + 1..].iter().product())?,
            indices: narrow(self.spec(indices).len())?,
            indices_dtype: self.spec(indices).dtype,
            dtype: self.spec(input).dtype,
        };
        let operands = vec![(Role::Input(0), x), (Role::Input(1), at), (Role::Output(0), y)];
        self.emit("Gather".to_owned(), Site::Gather(site), operands, self.cost_of(node));
        Ok(())
    }

    /// Writes `output` from the elements of `source` that `strides` (by logical axis) and `offset` pick out.
    #[allow(clippy::too_many_arguments)] // a source, what is picked of it, and a target
    fn move_elements(
        &mut self,
        node: &Node,
        source: ValueId,
        from: Form,
        strides: Vec<i64>,
        offset: i64,
        output: ValueId,
        form: Form,
    ) -> Result<(), LowerError> {
        let operand = self.forms[&(source, from)].operand;
        let placed = self.write(output, form)?;
        let y = self.view(output, form)?;
        if y.dims.len() > View::MAX_RANK {
            let reason = format!("{} dims; kernels take {}", y.dims.len(), View::MAX_RANK);
            return Err(self.unsupported(node, node.op.name(), reason));
        }
        let order = physical_order(form, strides.len());
        let x = View {
            dims: y.dims.clone(),
            strides: order.iter().map(|&axis| strides[axis]).collect(),
            dtype: self.spec(source).dtype,
            zero_lanes: 0,
            scale: self.scale(source),
        };
        let operands = vec![(Role::Input(0), operand), (Role::Output(0), placed.operand)];
        let site = Site::Copy(CopySite { x, x_offset: offset, y, y_offset: 0 });
        self.emit(node.op.name().to_owned(), site, operands, self.cost_of(node));
        Ok(())
    }

    /// The form of what is made from something in `from`: the same, if it can be.
    pub fn like(&self, from: Form, output: ValueId) -> Form {
        if from == Form::Image && self.is_pictorial(output) { Form::Image } else { Form::Dense }
    }

    /// True if someone who reads the value wants an image.
    fn wants_image(&self, value: ValueId) -> bool {
        let by_reader = |op: &Op| {
            matches!(op, Op::Conv(_) | Op::ConvTranspose(_) | Op::Pool(_) | Op::GlobalPool(_) | Op::Resize(_))
        };
        self.is_pictorial(value) && self.graph.readers(value).any(|(_, node)| by_reader(&node.op))
    }
}

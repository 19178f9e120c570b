//! Operators that only move elements. Where the bytes are right already, nothing is done.

use super::forms::{Form, Placed, padding_lanes, pictorial, strides_of};
use super::strided::Place;
use super::{LowerError, Lowering, narrow};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Gather, Op, Slice, Split, Transpose};
use limpid_graph::tensor::DType;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{GatherSite, Site, VECTOR_BYTES};

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
    /// rounds twice. Bytes that become reals are not rounded.
    pub fn conversion(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, form) = match self.foreign_root(input) {
            Some(root) => (root, Form::Image),
            None => self.any_form(input)?,
        };
        if source != input && !self.converts_at_once(source, input, output) {
            self.read(input, form)?;
        }
        self.casts.insert(output, input);
        Ok(())
    }

    /// True if `output` comes out of `source` as it does by way of the reals `input`: every byte is a number of each
    /// type of reals. (A copy takes integers at a scale of 1 for plain ones, and would not saturate them.)
    fn converts_at_once(&self, source: ValueId, input: ValueId, output: ValueId) -> bool {
        let bytes = matches!(self.spec(source).dtype, DType::U8 | DType::I8) && !self.scale(source).is_quantized();
        let to = self.scale(output);
        bytes && self.spec(input).dtype.is_float() && !(to.is_quantized() && to.get() == 1.0)
    }

    /// Another shape for the same elements: free in row-major order, and for images whose channels stay, as the order
    /// of pixels is row-major, too.
    pub fn reshape(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let pictures = self.is_pictorial(input) && self.is_pictorial(output);
        let (x, y) = (pictorial(self.spec(input)), pictorial(self.spec(output)));
        let same_pixels = pictures && x[..2] == y[..2];
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

    /// Makes `output` of the elements of `source` that `strides` (by logical axis) and `offset` pick out. Where they
    /// lie right already, nothing is moved.
    #[allow(clippy::too_many_arguments)] // a source, what is picked of it, and a target
    pub fn move_elements(
        &mut self,
        node: &Node,
        source: ValueId,
        from: Form,
        strides: Vec<i64>,
        offset: i64,
        output: ValueId,
        form: Form,
    ) -> Result<(), LowerError> {
        if let Some(placed) = self.in_place(source, from, &strides, offset, output, form) {
            self.put(output, form, placed);
            return Ok(());
        }
        self.write(output, form)?;
        let (steps, zero_lanes) = self.steps_of(output, form, &strides)?;
        let x = Place { offset, ..self.place(source, from) };
        self.move_along(node.op.name(), x, self.place(output, form), &steps, zero_lanes)
    }

    /// Where `output` would lie if its elements stayed where they are; `None` if that is not the form asked for.
    fn in_place(
        &self,
        source: ValueId,
        from: Form,
        strides: &[i64],
        offset: i64,
        output: ValueId,
        form: Form,
    ) -> Option<Placed> {
        let (x, y) = (self.spec(source), self.spec(output));
        if x.dtype != y.dtype || self.scale(source) != self.scale(output) || self.reserved.contains_key(&output) {
            return None;
        }
        let pitch = match form {
            Form::Image if padding_lanes(y).ok()? == 0 => narrow(pictorial(y)[1]).ok()?,
            Form::Image => return None,
            Form::Dense => 0,
        };
        let wanted = strides_of(&y.shape, form, pitch.into());
        let same = strides.iter().zip(&wanted).zip(&y.shape).all(|((own, wanted), &d)| d == 1 || own == wanted);
        let bytes = u64::try_from(offset).ok()? * x.dtype.size() as u64;
        let placed = self.forms.get(&(source, from))?.offset_by(bytes);
        let aligned = placed.operand.offset.is_multiple_of(u64::from(VECTOR_BYTES));
        (same && aligned).then_some(Placed { pitch, ..placed })
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

//! Operators that take elements apart into blocks or repeat them: strided copies all of them.

use super::forms::{Form, padding_lanes};
use super::strided::Step;
use super::{LowerError, Lowering};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{DepthOrder, DepthToSpace, SpaceToDepth, Tile};

impl Lowering<'_> {
    /// Dims of extent 1, and those that the input does not have, repeat.
    pub fn expand(&mut self, node: &Node) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let (own, shape) = (self.spec(input).shape.clone(), self.spec(output).shape.clone());
        let strides = self.logical_strides(source, from);
        let new = shape.len() - own.len();
        let stride = |axis: usize| match axis.checked_sub(new) {
            Some(i) if own[i] != 1 => strides[i],
            _ => 0,
        };
        let strides: Vec<i64> = (0..shape.len()).map(stride).collect();
        let form = self.like(from, output);
        self.move_elements(node, source, from, strides, 0, output, form)
    }

    /// Each axis is one of copies and one of elements.
    pub fn tile(&mut self, node: &Node, op: &Tile) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let channels_repeat = op.repeats.get(1).is_some_and(|&repeats| repeats > 1);
        let form = self.form_of_blocks(from, output, channels_repeat)?;
        self.write(output, form)?;
        let (whole, zero_lanes) = self.steps_of(output, form, &self.logical_strides(source, from))?;
        let order = super::forms::physical_order(form, op.repeats.len());
        let mut steps = Vec::new();
        for (step, axis) in whole.into_iter().zip(order) {
            let extent = step.extent / op.repeats[axis].max(1);
            if op.repeats[axis] > 1 {
                steps.push(Step { extent: op.repeats[axis], from: 0, to: step.to * extent as i64 });
            }
            steps.push(Step { extent, ..step });
        }
        let (x, y) = (self.place(source, from), self.place(output, form));
        self.move_along("Tile", x, y, &steps, zero_lanes)
    }

    /// Part of each channel's number becomes a row and a column in a block of pixels.
    pub fn depth_to_space(&mut self, node: &Node, op: &DepthToSpace) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let form = self.like(from, output);
        self.write(output, form)?;
        let (x, y) = (self.logical_strides(source, from), self.logical_strides(output, form));
        let (b, channels) = (op.block as i64, self.spec(output).shape[1] as i64);
        // How far apart in the input's channels: rows of a block, its columns, channels of the output.
        let [row, column, depth] = match op.order {
            DepthOrder::DepthColumnRow => [b * channels, channels, 1],
            DepthOrder::ColumnRowDepth => [b, 1, b * b],
        };
        let [n, _, h, w] = self.extents(input);
        let step = |extent: usize, from: i64, to: i64| Step { extent, from, to };
        let pictures = step(n, x[0], y[0]);
        let depths = step(channels as usize, depth * x[1], y[1]);
        let rows = [step(h, x[2], b * y[2]), step(op.block, row * x[1], y[2])];
        let columns = [step(w, x[3], b * y[3]), step(op.block, column * x[1], y[3])];
        let (steps, zero_lanes) = match form {
            Form::Image => {
                let steps = [pictures, rows[0], rows[1], columns[0], columns[1], depths];
                (steps, padding_lanes(self.spec(output))?)
            }
            Form::Dense => ([pictures, depths, rows[0], rows[1], columns[0], columns[1]], 0),
        };
        let (x, y) = (self.place(source, from), self.place(output, form));
        self.move_along("DepthToSpace", x, y, &steps, zero_lanes)
    }

    /// Rows and columns of a block become part of each channel's number.
    pub fn space_to_depth(&mut self, node: &Node, op: &SpaceToDepth) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let form = self.form_of_blocks(from, output, true)?;
        self.write(output, form)?;
        let (x, y) = (self.logical_strides(source, from), self.logical_strides(output, form));
        let (b, channels) = (op.block as i64, self.spec(input).shape[1]);
        let [n, _, h, w] = self.extents(output);
        let step = |extent: usize, from: i64, to: i64| Step { extent, from, to };
        let pictures = step(n, x[0], y[0]);
        let pixels = [step(h, b * x[2], y[2]), step(w, b * x[3], y[3])];
        let depths = [
            step(op.block, x[2], b * channels as i64 * y[1]),
            step(op.block, x[3], channels as i64 * y[1]),
            step(channels, x[1], y[1]),
        ];
        let steps = match form {
            Form::Image => [pictures, pixels[0], pixels[1], depths[0], depths[1], depths[2]],
            Form::Dense => [pictures, depths[0], depths[1], depths[2], pixels[0], pixels[1]],
        };
        let (x, y) = (self.place(source, from), self.place(output, form));
        self.move_along("SpaceToDepth", x, y, &steps, 0)
    }

    /// As [`Lowering::like`], but where a pixel's channels are written in parts, an image must have no padding: only
    /// the last part may write it.
    fn form_of_blocks(&self, from: Form, output: ValueId, in_parts: bool) -> Result<Form, LowerError> {
        let form = self.like(from, output);
        let whole = form == Form::Dense || !in_parts || padding_lanes(self.spec(output))? == 0;
        Ok(if whole { form } else { Form::Dense })
    }

    /// (N,C,H,W) of a value of rank 4.
    fn extents(&self, value: ValueId) -> [usize; 4] {
        super::forms::pictorial(self.spec(value))
    }
}

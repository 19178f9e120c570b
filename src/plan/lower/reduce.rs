//! Operators along axes: softmax, reductions, argmax.

use super::forms::{Form, padding_lanes, physical_order};
use super::strided::Step;
use super::{LowerError, Lowering, narrow};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{ArgMax, Reduce, ReduceFunction, Softmax, Spec};
use limpid_graph::tensor::row_major_strides;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{self, AxisOp, AxisSite, PoolSite, Scale, Site, View};

impl Lowering<'_> {
    pub fn softmax(&mut self, node: &Node, op: &Softmax) -> Result<(), LowerError> {
        let function = if op.log { AxisOp::LogSoftmax } else { AxisOp::Softmax };
        self.along_axes(node, function, &[op.axis], None)
    }

    pub fn arg_max(&mut self, node: &Node, op: &ArgMax) -> Result<(), LowerError> {
        let function = if op.select_last { AxisOp::ArgMaxLast } else { AxisOp::ArgMax };
        self.along_axes(node, function, &[op.axis], Some(op.keep_dims))
    }

    pub fn reduce(&mut self, node: &Node, op: &Reduce) -> Result<(), LowerError> {
        let input = node.inputs[0];
        if !self.spec(input).dtype.is_float() {
            let reason = format!("`{}` is {}; kernels reduce f16 and f32", self.name(input), self.spec(input).dtype);
            return Err(self.unsupported(node, op.function.name(), reason));
        }
        let pictures = op.axes == [2, 3] && self.spec(input).shape.len() == 4;
        let (function, pool) = match op.function {
            ReduceFunction::Mean => (AxisOp::Mean, Some(site::PoolKind::Average)),
            ReduceFunction::Max => (AxisOp::Max, Some(site::PoolKind::Max)),
            ReduceFunction::Min => (AxisOp::Min, None),
            ReduceFunction::Sum => (AxisOp::Sum, None),
            ReduceFunction::Prod => (AxisOp::Prod, None),
            ReduceFunction::L1 => (AxisOp::L1, None),
            ReduceFunction::L2 => (AxisOp::L2, None),
            ReduceFunction::SumSquare => (AxisOp::SumSquare, None),
            ReduceFunction::LogSumExp => (AxisOp::LogSumExp, None),
        };
        match pool {
            Some(kind) if pictures && self.any_form(input)?.1 == Form::Image => self.spatial(node, kind),
            _ => self.along_axes(node, function, &op.axes, Some(op.keep_dims)),
        }
    }

    /// The mean or the largest over h and w is a global pool.
    fn spatial(&mut self, node: &Node, kind: site::PoolKind) -> Result<(), LowerError> {
        let (x, x_at) = self.read_image(node.inputs[0])?;
        let (y, y_at) = self.write_image(node.outputs[0])?;
        let (kernel, one, none) = ([x.h, x.w], [1, 1], [0, 0]);
        let site = PoolSite { kind, x, y, kernel, stride: one, dilation: one, pad: none, pad_end: none };
        let operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        self.emit(node.op.name().to_owned(), Site::Pool(site), operands, self.cost_of(node));
        Ok(())
    }

    /// `keep_dims` says how a reduction leaves its axes; `None` for operators that keep the shape.
    fn along_axes(
        &mut self,
        node: &Node,
        op: AxisOp,
        axes: &[usize],
        keep_dims: Option<bool>,
    ) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let &[first, ..] = axes else { return self.alias(node) };
        let last = first + axes.len() - 1;
        if axes.last() != Some(&last) || self.spec(input).shape.len() > View::MAX_RANK {
            return match keep_dims {
                Some(_) => self.along_gathered_axes(node, op, axes),
                None => {
                    let reason = format!("{} dims; kernels take {}", self.spec(input).shape.len(), View::MAX_RANK);
                    Err(self.unsupported(node, node.op.name(), reason))
                }
            };
        }
        // Along channels, pixel by pixel, images are read as they are; otherwise rows are what must be contiguous.
        let by_pixel = axes == [1] && self.is_pictorial(input) && self.any_form(input)?.1 == Form::Image;
        let from = if by_pixel { Form::Image } else { Form::Dense };
        let at = if by_pixel { self.read_image(input)?.1 } else { self.read_dense(input)? };
        let to = if by_pixel && keep_dims != Some(false) && self.spec(output).dtype.is_float() {
            Form::Image
        } else {
            Form::Dense
        };
        let placed = self.write(output, to)?;
        let rank = self.spec(input).shape.len();
        let outer: Vec<usize> = physical_order(from, rank).into_iter().filter(|axis| !axes.contains(axis)).collect();
        let x = self.axis_view(input, from, &outer, last, axes)?;
        let y = match keep_dims {
            None => self.axis_view(output, to, &outer, last, axes)?,
            Some(keep) => self.reduced_view(input, output, to, &outer, axes, keep)?,
        };
        let operands = vec![(Role::Input(0), at), (Role::Output(0), placed.operand)];
        let site = Site::Axis(AxisSite { op, x: View { zero_lanes: 0, ..x }, y });
        self.emit(node.op.name().to_owned(), site, operands, self.cost_of(node));
        Ok(())
    }

    /// A reduction of axes that lie apart, or among too many: copied together first, behind all others.
    fn along_gathered_axes(&mut self, node: &Node, op: AxisOp, axes: &[usize]) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (source, from) = self.any_form(input)?;
        let Spec { shape, dtype, .. } = self.spec(input).clone();
        let strides = self.logical_strides(source, from);
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
        let extents: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let steps: Vec<Step> = (order.iter().zip(row_major_strides(&extents)))
            .map(|(&axis, to)| Step { extent: shape[axis], from: strides[axis], to: to as i64 })
            .collect();
        let gathered =
            self.scratch(&format!("{} gathered", self.name(input)), extents.iter().product(), dtype, Scale::ONE);
        self.move_along("transpose", self.place(source, from), gathered, &steps, 0)?;
        let length: usize = axes.iter().map(|&axis| shape[axis]).product();
        let lines = narrow(extents.iter().product::<usize>() / length)?;
        let y_at = self.write_dense(output)?;
        let x = View::dense(&[lines, narrow(length)?], dtype);
        let y = View::dense(&[lines, 1], self.spec(output).dtype);
        let operands = vec![(Role::Input(0), gathered.operand), (Role::Output(0), y_at)];
        self.emit(node.op.name().to_owned(), Site::Axis(AxisSite { op, x, y }), operands, self.cost_of(node));
        Ok(())
    }

    /// `[outer…, axes]` of a value, the axes as one dim that ends at `last`.
    fn axis_view(
        &self,
        value: ValueId,
        form: Form,
        outer: &[usize],
        last: usize,
        axes: &[usize],
    ) -> Result<View, LowerError> {
        let shape = &self.spec(value).shape;
        let strides = self.logical_strides(value, form);
        let length: usize = axes.iter().map(|&axis| shape[axis]).product();
        let mut dims = outer.iter().map(|&axis| narrow(shape[axis])).collect::<Result<Vec<u32>, _>>()?;
        dims.push(narrow(length)?);
        let strides = outer.iter().chain([&last]).map(|&axis| strides[axis]).collect();
        let zero_lanes = if form == Form::Image { padding_lanes(self.spec(value))? } else { 0 };
        Ok(View { dims, strides, dtype: self.spec(value).dtype, zero_lanes, scale: self.scale(value) })
    }

    /// A reduction's output, its dims those of the input's `outer` axes and a last one of extent 1.
    fn reduced_view(
        &self,
        input: ValueId,
        output: ValueId,
        form: Form,
        outer: &[usize],
        axes: &[usize],
        keep_dims: bool,
    ) -> Result<View, LowerError> {
        let shape = &self.spec(input).shape;
        let strides = self.logical_strides(output, form);
        // Where an axis of the input is found in the output.
        let position = |axis: usize| if keep_dims { axis } else { axis - axes.iter().filter(|a| **a < axis).count() };
        let mut dims = outer.iter().map(|&axis| narrow(shape[axis])).collect::<Result<Vec<u32>, _>>()?;
        dims.push(1);
        let mut kept: Vec<i64> = outer.iter().map(|&axis| strides[position(axis)]).collect();
        kept.push(1);
        let zero_lanes = if form == Form::Image { padding_lanes(self.spec(output))? } else { 0 };
        Ok(View { dims, strides: kept, dtype: self.spec(output).dtype, zero_lanes, scale: self.scale(output) })
    }
}

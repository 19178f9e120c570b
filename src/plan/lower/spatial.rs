//! Operators over h and w that have no weights: pools and interpolation.

use super::{LowerError, Lowering, narrow};
use limpid_graph::ir::Node;
use limpid_graph::ops::picture::PixelLayout;
use limpid_graph::ops::{GlobalPool, NearestMode, Padding, Picture, Pool, PoolKind, Resize, ResizeMode};
use limpid_graph::tensor::DType;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{self, Image, Interpolation, PictureSite, PoolSite, ResizeSite, Site};

impl Lowering<'_> {
    pub fn pool(&mut self, node: &Node, op: &Pool) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (x, x_at) = self.read_image(input)?;
        let (y, y_at) = self.write_image(output)?;
        let pad = self.window_pad(node, &op.window, input, output)?;
        let site = PoolSite {
            kind: match (op.kind, op.count_include_pad) {
                (PoolKind::Max, _) => site::PoolKind::Max,
                (PoolKind::Average, false) => site::PoolKind::Average,
                (PoolKind::Average, true) => site::PoolKind::AverageIncludePad,
            },
            x,
            y,
            kernel: self.pair(node, &op.window.kernel, 1)?,
            stride: self.pair(node, &op.window.strides, 1)?,
            dilation: self.pair(node, &op.window.dilations, 1)?,
            pad,
            pad_end: self.pad_end(node, op, pad)?,
        };
        let operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        self.emit(node.op.name().to_owned(), Site::Pool(site), operands, self.cost_of(node));
        Ok(())
    }

    /// Padding after the last element along h and w.
    fn pad_end(&self, node: &Node, op: &Pool, begin: [u32; 2]) -> Result<[u32; 2], LowerError> {
        if let Padding::Explicit { end, .. } = &op.window.padding {
            return self.pair(node, end, 0);
        }
        let spatial = |index| self.spec(index).shape.get(2..).unwrap_or_default();
        let (input, output) = (spatial(node.inputs[0]), spatial(node.outputs[0]));
        let needed: Vec<usize> = (0..op.window.rank())
            .map(|axis| {
                let span = output[axis].saturating_sub(1) * op.window.strides[axis] + op.window.reach(axis);
                span.saturating_sub(input[axis])
            })
            .collect();
        let [h, w] = self.pair(node, &needed, 0)?;
        Ok([h.saturating_sub(begin[0]), w.saturating_sub(begin[1])])
    }

    pub fn global_pool(&mut self, node: &Node, op: &GlobalPool) -> Result<(), LowerError> {
        if !self.is_pictorial(node.inputs[0]) {
            return Err(self.unsupported(node, node.op.name(), "more than two spatial axes; kernels have 2"));
        }
        let (x, x_at) = self.read_image(node.inputs[0])?;
        let (y, y_at) = self.write_image(node.outputs[0])?;
        let kind = match op.kind {
            PoolKind::Max => site::PoolKind::Max,
            PoolKind::Average => site::PoolKind::Average,
        };
        let (kernel, one, none) = ([x.h, x.w], [1, 1], [0, 0]);
        let site = PoolSite { kind, x, y, kernel, stride: one, dilation: one, pad: none, pad_end: none };
        let operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        self.emit(node.op.name().to_owned(), Site::Pool(site), operands, self.cost_of(node));
        Ok(())
    }
}

impl Lowering<'_> {
    /// Interpolation along h and w; of signals (N,C,L), along w.
    pub fn resize(&mut self, node: &Node, op: &Resize) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (from, to) = (self.spec(input).shape.clone(), self.spec(output).shape.clone());
        if !(3..=4).contains(&from.len()) || from[..2] != to[..2] {
            return Err(self.unsupported(node, "Resize", "kernels resize h and w of pictures (N,C,H,W) or (N,C,L)"));
        }
        let (x, x_at) = self.read_image(input)?;
        let (y, y_at) = self.write_image(output)?;
        let w = from.len() - 1;
        let line = |axis: usize| op.line(axis, from[axis], to[axis]);
        let (h, w) = (if w == 3 { line(2) } else { (1.0, 0.0) }, line(w));
        let interpolation = match op.mode {
            ResizeMode::Linear => Interpolation::Linear,
            ResizeMode::Cubic { coefficient, exclude_outside } => Interpolation::Cubic { coefficient, exclude_outside },
            ResizeMode::Nearest(mode) => Interpolation::Nearest(match mode {
                NearestMode::RoundPreferFloor => site::NearestMode::RoundPreferFloor,
                NearestMode::RoundPreferCeil => site::NearestMode::RoundPreferCeil,
                NearestMode::Floor => site::NearestMode::Floor,
                NearestMode::Ceil => site::NearestMode::Ceil,
            }),
        };
        let extrapolation = op.coordinates.extrapolation();
        let site = ResizeSite { x, y, interpolation, a: [h.0, w.0], b: [h.1, w.1], extrapolation };
        let operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        self.emit("Resize".to_owned(), Site::Resize(site), operands, self.cost_of(node));
        Ok(())
    }
}

impl Lowering<'_> {
    /// Bytes to a network's input, written as an image, or as it is where the network has its channels last.
    pub fn picture(&mut self, node: &Node, op: &Picture) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (n, h, w) = (self.spec(input).shape[0], self.spec(input).shape[1], self.spec(input).shape[2]);
        let x_at = self.read_dense(input)?;
        let x = Image { pitch: 3, ..Image::dense(narrow(n)?, narrow(h)?, narrow(w)?, 3, DType::U8) };
        let (y, y_at) = match op.layout {
            PixelLayout::Nchw => self.write_image(output)?,
            PixelLayout::Nhwc => {
                let (c, dtype) = (narrow(op.channels.count())?, self.spec(output).dtype);
                let image = Image::dense(x.n, narrow(op.height)?, narrow(op.width)?, c, dtype);
                (Image { pitch: c, scale: self.scale(output), ..image }, self.write_dense(output)?)
            }
        };
        let (resized, corner) = op.crop.place((h, w), (op.height, op.width));
        let resized = [narrow(resized.0)?, narrow(resized.1)?];
        let corner = [narrow(corner.0)?, narrow(corner.1)?];
        let site = PictureSite { x, y, channels: op.channels, resized, corner, numbers: op.numbers.clone() };
        let operands = vec![(Role::Input(0), x_at), (Role::Output(0), y_at)];
        self.emit("Picture".to_owned(), Site::Picture(site), operands, self.cost_of(node));
        Ok(())
    }
}

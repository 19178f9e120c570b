//! NumPy's broadcasting on the CPU: which element of each operand meets which output element.

use super::OpError;
use crate::tensor::{Shape, broadcast_shapes, row_major_strides};
use rayon::prelude::*;

/// The broadcast of several shapes, or an error that names them.
pub(super) fn infer(shapes: &[&Shape]) -> Result<Shape, OpError> {
    broadcast_shapes(shapes).ok_or_else(|| OpError::Shape {
        what: "the inputs",
        expected: "of shapes that broadcast to each other".to_owned(),
        got: shapes.iter().map(|s| s.to_string()).collect::<Vec<_>>().join(" and "),
    })
}

/// `N` operands laid over one output. Neighbouring axes that every operand walks through alike count as one.
#[derive(Debug)]
pub(super) struct Broadcast<const N: usize> {
    extents: Vec<usize>,
    /// Per axis, how far each operand moves; 0 where it is repeated.
    strides: Vec<[usize; N]>,
    len: usize,
}

impl<const N: usize> Broadcast<N> {
    /// The operands' shapes must broadcast to `output`, as inference has checked.
    pub(super) fn new(output: &[usize], operands: [&[usize]; N]) -> Self {
        let own: [Vec<usize>; N] = operands.map(row_major_strides);
        let mut this = Self { extents: Vec::new(), strides: Vec::new(), len: output.iter().product() };
        for (axis, &extent) in output.iter().enumerate() {
            let stride = std::array::from_fn(|n| match (axis + operands[n].len()).checked_sub(output.len()) {
                Some(a) if operands[n][a] != 1 => own[n][a],
                _ => 0,
            });
            this.push(extent, stride);
        }
        this
    }

    fn push(&mut self, extent: usize, stride: [usize; N]) {
        if extent == 1 {
            return;
        }
        if let (Some(last), Some(outer)) = (self.strides.last_mut(), self.extents.last_mut())
            && (0..N).all(|n| last[n] == stride[n] * extent)
        {
            *last = stride;
            *outer *= extent;
            return;
        }
        self.extents.push(extent);
        self.strides.push(stride);
    }

    /// Makes each output element from the operands' offsets that meet there.
    pub(super) fn map<R: Copy + Default + Send>(&self, f: impl Fn([usize; N]) -> R + Sync) -> Vec<R> {
        const CHUNK: usize = 1 << 13;
        let mut out = vec![R::default(); self.len];
        let row = self.extents.last().copied().unwrap_or(1).max(1);
        let step = self.strides.last().copied().unwrap_or([0; N]);
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(index, mut chunk)| {
            let mut position = index * CHUNK;
            while !chunk.is_empty() {
                let (start, column) = (self.row_start(position / row), position % row);
                let (run, rest) = chunk.split_at_mut(chunk.len().min(row - column));
                for (i, slot) in run.iter_mut().enumerate() {
                    *slot = f(std::array::from_fn(|n| start[n] + (column + i) * step[n]));
                }
                position += run.len();
                chunk = rest;
            }
        });
        out
    }

    fn row_start(&self, mut row: usize) -> [usize; N] {
        let mut offsets = [0; N];
        let outer = self.extents.len().saturating_sub(1);
        for (&extent, stride) in self.extents[..outer].iter().zip(&self.strides).rev() {
            let index = row % extent;
            row /= extent;
            (0..N).for_each(|n| offsets[n] += index * stride[n]);
        }
        offsets
    }
}

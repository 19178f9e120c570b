//! A window at work: which elements of the input each output meets, for actual extents.
//!
//! Output `o` of an axis meets input `o·stride + r·dilation - begin` through element `r` of the kernel, unless
//! that lies in the padding. Convolutions and pools gather along these pairs; a transposed convolution, the
//! adjoint, scatters along the same pairs with the roles of input and output exchanged.

use super::{Padding, Window};
use rten_gemm::{ColOffsets, Im2Col, RowOffsets};
use rten_tensor::NdTensorView;
use std::ops::Range;

/// A [`Window`] whose input and output extents are known, over two axes or more (an axis of extent 1 is put
/// in front where there are fewer).
#[derive(Clone, Debug)]
pub(super) struct Sliding {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    begin: Vec<usize>,
    end: Vec<usize>,
    input: Vec<usize>,
    output: Vec<usize>,
}

/// One element of the kernel, and the pairs of output and input that meet through it.
#[derive(Clone, Debug)]
pub(super) struct Tap {
    /// For each output row that does not lie in the padding: where it and its input row start in their planes.
    rows: Vec<(usize, usize)>,
    /// The output columns that meet an element.
    columns: Range<usize>,
    /// The input column that the first of them meets.
    first: usize,
    /// From one input column to the next.
    pub step: usize,
}

impl Tap {
    /// Runs of neighbouring outputs in their plane, each with the input element that its first output meets;
    /// the next ones follow at distance `step`.
    pub fn runs(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        self.rows
            .iter()
            .map(|&(output, input)| (output + self.columns.start..output + self.columns.end, input + self.first))
    }
}

impl Sliding {
    /// `window` over an input of these spatial extents, making an output of those.
    pub fn new(window: &Window, input: &[usize], output: &[usize]) -> Self {
        let missing = 2usize.saturating_sub(window.rank());
        let lift = |fill: usize, values: &[usize]| -> Vec<usize> {
            std::iter::repeat_n(fill, missing).chain(values.iter().copied()).collect()
        };
        let begin = window.pad_begin(input, output);
        let end: Vec<usize> = match &window.padding {
            Padding::Explicit { end, .. } => end.clone(),
            _ => (0..window.rank())
                .map(|a| {
                    let reached = output[a].saturating_sub(1) * window.strides[a] + window.reach(a);
                    reached.saturating_sub(input[a] + begin[a])
                })
                .collect(),
        };
        Self {
            kernel: lift(1, &window.kernel),
            strides: lift(1, &window.strides),
            dilations: lift(1, &window.dilations),
            begin: lift(0, &begin),
            end: lift(0, &end),
            input: lift(1, input),
            output: lift(1, output),
        }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }

    /// Elements of the input, one channel.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of the output, one channel.
    pub fn output_len(&self) -> usize {
        self.output.iter().product()
    }

    /// Elements of the kernel, one channel.
    pub fn kernel_len(&self) -> usize {
        self.kernel.iter().product()
    }

    /// True if every output meets just the input of its own place: the patches are then the input itself.
    pub fn is_pointwise(&self) -> bool {
        let ones = |v: &[usize]| v.iter().all(|x| *x == 1);
        ones(&self.kernel) && ones(&self.strides) && self.begin.iter().chain(&self.end).all(|p| *p == 0)
    }

    /// The input that output `o` meets through kernel element `r`, or `None` in the padding.
    fn meet(&self, axis: usize, o: usize, r: usize) -> Option<usize> {
        let position = o * self.strides[axis] + r * self.dilations[axis];
        position.checked_sub(self.begin[axis]).filter(|i| *i < self.input[axis])
    }

    /// Every element of the kernel, in row-major order.
    pub fn taps(&self) -> Vec<Tap> {
        odometer(&self.kernel).map(|place| self.tap(&place)).collect()
    }

    fn tap(&self, place: &[usize]) -> Tap {
        let last = self.rank() - 1;
        let rows = odometer(&self.output[..last]).enumerate().filter_map(|(row, at)| {
            let mut input = 0;
            for axis in 0..last {
                input = input * self.input[axis] + self.meet(axis, at[axis], place[axis])?;
            }
            Some((row * self.output[last], input * self.input[last]))
        });
        // Outputs that meet an element are neighbours: the position only grows with the output.
        let meets = |o: usize| self.meet(last, o, place[last]);
        let start = (0..self.output[last]).find(|&o| meets(o).is_some()).unwrap_or(0);
        let columns = start..(start..self.output[last]).find(|&o| meets(o).is_none()).unwrap_or(self.output[last]);
        let first = meets(start).unwrap_or(0);
        Tap { rows: rows.collect(), columns, first, step: self.strides[last] }
    }

    /// For each output along an axis, how many kernel elements meet the input, or the input and its padding.
    pub fn met(&self, axis: usize, with_padding: bool) -> Vec<usize> {
        let padded = self.begin[axis] + self.input[axis] + self.end[axis];
        let counts = |o: usize, r: usize| {
            if with_padding {
                o * self.strides[axis] + r * self.dilations[axis] < padded
            } else {
                self.meet(axis, o, r).is_some()
            }
        };
        (0..self.output[axis]).map(|o| (0..self.kernel[axis]).filter(|&r| counts(o, r)).count()).collect()
    }

    /// True if [`Sliding::patches`] can name every element: two axes, and offsets of 31 bits.
    pub fn has_patches(&self, channels: usize) -> bool {
        let reached = |axis: usize| self.begin[axis] + self.input[axis] + self.end[axis];
        let farthest = reached(0).saturating_mul(reached(1)).max(channels.saturating_mul(self.input_len()));
        self.rank() == 2 && i32::try_from(farthest).is_ok()
    }

    /// The patches of `channels` planes as the columns of a matrix (channels·kernel, outputs),
    /// where [`Sliding::has_patches`].
    ///
    /// `steps` are the multiples that rten-gemm wants rows and columns rounded up to.
    pub fn patches<'a>(&self, planes: &'a [f32], channels: usize, steps: [usize; 2]) -> Im2Col<'a, f32> {
        // Offsets beyond any input: what is rounded up reads as padding.
        const OUTSIDE: i32 = i32::MAX;
        let width = self.input[1];
        let offset = |index: usize, begin: usize, pitch: usize| (index as i32 - begin as i32) * pitch as i32;
        let mut rows = RowOffsets { chan: Vec::new(), y: Vec::new(), x: Vec::new() };
        for at in odometer(&[channels, self.kernel[0], self.kernel[1]]) {
            rows.chan.push((at[0] * self.input_len()) as i32);
            rows.y.push(offset(at[1] * self.dilations[0], 0, width));
            rows.x.push(offset(at[2] * self.dilations[1], 0, 1));
        }
        let n_rows = rows.chan.len();
        let padded = n_rows.next_multiple_of(steps[0]);
        [&mut rows.chan, &mut rows.y, &mut rows.x].into_iter().for_each(|v| v.resize(padded, OUTSIDE));
        let mut columns = ColOffsets { y: Vec::new(), x: Vec::new() };
        for at in odometer(&self.output) {
            columns.y.push(offset(at[0] * self.strides[0], self.begin[0], width));
            columns.x.push(offset(at[1] * self.strides[1], self.begin[1], 1));
        }
        let n_cols = columns.y.len();
        let padded = n_cols.next_multiple_of(steps[1]);
        [&mut columns.y, &mut columns.x].into_iter().for_each(|v| v.resize(padded, OUTSIDE));
        Im2Col {
            image: NdTensorView::from_data([channels, self.input[0], width], planes),
            row_offsets: rows,
            col_offsets: columns,
            n_cols,
            n_rows,
            max_y_offset: (self.input[0].saturating_sub(1) * width) as i32,
            max_x_offset: width.saturating_sub(1) as i32,
        }
    }
}

/// All places within these extents, the last axis running fastest.
fn odometer(extents: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let extents = extents.to_vec();
    (0..extents.iter().product()).map(move |index: usize| {
        let mut left = index;
        let mut place = vec![0; extents.len()];
        for (at, extent) in place.iter_mut().zip(&extents).rev() {
            (*at, left) = (left % extent, left / extent);
        }
        place
    })
}

//! The host's side of `walk.cuh`: operands walked together, in vectors where they lie so.

use crate::index::{Divisor, Walk, distinct};
use crate::launch::{Arg, CandidateCost, Role};
use crate::site::View;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// `Walked` of walk.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Walked {
    strides: [[i64; 6]; 4],
    extents: [Divisor; 6],
    access: [u32; 4],
    rank: u32,
    vectors: u32,
    lanes: u32,
    padded: u32,
}

/// How an operand's rows are moved; `Access` of walk.cuh.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Lanes = 0,
    One = 1,
    Whole = 2,
}

/// Where y stands in the arrays of [`Walked`].
const Y: usize = 3;

/// Elements a thread takes: 16 bytes of the narrowest operand, unless that were more than 32 of the widest.
pub(super) fn wide(types: impl Iterator<Item = DType> + Clone) -> u32 {
    let sizes = types.map(|dtype| dtype.size() as u32);
    let (narrowest, widest) = (sizes.clone().min().unwrap_or(4), sizes.max().unwrap_or(4));
    (16 / narrowest).min(32 / widest)
}

/// Threads that a walk takes, one for `vector` elements of y.
pub(super) fn threads(walk: &Walk, y: &View, vector: u32) -> u64 {
    walk.rows() * u64::from((walk.inner() + y.zero_lanes).div_ceil(vector))
}

/// The arguments every elementwise kernel takes: three inputs, null where there is none, the output, its parameters.
pub(super) fn args(inputs: usize, params: Arg) -> Vec<Arg> {
    let mut args: Vec<Arg> = (0..3).map(|i| Arg::optional(Role::Input(i), usize::from(i) < inputs)).collect();
    args.extend([Arg::Pointer(Role::Output(0)), params]);
    args
}

impl Walked {
    /// One variant: `vector` elements a thread.
    pub fn new(inputs: &[View], y: &View, walk: &Walk, vector: u32) -> Self {
        let mut walked = Self::zeroed();
        for (i, view) in inputs.iter().chain([y]).enumerate() {
            let slot = if i == inputs.len() { Y } else { i };
            walked.strides[slot] = walk.strides_of(i);
            walked.access[slot] = if walk.rows_are_whole(i, 0, view.dtype.size(), vector) {
                Access::Whole
            } else if walk.inner_stride(i) == 0 {
                Access::One
            } else {
                Access::Lanes
            } as u32;
        }
        let padded = walk.inner() + y.zero_lanes;
        Self {
            extents: walk.divisors(padded, vector),
            rank: walk.rank() as u32,
            vectors: threads(walk, y, vector) as u32,
            lanes: walk.inner(),
            padded,
            ..walked
        }
    }

    /// True if y is written in vectors.
    pub fn y_is_whole(&self) -> bool {
        self.access[Y] == Access::Whole as u32
    }

    /// True if an input is read lane by lane.
    pub fn is_scattered(&self) -> bool {
        self.access[..Y]
            .iter()
            .zip(&self.strides)
            .any(|(&access, strides)| access == Access::Lanes as u32 && strides.iter().any(|&stride| stride != 0))
    }

    /// Every operand once, and `operations` an element.
    pub fn cost(&self, inputs: &[View], y: &View, operations: u64, blocks: u64) -> CandidateCost {
        let read: u64 = inputs.iter().map(|view| distinct(view) * view.dtype.size() as u64).sum();
        let rows = y.len() / u64::from(self.lanes.max(1));
        let written = rows * u64::from(self.padded) * y.dtype.size() as u64;
        let efficiency = if self.is_scattered() || !self.y_is_whole() { 0.3 } else { 0.9 };
        CandidateCost::of(Cost { flops: y.len() * operations, bytes: read + written }, blocks, efficiency)
    }
}

//! What `copy.cu` and `cast.cu` share: a source and a target walked together, and what moving them costs.

use super::conversion::Conversion;
use crate::index::{Divisor, Walk, distinct};
use crate::launch::CandidateCost;
use crate::site::{CopySite, Scale, View};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;

/// `StridedPair` of layout/strided.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct StridedPair {
    x_strides: [i64; 6],
    y_strides: [i64; 6],
    x_offset: i64,
    y_offset: i64,
    extents: [Divisor; 6],
    rank: u32,
    vectors: u32,
    lanes: u32,
    padded: u32,
    pub(super) x_whole: u32,
    pub(super) y_whole: u32,
    factor: f32,
    reserved: u32,
}

/// x and y of a site walked together; the last dim is kept if zeros follow it.
pub(super) fn walk(site: &CopySite) -> Result<Walk, String> {
    Walk::of(&[&site.x, &site.y], site.y.zero_lanes > 0)
}

impl StridedPair {
    /// Threads that move `vector` elements each, and their arguments.
    pub(super) fn new(site: &CopySite, walk: &Walk, conversion: Conversion, vector: u32) -> (u64, Self) {
        let padded = walk.inner() + site.y.zero_lanes;
        let vectors = walk.rows() * u64::from(padded.div_ceil(vector));
        let whole =
            |view: usize, offset: i64, dtype: DType| u32::from(walk.rows_are_whole(view, offset, dtype.size(), vector));
        let pair = Self {
            x_strides: walk.strides_of(0),
            y_strides: walk.strides_of(1),
            x_offset: site.x_offset,
            y_offset: site.y_offset,
            extents: walk.divisors(padded, vector),
            rank: walk.rank() as u32,
            vectors: vectors as u32,
            lanes: walk.inner(),
            padded,
            x_whole: whole(0, site.x_offset, site.x.dtype),
            y_whole: whole(1, site.y_offset, site.y.dtype),
            factor: conversion.factor(),
            reserved: 0,
        };
        (vectors, pair)
    }
}

/// What a copy moves at least, with the share of the memory's speed it is expected to reach.
pub(super) fn cost(site: &CopySite, blocks: u64, efficiency: f32) -> CandidateCost {
    let rows = site.y.len() / u64::from(site.y.dims.last().copied().unwrap_or(1).max(1));
    let written = (site.y.len() + rows * u64::from(site.y.zero_lanes)) * site.y.dtype.size() as u64;
    let bytes = distinct(&site.x) * site.x.dtype.size() as u64 + written;
    CandidateCost::of(Cost { flops: 0, bytes }, blocks, efficiency)
}

/// An image's view: NHWC, `pitch` elements a pixel, padding lanes up to a vector.
pub(super) fn image(n: u32, h: u32, w: u32, c: u32, pitch: u32, dtype: DType) -> View {
    let [row, picture] = [i64::from(w * pitch), i64::from(h * w * pitch)];
    let zero_lanes = c.next_multiple_of(crate::site::vector_width(dtype)) - c;
    View {
        dims: vec![n, h, w, c],
        strides: vec![picture, row, i64::from(pitch), 1],
        dtype,
        zero_lanes,
        scale: Scale::ONE,
    }
}

/// The same view of integers with a scale.
pub(super) fn scaled(view: &View, scale: f32) -> View {
    View { scale: Scale::new(scale), ..view.clone() }
}

/// The planes of a dense NCHW tensor, its dims in the order of [`image`].
pub(super) fn planes(n: u32, h: u32, w: u32, c: u32, dtype: DType) -> View {
    let [h64, w64, c64] = [h, w, c].map(i64::from);
    View {
        dims: vec![n, h, w, c],
        strides: vec![c64 * h64 * w64, w64, 1, h64 * w64],
        dtype,
        zero_lanes: 0,
        scale: Scale::ONE,
    }
}

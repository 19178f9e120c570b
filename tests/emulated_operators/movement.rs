//! Operators that move elements: nothing is computed, so nothing may differ but the rounding to f16.

use super::{check, node};
use limpid_graph::ops::{DepthOrder, DepthToSpace, Expand, Pad, PadMode, Reshape, SpaceToDepth, Tile, Transpose};
use limpid_graph::tensor::Dim;

#[test]
fn expand() {
    let to = |dims: &[usize]| Expand { shape: dims.iter().map(|&d| Dim::from(d)).collect() };
    check("pixels repeat", &[&[2, 5, 1, 1]], &|g, x| node(g, to(&[2, 5, 3, 4]), x));
    check("channels repeat", &[&[2, 1, 3, 4]], &|g, x| node(g, to(&[1, 5, 1, 1]), x));
    check("new dims", &[&[3, 1]], &|g, x| node(g, to(&[2, 1, 4]), x));
}

#[test]
fn tile() {
    let by = |repeats: &[usize]| Tile { repeats: repeats.to_vec() };
    check("pixels", &[&[2, 5, 3, 2]], &|g, x| node(g, by(&[1, 1, 2, 3]), x));
    check("channels", &[&[1, 3, 2, 2]], &|g, x| node(g, by(&[2, 3, 1, 1]), x));
    check("whole vectors of channels", &[&[1, 8, 2, 2]], &|g, x| node(g, by(&[1, 2, 1, 2]), x));
    // Eight dims, of which kernels take six.
    check("every axis", &[&[2, 3, 2, 2]], &|g, x| node(g, by(&[2, 3, 2, 2]), x));
}

#[test]
fn depth_to_space_and_back() {
    for order in [DepthOrder::DepthColumnRow, DepthOrder::ColumnRowDepth] {
        let deep = |block| DepthToSpace { block, order };
        check("odd channels", &[&[2, 12, 3, 2]], &|g, x| node(g, deep(2), x));
        check("one channel", &[&[1, 9, 2, 3]], &|g, x| node(g, deep(3), x));
    }
    check("channels with padding", &[&[2, 3, 4, 6]], &|g, x| node(g, SpaceToDepth { block: 2 }, x));
    check("whole vectors of channels", &[&[1, 2, 4, 4]], &|g, x| node(g, SpaceToDepth { block: 2 }, x));
}

#[test]
fn pads_of_every_mode() {
    for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap] {
        let pad = |begin: &[i64], end: &[i64]| Pad { mode, begin: begin.to_vec(), end: end.to_vec(), value: 0.5 };
        check("pixels", &[&[2, 5, 4, 3]], &|g, x| node(g, pad(&[0, 0, 1, 2], &[0, 0, 2, 1]), x));
        check("cut and padded", &[&[2, 5, 4, 3]], &|g, x| node(g, pad(&[0, 0, -1, 2], &[0, 0, 2, -1]), x));
        check("channels", &[&[1, 3, 2, 2]], &|g, x| node(g, pad(&[0, 1, 0, 0], &[0, 1, 0, 1]), x));
        check("a vector", &[&[3]], &|g, x| node(g, pad(&[5], &[4]), x));
    }
}

#[test]
fn what_lies_right_is_not_moved() {
    let transpose = |perm: &[usize]| Transpose { perm: perm.to_vec() };
    let reshape = |dims: &[usize]| Reshape { target: dims.iter().map(|&d| Dim::from(d)).collect(), allow_zero: false };
    // Whole vectors of channels: an image's pixels are rows already.
    check("tokens of pixels", &[&[2, 8, 3, 4]], &|g, x| {
        let pixels = node(g, reshape(&[2, 8, 12]), x);
        node(g, transpose(&[0, 2, 1]), &[pixels])
    });
    check("pixels of tokens", &[&[2, 12, 8]], &|g, x| {
        let channels = node(g, transpose(&[0, 2, 1]), x);
        node(g, reshape(&[2, 8, 3, 4]), &[channels])
    });
    check("channels with padding", &[&[2, 5, 3, 4]], &|g, x| node(g, transpose(&[0, 2, 3, 1]), x));
    check("more dims than kernels take", &[&[2, 2, 3, 2, 2, 2, 3]], &|g, x| {
        node(g, transpose(&[6, 4, 2, 0, 5, 3, 1]), x)
    });
}

//! The host's side of `include/axis.cuh`: an axis, the lines along it, and where padding lanes lie.

use crate::index::{Divisor, Walk, distinct};
use crate::launch::CandidateCost;
use crate::site::{AxisSite, View, vector_width};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;

/// `AxisParams` of axis.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct AxisParams {
    x_outer: [i64; 5],
    y_outer: [i64; 5],
    x_axis: i64,
    y_axis: i64,
    outer: [Divisor; 5],
    rank: u32,
    lines: u32,
    length: u32,
    padded: u32,
    x_whole: u32,
    y_whole: u32,
    variant: u32,
}

/// Which dim the zeros behind y's rows follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// There are none.
    None,
    /// The axis: a softmax over an image's channels.
    Axis,
    /// Another dim, y's contiguous one: a mean over an image's pixels.
    Columns,
}

/// A site's axis and the other dims, merged as far as they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The other dims; views 0 and 1 are x and y. The last is the columns'.
    pub outer: Walk,
    /// Elements of the axis.
    pub length: u32,
    /// Stride of the axis in x.
    pub x_axis: i64,
    /// Stride of the axis in y.
    pub y_axis: i64,
    /// What the padding follows.
    pub padding: Padding,
    zero_lanes: u32,
}

impl Lines {
    /// Takes a site apart; an error tells what does not fit.
    pub fn new(site: &AxisSite) -> Result<Self, String> {
        let (x, y) = (&site.x, &site.y);
        let rank = x.dims.len();
        if rank == 0
            || rank > View::MAX_RANK
            || y.dims.len() != rank
            || x.strides.len() != rank
            || y.strides.len() != rank
        {
            return Err(format!("takes 1 to {} dims, got {} and {}", View::MAX_RANK, rank, y.dims.len()));
        }
        if x.dims[..rank - 1] != y.dims[..rank - 1] {
            return Err(format!("needs the same other dims in x and y, got {:?} and {:?}", x.dims, y.dims));
        }
        if x.is_empty() || y.is_empty() {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let axis = rank - 1;
        let padding = match (y.zero_lanes, y.contiguous_dim()) {
            (0, _) => Padding::None,
            (_, Some(d)) if d < axis => Padding::Columns,
            _ => Padding::Axis,
        };
        // Columns come last: the dim with the padding, else the one that x, or y, is contiguous along.
        let [in_x, in_y] = [x, y].map(|view| view.contiguous_dim().filter(|&d| d < axis));
        let columns = if padding == Padding::Columns { in_y } else { in_x.or(in_y) };
        let mut order: Vec<usize> = (0..axis).filter(|d| Some(*d) != columns).collect();
        order.extend(columns);
        let pick = |values: &[i64]| order.iter().map(|&d| values[d]).collect::<Vec<i64>>();
        let dims: Vec<u32> = order.iter().map(|&d| x.dims[d]).collect();
        let outer = Walk::new(&dims, &[&pick(&x.strides), &pick(&y.strides)], padding == Padding::Columns);
        Ok(Self {
            outer,
            length: x.dims[axis],
            x_axis: if x.dims[axis] == 1 { 1 } else { x.strides[axis] },
            y_axis: if y.dims[axis] == 1 { 1 } else { y.strides[axis] },
            padding,
            zero_lanes: y.zero_lanes,
        })
    }

    /// Lines in all.
    pub fn count(&self) -> u64 {
        self.outer.dims.iter().map(|&d| u64::from(d)).product()
    }

    /// Columns to write, padding included: what the column kernels divide into slabs.
    pub fn padded_columns(&self) -> u32 {
        self.outer.inner() + if self.padding == Padding::Columns { self.zero_lanes } else { 0 }
    }

    /// Everything but the columns.
    pub fn groups(&self) -> u32 {
        self.outer.rows() as u32
    }

    /// True if lines of x (0) or y (1), which are `stride` along the axis, start at multiples of 16 bytes.
    fn lines_are_whole(&self, view: usize, stride: i64, view_of: &View) -> bool {
        let width = i64::from(vector_width(view_of.dtype));
        stride == 1 && self.outer.strides[view].iter().zip(&self.outer.dims).all(|(s, d)| *d == 1 || s % width == 0)
    }

    /// True if vectors along the columns of x are aligned and end inside x or the zeros behind its rows.
    pub fn columns_are_whole(&self, x: &View) -> bool {
        let width = vector_width(x.dtype);
        let missing = self.outer.inner().next_multiple_of(width) - self.outer.inner();
        let outer = &self.outer.strides[0][..self.outer.rank() - 1];
        self.outer.inner_stride(0) == 1
            && outer.iter().chain([&self.x_axis]).all(|s| s % i64::from(width) == 0)
            && missing <= x.zero_lanes
    }

    /// The kernels' parameters. `reduced` is for outputs with one element a line.
    pub fn params(&self, site: &AxisSite, reduced: bool, variant: bool) -> AxisParams {
        let written = if reduced { 1 } else { self.length };
        AxisParams {
            x_outer: self.outer.strides_of(0),
            y_outer: self.outer.strides_of(1),
            x_axis: self.x_axis,
            y_axis: self.y_axis,
            outer: Divisor::all(&self.outer.dims),
            rank: self.outer.rank() as u32,
            lines: self.count() as u32,
            length: self.length,
            padded: match self.padding {
                Padding::Columns => self.padded_columns(),
                Padding::Axis => written + self.zero_lanes,
                Padding::None => written,
            },
            x_whole: u32::from(self.lines_are_whole(0, self.x_axis, &site.x)),
            y_whole: u32::from(self.lines_are_whole(1, self.y_axis, &site.y)),
            variant: u32::from(variant),
        }
    }

    /// As [`Self::params`], with the padding counted along the columns.
    pub fn column_params(&self, site: &AxisSite, variant: bool) -> AxisParams {
        AxisParams { padded: self.padded_columns(), ..self.params(site, false, variant) }
    }

    /// Whether vectors of x along the axis are aligned.
    pub fn x_is_whole(&self, site: &AxisSite) -> bool {
        self.lines_are_whole(0, self.x_axis, &site.x)
    }
}

/// x and y once; `operations` an element of x.
pub fn cost(site: &AxisSite, operations: u64, blocks: u64, efficiency: f32) -> CandidateCost {
    let bytes = distinct(&site.x) * site.x.dtype.size() as u64 + site.y.len() * site.y.dtype.size() as u64;
    CandidateCost::of(Cost { flops: site.x.len() * operations, bytes }, blocks, efficiency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{AxisOp, Scale};
    use limpid_graph::tensor::DType;

    /// Dims N, C, H·W of an image of two pictures of 6 pixels and 5 channels.
    fn pixels_last(zero_lanes: u32) -> AxisSite {
        let x =
            View { dims: vec![2, 5, 6], strides: vec![48, 1, 8], dtype: DType::F16, zero_lanes: 3, scale: Scale::ONE };
        let y = View { dims: vec![2, 5, 1], strides: vec![8, 1, 1], dtype: DType::F16, zero_lanes, scale: Scale::ONE };
        AxisSite { op: AxisOp::Mean, x, y }
    }

    #[test]
    fn channels_are_the_columns_of_a_mean_over_pixels() {
        let lines = Lines::new(&pixels_last(3)).unwrap();
        assert_eq!((lines.padding, lines.padded_columns(), lines.groups(), lines.x_axis), (Padding::Columns, 8, 2, 8));
        assert!(lines.columns_are_whole(&pixels_last(3).x));
    }

    #[test]
    fn the_axis_carries_the_padding_of_a_softmax_over_channels() {
        let x =
            View { dims: vec![2, 6, 5], strides: vec![48, 8, 1], dtype: DType::F16, zero_lanes: 3, scale: Scale::ONE };
        let site = AxisSite { op: AxisOp::Softmax, x: x.clone(), y: x };
        let lines = Lines::new(&site).unwrap();
        assert_eq!((lines.padding, lines.outer.dims.as_slice(), lines.x_axis), (Padding::Axis, &[12][..], 1));
        let params = lines.params(&site, false, false);
        assert_eq!((params.padded, params.x_whole, params.y_whole), (8, 1, 1));
    }

    #[test]
    fn unaligned_columns_are_not_whole() {
        let mut site = pixels_last(0);
        site.x.strides = vec![30, 1, 5];
        assert!(!Lines::new(&site).unwrap().columns_are_whole(&site.x));
    }
}

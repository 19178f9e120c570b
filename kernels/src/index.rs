//! The host's side of `include/index.cuh` and of every strided walk: divisors, and dims that lie together merged.

use crate::site::View;
use bytemuck::{Pod, Zeroable};

/// `Divisor` of index.cuh: n / value by a multiplication and a shift, for n < 2^31.
///
/// Granlund and Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, figure 4.1:
/// with 2^(shift-1) < value <= 2^shift, n / value = (hi32(n · multiplier) + n) >> shift.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Divisor {
    value: u32,
    multiplier: u32,
    shift: u32,
}

impl Divisor {
    /// A divisor of 1..=2^31; 0 is taken as 1, there being nothing to walk then.
    pub fn new(value: u32) -> Self {
        let value = value.max(1);
        let shift = 32 - (value - 1).leading_zeros();
        let excess = (1u64 << shift) - u64::from(value);
        let multiplier = ((excess << 32) / u64::from(value) + 1) as u32;
        Self { value, multiplier, shift }
    }

    /// Divisors of these extents, ones behind them.
    pub fn all<const N: usize>(extents: &[u32]) -> [Self; N] {
        std::array::from_fn(|i| Self::new(extents.get(i).copied().unwrap_or(1)))
    }

    /// n / value as the kernel computes it.
    #[cfg(test)]
    fn divide(self, n: u32) -> u32 {
        let high = ((u64::from(n) * u64::from(self.multiplier)) >> 32) as u32;
        (high + n) >> self.shift
    }
}

/// Several views of the same extents, walked together, with as few dims as they allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Extents; at least one.
    pub dims: Vec<u32>,
    /// Strides of each view, in the order the views were given.
    pub strides: Vec<Vec<i64>>,
}

impl Walk {
    /// Drops extents of 1 and merges neighbours that every view steps through as one.
    ///
    /// With `keep_last` the last dim stays as it is, because zeros follow it in memory. A product that reaches 2^31
    /// is not formed.
    pub fn new(dims: &[u32], strides: &[&[i64]], keep_last: bool) -> Self {
        let mut walk = Self { dims: Vec::new(), strides: vec![Vec::new(); strides.len()] };
        // From the fastest dim outwards; put the right way round at the end.
        for d in (0..dims.len()).rev() {
            let first = walk.dims.is_empty();
            if dims[d] == 1 && !(first && keep_last) {
                continue;
            }
            let closed = walk.dims.len() == usize::from(keep_last);
            let inner = walk.dims.last().copied().unwrap_or(1);
            let adjoin =
                |(own, outer): (&Vec<i64>, &&[i64])| own.last().is_some_and(|s| s * i64::from(inner) == outer[d]);
            let product = u64::from(inner) * u64::from(dims[d]);
            if !first && !closed && product < 1 << 31 && walk.strides.iter().zip(strides).all(adjoin) {
                *walk.dims.last_mut().unwrap_or(&mut 0) = product as u32;
                continue;
            }
            walk.dims.push(dims[d]);
            for (own, all) in walk.strides.iter_mut().zip(strides) {
                // A single lane's stride leads nowhere, but the zeros behind it lie next to it.
                own.push(if dims[d] == 1 { 1 } else { all[d] });
            }
        }
        if walk.dims.is_empty() {
            walk.dims.push(1);
            walk.strides.iter_mut().for_each(|own| own.push(1));
        }
        walk.dims.reverse();
        walk.strides.iter_mut().for_each(|own| own.reverse());
        walk
    }

    /// Of views as sites give them; an error tells what is wrong with their ranks or extents.
    pub fn of(views: &[&View], keep_last: bool) -> Result<Self, String> {
        let Some(first) = views.first() else { return Err("has no operand".to_owned()) };
        for view in views {
            if view.dims.len() > View::MAX_RANK {
                return Err(format!("takes {} dims, got {}", View::MAX_RANK, view.dims.len()));
            }
            if view.dims != first.dims || view.strides.len() != view.dims.len() {
                return Err(format!("needs operands of the same extents, got {:?} and {:?}", first.dims, view.dims));
            }
        }
        let strides: Vec<&[i64]> = views.iter().map(|view| view.strides.as_slice()).collect();
        Ok(Self::new(&first.dims, &strides, keep_last))
    }

    /// Number of dims.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Extent of the dim that varies fastest.
    pub fn inner(&self) -> u32 {
        self.dims.last().copied().unwrap_or(1)
    }

    /// Products of all extents but the last.
    pub fn rows(&self) -> u64 {
        self.dims[..self.rank() - 1].iter().map(|&d| u64::from(d)).product()
    }

    /// Stride of a view along the dim that varies fastest.
    pub fn inner_stride(&self, view: usize) -> i64 {
        self.strides[view].last().copied().unwrap_or(1)
    }

    /// A view's strides, zeros behind them.
    pub fn strides_of<const N: usize>(&self, view: usize) -> [i64; N] {
        std::array::from_fn(|i| self.strides[view].get(i).copied().unwrap_or(0))
    }

    /// True if every row of a view is dense and starts, `offset` elements after an aligned address, at a multiple of
    /// `vector` elements of `size` bytes, or of 16 bytes if that is less: what vector accesses need.
    pub fn rows_are_whole(&self, view: usize, offset: i64, size: usize, vector: u32) -> bool {
        let alignment = (size as i64 * i64::from(vector)).min(16);
        let outer = &self.strides[view][..self.rank() - 1];
        self.inner_stride(view) == 1 && outer.iter().chain([&offset]).all(|s| s * size as i64 % alignment == 0)
    }

    /// Extents as divisors with the last one counted in vectors, `padded` lanes of it.
    pub fn divisors<const N: usize>(&self, padded: u32, vector: u32) -> [Divisor; N] {
        let mut extents = self.dims.clone();
        if let Some(last) = extents.last_mut() {
            *last = padded.div_ceil(vector);
        }
        Divisor::all(&extents)
    }
}

/// Distinct elements of a view: those of dims that are not broadcast.
pub fn distinct(view: &View) -> u64 {
    view.dims.iter().zip(&view.strides).filter(|(_, s)| **s != 0).map(|(d, _)| u64::from(*d)).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Scale;
    use limpid_graph::tensor::DType;

    #[test]
    fn divides_exactly() {
        let limit = (1u32 << 31) - 1;
        for value in (1..2000).chain([4095, 4096, 4097, 65_537, 1 << 20, 50_176, limit / 2, limit - 1, limit, 1 << 31])
        {
            let divisor = Divisor::new(value);
            for n in [0, 1, value - 1, value.min(limit), limit / 3, limit - 1, limit] {
                assert_eq!(divisor.divide(n), n / value, "{n} / {value}");
                let multiple = n / value * value;
                assert_eq!(divisor.divide(multiple), multiple / value);
                assert_eq!(divisor.divide(multiple.saturating_sub(1)), multiple.saturating_sub(1) / value);
            }
        }
    }

    #[test]
    fn merges_what_lies_together() {
        // Two dense images and a value per channel: pixels merge, channels stay apart.
        let image = View::dense(&[2, 3, 4, 8], DType::F16);
        let per_channel = View { strides: vec![0, 0, 0, 1], ..image.clone() };
        let walk = Walk::of(&[&image, &per_channel], false).unwrap();
        assert_eq!(walk, Walk { dims: vec![24, 8], strides: vec![vec![8, 1], vec![0, 1]] });
        assert_eq!(Walk::of(&[&image, &image], false).unwrap().dims, [192]);
    }

    #[test]
    fn keeps_the_dim_that_padding_follows() {
        let view =
            View { dims: vec![2, 5, 1], strides: vec![40, 8, 1], dtype: DType::F16, zero_lanes: 7, scale: Scale::ONE };
        let walk = Walk::of(&[&view], true).unwrap();
        assert_eq!(walk, Walk { dims: vec![10, 1], strides: vec![vec![8, 1]] });
        assert!(walk.rows_are_whole(0, 0, 2, 8));
        assert!(!walk.rows_are_whole(0, 4, 2, 8), "4 f16 are 8 bytes off");
    }

    #[test]
    fn one_element_is_a_walk_of_one_step() {
        let walk = Walk::of(&[&View::dense(&[1, 1], DType::F32), &View::dense(&[1, 1], DType::F32)], false).unwrap();
        assert_eq!(walk.dims, [1]);
    }
}

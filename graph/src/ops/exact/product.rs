//! Exact sums of products of 8-bit integers, by the matrix product in f32.
//!
//! f32 holds every integer up to 2^24. A sum of [`EXACT_IN_F32`] products of 8-bit integers stays within that
//! whatever its order, so an f32 product over so many terms is exact, and as fast as f32 is. Deeper products are
//! cut into parts of that depth, and the parts' sums are added in i32.

use crate::ops::OpError;
use crate::ops::product::{Left, Product, Right, View};

/// Products of 8-bit integers whose sums, in any order, f32 holds exactly: 128·128·1024 = 2^24.
pub(in crate::ops) const EXACT_IN_F32: usize = 1024;

/// Integers as f32, which is exact.
pub(in crate::ops) fn reals(integers: &[i8]) -> Vec<f32> {
    integers.iter().map(|&q| f32::from(q)).collect()
}

/// sums = a·b of integers that `a` and `b` hold as f32, at most 128 in magnitude.
pub(in crate::ops) fn multiply(product: &Product, a: View<'_>, b: View<'_>, sums: &mut [i32]) -> Result<(), OpError> {
    let depth = a.extents[1];
    let mut part = vec![0f32; sums.len()];
    sums.fill(0);
    for start in (0..depth).step_by(EXACT_IN_F32) {
        let terms = start..depth.min(start + EXACT_IN_F32);
        let (a, b) = (a.columns(terms.clone()), b.rows(terms));
        product.multiply(&Left::Plain(a), Right::Dense(b), 1.0, &mut part)?;
        sums.iter_mut().zip(&part).for_each(|(sum, &part)| *sum += part as i32);
    }
    Ok(())
}

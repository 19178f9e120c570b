//! What the operators that only move elements share: output positions drawn from input positions, axis by axis.
//!
//! A slice, a transpose, a broadcast, a padding and a nearest resize all read, at output position
//! (i, j, …), the input element at offset `t₀[i] + t₁[j] + …` for one table of offsets an axis.

use super::OpError;
use crate::ir::Fact;
use crate::tensor::{DType, Element, Shape, Tensor};
use rayon::prelude::*;

/// The fact of x's elements under another shape. One scale for the whole tensor goes along;
/// scales along an axis would end up beside the wrong elements.
pub(super) fn moved(x: &Fact, shape: Shape) -> Result<Fact, OpError> {
    if let Some(axis) = x.quant.as_ref().and_then(|q| q.axis) {
        let got = format!("scales along axis {axis}");
        return Err(OpError::Shape { what: "the quantization of x", expected: "one scale".to_owned(), got });
    }
    Ok(Fact { dtype: x.dtype, shape, quant: x.quant.clone() })
}

/// Number of elements, or an error where it is more than an address can count.
pub(super) fn volume(shape: &[usize], dtype: DType) -> Result<usize, OpError> {
    let bytes = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
    bytes.filter(|b| isize::try_from(*b).is_ok()).map(|b| b / dtype.size()).ok_or_else(|| OpError::Shape {
        what: "the output",
        expected: "smaller than memory".to_owned(),
        got: format!("{shape:?}"),
    })
}

/// Where each position along one output axis reads from: offsets in elements, `None` for the fill value.
pub(super) type Offsets = Vec<Option<usize>>;

/// Offsets along an axis of this stride for input indices.
pub(super) fn along(stride: usize, indices: impl IntoIterator<Item = usize>) -> Offsets {
    indices.into_iter().map(|i| Some(i * stride)).collect()
}

/// Draws each output element from `x`; where an axis says `None`, the element is `fill` (as `x`'s type holds it).
///
/// # Errors
/// If the output would be larger than memory, or an offset lies outside `x`.
pub(super) fn gather(x: &Tensor, axes: &[Offsets], fill: f32) -> Result<Tensor, OpError> {
    let shape: Vec<usize> = axes.iter().map(Vec::len).collect();
    let len = volume(&shape, x.dtype())?;
    let farthest: usize = axes.iter().map(|t| t.iter().flatten().max().copied().unwrap_or(0)).sum();
    if len > 0 && farthest >= x.len() && axes.iter().all(|t| t.iter().any(Option::is_some)) {
        let text = format!("reads element {farthest} of a tensor of {} elements {:?}", x.len(), x.shape());
        return Err(OpError::Tensor(text));
    }
    Ok(match x.dtype() {
        DType::F32 => typed(x, &shape, axes, fill)?,
        DType::F16 => typed(x, &shape, axes, half::f16::from_f32(fill))?,
        DType::I8 => typed(x, &shape, axes, fill as i8)?,
        DType::U8 => typed(x, &shape, axes, fill as u8)?,
        DType::I32 => typed(x, &shape, axes, fill as i32)?,
        DType::I64 => typed(x, &shape, axes, fill as i64)?,
        DType::Bool => {
            let bytes = drawn(x.as_slice::<u8>()?, len, axes, u8::from(fill != 0.0));
            Tensor::from_bytes(DType::Bool, &shape, &bytes)?
        }
    })
}

fn typed<T: Element>(x: &Tensor, shape: &[usize], axes: &[Offsets], fill: T) -> Result<Tensor, OpError> {
    let len = shape.iter().product();
    Ok(Tensor::new(shape, drawn(x.as_slice::<T>()?, len, axes, fill))?)
}

fn drawn<T: Element>(x: &[T], len: usize, axes: &[Offsets], fill: T) -> Vec<T> {
    let Some((last, outer)) = axes.split_last() else { return x.first().map_or(vec![fill], |&v| vec![v]) };
    let mut out = vec![fill; len];
    if len == 0 {
        return out;
    }
    // A row that lies in one piece in the input is copied in one piece.
    let whole = last.iter().enumerate().all(|(i, o)| o.is_some() && *o == last[0].map(|first| first + i));
    out.par_chunks_mut(last.len()).with_min_len(1 + (1 << 12) / last.len()).enumerate().for_each(|(row, slots)| {
        let Some(start) = row_start(outer, row) else { return };
        match last[0] {
            Some(first) if whole => slots.copy_from_slice(&x[start + first..start + first + slots.len()]),
            _ => {
                for (slot, offset) in slots.iter_mut().zip(last).filter_map(|(s, o)| o.map(|o| (s, o))) {
                    *slot = x[start + offset];
                }
            }
        }
    });
    out
}

fn row_start(outer: &[Offsets], mut row: usize) -> Option<usize> {
    let mut start = 0;
    for table in outer.iter().rev() {
        start += table[row % table.len()]?;
        row /= table.len();
    }
    Some(start)
}

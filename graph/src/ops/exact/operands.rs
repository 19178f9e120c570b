//! What the operators of the exact INT8 path take: checks on facts, before anything runs.

use super::check_scale;
use crate::ir::Fact;
use crate::ops::{Epilogue, OpError};
use crate::tensor::{DType, Dim};

/// The largest magnitude of an activation's integer.
pub(in crate::ops) const LARGEST_INTEGER: u32 = 128;

/// The largest magnitude of an activation's integer times a weight's.
const LARGEST_PRODUCT: u32 = 128 * 127;

/// The element type of a result that is new numbers, not moved ones: real unless a precision pass gives it a scale.
pub(in crate::ops) fn result(x: &Fact) -> DType {
    if x.exact_scale().is_some() { DType::F32 } else { x.dtype }
}

/// Checks what Conv, ConvTranspose and Gemm multiply and add, either all real or all of the exact INT8 path:
///
/// ```text
/// x           real                   i8, one scale
/// w           real                   i8, one scale, or one per slice along `axis`, the output channels
/// bias        real                   real
/// residual    real                   real, or i8 with one scale
/// ```
///
/// `terms` are the extents whose product is the number of products in a sum. Returns the result's element type.
///
/// # Errors
/// If a type or scale does not fit, or integers could overflow 32 bits.
pub(in crate::ops) fn check_product(
    inputs: &[&Fact],
    epilogue: &Epilogue,
    axis: usize,
    terms: &[Dim],
) -> Result<DType, OpError> {
    let (x, w) = (inputs[0], inputs[1]);
    OpError::real_or_int8("x", x)?;
    let int8 = x.exact_scale().is_some();
    if int8 {
        weights(w, axis)?;
        let terms = terms.iter().filter_map(Dim::as_usize).fold(1, usize::saturating_mul);
        check_sum(terms, LARGEST_PRODUCT)?;
    } else {
        OpError::real("w", w)?;
    }
    if let Some(index) = epilogue.bias_index(2) {
        OpError::real("bias", inputs[index])?;
    }
    match epilogue.residual_index(2) {
        Some(index) if int8 => OpError::real_or_int8("residual", inputs[index])?,
        Some(index) => OpError::real("residual", inputs[index])?,
        None => {}
    }
    Ok(result(x))
}

/// Checks that `terms` integers of magnitude `largest` or less add up within an i32.
pub(in crate::ops) fn check_sum(terms: usize, largest: u32) -> Result<(), OpError> {
    if terms > (i32::MAX as u32 / largest) as usize {
        return Err(OpError::Terms { terms, largest, bits: 32 });
    }
    Ok(())
}

fn weights(w: &Fact, axis: usize) -> Result<(), OpError> {
    let symmetric = w.quant.as_ref().filter(|q| w.dtype == DType::I8 && q.dtype == DType::I8 && q.is_symmetric());
    let Some(params) = symmetric else {
        let expected = "i8 with scales and zero point 0, as x is";
        return Err(OpError::Type { what: "w", expected, got: w.dtype });
    };
    let slices = match params.axis {
        None => Some(1),
        Some(own) if own == axis => w.shape.get(axis).and_then(Dim::as_usize),
        Some(_) => None,
    };
    if slices != Some(params.scales.len()) {
        let along = params.axis.map_or_else(String::new, |own| format!(" along axis {own}"));
        let got = format!("{}{along} for {}", params.scales.len(), w.shape);
        let expected = format!("one, or one for each slice along axis {axis}");
        return Err(OpError::Shape { what: "the number of w's scales", expected, got });
    }
    for &scale in &params.scales {
        check_scale(scale).map_err(|source| OpError::Scale { what: "w", source })?;
    }
    Ok(())
}

//! What sites with quantized operands compute, to the bit, from the definitions in `limpid_graph::ops::exact`.
//!
//! Integers come as f64, in which they are exact; reals are f32 or f16, rounded where the definition rounds.

use super::reference;
use limpid_graph::ops::exact;
use limpid_graph::tensor::DType;
use limpid_kernels::site::{CopySite, FillSite, Scale};

/// A real as it is stored: quantized, rounded to f16, or as it is.
fn stored(real: f32, dtype: DType, scale: Scale) -> f64 {
    match dtype {
        DType::I8 => f64::from(exact::quantize(real, scale.inverse())),
        DType::F16 => half::f16::from_f32(real).to_f64(),
        _ => f64::from(real),
    }
}

/// One element of a copy.
pub fn copied(site: &CopySite, x: f64) -> f64 {
    let (from, to) = (&site.x, &site.y);
    if !from.scale.is_quantized() && !to.scale.is_quantized() {
        return reference::cast(x, from.dtype, to.dtype);
    }
    match (from.dtype, to.dtype) {
        (DType::I8, DType::I8) => {
            f64::from(exact::requantize(x as i8, exact::rescale(from.scale.get(), to.scale.get())))
        }
        (_, DType::I8) if !from.scale.is_quantized() => stored(x as f32, to.dtype, to.scale),
        // Integers of other types have no name in the definition; it is the same line.
        (_, DType::I8) => f64::from(exact::quantize(x as f32, exact::rescale(from.scale.get(), to.scale.get()))),
        _ => stored(x as f32 * from.scale.get(), to.dtype, to.scale),
    }
}

/// What every element of a fill is.
pub fn filled(site: &FillSite) -> f64 {
    let y = &site.y;
    if y.scale.is_quantized() {
        stored(site.value, y.dtype, y.scale)
    } else {
        reference::cast(f64::from(site.value), DType::F32, y.dtype)
    }
}

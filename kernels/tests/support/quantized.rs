//! What sites with quantized operands compute, to the bit, from the definitions in `limpid_graph::ops::exact`.
//!
//! Integers come as f64, in which they are exact; reals are f32 or f16, rounded where the definition rounds.

use super::reference;
use limpid_graph::ops::exact;
use limpid_graph::tensor::DType;
use limpid_kernels::site::{
    CopySite, ElementwiseOp, ElementwiseSite, FillSite, Image, PoolKind, PoolSite, ResizeSite, Scale,
};

/// A real as it is stored: quantized, rounded to f16, or as it is.
pub fn stored(real: f32, dtype: DType, scale: Scale) -> f64 {
    match dtype {
        DType::I8 => f64::from(exact::quantize(real, scale.inverse())),
        DType::F16 => half::f16::from_f32(real).to_f64(),
        _ => f64::from(real),
    }
}

/// f32 on the left of a product: rounded, or quantized.
pub fn converted(reals: &[f64], dtype: DType, scale: Scale) -> Vec<f64> {
    reals.iter().map(|&real| stored(real as f32, dtype, scale)).collect()
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

/// An integer of x as y's number.
pub fn moved(x: &Image, y: &Image, q: f64) -> f64 {
    match y.dtype {
        DType::I8 => f64::from(exact::requantize(q as i8, exact::rescale(x.scale.get(), y.scale.get()))),
        dtype => stored(q as f32 * x.scale.get(), dtype, y.scale),
    }
}

/// The largest of a window, or its sum, which an average divides by `count`.
pub fn pooled(site: &PoolSite, folded: f64, count: i32) -> f64 {
    match site.kind {
        PoolKind::Max => moved(&site.x, &site.y, folded.max(-128.0)),
        _ => stored(folded as f32 * (site.x.scale.get() / count as f32), site.y.dtype, site.y.scale),
    }
}

/// One point between four pixels, its coordinates (h, w) not yet clamped.
pub fn interpolated(site: &ResizeSite, at: [f32; 2], pixel: impl Fn(f32, f32) -> f32) -> f64 {
    let extents = [site.x.h as f32, site.x.w as f32];
    let clamped: [f32; 2] = std::array::from_fn(|axis| at[axis].clamp(0.0, extents[axis] - 1.0));
    let [top, left] = clamped.map(f32::floor);
    let [bottom, right] = [(top + 1.0).min(extents[0] - 1.0), (left + 1.0).min(extents[1] - 1.0)];
    let [down, along] = [clamped[0] - top, clamped[1] - left];
    let row = |h: f32| along.mul_add(pixel(h, right) - pixel(h, left), pixel(h, left));
    let v = down.mul_add(row(bottom) - row(top), row(top));
    match site.y.dtype {
        DType::I8 => f64::from(exact::quantize(v, exact::rescale(site.x.scale.get(), site.y.scale.get()))),
        dtype => stored(v * site.x.scale.get(), dtype, site.y.scale),
    }
}

/// Inputs have the output's dims.
pub fn elementwise(site: &ElementwiseSite, inputs: &[Vec<f64>]) -> Vec<f64> {
    let value = |index: usize| {
        let number = |i: usize| inputs[i][index] as f32;
        let scale = |i: usize| site.inputs[i].scale.get();
        let real = |i: usize| number(i) * scale(i);
        let x = match site.op {
            ElementwiseOp::Identity => real(0),
            ElementwiseOp::Add => number(1).mul_add(scale(1), real(0)),
            ElementwiseOp::Sub => real(0) - real(1),
            ElementwiseOp::Mul => real(0) * real(1),
            ElementwiseOp::Div => real(0) / real(1),
            ElementwiseOp::MulAdd => real(0).mul_add(real(1), real(2)),
        };
        stored(exact::activate(site.activation, x), site.y.dtype, site.y.scale)
    };
    (0..site.y.len() as usize).map(value).collect()
}

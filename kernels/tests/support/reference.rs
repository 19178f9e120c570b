//! What each site computes, as plain loops over logical coordinates in f64. Written from the definitions in
//! `site.rs` and ONNX's operator pages, with no look at the kernels. Windows over pictures are in `windows.rs`.

use super::finish::Finish;
use limpid_graph::ir::Precision;
use limpid_graph::ops::picture::{Channels, luma, resize};
use limpid_graph::ops::{Comparison, UnaryFunction, exact};
use limpid_graph::tensor::DType;
use limpid_kernels::site::{
    AxisOp, AxisSite, ElementwiseOp, ElementwiseSite, Function, FunctionSite, GatherSite, GemmSite, Image, NormSite,
    PictureSite,
};
use rayon::prelude::*;

/// A number as a product of this precision takes it. TF32 keeps 10 bits, to nearest, ties away from zero.
pub fn operand(precision: Precision, x: f64) -> f64 {
    match precision {
        Precision::Tf32 => {
            let bits = (x as f32).to_bits();
            f64::from(f32::from_bits(bits.wrapping_add(0x1000) & !0x1fff))
        }
        _ => x,
    }
}

/// a: (batch, m, k); b: (batch, k, n) or (batch, n, k).
pub fn gemm(site: &GemmSite, a: &[f64], b: &[f64], b_is_k_by_n: bool, finish: &Finish) -> Vec<f64> {
    let (m, n, k) = (site.m as usize, site.n as usize, site.k as usize);
    let a: Vec<f64> = a.iter().map(|&x| operand(site.precision, x)).collect();
    let b: Vec<f64> = b.iter().map(|&x| operand(site.precision, x)).collect();
    let element = |index: usize| {
        let (batch, row, column) = (index / (m * n), index / n % m, index % n);
        let product = |i: usize| {
            let at = if b_is_k_by_n { i * n + column } else { column * k + i };
            a[(batch * m + row) * k + i] * b[batch * k * n + at]
        };
        finish.of((0..k).map(product).sum(), column, index)
    };
    (0..site.batch as usize * m * n).into_par_iter().map(element).collect()
}

/// Inputs have the output's dims.
pub fn elementwise(site: &ElementwiseSite, inputs: &[Vec<f64>]) -> Vec<f64> {
    let value = |index: usize| {
        let input = |i: usize| inputs[i][index];
        let y = match site.op {
            ElementwiseOp::Identity => input(0),
            ElementwiseOp::Add => input(0) + input(1),
            ElementwiseOp::Sub => input(0) - input(1),
            ElementwiseOp::Mul => input(0) * input(1),
            ElementwiseOp::Div => input(0) / input(1),
            ElementwiseOp::MulAdd => input(0) * input(1) + input(2),
        };
        f64::from(site.activation.apply(y as f32))
    };
    (0..site.y.len() as usize).map(value).collect()
}

/// ONNX's Cast: floats to integers toward zero, integers to narrower ones by their low bits, to bool anything but
/// zero, to floats to nearest even.
pub fn cast(x: f64, from: DType, to: DType) -> f64 {
    let whole = x as i64;
    match to {
        DType::F32 => f64::from(x as f32),
        DType::F16 => half::f16::from_f64(x).to_f64(),
        DType::Bool => f64::from(u8::from(x != 0.0)),
        DType::I8 if !from.is_float() => f64::from(whole as i8),
        DType::U8 if !from.is_float() => f64::from(whole as u8),
        DType::I32 if !from.is_float() => f64::from(whole as i32),
        DType::I8 => f64::from(x as i8),
        DType::U8 => f64::from(x as u8),
        DType::I32 => f64::from(x as i32),
        DType::I64 => whole as f64,
    }
}

/// Lines of the last dim, one after another.
pub fn axis(site: &AxisSite, x: &[f64]) -> Vec<f64> {
    let extent = site.x.dims.last().copied().unwrap_or(1) as usize;
    let line = |x: &[f64]| -> Vec<f64> {
        let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = x.iter().map(|v| (v - max).exp()).sum();
        match site.op {
            AxisOp::Softmax => x.iter().map(|v| (v - max).exp() / sum).collect(),
            AxisOp::LogSoftmax => x.iter().map(|v| v - max - sum.ln()).collect(),
            AxisOp::Mean => vec![x.iter().sum::<f64>() / extent as f64],
            AxisOp::Sum => vec![x.iter().sum()],
            AxisOp::L1 => vec![x.iter().map(|v| v.abs()).sum()],
            AxisOp::L2 => vec![x.iter().map(|v| v * v).sum::<f64>().sqrt()],
            AxisOp::SumSquare => vec![x.iter().map(|v| v * v).sum()],
            AxisOp::Prod => vec![x.iter().product()],
            AxisOp::Max => vec![max],
            AxisOp::Min => vec![x.iter().copied().fold(f64::INFINITY, f64::min)],
            AxisOp::LogSumExp => vec![max + sum.ln()],
            AxisOp::ArgMax => vec![x.iter().position(|&v| v == max).unwrap_or(0) as f64],
            AxisOp::ArgMaxLast => vec![x.iter().rposition(|&v| v == max).unwrap_or(0) as f64],
        }
    };
    x.chunks(extent.max(1)).flat_map(line).collect()
}

/// Inputs have the output's dims. Functions of reals are the operators' own; integers are small enough for f64.
pub fn function(site: &FunctionSite, inputs: &[Vec<f64>]) -> Vec<f64> {
    let reals = site.inputs.iter().all(|view| view.dtype.is_float());
    let value = |index: usize| {
        let [a, b, c] = [0, 1, 2].map(|i| inputs.get(i).map_or(0.0, |values| values[index]));
        match site.function {
            Function::Unary(f) if reals => f64::from(f.apply(a as f32)),
            Function::Unary(UnaryFunction::Abs) => a.abs(),
            // An integer has no negative zero.
            Function::Unary(UnaryFunction::Neg) => 0.0 - a,
            Function::Unary(_) => f64::from(i8::from(a > 0.0) - i8::from(a < 0.0)),
            Function::Binary(f) if reals => f64::from(site.activation.apply(f.apply(a as f32, b as f32))),
            // Nothing else can be said of a division by zero.
            Function::Binary(f) => f.apply_integer(a as i64, b as i64).unwrap_or(0) as f64,
            Function::Compare(Comparison::And) => f64::from(u8::from(a != 0.0 && b != 0.0)),
            Function::Compare(Comparison::Or) => f64::from(u8::from(a != 0.0 || b != 0.0)),
            Function::Compare(Comparison::Xor) => f64::from(u8::from(a != b)),
            Function::Compare(relation) => f64::from(u8::from(relation.holds(a.partial_cmp(&b)))),
            Function::Where => {
                let chosen = if a != 0.0 { b } else { c };
                if site.y.dtype.is_float() { cast(chosen, DType::F32, site.y.dtype) } else { chosen }
            }
        }
    };
    (0..site.y.len() as usize).map(value).collect()
}

/// Rows of the last dim, one after another; the parameters have x's dims.
pub fn norm(site: &NormSite, x: &[f64], scale: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
    let extent = site.x.dims.last().copied().unwrap_or(1) as usize;
    let row = |(number, row): (usize, &[f64])| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / extent as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / extent as f64;
        let factor = 1.0 / (variance + f64::from(site.epsilon)).sqrt();
        let first = number * extent;
        let value = |i: usize| (row[i] - mean) * factor * scale[first + i] + bias.map_or(0.0, |b| b[first + i]);
        (0..extent).map(value).collect()
    };
    x.chunks(extent.max(1)).enumerate().flat_map(row).collect()
}

/// Resized as a whole and cut then, a pixel's channels together; rounded as y stores it.
pub fn picture(site: &PictureSite, x: &[f64]) -> Vec<f64> {
    let PictureSite { x: from, y, resized, corner, channels, numbers } = site;
    let channel = |pixel: &[f64]| -> Vec<u8> {
        let bytes = [pixel[0] as u8, pixel[1] as u8, pixel[2] as u8];
        match channels {
            Channels::Rgb => bytes.to_vec(),
            Channels::Bgr => bytes.into_iter().rev().collect(),
            Channels::Gray => vec![luma(&bytes)],
        }
    };
    let (count, [h, w]) = (channels.count(), resized.map(|extent| extent as usize));
    let mut want = Vec::new();
    for picture in x.chunks((from.h * from.w * 3) as usize) {
        let bytes: Vec<u8> = picture.chunks(3).flat_map(channel).collect();
        let whole = resize(&bytes, count, (from.h as usize, from.w as usize), (h, w));
        for (row, column) in (0..y.h).flat_map(|row| (0..y.w).map(move |column| (row, column))) {
            let pixel = (row + corner[0]) as usize * w + (column + corner[1]) as usize;
            want.extend((0..count).map(|c| stored(numbers.apply(whole[pixel * count + c], c), y)));
        }
    }
    want
}

fn stored(value: f32, y: &Image) -> f64 {
    match y.dtype {
        DType::F16 => half::f16::from_f32(value).to_f64(),
        DType::I8 => f64::from(exact::quantize(value, y.scale.inverse())),
        _ => f64::from(value),
    }
}

/// x: (outer, axis, inner).
pub fn gather(site: &GatherSite, x: &[f64], indices: &[f64]) -> Vec<f64> {
    let (axis, inner) = (site.axis as usize, site.inner as usize);
    let mut y = Vec::new();
    for outer in 0..site.outer as usize {
        for &index in indices {
            let row = if index < 0.0 { index + axis as f64 } else { index } as usize;
            let start = (outer * axis + row) * inner;
            y.extend_from_slice(&x[start..start + inner]);
        }
    }
    y
}

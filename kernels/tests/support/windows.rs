//! Convolutions, pools and interpolation: what slides over a picture. Plain loops over logical coordinates in f64.

use super::finish::Finish;
use super::quantized;
use super::reference::operand;
use limpid_graph::tensor::DType;
use limpid_kernels::site::{
    ConvSite, ConvTransposeSite, Image, Interpolation, NearestMode, PoolKind, PoolSite, ResizeSite,
};
use rayon::prelude::*;

/// An element's place in a picture.
#[derive(Clone, Copy)]
struct Place {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
}

fn place(image: &Image, index: usize) -> Place {
    let (h, w, c) = (image.h as usize, image.w as usize, image.c as usize);
    Place { n: index / (h * w * c), h: index / (w * c) % h, w: index / c % w, c: index % c }
}

/// The element's row-major index, or `None` outside of the picture.
fn index(image: &Image, n: usize, h: i64, w: i64, c: usize) -> Option<usize> {
    let inside = (0..i64::from(image.h)).contains(&h) && (0..i64::from(image.w)).contains(&w);
    let row = || (n * image.h as usize + h as usize) * image.w as usize + w as usize;
    inside.then(|| row() * image.c as usize + c)
}

fn every_element(image: &Image, value: impl Fn(usize, Place) -> f64 + Sync + Send) -> Vec<f64> {
    let count = image.pixels() as usize * image.c as usize;
    (0..count).into_par_iter().map(|i| value(i, place(image, i))).collect()
}

/// Taps of a window.
fn taps(kernel: [u32; 2]) -> impl Iterator<Item = (i64, i64)> {
    (0..i64::from(kernel[0])).flat_map(move |r| (0..i64::from(kernel[1])).map(move |s| (r, s)))
}

/// Where tap (r, s) of the window at output (h, w) reads.
fn tap_at(at: Place, (r, s): (i64, i64), stride: [u32; 2], dilation: [u32; 2], pad: [u32; 2]) -> (i64, i64) {
    let axis = |i: usize, output: usize, tap: i64| {
        output as i64 * i64::from(stride[i]) + tap * i64::from(dilation[i]) - i64::from(pad[i])
    };
    (axis(0, at.h, r), axis(1, at.w, s))
}

/// w: (K, C/groups, R, S). <https://onnx.ai/onnx/operators/onnx__Conv.html>
pub fn conv(site: &ConvSite, x: &[f64], w: &[f32], finish: &Finish) -> Vec<f64> {
    let channels = (site.x.c / site.groups) as usize;
    let filters = (site.y.c / site.groups) as usize;
    every_element(&site.y, |i, at| {
        let first = at.c / filters * channels;
        let mut sum = 0.0;
        for (r, s) in taps(site.kernel) {
            let (h, w_at) = tap_at(at, (r, s), site.stride, site.dilation, site.pad);
            for c in 0..channels {
                let Some(from) = index(&site.x, at.n, h, w_at, first + c) else { continue };
                let tap = ((at.c * channels + c) * site.kernel[0] as usize + r as usize) * site.kernel[1] as usize;
                let weight = f64::from(w[tap + s as usize]);
                sum += operand(site.precision, x[from]) * operand(site.precision, weight);
            }
        }
        finish.of(sum, at.c, i)
    })
}

/// w: (C, K/groups, R, S); every input element spreads over a window of the output, here gathered by asking each
/// output which inputs reach it. <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html>
pub fn conv_transpose(site: &ConvTransposeSite, x: &[f64], w: &[f32], finish: &Finish) -> Vec<f64> {
    let channels = (site.x.c / site.groups) as usize;
    let filters = (site.y.c / site.groups) as usize;
    // The input coordinate whose tap falls on this output coordinate, if there is one.
    let source = |axis: usize, output: usize, tap: i64| {
        let reach = output as i64 + i64::from(site.pad[axis]) - tap * i64::from(site.dilation[axis]);
        (reach % i64::from(site.stride[axis]) == 0).then(|| reach / i64::from(site.stride[axis]))
    };
    every_element(&site.y, |i, at| {
        let first = at.c / filters * channels;
        let mut sum = 0.0;
        for (r, s) in taps(site.kernel) {
            let (Some(h), Some(w_at)) = (source(0, at.h, r), source(1, at.w, s)) else { continue };
            for c in first..first + channels {
                let Some(from) = index(&site.x, at.n, h, w_at, c) else { continue };
                let tap = (c * filters + at.c % filters) * site.kernel[0] as usize + r as usize;
                let weight = f64::from(w[tap * site.kernel[1] as usize + s as usize]);
                sum += operand(site.precision, x[from]) * operand(site.precision, weight);
            }
        }
        finish.of(sum, at.c, i)
    })
}

/// <https://onnx.ai/onnx/operators/onnx__AveragePool.html>
pub fn pool(site: &PoolSite, x: &[f64]) -> Vec<f64> {
    every_element(&site.y, |_, at| {
        let (mut max, mut sum, mut inside, mut with_pad) = (f64::NEG_INFINITY, 0.0, 0, 0);
        for tap in taps(site.kernel) {
            let (h, w) = tap_at(at, tap, site.stride, site.dilation, site.pad);
            let in_pad = |i: usize, at: i64, extent: u32| at < i64::from(extent + site.pad_end[i]);
            // A window never starts above or left of the padding.
            with_pad += i32::from(in_pad(0, h, site.x.h) && in_pad(1, w, site.x.w));
            let Some(from) = index(&site.x, at.n, h, w, at.c) else { continue };
            max = if x[from].is_nan() || max.is_nan() { f64::NAN } else { max.max(x[from]) };
            sum += x[from];
            inside += 1;
        }
        let (folded, count) = match site.kind {
            PoolKind::Max => (max, 1),
            // A dilated window may meet nothing but padding; its mean is 0.
            PoolKind::Average => (sum, inside.max(1)),
            PoolKind::AverageIncludePad => (sum, with_pad.max(1)),
        };
        if site.x.dtype == DType::I8 { quantized::pooled(site, folded, count) } else { folded / f64::from(count) }
    })
}

/// Coordinates are f32 and `a·i + b` is rounded once, so that ties fall the same way everywhere.
/// <https://onnx.ai/onnx/operators/onnx__Resize.html>
pub fn resize(site: &ResizeSite, x: &[f64]) -> Vec<f64> {
    let extents = [site.x.h, site.x.w];
    every_element(&site.y, |_, at| {
        let coordinate = |axis: usize, i: usize| site.a[axis].mul_add(i as f32, site.b[axis]);
        let at_input = [coordinate(0, at.h), coordinate(1, at.w)];
        let outside = (0..2).any(|axis| at_input[axis] < 0.0 || at_input[axis] > extents[axis] as f32 - 1.0);
        if let (true, Some(value)) = (outside, site.extrapolation) {
            return quantized::stored(value, site.y.dtype, site.y.scale);
        }
        let pixel = |h: i64, w: i64| {
            let (h, w) = (h.clamp(0, i64::from(site.x.h) - 1), w.clamp(0, i64::from(site.x.w) - 1));
            index(&site.x, at.n, h, w, at.c).map_or(0.0, |from| x[from])
        };
        if let Interpolation::Nearest(mode) = site.interpolation {
            let moved = pixel(nearest(mode, at_input[0]), nearest(mode, at_input[1]));
            return if site.x.dtype == DType::I8 { quantized::moved(&site.x, &site.y, moved) } else { moved };
        }
        if site.x.dtype == DType::I8 {
            return quantized::interpolated(site, at_input, |h, w| pixel(h as i64, w as i64) as f32);
        }
        if let Interpolation::Cubic { coefficient, exclude_outside } = site.interpolation {
            let taps = |axis: usize| {
                let floor = at_input[axis].floor();
                let taps = keys(f64::from(at_input[axis]) - f64::from(floor), coefficient.into(), floor as i64 - 1);
                let inside = |&(i, _): &(i64, f64)| !exclude_outside || (0..i64::from(extents[axis])).contains(&i);
                taps.into_iter().filter(inside).collect::<Vec<_>>()
            };
            let (rows, columns) = (taps(0), taps(1));
            let weights = |taps: &[(i64, f64)]| taps.iter().map(|(_, weight)| weight).sum::<f64>();
            let row = |h: i64| columns.iter().map(|&(w, weight)| weight * pixel(h, w)).sum::<f64>();
            let sum: f64 = rows.iter().map(|&(h, weight)| weight * row(h)).sum();
            return sum / (weights(&rows) * weights(&columns));
        }
        let [h, w] = at_input.map(|c| c.floor() as i64);
        let [down, right] = at_input.map(|c| f64::from(c) - f64::from(c.floor()));
        let row = |h: i64| pixel(h, w) * (1.0 - right) + pixel(h, w + 1) * right;
        row(h) * (1.0 - down) + row(h + 1) * down
    })
}

/// Keys' cubic convolution: four neighbours from `first` on, and their weights, which sum to 1.
fn keys(t: f64, a: f64, first: i64) -> [(i64, f64); 4] {
    let weight = |d: f64| match d {
        d if d <= 1.0 => (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0,
        d => a * d.powi(3) - 5.0 * a * d.powi(2) + 8.0 * a * d - 4.0 * a,
    };
    [(first, weight(1.0 + t)), (first + 1, weight(t)), (first + 2, weight(1.0 - t)), (first + 3, weight(2.0 - t))]
}

fn nearest(mode: NearestMode, at: f32) -> i64 {
    let (floor, fraction) = (at.floor(), at - at.floor());
    let up = match mode {
        NearestMode::RoundPreferFloor => fraction > 0.5,
        NearestMode::RoundPreferCeil => fraction >= 0.5,
        NearestMode::Floor => false,
        NearestMode::Ceil => fraction > 0.0,
    };
    floor as i64 + i64::from(up)
}

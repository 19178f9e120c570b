//! Resizing as the Python Imaging Library does it, to the bit: networks were trained behind it.
//!
//! A triangle as wide as the larger of one source and one target pixel slides over the picture (so shrinking
//! averages over everything it drops), first along rows, then along columns, each pass in fixed-point numbers and
//! rounded to 8 bits. Source: Pillow's `src/libImaging/Resample.c`, 8-bit path, `BILINEAR`. (Where the picture shrinks
//! along columns and grows along rows, Pillow 13 takes the columns first; single pixels then differ by 1.)

use rayon::prelude::*;

/// Fractional bits of a weight: what 32 bits leave beside 8 bits of pixel and 2 bits of headroom.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The source pixels one target pixel is made of.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Source pixels to one target pixel, and half the width of the triangle in source pixels: enlarging interpolates
/// between neighbours, shrinking widens the triangle.
pub const fn reach(source: usize, target: usize) -> (f64, f64) {
    let scale = source as f64 / target as f64;
    (scale, scale.max(1.0))
}

/// Weights of each target pixel along one axis.
fn taps(source: usize, target: usize) -> Vec<Taps> {
    let (scale, support) = reach(source, target);
    let of = |position: usize| {
        let center = (position as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(source);
        let triangle = |at: usize| (1.0 - ((at as f64 - center + 0.5) / support).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(triangle).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |w: f64| (w / sum * f64::from(1 << PRECISION_BITS) + 0.5) as i32;
        Taps { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..target).map(of).collect()
}

fn round(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Resizes interleaved pixels of `channels` bytes each; all extents are at least 1.
pub fn resize(pixels: &[u8], channels: usize, from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let ((height, width), (to_height, to_width)) = (from, to);
    let rows = if to_width == width { pixels.to_vec() } else { horizontally(pixels, channels, width, to_width) };
    if to_height == height { rows } else { vertically(&rows, to_width * channels, height, to_height) }
}

fn horizontally(pixels: &[u8], channels: usize, width: usize, to_width: usize) -> Vec<u8> {
    let taps = taps(width, to_width);
    let mut out = vec![0; pixels.len() / width * to_width];
    out.par_chunks_mut(to_width * channels).zip(pixels.par_chunks(width * channels)).for_each(|(target, source)| {
        for (pixel, taps) in target.chunks_exact_mut(channels).zip(&taps) {
            for (c, value) in pixel.iter_mut().enumerate() {
                let source = source[taps.first * channels + c..].iter().step_by(channels);
                let products = source.zip(&taps.weights).map(|(&p, &w)| i32::from(p) * w);
                *value = round((1 << (PRECISION_BITS - 1)) + products.sum::<i32>());
            }
        }
    });
    out
}

fn vertically(pixels: &[u8], row: usize, height: usize, to_height: usize) -> Vec<u8> {
    let taps = taps(height, to_height);
    let mut out = vec![0; row * to_height];
    out.par_chunks_mut(row).zip(&taps).for_each(|(target, taps)| {
        let mut sums = vec![1i32 << (PRECISION_BITS - 1); row];
        for (source, &w) in pixels[taps.first * row..].chunks_exact(row).zip(&taps.weights) {
            for (sum, &p) in sums.iter_mut().zip(source) {
                *sum += i32::from(p) * w;
            }
        }
        for (value, sum) in target.iter_mut().zip(sums) {
            *value = round(sum);
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halving_weighs_a_triangle_over_four_pixels() {
        // Weights 1/8 3/8 3/8 1/8 inside; at the edge the triangle is cut and normalised: 3/7 3/7 1/7.
        let row = [10, 20, 30, 40, 50, 60, 70, 80];
        assert_eq!(resize(&row, 1, (1, 8), (1, 4)), [17, 35, 55, 73]);
    }

    #[test]
    fn doubling_interpolates_between_pixel_centres() {
        assert_eq!(resize(&[0, 100], 1, (1, 2), (1, 4)), [0, 25, 75, 100]);
        assert_eq!(resize(&[0, 100], 1, (2, 1), (4, 1)), [0, 25, 75, 100]);
    }

    #[test]
    fn channels_do_not_mix() {
        let pixels = [0, 200, 100, 200];
        assert_eq!(resize(&pixels, 2, (1, 2), (1, 4)), [0, 200, 25, 200, 75, 200, 100, 200]);
    }

    /// 37 x 53 pixels of RGB that repeat nowhere, and one number that no two pictures are likely to share.
    fn pattern() -> Vec<u8> {
        let pixel = |y: usize, x: usize, c: usize| ((x * 7 + y * 13 + c * 50 + x * y % 11 * 5) % 256) as u8;
        (0..37 * 53 * 3).map(|i| pixel(i / 3 / 53, i / 3 % 53, i % 3)).collect()
    }

    fn digest(bytes: &[u8]) -> usize {
        bytes.iter().enumerate().map(|(i, &v)| usize::from(v) * (i % 251 + 1)).sum()
    }

    #[test]
    fn agrees_with_pillow_in_every_bit() {
        // Written by Pillow 13.0: digest(image.resize((w, h), Image.BILINEAR).tobytes()).
        let by_pillow =
            [((24, 24), 27_254_570), ((64, 64), 196_521_579), ((37, 20), 35_147_622), ((112, 53), 284_822_631)];
        for (to, expected) in by_pillow {
            assert_eq!(digest(&resize(&pattern(), 3, (37, 53), to)), expected, "{to:?}");
        }
        let gray: Vec<u8> = pattern().chunks_exact(3).map(crate::ops::picture::luma).collect();
        assert_eq!(digest(&gray), 30_660_394);
    }

    proptest! {
        #[test]
        fn a_plain_picture_stays_plain(
            value in 0u8..=255, h in 1usize..40, w in 1usize..40, to_h in 1usize..40, to_w in 1usize..40, c in 1usize..4,
        ) {
            let out = resize(&vec![value; h * w * c], c, (h, w), (to_h, to_w));
            prop_assert_eq!(out.len(), to_h * to_w * c);
            prop_assert!(out.iter().all(|&p| p == value));
        }
    }
}

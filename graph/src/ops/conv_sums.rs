//! The sums of products of a convolution, before the epilogue: of reals in f32, or of integers in i32.

use super::product::{Left, Product, Right, View};
use super::sliding::Sliding;
use super::{OpError, exact};
use rayon::prelude::*;
use std::ops::Range;

/// What a convolution adds up.
pub(super) struct Sums<'a, T> {
    /// (N,C,spatial…)
    pub x: &'a [T],
    /// (K,C/groups,kernel…)
    pub w: &'a [T],
    /// The extents of `w`.
    pub shape: &'a [usize],
    /// Which inputs each output meets.
    pub sliding: Sliding,
    /// Input channels are split into this many independent groups.
    pub groups: usize,
}

/// What products of `T` are added up in.
trait Sum<T>: Send {
    /// self += weight · x
    fn add(&mut self, weight: T, x: T);
}

impl Sum<f32> for f32 {
    fn add(&mut self, weight: f32, x: f32) {
        *self += weight * x;
    }
}

impl Sum<i8> for i32 {
    fn add(&mut self, weight: i8, x: i8) {
        *self += i32::from(weight) * i32::from(x);
    }
}

impl Sums<'_, f32> {
    /// Adds every product to `y` (N,K,spatial…), which holds zeros.
    pub fn reals(&self, y: &mut [f32]) -> Result<(), OpError> {
        if y.is_empty() || !self.has_product() {
            self.by_taps(y);
            return Ok(());
        }
        let product = Product::new();
        let weights = self.weights(&product, self.w, 0..self.shape[1], y.len())?;
        y.par_chunks_mut(self.group_len()).enumerate().try_for_each(|(index, sums)| {
            self.multiply(&product, &weights[index % self.groups], self.planes(index), sums)
        })
    }
}

impl Sums<'_, i8> {
    /// Adds every product to `y` (N,K,spatial…), which holds zeros.
    pub fn integers(&self, y: &mut [i32]) -> Result<(), OpError> {
        // As many channels at a time as f32 adds up exactly.
        let (all, step) = (self.shape[1], exact::EXACT_IN_F32 / self.sliding.kernel_len().max(1));
        if y.is_empty() || step == 0 || !self.has_product() {
            self.by_taps(y);
            return Ok(());
        }
        let parts: Vec<_> = (0..all).step_by(step).map(|start| start..all.min(start + step)).collect();
        let (product, w) = (Product::new(), exact::reals(self.w));
        let laid_out = |part: &Range<usize>| self.weights(&product, &w, part.clone(), y.len());
        let weights = parts.iter().map(laid_out).collect::<Result<Vec<_>, _>>()?;
        let plane = self.sliding.input_len();
        y.par_chunks_mut(self.group_len()).enumerate().try_for_each(|(index, sums)| {
            let planes = exact::reals(self.planes(index));
            let mut some = vec![0f32; sums.len()];
            for (part, weights) in parts.iter().zip(&weights) {
                let planes = &planes[part.start * plane..part.end * plane];
                self.multiply(&product, &weights[index % self.groups], planes, &mut some)?;
                sums.iter_mut().zip(&some).for_each(|(sum, &some)| *sum += some as i32);
            }
            Ok(())
        })
    }
}

/// As one matrix product for each image and group: weights (filters, channels·kernel) by patches
/// (channels·kernel, outputs).
impl<T> Sums<'_, T> {
    /// A depthwise product would have one row.
    fn has_product(&self) -> bool {
        self.shape[1] > 1 && self.sliding.has_patches(self.shape[1])
    }

    /// Outputs of one image and group.
    fn group_len(&self) -> usize {
        self.shape[0] / self.groups * self.sliding.output_len()
    }

    /// The input's planes that one image and group reads.
    fn planes(&self, index: usize) -> &[T] {
        let len = self.shape[1] * self.sliding.input_len();
        &self.x[index * len..][..len]
    }

    /// The left operand of each group: its weights for `channels`. `outputs` are those of all images and groups.
    fn weights<'w>(
        &self,
        product: &Product,
        w: &'w [f32],
        channels: Range<usize>,
        outputs: usize,
    ) -> Result<Vec<Left<'w>>, OpError> {
        let (filters, kernel) = (self.shape[0] / self.groups, self.sliding.kernel_len());
        let depth = self.shape[1] * kernel;
        let images = outputs / (self.group_len() * self.groups);
        let of_group = |group: usize| {
            let rows = View::dense(&w[group * filters * depth..][..filters * depth], filters, depth);
            product.left(rows.columns(channels.start * kernel..channels.end * kernel), images)
        };
        (0..self.groups).map(of_group).collect()
    }

    /// The patches of a 1x1 kernel are the image itself.
    fn multiply(&self, product: &Product, weights: &Left<'_>, planes: &[f32], sums: &mut [f32]) -> Result<(), OpError> {
        let channels = planes.len() / self.sliding.input_len();
        if self.sliding.is_pointwise() {
            let columns = View::dense(planes, channels, self.sliding.output_len());
            return product.multiply(weights, Right::Dense(columns), 1.0, sums);
        }
        let patches = product.patches(&self.sliding, planes, channels);
        product.multiply(weights, Right::Patches(&patches), 1.0, sums)
    }
}

impl<T: Copy + Sync> Sums<'_, T> {
    /// Kernel element by kernel element, each a scaled row of the input added to a row of the output. For
    /// depthwise kernels and for more than two axes.
    fn by_taps<S: Sum<T>>(&self, y: &mut [S]) {
        let taps = self.sliding.taps();
        let [filters, channels] = [self.shape[0], self.shape[1]];
        let (input, per_group) = (self.sliding.input_len(), filters / self.groups);
        y.par_chunks_mut(self.sliding.output_len().max(1)).enumerate().for_each(|(index, sums)| {
            let (image, filter) = (index / filters, index % filters);
            let first = (image * self.groups + filter / per_group) * channels;
            for channel in 0..channels {
                let plane = &self.x[(first + channel) * input..][..input];
                let weights = &self.w[(filter * channels + channel) * taps.len()..];
                for (tap, &weight) in taps.iter().zip(weights) {
                    for (outputs, at) in tap.runs() {
                        add_scaled(&mut sums[outputs], plane.get(at..).unwrap_or_default(), tap.step, weight);
                    }
                }
            }
        });
    }
}

/// sums[i] += weight · x[i·step]; its own case for step 1 lets the compiler use vectors.
fn add_scaled<T: Copy, S: Sum<T>>(sums: &mut [S], x: &[T], step: usize, weight: T) {
    if step == 1 {
        sums.iter_mut().zip(x).for_each(|(sum, &x)| sum.add(weight, x));
    } else {
        sums.iter_mut().zip(x.iter().step_by(step)).for_each(|(sum, &x)| sum.add(weight, x));
    }
}

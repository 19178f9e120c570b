//! Pictures as bytes become a network's input.
//!
//! ```text
//! 1. channels put in order, or made gray (ITU-R 601-2)
//! 2. resized by `Crop`, with PIL's antialiased bilinear filter, in 8 bits; cut to the network's extents
//! 3. y = (pixel · scale - mean[c]) / std[c], each step rounded to f32
//! 4. laid out as the network wants it, and stored in its type
//! ```
//!
//! Input: x, bytes (N,H,W,3), red, green, blue. ONNX has no such operator: a build puts it in front of a network whose
//! caller asks for it. Every step is defined to the bit: the integers of steps 1 and 2, and three roundings in step 3.

mod geometry;
mod resample;

pub use geometry::{Channels, Crop, PixelLayout, UnknownName, center, luma};
pub use resample::{reach, resize};

use super::{Cost, Eval, OpError, Operator, Spec, exact};
use crate::ir::Fact;
use crate::tensor::{DType, Dim, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The steps from bytes to a network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
    /// Step 1.
    pub channels: Channels,
    /// Step 2.
    pub crop: Crop,
    /// Step 3.
    pub numbers: Normalization,
    /// Step 4.
    pub layout: PixelLayout,
}

/// `value = (pixel · scale - mean[c]) / std[c]`, each step rounded to f32.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// What a pixel (0..255) is multiplied by.
    pub scale: f32,
    /// Subtracted; one for each channel, or one for all.
    pub mean: Vec<f32>,
    /// Divided by; one for each channel, or one for all.
    pub std: Vec<f32>,
}

impl Normalization {
    /// The value of a pixel's byte.
    pub fn apply(&self, pixel: u8, channel: usize) -> f32 {
        (f32::from(pixel) * self.scale - Self::of(&self.mean, channel)) / Self::of(&self.std, channel)
    }

    /// What counts for a channel, of one number for each or one for all.
    pub fn of(numbers: &[f32], channel: usize) -> f32 {
        numbers.get(channel).or(numbers.first()).copied().unwrap_or(0.0)
    }
}

impl Picture {
    /// Bytes of a pixel as it comes: red, green, blue.
    pub const BYTES: usize = 3;

    /// Steps 1 and 2 for one picture: interleaved pixels of the network's extents.
    fn pixels(&self, bytes: &[u8], from: (usize, usize)) -> Vec<u8> {
        let ordered: Vec<u8> = match self.channels {
            Channels::Rgb => bytes.to_vec(),
            Channels::Bgr => bytes.chunks_exact(Self::BYTES).flat_map(|p| [p[2], p[1], p[0]]).collect(),
            Channels::Gray => bytes.chunks_exact(Self::BYTES).map(luma).collect(),
        };
        let (count, to) = (self.channels.count(), (self.height, self.width));
        let (resized, (top, left)) = self.crop.place(from, to);
        let pixels = resize(&ordered, count, from, resized);
        let row = |y: usize| {
            let start = ((top + y) * resized.1 + left) * count;
            &pixels[start..start + self.width * count]
        };
        (0..self.height).flat_map(row).copied().collect()
    }

    /// Steps 3 and 4 for one picture.
    fn values(&self, pixels: &[u8]) -> Vec<f32> {
        let count = self.channels.count();
        let value = |i: usize| self.numbers.apply(pixels[i], i % count);
        match self.layout {
            PixelLayout::Nhwc => (0..pixels.len()).map(value).collect(),
            PixelLayout::Nchw => (0..count).flat_map(|c| (c..pixels.len()).step_by(count)).map(value).collect(),
        }
    }
}

impl Operator for Picture {
    fn name(&self) -> &'static str {
        "Picture"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let list = |numbers: &[f32]| numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        let mut out = vec![("size", format!("{}x{}", self.height, self.width))];
        out.push(("channels", self.channels.name().to_owned()));
        if self.crop == Crop::Center {
            out.push(("crop", "center".to_owned()));
        }
        let Normalization { scale, mean, std } = &self.numbers;
        out.extend([("scale", scale.to_string()), ("mean", list(mean)), ("std", list(std))]);
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if x.dtype != DType::U8 {
            return Err(OpError::Type { what: "x", expected: "u8", got: x.dtype });
        }
        let [n, _, _, bytes] = x.shape.dims() else { return Err(OpError::shape("x", "of rank 4", &x.shape)) };
        if bytes.as_usize() != Some(Self::BYTES) {
            return Err(OpError::shape("x", "(N,H,W,3)", &x.shape));
        }
        let [c, h, w] = [self.channels.count(), self.height, self.width].map(Dim::from);
        let shape = match self.layout {
            PixelLayout::Nchw => Shape::new([n.clone(), c, h, w]),
            PixelLayout::Nhwc => Shape::new([n.clone(), h, w, c]),
        };
        Ok(vec![Fact::new(DType::F32, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let from = (eval.specs[0].shape[1], eval.specs[0].shape[2]);
        let pictures = eval.inputs[0].as_slice::<u8>()?.par_chunks((from.0 * from.1 * Self::BYTES).max(1));
        let values: Vec<f32> = pictures.flat_map_iter(|bytes| self.values(&self.pixels(bytes, from))).collect();
        Ok(vec![exact::reals_as(values, &eval.outputs[0])?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        // A multiplication and an addition for each source pixel under a triangle, along rows and along columns.
        let under = inputs[0].len() as u64 * 4;
        Cost { flops: 2 * under + 3 * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::evaluate;
    use super::*;

    fn picture(channels: Channels, layout: PixelLayout) -> Picture {
        let numbers = Normalization { scale: 0.5, mean: vec![1.0, 2.0, 3.0], std: vec![0.25] };
        Picture { height: 1, width: 2, channels, crop: Crop::Stretch, numbers, layout }
    }

    #[test]
    fn channels_and_layouts_are_as_asked() {
        let x = Tensor::new(&[1, 1, 2, 3], vec![10u8, 20, 30, 40, 50, 60]).unwrap();
        let run = |channels, layout| evaluate(picture(channels, layout), std::slice::from_ref(&x)).unwrap();
        let y = run(Channels::Rgb, PixelLayout::Nchw);
        assert_eq!((y.shape(), y.to_f32()), (&[1, 3, 1, 2][..], vec![16.0, 76.0, 32.0, 92.0, 48.0, 108.0]));
        let y = run(Channels::Bgr, PixelLayout::Nhwc);
        assert_eq!((y.shape(), y.to_f32()), (&[1, 1, 2, 3][..], vec![56.0, 32.0, 8.0, 116.0, 92.0, 68.0]));
        // 0.299·10 + 0.587·20 + 0.114·30 = 18.15, 48.15
        assert_eq!(run(Channels::Gray, PixelLayout::Nchw).to_f32(), [32.0, 92.0]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let infer = |dtype, dims: &[usize]| picture(Channels::Rgb, PixelLayout::Nchw).infer(&[&Fact::of(dtype, dims)]);
        assert!(infer(DType::U8, &[2, 9, 7, 3]).is_ok());
        assert!(infer(DType::F32, &[2, 9, 7, 3]).is_err());
        assert!(infer(DType::U8, &[2, 9, 7, 1]).is_err());
        assert!(infer(DType::U8, &[9, 7, 3]).is_err());
    }
}

//! Where a resized axis reads: the coordinate of each output position in the input, and the taps around it.
//!
//! Formulas of <https://onnx.ai/onnx/operators/onnx__Resize.html>, `coordinate_transformation_mode`,
//! `nearest_mode` and `mode`, evaluated in f32 in the order written, so that a GPU can answer the same.

use serde::{Deserialize, Serialize};

/// How an output position x maps to a coordinate in the input; `scale` is output extent / input extent, or as given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CoordinateMode {
    /// (x + 1/2) / scale - 1/2: positions are centres of pixels.
    HalfPixel,
    /// As `HalfPixel`, moved so that the middles agree when the scale is not exactly output / input.
    HalfPixelSymmetric,
    /// As `HalfPixel`, but an output of extent 1 reads coordinate 0.
    PytorchHalfPixel,
    /// x · (input - 1) / (output - 1): first and last positions agree.
    AlignCorners,
    /// x / scale
    Asymmetric,
    /// (x + 1/2) / scale, of opset 11 only.
    TfHalfPixelForNn,
    /// From a region of the input: start · (input - 1) + x · (end - start) · (input - 1) / (output - 1).
    TfCropAndResize {
        /// Start of the region, a share of the extent, one number an axis.
        start: Vec<f32>,
        /// Its end.
        end: Vec<f32>,
        /// The value of positions that fall outside the input.
        extrapolation: f32,
    },
}

impl CoordinateMode {
    /// The coordinate that output position `x` along `axis` reads.
    pub fn source(&self, axis: usize, x: usize, input: usize, output: usize, scale: f32) -> f32 {
        let (x, length_in, length_out) = (x as f32, input as f32, output as f32);
        match self {
            CoordinateMode::HalfPixel => (x + 0.5) / scale - 0.5,
            CoordinateMode::HalfPixelSymmetric => {
                let adjustment = length_out / (scale * length_in);
                let center = length_in / 2.0;
                let offset = center * (1.0 - adjustment);
                offset + (x + 0.5) / scale - 0.5
            }
            CoordinateMode::PytorchHalfPixel if output > 1 => (x + 0.5) / scale - 0.5,
            CoordinateMode::PytorchHalfPixel => 0.0,
            CoordinateMode::AlignCorners if output > 1 => x * (length_in - 1.0) / (length_out - 1.0),
            CoordinateMode::AlignCorners => 0.0,
            CoordinateMode::Asymmetric => x / scale,
            CoordinateMode::TfHalfPixelForNn => (x + 0.5) / scale,
            CoordinateMode::TfCropAndResize { start, end, .. } => {
                let (start, end) = (start[axis], end[axis]);
                if output > 1 {
                    start * (length_in - 1.0) + x * (end - start) * (length_in - 1.0) / (length_out - 1.0)
                } else {
                    0.5 * (start + end) * (length_in - 1.0)
                }
            }
        }
    }

    /// The coordinates along `axis` as a line: output position x reads slope · x + offset.
    pub fn line(&self, axis: usize, input: usize, output: usize, scale: f32) -> (f32, f32) {
        let offset = self.source(axis, 0, input, output, scale);
        let (length_in, length_out) = (input as f32, output as f32);
        let slope = match self {
            CoordinateMode::PytorchHalfPixel
            | CoordinateMode::AlignCorners
            | CoordinateMode::TfCropAndResize { .. }
                if output <= 1 =>
            {
                0.0
            }
            CoordinateMode::AlignCorners => (length_in - 1.0) / (length_out - 1.0),
            CoordinateMode::TfCropAndResize { start, end, .. } => {
                (end[axis] - start[axis]) * (length_in - 1.0) / (length_out - 1.0)
            }
            _ => 1.0 / scale,
        };
        (slope, offset)
    }

    /// The value of a coordinate outside the input, for the one mode where that is not the nearest edge's.
    pub fn extrapolation(&self) -> Option<f32> {
        match self {
            CoordinateMode::TfCropAndResize { extrapolation, .. } => Some(*extrapolation),
            _ => None,
        }
    }

    /// The name in ONNX.
    pub const fn name(&self) -> &'static str {
        match self {
            CoordinateMode::HalfPixel => "half_pixel",
            CoordinateMode::HalfPixelSymmetric => "half_pixel_symmetric",
            CoordinateMode::PytorchHalfPixel => "pytorch_half_pixel",
            CoordinateMode::AlignCorners => "align_corners",
            CoordinateMode::Asymmetric => "asymmetric",
            CoordinateMode::TfHalfPixelForNn => "tf_half_pixel_for_nn",
            CoordinateMode::TfCropAndResize { .. } => "tf_crop_and_resize",
        }
    }
}

/// Which neighbour a coordinate between two takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NearestMode {
    /// The nearer; of two as near, the lower.
    RoundPreferFloor,
    /// The nearer; of two as near, the upper.
    RoundPreferCeil,
    /// The lower.
    Floor,
    /// The upper.
    Ceil,
}

impl NearestMode {
    /// The name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            NearestMode::RoundPreferFloor => "round_prefer_floor",
            NearestMode::RoundPreferCeil => "round_prefer_ceil",
            NearestMode::Floor => "floor",
            NearestMode::Ceil => "ceil",
        }
    }

    /// The index for a coordinate, within `0..extent`.
    pub fn index(self, coordinate: f32, extent: usize) -> usize {
        let below = coordinate.floor();
        // Exact, so that a tie is one: the float below 1/2 plus 1/2 would round to 1.
        let fraction = coordinate - below;
        let up = match self {
            NearestMode::RoundPreferFloor => fraction > 0.5,
            NearestMode::RoundPreferCeil => fraction >= 0.5,
            NearestMode::Floor => false,
            NearestMode::Ceil => fraction > 0.0,
        };
        let index = if up { below + 1.0 } else { below };
        // The conversion cuts negative numbers to 0.
        (index as usize).min(extent.saturating_sub(1))
    }
}

/// How values between positions are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ResizeMode {
    /// One neighbour.
    Nearest(NearestMode),
    /// Two neighbours an axis, by distance.
    Linear,
    /// Four neighbours an axis: Keys, "Cubic convolution interpolation for digital image processing", 1981.
    Cubic {
        /// Keys' a, -0.75 or -0.5 as a rule.
        coefficient: f32,
        /// True if neighbours outside the input count nothing, instead of as the edge.
        exclude_outside: bool,
    },
}

impl ResizeMode {
    /// Neighbours of a coordinate along an axis of this extent, and their weights, which sum to 1.
    pub fn taps(self, coordinate: f32, extent: usize) -> Vec<(usize, f32)> {
        let last = extent.saturating_sub(1);
        match self {
            ResizeMode::Nearest(mode) => vec![(mode.index(coordinate, extent), 1.0)],
            ResizeMode::Linear => {
                let inside = coordinate.clamp(0.0, last as f32);
                let low = inside.floor() as usize;
                let upper = inside - inside.floor();
                if upper == 0.0 { vec![(low, 1.0)] } else { vec![(low, 1.0 - upper), ((low + 1).min(last), upper)] }
            }
            ResizeMode::Cubic { coefficient, exclude_outside } => {
                let base = coordinate.floor();
                let weights = Self::cubic(coordinate - base, coefficient);
                let index = |i: usize| base as i64 + i as i64 - 1;
                let counts = |i: usize| !exclude_outside || (0..=last as i64).contains(&index(i));
                let sum: f32 = (0..4).filter(|&i| counts(i)).map(|i| weights[i]).sum();
                let scale = if exclude_outside { 1.0 / sum } else { 1.0 };
                let tap = |i: usize| (index(i).clamp(0, last as i64) as usize, weights[i] * scale);
                (0..4).filter(|&i| counts(i)).map(tap).collect()
            }
        }
    }

    /// Keys' weights for neighbours at distances 1+t, t, 1-t, 2-t.
    fn cubic(t: f32, a: f32) -> [f32; 4] {
        let far = |d: f32| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
        let near = |d: f32| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
        [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
    }
}

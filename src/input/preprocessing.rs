use super::Picture;
use limpid_graph::ir::Fact;
use limpid_graph::ops;
use limpid_graph::ops::picture::Normalization;
use limpid_graph::ops::picture::{Channels, Crop, PixelLayout};
use limpid_graph::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a picture becomes an input, step by step:
///
/// 1. decode to 8-bit RGB, drop transparency; put channels in order, or make gray (ITU-R 601-2);
/// 2. resize to the network's height and width by [`Crop`], with PIL's antialiased bilinear filter, in 8 bits;
/// 3. `value = (pixel · scale - mean[c]) / std[c]` in f32;
/// 4. lay out as the network wants it.
///
/// A network whose input is of an integer type gets the pixels of step 2 as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Step 2.
    pub crop: Crop,
    /// Step 1. `None`: gray if the network has one channel, else RGB.
    pub channels: Option<Channels>,
    /// Step 3: what a pixel (0..255) is multiplied by.
    pub scale: f32,
    /// Step 3: subtracted; one for each channel, or one for all.
    pub mean: Vec<f32>,
    /// Step 3: divided by; one for each channel, or one for all.
    pub std: Vec<f32>,
    /// Step 4. `None`: whichever axis has 1 or 3 elements is taken for the channels, NCHW if both do.
    pub layout: Option<PixelLayout>,
}

impl Default for Preprocessing {
    /// Stretch, and pixels scaled to 0..1.
    fn default() -> Self {
        Self { crop: Crop::Stretch, channels: None, scale: 1.0 / 255.0, mean: vec![0.0], std: vec![1.0], layout: None }
    }
}

/// Why pictures cannot be made into an input.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessingError {
    /// Not an input for pictures.
    #[error("pictures need an input of 4 dims with 1 or 3 channels, such as f32(N,3,224,224); it is {0}")]
    NotAPicture(String),
    /// The engine takes pictures as they are.
    #[error("the engine resizes and normalises pictures itself: give it single pictures, or arrays (N,H,W,3) of bytes")]
    Stage,
    /// The input leaves height or width open.
    #[error("the input's height and width must be known, but it is {0}")]
    OpenExtent(String),
    /// More numbers than channels, or fewer.
    #[error("{what} has {found} values for {channels} channel(s); give one for each, or one for all")]
    Count {
        /// `mean` or `std`.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Channels there are.
        channels: usize,
    },
    /// A number that makes no sense.
    #[error("{what} must be finite{}, but is {value}", if *.what == "mean" { "" } else { " and not 0" })]
    Number {
        /// `scale`, `mean` or `std`.
        what: &'static str,
        /// The number.
        value: f32,
    },
    /// The pictures do not have the channels the network wants.
    #[error("the input has {network} channel(s), but {channels:?} pictures have {}", channels.count())]
    Channels {
        /// Channels of the network's input.
        network: usize,
        /// What was asked for.
        channels: Channels,
    },
}

/// The input a network takes pictures in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub layout: PixelLayout,
    pub channels: Channels,
    pub height: usize,
    pub width: usize,
    pub dtype: DType,
}

impl Preprocessing {
    /// The mean and deviation of ImageNet's pixels, per channel in RGB, as torchvision's networks expect.
    pub fn imagenet_norm(&mut self) {
        self.mean = vec![0.485, 0.456, 0.406];
        self.std = vec![0.229, 0.224, 0.225];
    }

    /// What an input of these extents (`None` where open) asks of a picture.
    pub(super) fn frame(&self, dtype: DType, dims: &[Option<usize>], fact: &str) -> Result<Frame, PreprocessingError> {
        let [_, a, b, c] = *dims else { return Err(PreprocessingError::NotAPicture(fact.to_owned())) };
        let pictorial = |extent: Option<usize>| matches!(extent, Some(1 | 3));
        let layout = match self.layout {
            Some(layout) => layout,
            None if pictorial(a) => PixelLayout::Nchw,
            None => PixelLayout::Nhwc,
        };
        let (channels, height, width) = match layout {
            PixelLayout::Nchw => (a, b, c),
            PixelLayout::Nhwc => (c, a, b),
        };
        let network = channels.filter(|_| pictorial(channels));
        let network = network.ok_or_else(|| PreprocessingError::NotAPicture(fact.to_owned()))?;
        let (Some(height), Some(width)) = (height, width) else {
            return Err(PreprocessingError::OpenExtent(fact.to_owned()));
        };
        let natural = if network == 1 { Channels::Gray } else { Channels::Rgb };
        let channels = self.channels.unwrap_or(natural);
        if channels.count() != network {
            return Err(PreprocessingError::Channels { network, channels });
        }
        self.check(network)?;
        Ok(Frame { layout, channels, height, width, dtype })
    }

    fn check(&self, channels: usize) -> Result<(), PreprocessingError> {
        for (what, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(PreprocessingError::Count { what, found: values.len(), channels });
            }
        }
        let numbers = [("scale", self.scale)].into_iter();
        let numbers = numbers.chain(self.mean.iter().map(|&v| ("mean", v))).chain(self.std.iter().map(|&v| ("std", v)));
        for (what, value) in numbers {
            if !value.is_finite() || (what != "mean" && value == 0.0) {
                return Err(PreprocessingError::Number { what, value });
            }
        }
        Ok(())
    }

    /// Steps 2 to 4 for one picture: a tensor with a batch of 1.
    pub(super) fn apply(&self, picture: &Picture, frame: &Frame) -> Tensor {
        let fitted = self.fit(picture, frame.height, frame.width);
        let channels = fitted.channels;
        let (pixels, shape) = match frame.layout {
            PixelLayout::Nhwc => (fitted.pixels, [1, frame.height, frame.width, channels]),
            PixelLayout::Nchw => {
                let plane = |c: usize| fitted.pixels.iter().skip(c).step_by(channels).copied();
                ((0..channels).flat_map(plane).collect(), [1, channels, frame.height, frame.width])
            }
        };
        let plane = frame.height * frame.width;
        let channel_of = |i: usize| match frame.layout {
            PixelLayout::Nchw => i / plane,
            PixelLayout::Nhwc => i % channels,
        };
        let made = if frame.dtype.is_float() {
            let numbers = self.numbers();
            let normalised = pixels.iter().enumerate().map(|(i, &p)| numbers.apply(p, channel_of(i))).collect();
            Tensor::new::<f32>(&shape, normalised)
        } else {
            Tensor::new::<u8>(&shape, pixels)
        };
        // Lengths agree by construction; an empty tensor would be refused by the network's own check.
        made.map(|t| t.cast(frame.dtype)).unwrap_or_else(|_| Tensor::zeros(frame.dtype, &[0]))
    }

    fn numbers(&self) -> Normalization {
        Normalization { scale: self.scale, mean: self.mean.clone(), std: self.std.clone() }
    }

    /// All steps as an operator of the network, for a caller who has pictures as bytes where the network runs.
    pub(crate) fn stage(&self, fact: &Fact) -> Result<ops::Picture, PreprocessingError> {
        let dims: Vec<Option<usize>> = fact.shape.iter().map(|dim| dim.as_usize()).collect();
        let Frame { layout, channels, height, width, .. } = self.frame(fact.dtype, &dims, &fact.to_string())?;
        Ok(ops::Picture { height, width, channels, crop: self.crop, numbers: self.numbers(), layout })
    }

    fn fit(&self, picture: &Picture, height: usize, width: usize) -> Picture {
        let ((resized_height, resized_width), _) = self.crop.place((picture.height, picture.width), (height, width));
        let resized = picture.resized(resized_height, resized_width);
        match self.crop {
            Crop::Stretch => resized,
            Crop::Center => resized.center(height, width),
        }
    }
}

/// The customary scale by its customary name.
fn scaled(scale: f32) -> String {
    if scale == 1.0 / 255.0 { "pixel/255".to_owned() } else { format!("pixel·{scale}") }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crop = match self.crop {
            Crop::Stretch => "stretch",
            Crop::Center => "center crop",
        };
        let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "{crop}, ({} - {}) / {}", scaled(self.scale), numbers(&self.mean), numbers(&self.std))?;
        if let Some(channels) = self.channels {
            write!(f, ", {}", channels.name())?;
        }
        match self.layout {
            Some(layout) => write!(f, ", {}", format!("{layout:?}").to_lowercase()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize) -> Picture {
        Picture { height, width, channels: 3, pixels: (0..height * width * 3).map(|i| (i % 251) as u8).collect() }
    }

    #[test]
    fn layouts_hold_the_same_values() {
        let preprocessing = Preprocessing { mean: vec![0.1, 0.2, 0.3], std: vec![0.5], ..Preprocessing::default() };
        let of = |dims: &[Option<usize>]| {
            let frame = preprocessing.frame(DType::F32, dims, "f32").expect("a picture's input");
            preprocessing.apply(&picture(2, 2), &frame)
        };
        let nchw = of(&[None, Some(3), Some(2), Some(2)]);
        let nhwc = of(&[None, Some(2), Some(2), Some(3)]);
        assert_eq!((nchw.shape(), nhwc.shape()), (&[1, 3, 2, 2][..], &[1, 2, 2, 3][..]));
        let (planes, pixels) = (nchw.to_f32(), nhwc.to_f32());
        for y in 0..2 {
            for x in 0..2 {
                for c in 0..3 {
                    assert_eq!(planes[c * 4 + y * 2 + x], pixels[(y * 2 + x) * 3 + c]);
                }
            }
        }
        assert_eq!(planes[4], (1.0 / 255.0 - 0.2) / 0.5);
    }

    #[test]
    fn integer_inputs_get_the_pixels() {
        let frame = Preprocessing::default().frame(DType::U8, &[Some(1), Some(2), Some(2), Some(3)], "u8");
        let tensor = Preprocessing::default().apply(&picture(2, 2), &frame.expect("a picture's input"));
        assert_eq!(tensor.as_slice::<u8>().expect("bytes"), picture(2, 2).pixels);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let dims = [None, Some(3), Some(8), Some(8)];
        let frame = |p: Preprocessing, dims: &[Option<usize>]| p.frame(DType::F32, dims, "f32(?)");
        let plain = Preprocessing::default;
        assert!(matches!(frame(plain(), &[None, Some(10)]), Err(PreprocessingError::NotAPicture(_))));
        assert!(matches!(frame(plain(), &[None, Some(4), Some(8), Some(8)]), Err(PreprocessingError::NotAPicture(_))));
        assert!(matches!(frame(plain(), &[None, Some(3), None, None]), Err(PreprocessingError::OpenExtent(_))));
        let two_means = Preprocessing { mean: vec![0.0; 2], ..plain() };
        assert!(matches!(frame(two_means, &dims), Err(PreprocessingError::Count { what: "mean", .. })));
        let no_deviation = Preprocessing { std: vec![0.0], ..plain() };
        assert!(matches!(frame(no_deviation, &dims), Err(PreprocessingError::Number { what: "std", .. })));
        let gray = Preprocessing { channels: Some(Channels::Gray), ..plain() };
        assert!(matches!(frame(gray, &dims), Err(PreprocessingError::Channels { network: 3, .. })));
    }
}

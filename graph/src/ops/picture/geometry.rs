//! Which bytes of a picture a network sees, where they come from and where they go.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which bytes of a picture a network sees, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red: networks trained behind OpenCV or Caffe.
    Bgr,
    /// One channel of brightness.
    Gray,
}

impl Channels {
    /// How many there are.
    pub const fn count(self) -> usize {
        match self {
            Channels::Gray => 1,
            Channels::Rgb | Channels::Bgr => 3,
        }
    }

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Channels::Rgb => "rgb",
            Channels::Bgr => "bgr",
            Channels::Gray => "gray",
        }
    }
}

/// Brightness of a pixel in red, green and blue: ITU-R 601-2, in PIL's fixed-point numbers.
pub fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

/// How a picture gets to the network's height and width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Crop {
    /// The whole picture is resized; its aspect ratio changes.
    #[default]
    Stretch,
    /// Resized with its aspect ratio to 256/224 of the network's extents, then cut to the middle. For a network of
    /// 224x224: short side 256, the centre 224x224, as torchvision's reference transforms do.
    Center,
}

impl Crop {
    /// What something of the extents `from` is resized to, and the corner of it (row, column) where the network's own
    /// extents, `to`, begin.
    pub fn place(self, from: (usize, usize), to: (usize, usize)) -> ((usize, usize), (usize, usize)) {
        match self {
            Crop::Stretch => (to, (0, 0)),
            Crop::Center => {
                let covered = cover(from, framed(to.0), framed(to.1));
                (covered, center(covered, to))
            }
        }
    }
}

/// The order of the elements of a network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PixelLayout {
    /// Batch, channel, row, column.
    #[default]
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// The upper left corner of the middle of something larger: rows from the top, columns from the left.
pub fn center(from: (usize, usize), to: (usize, usize)) -> (usize, usize) {
    (half_to_even(from.0 - to.0), half_to_even(from.1 - to.1))
}

/// Half of a margin as Python rounds it: torchvision's `CenterCrop` says `round((h - crop) / 2)`.
fn half_to_even(margin: usize) -> usize {
    let half = margin / 2;
    if margin % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// What is resized to before `extent` is cut out: 256 for 224.
fn framed(extent: usize) -> usize {
    (extent * 256 + 112) / 224
}

/// The smallest extents with this aspect ratio that cover these. The longer side is cut to whole pixels,
/// as torchvision's `Resize` does.
fn cover((h, w): (usize, usize), height: usize, width: usize) -> (usize, usize) {
    // height/h >= width/w: the height decides.
    if height * w >= width * h { (height, (height * w / h).max(width)) } else { ((width * h / w).max(height), width) }
}

/// The text names no such choice.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{found}` is none of {known}")]
pub struct UnknownName {
    found: String,
    known: &'static str,
}

impl FromStr for Channels {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Channels::Rgb, Channels::Bgr, Channels::Gray];
        let unknown = || UnknownName { found: text.to_owned(), known: "rgb, bgr, gray" };
        all.into_iter().find(|channels| channels.name() == text).ok_or_else(unknown)
    }
}

impl FromStr for PixelLayout {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "nchw" => Ok(PixelLayout::Nchw),
            "nhwc" => Ok(PixelLayout::Nhwc),
            _ => Err(UnknownName { found: text.to_owned(), known: "nchw, nhwc" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn center_crop_takes_the_short_side_to_256() {
        assert_eq!((framed(224), framed(299), framed(28)), (256, 342, 32));
        // torchvision: Resize(256) of 500x375 makes 341x256 (int(256·500/375) = 341).
        assert_eq!(cover((375, 500), 256, 256), (256, 341));
        assert_eq!(cover((500, 375), 256, 256), (341, 256));
    }

    #[test]
    fn the_center_rounds_as_torchvision_does() {
        // Margins of 3, 5 and 4: 1.5 rounds to 2, 2.5 to 2.
        assert_eq!(center((5, 7), (2, 2)), (2, 2));
        assert_eq!(center((6, 2), (2, 2)), (2, 0));
    }
}

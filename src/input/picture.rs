use super::{Channels, InputError};
use image::{DynamicImage, ImageError, ImageReader};
use limpid_graph::ops::picture::{center, luma, resize};
use std::io::Cursor;
use std::path::Path;

/// A picture as bytes: height x width x channels, interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Bytes of a pixel: 1 or 3.
    pub channels: usize,
    /// Row by row.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Decodes a jpg, png, webp or bmp file. Transparency is dropped, as is any rotation the camera noted.
    ///
    /// # Errors
    /// [`InputError::Read`], [`InputError::Picture`].
    pub fn open(path: &Path, channels: Channels) -> Result<Self, InputError> {
        let bytes = std::fs::read(path).map_err(|source| InputError::Read { path: path.to_owned(), source })?;
        let fail = |reason: String| InputError::Picture { path: path.to_owned(), reason };
        if bytes.is_empty() {
            return Err(fail("it is empty".to_owned()));
        }
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| fail(e.to_string()))?;
        let decoded = reader.decode().map_err(|e| match e {
            ImageError::Unsupported(_) => fail("it is no jpg, png, webp or bmp file".to_owned()),
            other => fail(other.to_string()),
        })?;
        Ok(Self::of(&decoded, channels))
    }

    /// Converts as PIL's `convert("RGB")` and `convert("L")` do.
    fn of(decoded: &DynamicImage, channels: Channels) -> Self {
        let rgb = decoded.to_rgb8();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        Self { height, width, channels: 3, pixels: rgb.into_raw() }.with_channels(channels)
    }

    /// This RGB or gray picture with these channels.
    pub fn with_channels(&self, channels: Channels) -> Self {
        match (self.channels, channels) {
            (1, Channels::Gray) | (3, Channels::Rgb) => self.clone(),
            (1, _) => self.map_pixels(|p| [p[0]; 3]),
            (_, Channels::Bgr) => self.map_pixels(|p| [p[2], p[1], p[0]]),
            (_, Channels::Gray) => self.map_pixels(|p| [luma(p)]),
            (_, Channels::Rgb) => self.clone(),
        }
    }

    fn map_pixels<const N: usize>(&self, of: impl Fn(&[u8]) -> [u8; N]) -> Self {
        let pixels = self.pixels.chunks_exact(self.channels).flat_map(of).collect();
        Self { channels: N, pixels, height: self.height, width: self.width }
    }

    /// The picture in another size; PIL's antialiased bilinear filter, to the bit.
    pub fn resized(&self, height: usize, width: usize) -> Self {
        let pixels = resize(&self.pixels, self.channels, (self.height, self.width), (height, width));
        Self { height, width, channels: self.channels, pixels }
    }

    /// The middle of the picture, which must be at least as large.
    pub fn center(&self, height: usize, width: usize) -> Self {
        let (top, left) = center((self.height, self.width), (height, width));
        let row = |y: usize| {
            let start = ((top + y) * self.width + left) * self.channels;
            &self.pixels[start..start + width * self.channels]
        };
        Self { height, width, channels: self.channels, pixels: (0..height).flat_map(row).copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn two_pixels() -> DynamicImage {
        let mut image = RgbImage::new(2, 1);
        image.put_pixel(0, 0, Rgb([255, 0, 10]));
        image.put_pixel(1, 0, Rgb([1, 2, 3]));
        image.into()
    }

    #[test]
    fn channels_are_ordered_as_asked() {
        assert_eq!(Picture::of(&two_pixels(), Channels::Rgb).pixels, [255, 0, 10, 1, 2, 3]);
        assert_eq!(Picture::of(&two_pixels(), Channels::Bgr).pixels, [10, 0, 255, 3, 2, 1]);
        // 0.299·255 + 0.114·10 = 77.4; 0.299 + 0.587·2 + 0.114·3 = 1.8
        assert_eq!(Picture::of(&two_pixels(), Channels::Gray).pixels, [77, 2]);
    }

    #[test]
    fn the_center_rounds_as_torchvision_does() {
        let row = |n: usize| Picture { height: 1, width: n, channels: 1, pixels: (0..n as u8).collect() };
        assert_eq!(row(5).center(1, 2).pixels, [2, 3]); // 1.5 rounds to 2
        assert_eq!(row(7).center(1, 2).pixels, [2, 3]); // 2.5 rounds to 2
        assert_eq!(row(6).center(1, 2).pixels, [2, 3]);
    }

    #[test]
    fn files_that_are_no_pictures_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, contents) in
            [("empty.png", &b""[..]), ("text.jpg", b"not a picture"), ("cut.png", b"\x89PNG\r\n\x1a\n")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).expect("a file");
            let error = Picture::open(&path, Channels::Rgb).expect_err("it is no picture");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

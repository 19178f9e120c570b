use super::Crop;
use super::load::frame;
use super::{InputError, Preprocessing};
use image::{DynamicImage, ImageFormat};
use limpid_graph::ir::Graph;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The class of pixels that nobody scores, whatever the network.
const IGNORED: u32 = 255;

/// A folder of masks: a png for each picture, of the picture's name but for the ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks(BTreeMap<String, PathBuf>);

/// The class of each pixel of a picture: 255 where that is to be ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    height: usize,
    width: usize,
    classes: Vec<u32>,
}

impl Masks {
    /// Lists the png files of a folder.
    ///
    /// # Errors
    /// [`InputError::Read`]; [`InputError::NoSamples`] if there are none.
    pub fn list(folder: &Path) -> Result<Self, InputError> {
        let failed = |source| InputError::Read { path: folder.to_owned(), source };
        let mut masks = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
                masks.insert(stem(&path.to_string_lossy()).to_owned(), path);
            }
        }
        match masks.is_empty() {
            true => Err(InputError::NoSamples { path: folder.to_owned(), looked_for: ".png".to_owned() }),
            false => Ok(Self(masks)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if there is one for a sample of this name.
    pub fn has(&self, sample: &str) -> bool {
        self.0.contains_key(stem(sample))
    }

    /// The mask of a sample, if there is one.
    ///
    /// # Errors
    /// [`InputError::Mask`]: not a mask, or one with classes that a network of `classes` does not have.
    pub fn open(&self, sample: &str, classes: usize) -> Result<Option<Mask>, InputError> {
        let Some(path) = self.0.get(stem(sample)) else { return Ok(None) };
        let bytes = std::fs::read(path).map_err(|source| InputError::Read { path: path.clone(), source })?;
        let fail = |reason| InputError::Mask { path: path.clone(), reason };
        let mask = Mask::decode(&bytes).map_err(fail)?;
        match mask.classes.iter().find(|&&class| class != IGNORED && class as usize >= classes) {
            Some(class) => Err(fail(format!(
                "a pixel has class {class}, but the network has {classes} classes, counted from 0 (255 is ignored)"
            ))),
            None => Ok(Some(mask)),
        }
    }
}

/// A name without folder and ending.
fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

impl Mask {
    /// Decodes a png of classes: gray, where they are the values of the pixels, or with a palette, where they are the
    /// indices into it. (Of equal colours the first index counts.)
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let decoded = image::load_from_memory_with_format(bytes, ImageFormat::Png).map_err(|e| e.to_string())?;
        let (height, width) = (decoded.height() as usize, decoded.width() as usize);
        let classes = match (decoded, palette(bytes)) {
            (decoded, Some(palette)) => {
                let index = |pixel: &[u8]| palette.iter().position(|colour| colour == pixel).unwrap_or(0) as u32;
                decoded.to_rgb8().as_raw().chunks_exact(3).map(index).collect()
            }
            (DynamicImage::ImageLuma8(gray), None) => {
                // Fewer than 8 bits were spread over 0..255.
                let step = 255 / ((1u32 << bits(bytes).clamp(1, 8)) - 1);
                gray.into_raw().into_iter().map(|value| u32::from(value) / step).collect()
            }
            (DynamicImage::ImageLuma16(gray), None) => gray.into_raw().into_iter().map(u32::from).collect(),
            _ => return Err("it is in colour; a mask is gray or has a palette".to_owned()),
        };
        Ok(Self { height, width, classes })
    }

    /// The classes of the pixels of a network's output, `to` high and wide: the mask goes the way its picture goes,
    /// but each pixel has the class of the nearest one, not a mean.
    ///
    /// # Errors
    /// [`InputError::Preprocessing`] if the network does not take pictures.
    pub fn seen_by(
        &self,
        graph: &Graph,
        preprocessing: &Preprocessing,
        to: (usize, usize),
    ) -> Result<Vec<u32>, InputError> {
        let frame = frame(graph, 0, preprocessing)?;
        let (rows, columns) = self.nearest(preprocessing.crop, (frame.height, frame.width), to);
        let row = |y: usize| columns.iter().map(move |&x| self.classes[y * self.width + x]);
        Ok(rows.into_iter().flat_map(row).collect())
    }

    /// Which rows and columns the output's pixels are taken from, for a network of these extents.
    fn nearest(&self, crop: Crop, network: (usize, usize), to: (usize, usize)) -> (Vec<usize>, Vec<usize>) {
        let (resized, (top, left)) = crop.place((self.height, self.width), network);
        let rows = axis(to.0, network.0, top, resized.0, self.height);
        (rows, axis(to.1, network.1, left, resized.1, self.width))
    }
}

/// Along one axis: the mask's pixels of `own` that hold the middles of the output's `to`. In the resized mask the middle
/// of pixel i is at (i + 1/2)·network/to + offset.
fn axis(to: usize, network: usize, offset: usize, resized: usize, own: usize) -> Vec<usize> {
    (0..to).map(|at| ((2 * at + 1) * network + 2 * to * offset) * own / (2 * to * resized)).collect()
}

/// Bits of a value, from the header.
fn bits(png: &[u8]) -> u8 {
    png.get(24).copied().unwrap_or(8)
}

/// The colours of a png that has a palette (colour type 3), from its chunk PLTE. Source: PNG, third edition, 11.2.
fn palette(png: &[u8]) -> Option<Vec<[u8; 3]>> {
    if png.get(25) != Some(&3) {
        return None;
    }
    // Behind the signature: length, name, contents, checksum of each chunk.
    let mut rest = png.get(8..)?;
    while let [a, b, c, d, name @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let contents = name.get(4..4usize.checked_add(length)?)?;
        if name.starts_with(b"PLTE") {
            return Some(contents.as_chunks::<3>().0.to_vec());
        }
        rest = name.get(length.checked_add(8)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pixels side by side, a palette of three colours, indices 2 and 1.
    fn with_palette() -> Vec<u8> {
        // Stored, not compressed: filter 0, then the two indices.
        let raw = [0u8, 2, 1];
        let mut zlib = vec![0x78, 0x01, 0x01, 3, 0, 0xfc, 0xff];
        zlib.extend(raw);
        let (mut a, mut b) = (1u32, 0u32);
        raw.iter().for_each(|&byte| (a, b) = (a + u32::from(byte), b + a + u32::from(byte)));
        zlib.extend(((b << 16) | a).to_be_bytes());
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |name: &[u8; 4], contents: &[u8]| {
            png.extend((contents.len() as u32).to_be_bytes());
            let body = [&name[..], contents].concat();
            png.extend(&body);
            png.extend(crc(&body).to_be_bytes());
        };
        chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
        chunk(b"PLTE", &[0, 0, 0, 128, 0, 0, 0, 128, 0]);
        chunk(b"IDAT", &zlib);
        chunk(b"IEND", &[]);
        png
    }

    /// PNG, third edition, annex D.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
    }

    fn gray(height: u32, width: u32, of: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = image::GrayImage::from_fn(width, height, |x, y| image::Luma([of(y, x)]));
        image.write_to(&mut bytes, ImageFormat::Png).expect("it can be written");
        bytes.into_inner()
    }

    #[test]
    fn classes_are_grays_or_indices() {
        let mask = Mask::decode(&gray(2, 2, |y, x| (y * 2 + x) as u8 * 80)).expect("a mask");
        assert_eq!(mask.classes, [0, 80, 160, 240]);
        let mask = Mask::decode(&with_palette()).expect("a mask");
        assert_eq!((mask.height, mask.width, mask.classes), (1, 2, vec![2, 1]));
        let mut colour = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(2, 2).write_to(&mut colour, ImageFormat::Png).expect("it can be written");
        assert!(Mask::decode(&colour.into_inner()).expect_err("no classes").contains("in colour"));
        assert!(Mask::decode(b"no png").is_err());
    }

    #[test]
    fn a_mask_goes_the_way_of_its_picture() {
        let mask = Mask { height: 4, width: 8, classes: (0..32).collect() };
        // Stretched to 4x4, answered at 2x2: rows 1 and 3, every fourth column from the third on.
        assert_eq!(mask.nearest(Crop::Stretch, (4, 4), (2, 2)), (vec![1, 3], vec![2, 6]));
        // As large as the network's picture: the middle of the long side.
        let mask = Mask { height: 224, width: 448, classes: Vec::new() };
        let (rows, columns) = mask.nearest(Crop::Center, (224, 224), (224, 224));
        // Resized to 256x512, rows 16..240 and columns 144..368 are seen: pixel 0 is 16.5·224/256 = 14.4.
        assert_eq!((rows[0], rows[223], columns[0], columns[223]), (14, 209, 126, 321));
    }

    #[test]
    fn masks_have_the_names_of_pictures() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(Masks::list(folder.path()), Err(InputError::NoSamples { .. })));
        std::fs::write(folder.path().join("a.b.png"), gray(1, 2, |_, x| 3 + 252 * x as u8)).expect("a file");
        let masks = Masks::list(folder.path()).expect("a mask");
        assert!(masks.has("a.b.jpg") && masks.has("cat/a.b.jpg") && !masks.has("a.jpg"));
        assert_eq!(masks.open("c.jpg", 4).expect("no error"), None);
        let mask = masks.open("a.b.jpg", 4).expect("no error").expect("there is one");
        assert_eq!(mask.classes, [3, 255]);
        let error = masks.open("a.b.jpg", 3).expect_err("no class 3");
        assert!(error.to_string().contains("class 3") && error.to_string().contains("a.b.png"), "{error}");
    }
}

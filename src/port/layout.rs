use limpid_graph::tensor::{Tensor, TensorError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The order of a port's elements; [the table](super) has what each means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // one line of the table each
pub enum Layout {
    #[default]
    Chw,
    Hwc,
    Chw4,
    Chw16,
    Chw32,
    Hwc8,
    Hwc16,
}

/// Where a picture's channels lie: in `count` blocks, each `[H][W][pitch]`, the first `width` lanes of a pixel in use
/// (fewer in the last block). Element (n, c, h, w) of C x H x W is
/// `((n·count + c / width)·H·W + h·W + w)·pitch + c % width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Blocks of a picture.
    pub count: usize,
    /// Channels of a block.
    pub width: usize,
    /// Elements from one pixel to the next.
    pub pitch: usize,
}

/// A tensor that cannot lie so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not a batch of pictures.
    #[error("`{layout}` is for pictures, (N,C,H,W); the tensor is {shape:?}")]
    NotAPicture {
        /// What was asked for.
        layout: Layout,
        /// The tensor's extents.
        shape: Vec<usize>,
    },
    /// Extents in memory that no tensor of these channels has.
    #[error("a tensor of {channels} channel(s) in `{layout}` does not have the extents {shape:?}")]
    Extents {
        /// What was asked for.
        layout: Layout,
        /// Its channels.
        channels: usize,
        /// The extents given.
        shape: Vec<usize>,
    },
    /// Bytes and extents disagree.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Chw, Self::Hwc, Self::Chw4, Self::Chw16, Self::Chw32, Self::Hwc8, Self::Hwc16];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chw => "chw",
            Self::Hwc => "hwc",
            Self::Chw4 => "chw4",
            Self::Chw16 => "chw16",
            Self::Chw32 => "chw32",
            Self::Hwc8 => "hwc8",
            Self::Hwc16 => "hwc16",
        }
    }

    /// Where so many channels lie; `None` for row-major tensors, whose channels are planes.
    pub fn blocks(self, channels: usize) -> Option<Blocks> {
        let vectors = |width: usize| Blocks { count: channels.div_ceil(width), width, pitch: width };
        let pixels = |multiple: usize| Blocks { count: 1, width: channels, pitch: channels.next_multiple_of(multiple) };
        match self {
            Self::Chw => None,
            Self::Chw4 => Some(vectors(4)),
            Self::Chw16 => Some(vectors(16)),
            Self::Chw32 => Some(vectors(32)),
            Self::Hwc => Some(pixels(1)),
            Self::Hwc8 => Some(pixels(8)),
            Self::Hwc16 => Some(pixels(16)),
        }
    }

    /// The extents in memory of a tensor of these logical ones.
    ///
    /// # Errors
    /// [`LayoutError::NotAPicture`] for anything but four dims, save in `chw`.
    pub fn shape(self, extents: &[usize]) -> Result<Vec<usize>, LayoutError> {
        let Some((blocks, [n, _, h, w])) = self.picture(extents)? else { return Ok(extents.to_vec()) };
        Ok(match self.is_in_vectors() {
            true => vec![n, blocks.count, h, w, blocks.pitch],
            false => vec![n, h, w, blocks.pitch],
        })
    }

    /// The logical extents of a tensor of so many channels with these in memory: the inverse of [`Layout::shape`].
    ///
    /// # Errors
    /// [`LayoutError::Extents`] if there is none.
    pub fn extents(self, shape: &[usize], channels: usize) -> Result<Vec<usize>, LayoutError> {
        let extents = match (self, shape) {
            (Self::Chw, _) => return Ok(shape.to_vec()),
            (Self::Chw4 | Self::Chw16 | Self::Chw32, &[n, _, h, w, _]) => Some(vec![n, channels, h, w]),
            (Self::Hwc | Self::Hwc8 | Self::Hwc16, &[n, h, w, _]) => Some(vec![n, channels, h, w]),
            _ => None,
        };
        let fits = |extents: &Vec<usize>| self.shape(extents).is_ok_and(|own| own == shape);
        extents.filter(fits).ok_or_else(|| LayoutError::Extents { layout: self, channels, shape: shape.to_vec() })
    }

    /// Lays a tensor out; padding lanes become zeros.
    ///
    /// # Errors
    /// As [`Layout::shape`].
    pub fn to_memory(self, tensor: &Tensor) -> Result<Tensor, LayoutError> {
        let Some((blocks, extents)) = self.picture(tensor.shape())? else { return Ok(tensor.clone()) };
        let shape = self.shape(tensor.shape())?;
        let mut bytes = vec![0; shape.iter().product::<usize>() * tensor.dtype().size()];
        each_element(blocks, extents, tensor.dtype().size(), |logical, memory| {
            bytes[memory].copy_from_slice(&tensor.bytes()[logical]);
        });
        Ok(Tensor::from_bytes(tensor.dtype(), &shape, &bytes)?)
    }

    /// Takes a tensor of so many channels out of its layout; padding lanes are passed by.
    ///
    /// # Errors
    /// As [`Layout::extents`].
    pub fn to_logical(self, tensor: &Tensor, channels: usize) -> Result<Tensor, LayoutError> {
        let logical_shape = self.extents(tensor.shape(), channels)?;
        let Some((blocks, extents)) = self.picture(&logical_shape)? else { return Ok(tensor.clone()) };
        let mut bytes = vec![0; logical_shape.iter().product::<usize>() * tensor.dtype().size()];
        each_element(blocks, extents, tensor.dtype().size(), |logical, memory| {
            bytes[logical].copy_from_slice(&tensor.bytes()[memory]);
        });
        Ok(Tensor::from_bytes(tensor.dtype(), &logical_shape, &bytes)?)
    }

    const fn is_in_vectors(self) -> bool {
        matches!(self, Self::Chw4 | Self::Chw16 | Self::Chw32)
    }

    /// Blocks and extents (N,C,H,W) of a picture; `None` for a row-major tensor.
    fn picture(self, extents: &[usize]) -> Result<Option<(Blocks, [usize; 4])>, LayoutError> {
        match (self, extents) {
            (Self::Chw, _) => Ok(None),
            (_, &[n, c, h, w]) => Ok(self.blocks(c).map(|blocks| (blocks, [n, c, h, w]))),
            _ => Err(LayoutError::NotAPicture { layout: self, shape: extents.to_vec() }),
        }
    }
}

/// Bytes of every element in row-major order and in memory.
fn each_element(
    blocks: Blocks,
    [n, c, h, w]: [usize; 4],
    size: usize,
    mut see: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let bytes = |element: usize| element * size..(element + 1) * size;
    for (picture, channel) in (0..n).flat_map(|picture| (0..c).map(move |channel| (picture, channel))) {
        let plane = (picture * blocks.count + channel / blocks.width) * h * w;
        for pixel in 0..h * w {
            let logical = (picture * c + channel) * h * w + pixel;
            see(bytes(logical), bytes((plane + pixel) * blocks.pitch + channel % blocks.width));
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no layout; use chw, hwc, chw4, chw16, chw32, hwc8 or hwc16")]
pub struct UnknownLayout(String);

impl FromStr for Layout {
    type Err = UnknownLayout;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|layout| layout.name() == text).ok_or_else(|| UnknownLayout(text.to_owned()))
    }
}

/// The layouts of all of a network's ports, in the model's order; those that are not named are `chw`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layouts {
    /// Of its inputs.
    pub inputs: Vec<Layout>,
    /// Of its outputs.
    pub outputs: Vec<Layout>,
}

impl Layouts {
    /// The layout of the input of this index.
    pub fn input(&self, index: usize) -> Layout {
        self.inputs.get(index).copied().unwrap_or_default()
    }

    /// The layout of the output of this index.
    pub fn output(&self, index: usize) -> Layout {
        self.outputs.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers 1, 2, 3, … so that 0 is padding only.
    fn counted(shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        Tensor::new(shape, (1..=count as i32).collect::<Vec<_>>()).expect("it has that size")
    }

    /// The table's own words: an array with these extents, an element's place in it.
    fn by_the_table(layout: Layout, [n, c, h, w]: [usize; 4]) -> (Vec<usize>, Vec<i32>) {
        let up = |v: usize| c.div_ceil(v);
        let shape = match layout {
            Layout::Chw => vec![n, c, h, w],
            Layout::Hwc => vec![n, h, w, c],
            Layout::Hwc8 => vec![n, h, w, up(8) * 8],
            Layout::Hwc16 => vec![n, h, w, up(16) * 16],
            Layout::Chw4 => vec![n, up(4), h, w, 4],
            Layout::Chw16 => vec![n, up(16), h, w, 16],
            Layout::Chw32 => vec![n, up(32), h, w, 32],
        };
        let mut array = vec![0; shape.iter().product()];
        let mut number = 0;
        for index in 0..n * c * h * w {
            let (i_n, i_c, i_h, i_w) = (index / (c * h * w), index / (h * w) % c, index / w % h, index % w);
            let place = match (layout, shape.last()) {
                (Layout::Chw, _) => vec![i_n, i_c, i_h, i_w],
                (Layout::Hwc | Layout::Hwc8 | Layout::Hwc16, _) => vec![i_n, i_h, i_w, i_c],
                (_, Some(&v)) => vec![i_n, i_c / v, i_h, i_w, i_c % v],
                (_, None) => vec![],
            };
            let at = place.iter().zip(&shape).fold(0, |at, (i, extent)| at * extent + i);
            number += 1;
            array[at] = number;
        }
        (shape, array)
    }

    #[test]
    fn elements_lie_as_the_table_says() {
        for layout in Layout::ALL {
            for extents in [[1, 1, 1, 1], [2, 3, 4, 5], [1, 8, 2, 3], [2, 19, 3, 1], [1, 64, 2, 2]] {
                let (shape, array) = by_the_table(layout, extents);
                let laid = layout.to_memory(&counted(&extents)).expect("a picture");
                assert_eq!(laid.shape(), shape, "{layout} of {extents:?}");
                assert_eq!(laid.as_slice::<i32>().expect("i32"), array, "{layout} of {extents:?}");
                assert_eq!(layout.to_logical(&laid, extents[1]).expect("it fits"), counted(&extents));
            }
        }
    }

    #[test]
    fn what_is_no_picture_is_row_major_or_refused() {
        assert_eq!(Layout::Chw.shape(&[4, 10]), Ok(vec![4, 10]));
        assert!(matches!(Layout::Hwc8.shape(&[4, 10]), Err(LayoutError::NotAPicture { .. })));
        assert!(matches!(Layout::Hwc8.extents(&[1, 2, 2, 9], 9), Err(LayoutError::Extents { .. })));
        assert!(matches!(Layout::Chw4.extents(&[1, 3, 2, 2, 4], 8), Err(LayoutError::Extents { .. })));
        assert_eq!(Layout::Chw4.extents(&[1, 3, 2, 2, 4], 9), Ok(vec![1, 9, 2, 2]));
    }

    #[test]
    fn names_are_read_back() {
        assert!(Layout::ALL.into_iter().all(|layout| layout.name().parse() == Ok(layout)));
        assert!("dla_linear".parse::<Layout>().is_err_and(|error| error.to_string().contains("hwc16")));
    }
}

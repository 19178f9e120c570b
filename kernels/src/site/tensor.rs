//! Tensors as kernels see them: images and views.

use crate::scale::Scale;
use limpid_graph::tensor::DType;
use serde::{Deserialize, Serialize};

/// Bytes of one vector access; channel pitches and buffer offsets are multiples of it.
pub const VECTOR_BYTES: u32 = 16;

/// Elements of one vector access: 8 for f16, 4 for f32, 16 for i8.
pub const fn vector_width(dtype: DType) -> u32 {
    VECTOR_BYTES / dtype.size() as u32
}

/// An NHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // the four extents are the field's letters
pub struct Image {
    pub n: u32,
    pub h: u32,
    pub w: u32,
    pub c: u32,
    /// Elements from one pixel to the next.
    pub pitch: u32,
    /// What it is stored as.
    pub dtype: DType,
    /// What its integers stand for.
    pub scale: Scale,
}

impl Image {
    /// A dense image: pitch is `c` rounded up to the vector width.
    pub fn dense(n: u32, h: u32, w: u32, c: u32, dtype: DType) -> Self {
        Self { n, h, w, c, pitch: c.next_multiple_of(vector_width(dtype)), dtype, scale: Scale::ONE }
    }

    /// Channels rounded up to the vector width: the lanes a writer must write.
    pub fn padded_channels(&self) -> u32 {
        self.c.next_multiple_of(vector_width(self.dtype))
    }

    /// Pixels of all pictures.
    pub fn pixels(&self) -> u64 {
        u64::from(self.n) * u64::from(self.h) * u64::from(self.w)
    }

    /// Bytes from the first element to the end of the last pixel's pitch.
    pub fn bytes(&self) -> u64 {
        self.pixels() * u64::from(self.pitch) * self.dtype.size() as u64
    }
}

/// Where the elements of pictures lie that are no image: anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Strided {
    /// What they are stored as.
    pub dtype: DType,
    /// Elements from one picture, channel, row and pixel to the next.
    pub strides: [i64; 4],
}

/// A strided tensor of at most [`View::MAX_RANK`] dims, in physical order (the last varies fastest).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Extents.
    pub dims: Vec<u32>,
    /// Elements from one index to the next; 0 where the tensor is broadcast.
    pub strides: Vec<i64>,
    /// What it is stored as.
    pub dtype: DType,
    /// Lanes after the contiguous dim, mostly the last, that a writer must fill with zeros (an image's channel
    /// padding). An [`AxisSite`](super::AxisSite), whose last dim is its axis, may have them after another one; see
    /// [`View::contiguous_dim`].
    pub zero_lanes: u32,
    /// What its integers stand for.
    pub scale: Scale,
}

impl View {
    /// Dims a kernel takes.
    pub const MAX_RANK: usize = 6;

    /// A dense row-major view.
    pub fn dense(dims: &[u32], dtype: DType) -> Self {
        let mut strides = vec![1i64; dims.len()];
        for i in (1..dims.len()).rev() {
            strides[i - 1] = strides[i] * i64::from(dims[i]);
        }
        Self { dims: dims.to_vec(), strides, dtype, zero_lanes: 0, scale: Scale::ONE }
    }

    /// Elements in it, padding lanes not counted.
    pub fn len(&self) -> u64 {
        self.dims.iter().map(|&d| u64::from(d)).product()
    }

    /// True if an extent is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dim with stride 1, one with more than one element if there is a choice.
    pub fn contiguous_dim(&self) -> Option<usize> {
        (0..self.dims.len()).filter(|&d| self.strides.get(d) == Some(&1)).max_by_key(|&d| self.dims[d] > 1)
    }
}

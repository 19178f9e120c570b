//! What pools and resizes share: pictures made of pictures, each channel by itself.

use crate::launch::cuda_type;
use crate::site::{Image, vector_width};
use limpid_graph::tensor::DType;

/// The types of x and y the kernels are compiled for.
pub(crate) const TYPES: [(DType, DType); 5] = [
    (DType::F16, DType::F16),
    (DType::F32, DType::F32),
    (DType::I8, DType::I8),
    (DType::I8, DType::F16),
    (DType::I8, DType::F32),
];

/// X_TYPE and Y_TYPE.
pub(crate) fn type_defines(x: DType, y: DType) -> [(&'static str, String); 2] {
    [("X_TYPE", cuda_type(x).to_owned()), ("Y_TYPE", cuda_type(y).to_owned())]
}

/// Channels of a thread: 16 bytes of x or y, whichever is wider; `PAIR_WIDTH` of vector.cuh.
pub(crate) fn pair_width(x: &Image, y: &Image) -> u32 {
    vector_width(x.dtype).min(vector_width(y.dtype))
}

/// Why x and y do not go together, if so.
pub(crate) fn check(x: &Image, y: &Image) -> Result<(), String> {
    if !TYPES.contains(&(x.dtype, y.dtype)) {
        return Err(format!("needs x and y both f16 or both f32, or x i8, got {} and {}", x.dtype, y.dtype));
    }
    for image in [x, y] {
        if image.scale.is_quantized() && image.dtype != DType::I8 {
            return Err(format!("scales are for i8, got {} with scale {:?}", image.dtype, image.scale));
        }
        let width = vector_width(image.dtype);
        if image.pitch % width != 0 {
            return Err(format!("needs pitches of {} divisible by {width}, got {}", image.dtype, image.pitch));
        }
    }
    if x.n != y.n || x.c != y.c {
        let (wanted, got) = ((x.n, x.c), (y.n, y.c));
        return Err(format!("needs pictures and channels of y as in x, {wanted:?}, got {got:?}"));
    }
    Ok(())
}

/// Bytes of x and y, padding lanes included: what a kernel moves at least.
pub(crate) fn bytes(x: &Image, y: &Image) -> u64 {
    let of = |image: &Image| image.pixels() * u64::from(image.padded_channels()) * image.dtype.size() as u64;
    of(x) + of(y)
}

/// For edge sites: the image with a scale if it is i8, its pitch raised to whole vectors.
pub(crate) fn edge_image(image: Image, scale: f32) -> Image {
    let pitch = image.pitch.next_multiple_of(vector_width(image.dtype));
    let scale = if image.dtype == DType::I8 { crate::site::Scale::new(scale) } else { image.scale };
    Image { pitch, scale, ..image }
}

//! Interpolation of pictures.

mod nhwc;

pub use nhwc::Nhwc;

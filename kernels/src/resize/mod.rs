//! Interpolation of pictures: nearest and linear ([`Nhwc`]), and cubic ([`Cubic`]); and of pictures as bytes in front of
//! a network ([`Picture`]).

mod cubic;
mod nhwc;
mod picture;
mod points;

pub use cubic::Cubic;
pub use nhwc::Nhwc;
pub use picture::Picture;

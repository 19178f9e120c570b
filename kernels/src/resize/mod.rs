//! Interpolation of pictures: nearest and linear ([`Nhwc`]), and cubic ([`Cubic`]).

mod cubic;
mod nhwc;

pub use cubic::Cubic;
pub use nhwc::Nhwc;

//! Moving elements: copies between layouts and types, transposes, fills.

mod cast;
mod conversion;
mod copy;
mod fill;
mod interleave;
mod strided;
mod transpose;

pub use cast::Cast;
pub use copy::Copy;
pub use fill::Fill;
pub use interleave::Interleave;
pub use transpose::Transpose;

//! What goes into a network: pictures, NumPy arrays, random numbers; and the names of what comes out.
//!
//! - [`Preprocessing`] says to the last rounding how a picture becomes a tensor. An engine carries it, so that
//!   every command that reads pictures reads them the same way.
//! - [`Picture`] decodes and resizes; [`npy`] reads and writes `.npy` and `.npz`.
//! - [`load`] puts files together into the inputs a network takes.

mod error;
mod labels;
mod load;
pub mod npy;
mod picture;
mod preprocessing;
mod random;
mod resample;

pub use error::InputError;
pub use labels::Labels;
pub use load::{InputFile, Sample, from_array, load};
pub use picture::Picture;
pub use preprocessing::{Channels, Crop, PixelLayout, Preprocessing, PreprocessingError};
pub use random::random;

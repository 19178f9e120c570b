//! What goes into a network: pictures, NumPy arrays, random numbers; and the names of what comes out.
//!
//! - [`Preprocessing`] says to the last rounding how a picture becomes a tensor. An engine carries it, so that
//!   every command that reads pictures reads them the same way.
//! - [`Picture`] decodes and resizes; [`npy`] reads and writes `.npy` and `.npz`.
//! - [`load`] puts files together into the inputs a network takes.
//! - [`Dataset`] reads a folder of samples batch by batch; a [`LabelTable`] says what they show.

mod archive;
pub mod dataset;
mod error;
mod label_sources;
mod label_table;
mod labels;
mod load;
mod mask;
pub mod npy;
mod picture;
mod preprocessing;
mod random;

pub use dataset::Dataset;
pub use error::InputError;
pub use label_sources::{class_folders, validation_set};
pub use label_table::LabelTable;
pub use labels::Labels;
pub use limpid_graph::ops::picture::{Channels, Crop, PixelLayout};
pub use load::{InputFile, Sample, from_array, load};
pub use mask::{Mask, Masks};
pub use picture::Picture;
pub use preprocessing::{Preprocessing, PreprocessingError};
pub use random::random;

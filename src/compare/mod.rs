//! How far two engines of one network are apart.
//!
//! [`compare`] streams samples through both and measures, for each output, how the numbers differ ([`Distance`]); for
//! a classifier, whether the classes agree ([`Classification`]); for a segmentation network, whether the pixels do
//! ([`Segmentation`]). With the truth known, each is also scored on its own. [`layers`] looks inside.

mod accuracy;
mod distance;
mod error;
mod layers;
mod outputs;
mod ranking;
mod segmentation;
mod stream;

pub use accuracy::{Accuracy, Classification};
pub use distance::Distance;
pub use error::CompareError;
pub(crate) use layers::reals;
pub use layers::{Layer, layers};
pub use outputs::Output;
pub use ranking::top;
pub use segmentation::{Confusion, IGNORED, Segmentation, classes_of_pixels};
pub use stream::{Report, Subject, Truth, compare};

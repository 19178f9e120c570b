//! Running an engine: a [`Session`] on CUDA or on the CPU reference.

pub mod emulated;

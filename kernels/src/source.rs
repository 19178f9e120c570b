//! The kernels' sources, carried in the binary: NVRTC compiles them where the GPU is.

/// Every `.cu` and `.cuh`, by its path under `kernels/src/`.
pub const SOURCES: &[(&str, &str)] = &[];

/// The text of a source or header.
pub fn text(path: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

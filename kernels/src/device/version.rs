//! Versions of CUDA, as the driver and NVRTC report them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A CUDA version: 13.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CudaVersion {
    /// The part that decides whether a driver can load a cubin.
    pub major: u32,
    /// The part that adds features.
    pub minor: u32,
}

impl CudaVersion {
    /// From the driver's encoding, 1000·major + 10·minor: 12040 is 12.4.
    pub fn from_driver(encoded: i32) -> Self {
        let encoded = encoded.max(0).unsigned_abs();
        Self { major: encoded / 1000, minor: encoded % 1000 / 10 }
    }
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_drivers_encoding() {
        assert_eq!(CudaVersion::from_driver(12040), CudaVersion { major: 12, minor: 4 });
        assert_eq!(CudaVersion::from_driver(13000).to_string(), "13.0");
        assert_eq!(CudaVersion::from_driver(-1), CudaVersion { major: 0, minor: 0 });
    }

    #[test]
    fn orders_by_major_then_minor() {
        assert!(CudaVersion { major: 12, minor: 9 } < CudaVersion { major: 13, minor: 0 });
    }
}

use serde::Serialize;
use std::fmt;

/// Which of NVIDIA's two libraries this binary is for: their interfaces differ, so it is one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// TensorRT-RTX: small, for GeForce and RTX cards; its kernels are compiled where the engine is opened.
    Rtx,
    /// TensorRT as it is installed on servers.
    Enterprise,
}

impl Flavour {
    /// That of this binary.
    pub const fn compiled() -> Self {
        if cfg!(feature = "tensorrt-enterprise") { Self::Enterprise } else { Self::Rtx }
    }

    /// What NVIDIA calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rtx => "TensorRT-RTX",
            Self::Enterprise => "TensorRT",
        }
    }

    /// The command that brings it to a machine.
    pub const fn install(self) -> &'static str {
        match self {
            Self::Rtx => "pip install tensorrt_rtx_cu13_libs==1.7.1.116",
            Self::Enterprise => "pip install --extra-index-url https://pypi.nvidia.com tensorrt_cu13_libs==11.4.0.106",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A version of TensorRT: 1.7.1.116.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Version {
    /// The part that decides whether programs work with it.
    pub major: u32,
    /// The part that adds functions.
    pub minor: u32,
    /// The part that mends.
    pub patch: u32,
    /// Of the release's making; 0 where it is not known.
    pub build: u32,
}

impl Version {
    /// True if what was compiled with the headers of `headers` may use this library: the same major version, and at least
    /// as new, since functions are only added.
    pub fn serves(self, headers: Self) -> bool {
        self.major == headers.major && (self.minor, self.patch) >= (headers.minor, headers.patch)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if self.build > 0 { write!(f, ".{}", self.build) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_only_added_within_a_major_version() {
        let version = |major, minor, patch| Version { major, minor, patch, build: 7 };
        let headers = version(1, 7, 1);
        for (library, serves) in [
            (version(1, 7, 1), true),
            (version(1, 7, 2), true),
            (version(1, 8, 0), true),
            (version(1, 7, 0), false),
            (version(1, 6, 9), false),
            (version(2, 0, 0), false),
            (version(0, 9, 9), false),
        ] {
            assert_eq!(library.serves(headers), serves, "{library}");
        }
        assert_eq!(headers.to_string(), "1.7.1.7");
        assert_eq!(Version { build: 0, ..headers }.to_string(), "1.7.1");
    }
}

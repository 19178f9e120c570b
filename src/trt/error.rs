use super::request::Message;
use super::version::{Flavour, Version};
use crate::severity::Severity;
use limpid_graph::tensor::TensorError;
use limpid_kernels::device::DeviceError;
use limpid_kernels::target::Arch;
use std::fmt;
use std::path::PathBuf;

/// What the library said before it gave up, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(pub Vec<Message>);

impl fmt::Display for Said {
    /// Errors, and warnings where there is no error; a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most =
            if self.0.iter().any(|m| m.severity <= Severity::Error) { Severity::Error } else { Severity::Warning };
        let mut lines = self.0.iter().filter(|message| message.severity <= most).peekable();
        if lines.peek().is_none() {
            return f.write_str("it did not say why");
        }
        lines.try_for_each(|message| write!(f, "\n    [{}] {}", message.severity.letter(), message.text))
    }
}

/// Why TensorRT cannot be used, or does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrtError {
    /// The binary does not know TensorRT.
    #[error("this limpid was built without TensorRT")]
    WithoutFeature,
    /// The library is not on the machine.
    #[error("no {flavour} here: {} is neither where the dynamic loader looks nor in {}", .names.join(" with "), places(.searched))]
    NotFound {
        /// What was looked for.
        flavour: Flavour,
        /// Its files.
        names: Vec<String>,
        /// Every folder that was looked into.
        searched: Vec<PathBuf>,
    },
    /// The folder that was named does not have the library.
    #[error("LIMPID_TENSORRT_LIBS is `{}`, which has no {}", .folder.display(), .names.join(" and no "))]
    NotInFolder {
        /// As given.
        folder: PathBuf,
        /// The files that are missing.
        names: Vec<String>,
    },
    /// The file is there and cannot be loaded.
    #[error("cannot load {}: {reason}", .path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// The dynamic loader's words.
        reason: String,
    },
    /// The library is of another version than this binary was compiled for.
    #[error("{} is {flavour} {found}; this limpid needs {}.{}, from {needed} on", .path.display(), .needed.major, .needed.minor)]
    Version {
        /// The library.
        path: PathBuf,
        /// Which of the two.
        flavour: Flavour,
        /// Its version.
        found: Version,
        /// That of the headers.
        needed: Version,
    },
    /// No engine can be built for a GPU that is elsewhere.
    #[error("{flavour} does not build for {arch}{}", or_for(.supported))]
    Target {
        /// Which of the two.
        flavour: Flavour,
        /// What was asked for.
        arch: Arch,
        /// What it can be asked for.
        supported: Vec<Arch>,
    },
    /// The driver or the GPU is missing, or refuses.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Something was refused.
    #[error("{flavour} {version} {what}: {said}")]
    Refused {
        /// Which of the two.
        flavour: Flavour,
        /// Its version.
        version: Version,
        /// What it did not do.
        what: String,
        /// Its own words.
        said: Said,
    },
    /// A name that C cannot be told.
    #[error("{0:?} holds a zero byte, which no name may in C")]
    ZeroByte(String),
    /// A tensor of a type that limpid does not have.
    #[error("`{name}` is of TensorRT's type {type_name}, which limpid has no tensors of")]
    Type {
        /// The tensor.
        name: String,
        /// TensorRT's name of its type.
        type_name: String,
    },
    /// Tensors that are not those of the engine.
    #[error("the engine takes {expected}, got {got}")]
    Ports {
        /// What it takes.
        expected: String,
        /// What came.
        got: String,
    },
    /// An output whose extents depend on values.
    #[error("TensorRT does not say how large output `{name}` becomes")]
    OpenOutput {
        /// The output.
        name: String,
    },
    /// An answer that is no tensor.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

fn places(folders: &[PathBuf]) -> String {
    match folders {
        [] => "any folder of Python packages".to_owned(),
        folders => folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

fn or_for(archs: &[Arch]) -> String {
    match archs {
        [] => ": it builds on the GPU that the engine is for".to_owned(),
        archs => format!("; it builds for {}", archs.iter().map(Arch::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl TrtError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        let flavour = Flavour::compiled();
        let bring = format!("`{}`; LIMPID_TENSORRT_LIBS may name the folder of its libraries", flavour.install());
        Some(match self {
            Self::WithoutFeature => {
                "build limpid with `cargo install --path . --features tensorrt` (for TensorRT-RTX; with \
                 `tensorrt-enterprise` for TensorRT 11); it needs libclang before version 22, such as Debian's \
                 libclang-14-dev with LIBCLANG_PATH=/usr/lib/llvm-14/lib. `limpid trt report` needs neither"
                    .to_owned()
            }
            Self::NotFound { .. } | Self::NotInFolder { .. } => format!("bring it with {bring}"),
            Self::Load { .. } => format!("install it anew with {bring}"),
            Self::Version { found, needed, .. } if found < needed => {
                format!(
                    "bring the newer one with {bring}; for older ones, `limpid trt build --files DIR` writes what their trtexec takes"
                )
            }
            Self::Version { .. } => format!("bring one that fits with {bring}"),
            Self::Target { supported, .. } if supported.is_empty() => {
                "leave --target out on the machine that has the GPU".to_owned()
            }
            Self::Target { .. } => {
                "choose another --target, or leave it out where the GPU is in the machine".to_owned()
            }
            Self::Device(DeviceError::NoDriver { .. } | DeviceError::NoDevice { .. }) if flavour == Flavour::Rtx => {
                "without a GPU only `limpid trt build --target sm_89` works, which builds for one that is elsewhere"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(severity: Severity, text: &str) -> Message {
        Message { severity, text: text.to_owned() }
    }

    #[test]
    fn errors_come_back_whole_and_stand_before_warnings() {
        let said = Said(vec![
            message(Severity::Warning, "slow"),
            message(Severity::InternalError, "no properties"),
            message(Severity::Info, "building"),
            message(Severity::Error, "no driver"),
        ]);
        assert_eq!(said.to_string(), "\n    [F] no properties\n    [E] no driver");
        assert_eq!(Said(vec![message(Severity::Warning, "slow")]).to_string(), "\n    [W] slow");
        assert_eq!(Said(vec![message(Severity::Info, "building")]).to_string(), "it did not say why");
    }

    #[test]
    fn every_rung_says_what_to_do() {
        let version = |minor| Version { major: 1, minor, patch: 0, build: 0 };
        let path = || PathBuf::from("lib.so");
        let old = TrtError::Version { path: path(), flavour: Flavour::Rtx, found: version(3), needed: version(7) };
        let errors = [
            TrtError::WithoutFeature,
            TrtError::NotFound { flavour: Flavour::Rtx, names: vec![], searched: vec![] },
            TrtError::NotInFolder { folder: path(), names: vec![] },
            TrtError::Load { path: path(), reason: String::new() },
            old,
            TrtError::Target { flavour: Flavour::Rtx, arch: Arch(90), supported: vec![Arch(89)] },
        ];
        for error in &errors {
            assert!(error.help().is_some(), "{error}");
        }
        let [.., old, target] = &errors;
        assert_eq!(old.to_string(), "lib.so is TensorRT-RTX 1.3.0; this limpid needs 1.7, from 1.7.0 on");
        assert!(old.help().is_some_and(|help| help.contains("--files")), "older ones take files");
        assert_eq!(target.to_string(), "TensorRT-RTX does not build for sm_90; it builds for sm_89");
    }
}

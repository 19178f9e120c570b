//! Finding the library and its parser: in the folder that `LIMPID_TENSORRT_LIBS` names, else where the dynamic loader
//! looks, else among Python's packages, where `pip install` puts them.

use super::{Flavour, TrtError};
use limpid_kernels::device::python_packages;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variable that names the folder of the libraries.
pub(super) const VARIABLE: &str = "LIMPID_TENSORRT_LIBS";

/// The library and its parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub library: PathBuf,
    pub parser: PathBuf,
}

/// What the files of a flavour are called.
struct Names {
    library: &'static str,
    parser: &'static str,
    /// The version in the name by which programs ask for them.
    major: u32,
    /// The wheel's folder among Python's packages.
    package: &'static str,
}

fn names(flavour: Flavour) -> Names {
    match flavour {
        Flavour::Rtx => Names {
            library: "libtensorrt_rtx.so",
            parser: "libtensorrt_onnxparser_rtx.so",
            major: 1,
            package: "tensorrt_rtx_libs",
        },
        Flavour::Enterprise => {
            Names { library: "libnvinfer.so", parser: "libnvonnxparser.so", major: 11, package: "tensorrt_libs" }
        }
    }
}

impl Names {
    /// As the dynamic loader is asked for them.
    fn for_loader(&self) -> Files {
        let name = |stem: &str| PathBuf::from(format!("{stem}.{}", self.major));
        Files { library: name(self.library), parser: name(self.parser) }
    }

    /// Those of a folder; the names of the files that are missing.
    fn in_folder(&self, folder: &Path) -> Result<Files, Vec<String>> {
        let [library, parser] = [self.library, self.parser].map(|stem| file(folder, stem, self.major));
        match (library, parser) {
            (Some(library), Some(parser)) => Ok(Files { library, parser }),
            (library, parser) => {
                let missing = [(library, self.library), (parser, self.parser)].into_iter();
                let missing = missing.filter(|(file, _)| file.is_none());
                Err(missing.map(|(_, stem)| format!("{stem}.{}", self.major)).collect())
            }
        }
    }
}

/// The file of the version wanted, or of any other: whoever loads it will say what is wrong with that.
fn file(folder: &Path, stem: &str, major: u32) -> Option<PathBuf> {
    let wanted = folder.join(format!("{stem}.{major}"));
    if wanted.is_file() {
        return Some(wanted);
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut others: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .map(|entry| entry.path())
        .collect();
    others.sort();
    others.pop()
}

/// The files to try, in order. Where nothing was named the first are names for the dynamic loader.
pub(super) fn candidates(flavour: Flavour) -> Result<Vec<Files>, TrtError> {
    in_places(flavour, std::env::var_os(VARIABLE), &python_packages())
}

/// The error for when none of the candidates is there.
pub(super) fn not_found(flavour: Flavour) -> TrtError {
    let (names, Files { library, parser }) = (names(flavour), names(flavour).for_loader());
    let files = [library, parser].map(|path| path.display().to_string()).to_vec();
    let searched = python_packages().iter().map(|packages| packages.join(names.package)).collect();
    TrtError::NotFound { flavour, names: files, searched }
}

fn in_places(flavour: Flavour, named: Option<OsString>, packages: &[PathBuf]) -> Result<Vec<Files>, TrtError> {
    let names = names(flavour);
    if let Some(folder) = named.filter(|value| !value.is_empty()).map(PathBuf::from) {
        return match names.in_folder(&folder) {
            Ok(files) => Ok(vec![files]),
            Err(names) => Err(TrtError::NotInFolder { folder, names }),
        };
    }
    let wheels = packages.iter().filter_map(|folder| names.in_folder(&folder.join(names.package)).ok());
    Ok([names.for_loader()].into_iter().chain(wheels).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, b"").expect("a file");
        }
        folder
    }

    #[test]
    fn a_folder_that_is_named_is_the_only_one() {
        let here = folder(&["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1", "libtensorrt_rtx.so.1.7.1"]);
        let found = in_places(Flavour::Rtx, Some(here.path().into()), &[]).expect("both");
        let path = |name: &str| here.path().join(name);
        let files = Files { library: path("libtensorrt_rtx.so.1"), parser: path("libtensorrt_onnxparser_rtx.so.1") };
        assert_eq!(found, [files]);

        let bare = folder(&["libtensorrt_rtx.so.1"]);
        let error = in_places(Flavour::Rtx, Some(bare.path().into()), &[here.path().into()]).expect_err("no parser");
        assert!(
            matches!(&error, TrtError::NotInFolder { names, .. } if *names == ["libtensorrt_onnxparser_rtx.so.1"]),
            "{error}"
        );
        assert!(in_places(Flavour::Rtx, Some(path("nowhere").into()), &[]).is_err());
    }

    #[test]
    fn an_older_library_is_found_so_that_its_version_can_be_told() {
        let old = folder(&["libnvinfer.so.8", "libnvinfer.so.10", "libnvonnxparser.so.10", "libnvinfer_plugin.so.10"]);
        let found = in_places(Flavour::Enterprise, Some(old.path().into()), &[]).expect("some version");
        assert_eq!(found[0].library, old.path().join("libnvinfer.so.8"), "any version but that wanted");
        assert_eq!(found[0].parser, old.path().join("libnvonnxparser.so.10"));
    }

    #[test]
    fn wheels_come_after_the_loaders_own_places() {
        let packages = folder(&[
            "a/tensorrt_rtx_libs/libtensorrt_rtx.so.1",
            "a/tensorrt_rtx_libs/libtensorrt_onnxparser_rtx.so.1",
            "b/tensorrt_libs/libnvinfer.so.11",
        ]);
        let folders = ["a", "b"].map(|name| packages.path().join(name));
        for nothing in [None, Some(OsString::new())] {
            let found = in_places(Flavour::Rtx, nothing, &folders).expect("places");
            let libraries: Vec<PathBuf> = found.into_iter().map(|files| files.library).collect();
            assert_eq!(
                libraries,
                ["libtensorrt_rtx.so.1".into(), folders[0].join("tensorrt_rtx_libs/libtensorrt_rtx.so.1")]
            );
        }
    }
}

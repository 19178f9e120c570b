//! Finding libcuda and NVRTC before the first call into them. cudarc panics on a missing library, so every way
//! into this room begins here.
//!
//! The driver belongs to the system and is looked for where the dynamic loader looks. NVRTC often is not: the
//! PyPI wheel puts it into a Python environment, the toolkit under `/usr/local/cuda`. So where the loader does not
//! find it, the usual folders are searched and the library is loaded by its full path; `dlopen` then answers
//! cudarc's request for `libnvrtc.so.13` with the library that is already there.

use super::error::DeviceError;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Makes sure that libcuda can be loaded.
///
/// # Errors
/// [`DeviceError::NoDriver`] if it is not there.
pub fn driver() -> Result<(), DeviceError> {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    // SAFETY: loading libcuda runs its initialisers, which are the driver's own and have no preconditions.
    if *PRESENT.get_or_init(|| unsafe { cudarc::driver::sys::is_culib_present() }) {
        Ok(())
    } else {
        Err(DeviceError::NoDriver { reason: "the dynamic loader does not find libcuda".to_owned() })
    }
}

/// Makes sure that NVRTC is loaded, searching the usual folders once per process.
///
/// # Errors
/// [`DeviceError::NoNvrtc`] with the folders that were searched.
pub fn nvrtc() -> Result<(), DeviceError> {
    static SEARCHED: OnceLock<Result<(), Vec<PathBuf>>> = OnceLock::new();
    let found = SEARCHED.get_or_init(|| {
        if nvrtc_present() {
            return Ok(());
        }
        let searched = usual_folders();
        for folder in &searched {
            let Some(files) = NvrtcFiles::in_folder(folder) else { continue };
            match files.load() {
                Ok(()) if nvrtc_present() => {
                    tracing::debug!("NVRTC loaded from {}", files.library.display());
                    return Ok(());
                }
                Ok(()) => tracing::warn!("{} is loaded, but under no known name", files.library.display()),
                Err(error) => tracing::warn!("cannot load {}: {error}", files.library.display()),
            }
        }
        Err(searched)
    });
    found.clone().map_err(|searched| DeviceError::NoNvrtc { searched })
}

/// The folders where CUDA's libraries may be on this machine, beside those that the dynamic loader knows.
pub fn usual_folders() -> Vec<PathBuf> {
    nvrtc_folders(&|name| std::env::var_os(name), Path::new("/"))
}

/// The folders of Python packages on this machine, those of the active environment first: where `pip` puts libraries.
pub fn python_packages() -> Vec<PathBuf> {
    packages(&|name| std::env::var_os(name), Path::new("/"))
}

fn nvrtc_present() -> bool {
    // SAFETY: loading NVRTC runs its initialisers, which have no preconditions.
    unsafe { cudarc::nvrtc::sys::is_culib_present() }
}

/// NVRTC and the library of built-in declarations that it opens by name when it compiles.
#[derive(Debug, PartialEq, Eq)]
struct NvrtcFiles {
    library: PathBuf,
    builtins: Option<PathBuf>,
}

impl NvrtcFiles {
    /// The newest NVRTC of a folder.
    fn in_folder(folder: &Path) -> Option<Self> {
        let names: BTreeSet<String> = std::fs::read_dir(folder)
            .ok()?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        // The file is named as the library names itself, by its major version: `libnvrtc.so.13`. Longer names
        // (`libnvrtc.so.13.0.88`) are what links of that name lead to.
        let major = names.iter().filter_map(|name| name.strip_prefix("libnvrtc.so.")?.parse::<u32>().ok()).max()?;
        let builtins = names.iter().find(|name| {
            let version = name.strip_prefix("libnvrtc-builtins.so.").unwrap_or_default();
            version.split('.').next().and_then(|m| m.parse().ok()) == Some(major)
        });
        Some(Self {
            library: folder.join(format!("libnvrtc.so.{major}")),
            builtins: builtins.map(|name| folder.join(name)),
        })
    }

    /// Loads both for the life of the process.
    #[cfg(unix)]
    fn load(&self) -> Result<(), libloading::Error> {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // NVRTC opens the built-ins by name while it compiles, so they must be there first.
        for path in self.builtins.iter().chain([&self.library]) {
            // SAFETY: the initialisers of NVIDIA's libraries have no preconditions.
            let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }?;
            // Dropping the handle would unload what cudarc is about to use.
            std::mem::forget(library);
        }
        Ok(())
    }

    /// Elsewhere the loader's own search path has to do.
    #[cfg(not(unix))]
    fn load(&self) -> Result<(), libloading::Error> {
        Ok(())
    }
}

/// The folders where wheels and toolkits put NVRTC, in the order they are tried: the active environment first,
/// then the `python3` on the path, the user's, the system's. `variable` reads the environment; `root` is `/` outside tests.
fn nvrtc_folders(variable: &dyn Fn(&str) -> Option<OsString>, root: &Path) -> Vec<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut folders = Vec::new();

    for environment in [folder("VIRTUAL_ENV"), folder("CONDA_PREFIX")].into_iter().flatten() {
        folders.push(environment.join("lib"));
        wheels(&environment, &mut folders);
    }
    for toolkit in [folder("CUDA_HOME"), folder("CUDA_PATH")].into_iter().flatten() {
        toolkit_folders(&toolkit, &mut folders);
    }
    // Whose `python3` comes first on the path, its packages are meant, even if no environment is active.
    for bin in variable("PATH").iter().flat_map(std::env::split_paths) {
        if let Some(prefix) = bin.parent().filter(|_| bin.join("python3").exists()) {
            wheels(prefix, &mut folders);
        }
    }
    if let Some(home) = folder("HOME") {
        wheels(&home.join(".local"), &mut folders);
        for python in children(&home.join(".pyenv/versions"), "") {
            wheels(&python, &mut folders);
        }
    }
    wheels(&root.join("usr/local"), &mut folders);
    wheels(&root.join("usr"), &mut folders);
    for toolkit in children(&root.join("usr/local"), "cuda").into_iter().chain([root.join("opt/cuda")]) {
        toolkit_folders(&toolkit, &mut folders);
    }
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// As [`python_packages`]; `variable` and `root` as in [`nvrtc_folders`].
fn packages(variable: &dyn Fn(&str) -> Option<OsString>, root: &Path) -> Vec<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut prefixes: Vec<PathBuf> = [folder("VIRTUAL_ENV"), folder("CONDA_PREFIX")].into_iter().flatten().collect();
    let path = variable("PATH");
    let bins = path.iter().flat_map(std::env::split_paths).filter(|bin| bin.join("python3").exists());
    prefixes.extend(bins.filter_map(|bin| bin.parent().map(Path::to_owned)));
    prefixes.extend(folder("HOME").map(|home| home.join(".local")));
    prefixes.extend([root.join("usr/local"), root.join("usr")]);
    let mut folders: Vec<PathBuf> = prefixes.iter().flat_map(|prefix| packages_of(prefix)).collect();
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The folders of packages under a Python prefix.
fn packages_of(prefix: &Path) -> Vec<PathBuf> {
    let pythons = ["lib", "lib64"].into_iter().flat_map(|lib| children(&prefix.join(lib), "python3"));
    let folders = pythons.flat_map(|python| ["site-packages", "dist-packages"].map(|packages| python.join(packages)));
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Where wheels under a Python prefix keep NVRTC: `nvidia/cu13/lib` since CUDA 13, `nvidia/cuda_nvrtc/lib` before.
fn wheels(prefix: &Path, folders: &mut Vec<PathBuf>) {
    for packages in packages_of(prefix) {
        let libraries = children(&packages.join("nvidia"), "cu").into_iter().map(|package| package.join("lib"));
        folders.extend(libraries.filter(|folder| folder.is_dir()));
    }
}

fn toolkit_folders(toolkit: &Path, folders: &mut Vec<PathBuf>) {
    folders.push(toolkit.join("lib64"));
    folders.push(toolkit.join("targets").join(format!("{}-linux/lib", std::env::consts::ARCH)));
}

/// Folders under `parent` whose names begin with `prefix`, the newest version (the longest run of the largest
/// digits) first.
fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix) && parent.join(name).is_dir());
    names.sort_by_key(|name| std::cmp::Reverse(numbers(name)));
    names.into_iter().map(|name| parent.join(name)).collect()
}

/// The numbers in a name, so that `python3.9` sorts before `python3.11`.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for path in paths {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, b"").expect("a file");
        }
        root
    }

    #[test]
    fn finds_the_wheel_of_the_active_environment_first() {
        let root = tree(&[
            "venv/lib/python3.11/site-packages/nvidia/cu13/lib/libnvrtc.so.13",
            "usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
            "usr/local/cuda-12.4/lib64/libnvrtc.so.12",
        ]);
        let environment = root.path().join("venv");
        let folders = nvrtc_folders(&|name| (name == "VIRTUAL_ENV").then(|| environment.clone().into()), root.path());
        let with_nvrtc: Vec<_> = folders.iter().filter(|f| NvrtcFiles::in_folder(f).is_some()).collect();
        assert_eq!(
            with_nvrtc,
            [
                &environment.join("lib/python3.11/site-packages/nvidia/cu13/lib"),
                &root.path().join("usr/lib/python3/dist-packages/nvidia/cuda_nvrtc/lib"),
                &root.path().join("usr/local/cuda-12.4/lib64"),
            ]
        );
    }

    #[test]
    fn finds_the_packages_of_the_python_on_the_path_once() {
        let root = tree(&[
            "opt/conda/bin/python3",
            "opt/conda/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
            "other/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
        ]);
        let path = ["other/bin", "opt/conda/bin", "opt/conda/bin"].map(|bin| root.path().join(bin));
        let path = std::env::join_paths(path).expect("no colons");
        let folders = nvrtc_folders(&|name| (name == "PATH").then(|| path.clone()), root.path());
        let with_nvrtc: Vec<_> = folders.iter().filter(|f| NvrtcFiles::in_folder(f).is_some()).collect();
        let expected = root.path().join("opt/conda/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib");
        assert_eq!(with_nvrtc, [&expected]);
    }

    #[test]
    fn folders_of_packages_are_those_of_the_active_environment_first_and_each_once() {
        let root = tree(&[
            "venv/bin/python3",
            "venv/lib/python3.11/site-packages/x",
            "usr/lib/python3/dist-packages/x",
            "usr/lib/python3.9/none",
        ]);
        let environment = root.path().join("venv");
        let found = |name: &str| match name {
            "VIRTUAL_ENV" => Some(environment.clone().into()),
            "PATH" => Some(environment.join("bin").into()),
            _ => None,
        };
        let expected =
            [environment.join("lib/python3.11/site-packages"), root.path().join("usr/lib/python3/dist-packages")];
        assert_eq!(packages(&found, root.path()), expected);
    }

    #[test]
    fn prefers_newer_pythons_and_toolkits() {
        let root = tree(&[
            "home/.local/lib/python3.9/site-packages/nvidia/cu13/lib/libnvrtc.so.13",
            "home/.local/lib/python3.11/site-packages/nvidia/cu13/lib/libnvrtc.so.13",
            "usr/local/cuda-12.9/lib64/libnvrtc.so.12",
            "usr/local/cuda-13.0/lib64/libnvrtc.so.13",
        ]);
        let home = root.path().join("home");
        let folders = nvrtc_folders(&|name| (name == "HOME").then(|| home.clone().into()), root.path());
        let place = |part: &str| folders.iter().position(|f| f.to_string_lossy().contains(part)).expect(part);
        assert!(place("python3.11") < place("python3.9"));
        assert!(place("cuda-13.0") < place("cuda-12.9"));
    }

    #[test]
    fn takes_the_newest_library_with_the_builtins_of_its_version() {
        let root = tree(&[
            "lib/libnvrtc.so",
            "lib/libnvrtc.so.12",
            "lib/libnvrtc.so.13",
            "lib/libnvrtc.so.13.0.88",
            "lib/libnvrtc.alt.so.13",
            "lib/libnvrtc-builtins.alt.so.13.0",
            "lib/libnvrtc-builtins.so.12.9",
            "lib/libnvrtc-builtins.so.13.0",
        ]);
        let lib = root.path().join("lib");
        let files = NvrtcFiles::in_folder(&lib).expect("it is there");
        assert_eq!(files.library, lib.join("libnvrtc.so.13"));
        assert_eq!(files.builtins, Some(lib.join("libnvrtc-builtins.so.13.0")));
    }

    #[test]
    fn a_folder_without_the_library_is_passed_over() {
        let root = tree(&["lib/libnvrtc-static.a", "lib/libnvrtc.so", "lib/libcudart.so.13"]);
        assert_eq!(NvrtcFiles::in_folder(&root.path().join("lib")), None);
        assert_eq!(NvrtcFiles::in_folder(&root.path().join("nowhere")), None);
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_not_a_crash() {
        let root = tree(&["lib/libnvrtc.so.13"]);
        let files = NvrtcFiles::in_folder(&root.path().join("lib")).expect("it is there");
        assert!(files.load().is_err());
    }
}

use super::log::Speaker;
use super::search::{self, Files};
use super::{Flavour, TrtError, Version};
use limpid_kernels::target::Arch;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The loaded library. It stays loaded as long as the process runs, and there is one for a process.
#[derive(Clone, Debug)]
pub struct Library {
    path: PathBuf,
    version: Version,
}

static LOADED: Mutex<Option<Library>> = Mutex::new(None);

impl Library {
    /// Finds and loads the library and its ONNX parser: those of the folder that `LIMPID_TENSORRT_LIBS` names, else
    /// those that the dynamic loader finds, else those of a Python wheel.
    ///
    /// # Errors
    /// [`TrtError::NotFound`], [`TrtError::NotInFolder`], [`TrtError::Load`], [`TrtError::Version`].
    pub fn load() -> Result<Self, TrtError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*loaded {
            return Ok(library.clone());
        }
        let flavour = Flavour::compiled();
        let mut unfit = None;
        for files in search::candidates(flavour)? {
            // A bare name is the dynamic loader's to find, and it need not.
            let present = files.library.is_file();
            let library = match version_of(&files.library) {
                Ok((found, handle)) => load(files, found, handle),
                Err(reason) if present => Err(TrtError::Load { path: files.library, reason }),
                Err(reason) => {
                    tracing::debug!("{}: {reason}", files.library.display());
                    continue;
                }
            };
            match library {
                Ok(library) => {
                    *loaded = Some(library.clone());
                    return Ok(library);
                }
                // One that fits may be elsewhere.
                Err(error) => unfit = unfit.or(Some(error)),
            }
        }
        Err(unfit.unwrap_or_else(|| search::not_found(flavour)))
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Which of the two it is.
    pub fn flavour(&self) -> Flavour {
        Flavour::compiled()
    }

    /// Its file, or its name where the dynamic loader found it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The GPUs that it builds for without having them; none for TensorRT, which times kernels on the GPU at hand.
    pub fn targets(&self) -> &'static [Arch] {
        match self.flavour() {
            Flavour::Rtx => &[Arch(75), Arch(80), Arch(86), Arch(89), Arch(120), Arch(121)],
            Flavour::Enterprise => &[],
        }
    }

    pub(super) fn speaker(&self) -> Speaker {
        Speaker { flavour: self.flavour(), version: self.version }
    }
}

/// The version of the headers that this binary was compiled with.
fn headers() -> Version {
    // SAFETY: these functions of the bindings return constants of the headers and read nothing.
    unsafe {
        Version {
            major: trtx::trtx_sys::get_tensorrt_major_version(),
            minor: trtx::trtx_sys::get_tensorrt_minor_version(),
            patch: trtx::trtx_sys::get_tensorrt_patch_version(),
            build: 0,
        }
    }
}

/// Gives the files to the bindings, once their version is known to be one that fits.
fn load(files: Files, found: Version, handle: libloading::Library) -> Result<Library, TrtError> {
    let (flavour, needed, path) = (Flavour::compiled(), headers(), files.library);
    if !found.serves(needed) {
        return Err(TrtError::Version { path, flavour, found, needed });
    }
    let failed = |path: &Path, error: trtx::Error| TrtError::Load { path: path.to_owned(), reason: error.to_string() };
    trtx::dynamically_load_tensorrt(Some(&path)).map_err(|error| failed(&path, error))?;
    // It asks for the library by name, which is loaded by now.
    trtx::dynamically_load_tensorrt_onnxparser(Some(&files.parser)).map_err(|error| failed(&files.parser, error))?;
    // The bindings have a handle of their own, for good.
    drop(handle);
    Ok(Library { path, version: found })
}

/// The version that a library says it is of, and its handle; or why it cannot be loaded.
fn version_of(path: &Path) -> Result<(Version, libloading::Library), String> {
    // SAFETY: loading runs the library's initialisers. Those of NVIDIA's libraries have no preconditions; a file of this
    // name in a folder that the user or the system points at is taken to be NVIDIA's.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| error.to_string())?;
    let number = |name: &str| {
        // SAFETY: all versions of the library that have these functions declare them so: `extern "C" int32_t f()`.
        let function = unsafe { library.get::<unsafe extern "C" fn() -> i32>(name) };
        // SAFETY: they return a constant.
        function.ok().map(|function| unsafe { function() }.max(0).unsigned_abs())
    };
    let version = match ["Major", "Minor", "Patch", "Build"].map(|part| number(&format!("getInferLib{part}Version"))) {
        [Some(major), Some(minor), Some(patch), build] => {
            Some(Version { major, minor, patch, build: build.unwrap_or(0) })
        }
        _ => number("getInferLibVersion").map(decode),
    };
    let version = version.ok_or_else(|| "it has no function getInferLibVersion, so it is no TensorRT".to_owned())?;
    Ok((version, library))
}

/// One number for the version: thousands up to TensorRT 9, ten thousands since.
fn decode(number: u32) -> Version {
    let major = if number < 10_000 { 1_000 } else { 10_000 };
    Version { major: number / major, minor: number % major / 100, patch: number % 100, build: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_one_number_are_of_two_kinds() {
        let version = |major, minor, patch| Version { major, minor, patch, build: 0 };
        for (number, expected) in [
            (8601, version(8, 6, 1)),
            (7203, version(7, 2, 3)),
            (100_100, version(10, 1, 0)),
            (110_400, version(11, 4, 0)),
            (10_701, version(1, 7, 1)),
        ] {
            assert_eq!(decode(number), expected, "{number}");
        }
    }

    #[test]
    fn what_is_no_library_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("libtensorrt_rtx.so.1");
        std::fs::write(&path, b"no library").expect("a file");
        assert!(version_of(&path).is_err());
        assert!(version_of(Path::new("libm.so.6")).expect_err("no TensorRT").contains("no TensorRT"));
    }

    #[test]
    fn the_headers_are_of_the_flavour() {
        let major = match Flavour::compiled() {
            Flavour::Rtx => 1,
            Flavour::Enterprise => 11,
        };
        assert_eq!(headers().major, major);
    }
}

//! Compiled kernels, kept: a network is compiled once, and the next build or run finds its cubins.
//!
//! In memory for the life of the process, and in a folder between processes. A file carries a checksum; one that
//! does not match is thrown away and compiled again. The folder is bounded: the files not used for longest go first.

use super::cubin::Cubin;
use super::error::DeviceError;
use super::nvrtc::Compiler;
use super::options::options;
use super::program::Program;
use super::version::CudaVersion;
use crate::launch::CompileUnit;
use crate::target::Arch;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

mod folder;
use folder::Folder;

/// Everything a cubin depends on, hashed: source, headers, entry, options (definitions and architecture among
/// them), NVRTC's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CubinKey(blake3::Hash);

impl CubinKey {
    /// The key of a program compiled as `unit`.
    pub fn new(program: &Program, unit: &CompileUnit, arch: Arch, nvrtc: CudaVersion) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Each part is preceded by its length, so that no two lists of parts read the same.
        let mut part = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        part(&nvrtc.to_string());
        part(&unit.entry);
        part(&program.name);
        part(&program.text);
        part(&program.headers.len().to_string());
        for (name, text) in &program.headers {
            part(name);
            part(text);
        }
        for option in options(unit, arch) {
            part(&option);
        }
        Self(hasher.finalize())
    }

    /// The key of a unit of this binary.
    ///
    /// # Errors
    /// [`DeviceError::UnknownSource`] if the binary has no such source.
    pub fn of(unit: &CompileUnit, arch: Arch, nvrtc: CudaVersion) -> Result<Self, DeviceError> {
        Ok(Self::new(&Program::of(unit)?, unit, arch, nvrtc))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for CubinKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

/// Holds a cubin once it is there; locked by whoever makes it, so that others wait rather than do it twice.
type Slot = Arc<Mutex<Option<Arc<Cubin>>>>;

/// Compiled kernels in memory and, if a folder was given, on disk.
#[derive(Debug, Default)]
pub struct CubinCache {
    slots: Mutex<HashMap<CubinKey, Slot>>,
    folder: Option<Folder>,
}

impl CubinCache {
    /// The bound of a folder unless another is given: 1 GiB, some 20,000 kernels.
    pub const DEFAULT_BYTES: u64 = 1 << 30;

    /// A cache that ends with the process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A cache that keeps cubins in `folder` (created when the first is written), at most `bytes` of them.
    pub fn in_folder(folder: impl Into<PathBuf>, bytes: u64) -> Self {
        Self { slots: Mutex::default(), folder: Some(Folder::new(folder.into(), bytes)) }
    }

    /// A cache in the user's folder where there is one, else in memory.
    pub fn for_user() -> Self {
        Self::default_folder().map_or_else(Self::in_memory, |folder| Self::in_folder(folder, Self::DEFAULT_BYTES))
    }

    /// The user's cache folder: `$XDG_CACHE_HOME/limpid/cubins`, else `~/.cache/limpid/cubins`. `None` for a user
    /// without a home.
    pub fn default_folder() -> Option<PathBuf> {
        Self::folder_of_user(&|name| std::env::var_os(name))
    }

    fn folder_of_user(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        // The XDG Base Directory Specification: a relative path is to be ignored.
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(caches.join("limpid").join("cubins"))
    }

    /// The folder's path, if there is one.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    /// The cubin of a unit of this binary, from memory, from the folder, or compiled now.
    ///
    /// # Errors
    /// Those of [`Compiler::compile`]. A folder that cannot be read or written is reported as a warning instead.
    pub fn get(&self, compiler: &Compiler, unit: &CompileUnit, arch: Arch) -> Result<Arc<Cubin>, DeviceError> {
        let program = Program::of(unit)?;
        let key = CubinKey::new(&program, unit, arch, compiler.version());
        self.get_or_insert_with(key, || compiler.compile_program(&program, unit, arch))
    }

    /// The cubins of many units, compiled on all cores; each unit once, however often it is listed.
    pub fn get_all<'a>(
        &self,
        compiler: &Compiler,
        units: impl IntoIterator<Item = &'a CompileUnit>,
        arch: Arch,
    ) -> BTreeMap<&'a CompileUnit, Result<Arc<Cubin>, DeviceError>> {
        let mut distinct: Vec<&CompileUnit> = units.into_iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        // One task per unit: compile times differ by orders of magnitude, so units must not be dealt out in lots.
        let compiled = distinct.into_par_iter().with_max_len(1).map(|unit| (unit, self.get(compiler, unit, arch)));
        compiled.collect()
    }

    /// The cubin of `key`, made by `compile` if it is nowhere.
    ///
    /// # Errors
    /// Those of `compile`; nothing is kept then.
    pub fn get_or_insert_with(
        &self,
        key: CubinKey,
        compile: impl FnOnce() -> Result<Cubin, DeviceError>,
    ) -> Result<Arc<Cubin>, DeviceError> {
        // A poisoned lock only says that another thread panicked while compiling; its slot is then still empty.
        let slot = Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cubin) = &*slot {
            return Ok(Arc::clone(cubin));
        }
        let name = key.to_string();
        if let Some(cubin) = self.folder.as_ref().and_then(|folder| report(folder, folder.read(&name)).flatten()) {
            return Ok(Arc::clone(slot.insert(Arc::new(cubin))));
        }
        let cubin = Arc::new(compile()?);
        if let Some(folder) = &self.folder {
            report(folder, folder.write(&name, &cubin));
        }
        Ok(Arc::clone(slot.insert(cubin)))
    }
}

/// A cache that cannot be used costs time, not answers: say so and go on.
fn report<T>(folder: &Folder, outcome: io::Result<T>) -> Option<T> {
    outcome.inspect_err(|error| tracing::warn!("cubin cache {}: {error}", folder.path().display())).ok()
}

#[cfg(test)]
mod tests;

//! Finds the C++ compiler and turns compile units into executables, each once: they are kept in a cache
//! directory under a hash of everything that went into them.

use super::{EmulatorError, Program};
use crate::launch::CompileUnit;
use crate::source;
use crate::target::Arch;
use rayon::prelude::*;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a kernel includes.
const HEADERS: [(&str, &str); 9] = [
    ("cuda.hpp", include_str!("cuda.hpp")),
    ("runtime.hpp", include_str!("runtime.hpp")),
    ("vector_types.hpp", include_str!("vector_types.hpp")),
    ("math.hpp", include_str!("math.hpp")),
    ("collectives.hpp", include_str!("collectives.hpp")),
    ("atomics.hpp", include_str!("atomics.hpp")),
    ("emulator_ptx.hpp", include_str!("emulator_ptx.hpp")),
    ("emulator_hopper.hpp", include_str!("emulator_hopper.hpp")),
    ("emulator_wgmma.hpp", include_str!("emulator_wgmma.hpp")),
];

/// What a kernel is linked with; compiled once.
const RUNTIME: [(&str, &str); 19] = [
    ("async_copy.cpp", include_str!("runtime/async_copy.cpp")),
    ("barrier.cpp", include_str!("runtime/barrier.cpp")),
    ("bulk_copy.cpp", include_str!("runtime/bulk_copy.cpp")),
    ("cluster.cpp", include_str!("runtime/cluster.cpp")),
    ("fault.cpp", include_str!("runtime/fault.cpp")),
    ("fiber.cpp", include_str!("runtime/fiber.cpp")),
    ("hooks.cpp", include_str!("runtime/hooks.cpp")),
    ("main.cpp", include_str!("runtime/main.cpp")),
    ("matrix_copy.cpp", include_str!("runtime/matrix_copy.cpp")),
    ("mbarrier.cpp", include_str!("runtime/mbarrier.cpp")),
    ("memory.cpp", include_str!("runtime/memory.cpp")),
    ("mma.cpp", include_str!("runtime/mma.cpp")),
    ("proxy.cpp", include_str!("runtime/proxy.cpp")),
    ("race.cpp", include_str!("runtime/race.cpp")),
    ("tensor_copy.cpp", include_str!("runtime/tensor_copy.cpp")),
    ("trace.cpp", include_str!("runtime/trace.cpp")),
    ("warp.cpp", include_str!("runtime/warp.cpp")),
    ("warpgroup.cpp", include_str!("runtime/warpgroup.cpp")),
    ("wgmma.cpp", include_str!("runtime/wgmma.cpp")),
];
const RUNTIME_HEADERS: [(&str, &str); 4] = [
    ("bulk_copy.hpp", include_str!("runtime/bulk_copy.hpp")),
    ("state.hpp", include_str!("runtime/state.hpp")),
    ("trace.hpp", include_str!("runtime/trace.hpp")),
    ("warpgroup.hpp", include_str!("runtime/warpgroup.hpp")),
];

/// Addresses in the executable are those in its debug information, and fit in 32 bits.
const COMMON_FLAGS: &[&str] = &["-std=c++17", "-fno-pie", "-fno-exceptions", "-ffp-contract=off", "-w"];
/// The runtime is not watched itself; a fortified longjmp would refuse to change stacks.
const RUNTIME_FLAGS: &[&str] = &["-O2", "-U_FORTIFY_SOURCE"];
/// Every access of the kernel calls the runtime; local variables start out as a pattern that reads as NaN.
const KERNEL_FLAGS: &[&str] = &[
    "-O1",
    "-g1",
    "-fsanitize=thread,alignment",
    "-fno-strict-aliasing",
    // A 16-byte load of which single numbers are used stays one load.
    "-fno-tree-sra",
    "-ftrivial-auto-var-init=pattern",
    "-DLIMPID_EMULATOR",
];

/// Faults and traces name headers as kernels do: without the directory they lie in, which follows, and `/=`.
const SHORT_NAMES: &str = "-fdebug-prefix-map=";
/// What kernels are compiled for that are the same everywhere: has every wrapper.
const LATEST: Arch = Arch(90);
/// Linkers by their options, the fastest first. The usual one takes as long as compiling a small kernel.
const LINKERS: [&str; 3] = ["-fuse-ld=mold", "-fuse-ld=lld", "-fuse-ld=gold"];

/// The emulator: a C++ compiler and a directory of what it has compiled.
#[derive(Debug)]
pub struct Emulator {
    compiler: PathBuf,
    /// The option that names the linker, if another than the usual one is there.
    linker: Option<&'static str>,
    /// Runtime objects, headers (the kernels', too) and the precompiled header, for this compiler and this version.
    base: PathBuf,
    objects: Vec<PathBuf>,
    units: PathBuf,
}

impl Emulator {
    /// Finds a compiler (`CXX`, `c++`, `g++`, `clang++`) and compiles the runtime unless `cache` holds it.
    ///
    /// # Errors
    /// No compiler, an operating system other than Linux, a cache directory that cannot be written.
    pub fn new(cache: &Path) -> Result<Self, EmulatorError> {
        if !cfg!(target_os = "linux") {
            return Err(EmulatorError::NotLinux);
        }
        let (compiler, version) = find_compiler()?;
        create_dir(cache)?;
        let cache = cache.canonicalize().map_err(io(cache))?;
        let mut hash = blake3::Hasher::new();
        hash.update(version.as_bytes());
        for flag in COMMON_FLAGS.iter().chain(RUNTIME_FLAGS).chain(KERNEL_FLAGS).chain(&[SHORT_NAMES]) {
            hash.update(flag.as_bytes());
        }
        for (name, text) in HEADERS.iter().chain(&RUNTIME).chain(&RUNTIME_HEADERS).copied().chain(headers()) {
            hash.update(name.as_bytes()).update(text.as_bytes());
        }
        let base = cache.join(format!("base-{}", short(&hash)));
        let objects = RUNTIME.iter().map(|(name, _)| base.join("runtime").join(name).with_extension("o")).collect();
        let linker = LINKERS.into_iter().find(|linker| {
            let asked = Command::new(&compiler).args([linker, "-Wl,--version"]).output();
            asked.is_ok_and(|output| output.status.success())
        });
        let emulator = Self { compiler, linker, base, objects, units: cache.join("units") };
        create_dir(&emulator.units)?;
        emulator.build_base(version.contains("clang"))?;
        Ok(emulator)
    }

    /// Where compiled kernels are kept if the caller has no better place: the user's cache directory.
    pub fn default_cache() -> PathBuf {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("limpid").join("emulator")
    }

    /// The executable for a unit of [`crate::source`], for the code paths of `arch`.
    ///
    /// # Errors
    /// A source that is not there, or what the compiler says of it.
    pub fn compile(&self, unit: &CompileUnit, arch: Arch) -> Result<Program, EmulatorError> {
        let text = source::text(&unit.source).ok_or_else(|| EmulatorError::UnknownSource(unit.source.clone()))?;
        self.compile_text(unit, text, arch)
    }

    /// As [`Emulator::compile`], with the text of the source given.
    ///
    /// # Errors
    /// What the compiler says of it.
    pub fn compile_text(&self, unit: &CompileUnit, text: &str, arch: Arch) -> Result<Program, EmulatorError> {
        let defines: String = unit.defines.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
        // One executable for all architectures where they make no difference: compiling is most of the work.
        let arch = if source::depends_on_arch(text) { arch } else { LATEST };
        let prologue = format!("#define __CUDA_ARCH__ {}0\n{defines}#line 1 \"{}\"\n", arch.0, unit.source);
        let main = format!("{prologue}{text}\nLIMPID_EMULATOR_ENTRY({})\n", unit.entry);
        let mut hash = blake3::Hasher::new();
        hash.update(self.base.as_os_str().as_encoded_bytes()).update(main.as_bytes());
        let executable = self.units.join(short(&hash));
        if !executable.exists() {
            self.build_unit(unit, &main, &executable)?;
        }
        Ok(Program::new(executable, unit.entry.clone()))
    }

    /// Compiles and links one unit in a directory of its own, then moves the result to its place, so that
    /// another process never sees half of it.
    fn build_unit(&self, unit: &CompileUnit, main: &str, executable: &Path) -> Result<(), EmulatorError> {
        let work = scratch(executable);
        write(&work.join("unit.cpp"), main)?;
        let mut command = Command::new(&self.compiler);
        command.args(COMMON_FLAGS).args(KERNEL_FLAGS).arg("-include").arg(self.base.join("prefix.hpp"));
        command.arg("-I").arg(&self.base);
        let mut map = OsString::from(SHORT_NAMES);
        map.push(self.base.as_os_str());
        map.push("/=");
        command.arg(map);
        command.arg("-c").arg(work.join("unit.cpp")).arg("-o").arg(work.join("unit.o")).current_dir(&work);
        let outcome = self.run(command, &unit.source).and_then(|()| {
            let mut link = Command::new(&self.compiler);
            link.args(self.linker)
                .arg("-no-pie")
                .arg(work.join("unit.o"))
                .args(&self.objects)
                .arg("-o")
                .arg(work.join("unit"));
            self.run(link, &unit.source)
        });
        let moved = outcome.and_then(|()| fs::rename(work.join("unit"), executable).map_err(io(executable)));
        fs::remove_dir_all(&work).map_err(io(&work))?;
        moved
    }

    /// Compiles the runtime and the header that every kernel starts with, and lays out what kernels include.
    fn build_base(&self, clang: bool) -> Result<(), EmulatorError> {
        if self.base.exists() {
            return Ok(());
        }
        let work = scratch(&self.base);
        for (name, text) in HEADERS.into_iter().chain(headers()) {
            write(&work.join(name), text)?;
        }
        write(&work.join("prefix.hpp"), "#include \"cuda.hpp\"\n")?;
        for (name, text) in RUNTIME_HEADERS {
            write(&work.join("runtime").join(name), text)?;
        }
        RUNTIME.par_iter().try_for_each(|(name, text)| {
            let path = work.join("runtime").join(name);
            write(&path, text)?;
            let mut command = Command::new(&self.compiler);
            command.args(COMMON_FLAGS).args(RUNTIME_FLAGS).arg("-c").arg(&path).arg("-o").arg(path.with_extension("o"));
            self.run(command, name)
        })?;
        let mut command = Command::new(&self.compiler);
        command.args(COMMON_FLAGS).args(KERNEL_FLAGS).args(["-x", "c++-header"]).arg(work.join("prefix.hpp"));
        command.arg("-o").arg(work.join(if clang { "prefix.hpp.pch" } else { "prefix.hpp.gch" }));
        self.run(command, "cuda.hpp")?;
        match fs::rename(&work, &self.base) {
            // Another process was faster; its result is the same.
            Err(_) if self.base.exists() => fs::remove_dir_all(&work).map_err(io(&work)),
            other => other.map_err(io(&self.base)),
        }
    }

    fn run(&self, mut command: Command, what: &str) -> Result<(), EmulatorError> {
        let output = command.output().map_err(io(&self.compiler))?;
        if output.status.success() {
            return Ok(());
        }
        Err(EmulatorError::Compile {
            compiler: self.compiler.display().to_string(),
            what: what.to_owned(),
            messages: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The headers among the kernels' sources.
fn headers() -> impl Iterator<Item = (&'static str, &'static str)> {
    source::SOURCES.iter().copied().filter(|(name, _)| name.ends_with(".cuh"))
}

/// The first compiler that answers, and what it says of itself.
fn find_compiler() -> Result<(PathBuf, String), EmulatorError> {
    let named = std::env::var_os("CXX");
    let names: Vec<&OsStr> = named.as_deref().into_iter().chain(["c++", "g++", "clang++"].map(OsStr::new)).collect();
    for name in &names {
        let Ok(output) = Command::new(name).arg("--version").output() else { continue };
        if output.status.success() {
            return Ok((PathBuf::from(name), String::from_utf8_lossy(&output.stdout).into_owned()));
        }
    }
    let tried: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    Err(EmulatorError::NoCompiler { tried: tried.join(", ") })
}

/// A name nobody else uses, next to `path`.
fn scratch(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{count}.tmp", std::process::id()))
}

fn short(hash: &blake3::Hasher) -> String {
    hash.finalize().to_hex()[..32].to_owned()
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> EmulatorError + '_ {
    move |source| EmulatorError::Io { path: path.to_owned(), source }
}

fn create_dir(path: &Path) -> Result<(), EmulatorError> {
    fs::create_dir_all(path).map_err(io(path))
}

fn write(path: &Path, text: &str) -> Result<(), EmulatorError> {
    path.parent().map_or(Ok(()), create_dir)?;
    fs::write(path, text).map_err(io(path))
}

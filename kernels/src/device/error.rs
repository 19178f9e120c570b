//! What can go wrong between here and the GPU. Every message says what was expected, what came, and what to do.

use super::version::CudaVersion;
use crate::launch::{CompileUnit, Role};
use crate::target::Arch;
use std::path::PathBuf;

/// The command that brings NVRTC to a machine without it.
pub const INSTALL_NVRTC: &str = "pip install nvidia-cuda-nvrtc==13.0.88";

/// An error of the driver, of NVRTC, or of what was asked of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no usable libcuda.
    #[error(
        "no CUDA driver: {reason}. Running on a GPU needs NVIDIA's driver (libcuda.so.1); install it, or put its \
         folder on LD_LIBRARY_PATH, or choose the CPU backend"
    )]
    NoDriver {
        /// What was seen.
        reason: String,
    },
    /// libcuda lacks functions this crate calls.
    #[error("the CUDA driver is too old: it speaks CUDA {found}, limpid needs {needed} or newer; update the driver")]
    DriverTooOld {
        /// What the driver reports.
        found: CudaVersion,
        /// The oldest that works.
        needed: CudaVersion,
    },
    /// The driver works, but there is no GPU of that number.
    #[error(
        "there is no GPU {ordinal}: the driver sees {}; check nvidia-smi and CUDA_VISIBLE_DEVICES, or choose the \
         CPU backend", gpus(*.count)
    )]
    NoDevice {
        /// The GPU asked for, counted from 0.
        ordinal: usize,
        /// GPUs the driver sees.
        count: usize,
    },
    /// The GPU is older than the kernels.
    #[error("GPU {name} has compute capability {arch}; limpid's kernels need sm_75 (Turing) or newer")]
    DeviceTooOld {
        /// The GPU's name.
        name: String,
        /// Its architecture.
        arch: Arch,
    },
    /// There is no NVRTC.
    #[error(
        "no NVRTC, the library that compiles CUDA kernels: neither the dynamic loader nor any of {} usual folders has \
         libnvrtc. Bring it with one command:\n\n    {INSTALL_NVRTC}\n\nor install the CUDA toolkit, or put the folder \
         that has libnvrtc.so on LD_LIBRARY_PATH", .searched.len()
    )]
    NoNvrtc {
        /// Every folder that was looked into.
        searched: Vec<PathBuf>,
    },
    /// NVRTC is there, but does not know the architecture.
    #[error(
        "NVRTC {version} compiles for {}, not for {arch}; bring a newer one (`{INSTALL_NVRTC}`) or choose another \
         target", list(.supported)
    )]
    UnsupportedArch {
        /// The architecture asked for.
        arch: Arch,
        /// NVRTC's version.
        version: CudaVersion,
        /// What it knows.
        supported: Vec<Arch>,
    },
    /// A unit names a source that is not in the binary.
    #[error("there is no kernel source `{path}`; the sources are listed in kernels/src/source.rs")]
    UnknownSource {
        /// The path asked for.
        path: String,
    },
    /// A text handed to a C library holds a zero byte.
    #[error("{what} contains a zero byte, which no C library accepts: {text:?}")]
    ZeroByte {
        /// Which text.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// The source does not compile.
    #[error("{} does not compile for {arch} (entry `{}`{}):\n{log}", .unit.source, .unit.entry, defines(.unit))]
    Compile {
        /// What was compiled.
        unit: Box<CompileUnit>,
        /// For which architecture.
        arch: Arch,
        /// NVRTC's log: file, line, message, and the line itself.
        log: String,
    },
    /// The source compiles, but not to the kernel that was named.
    #[error(
        "{} compiles, but has no kernel `{}` (it has: {}); the entry must be an `extern \"C\" __global__` function",
        .unit.source, .unit.entry, if .found.is_empty() { "none".to_owned() } else { .found.join(", ") }
    )]
    MissingEntry {
        /// What was compiled.
        unit: Box<CompileUnit>,
        /// The kernels it has.
        found: Vec<String>,
    },
    /// NVRTC failed for another reason than the source.
    #[error("NVRTC's {call} failed with {name}: {log}")]
    Nvrtc {
        /// The function called.
        call: &'static str,
        /// NVRTC's name of the error.
        name: String,
        /// Its log, where there is one.
        log: String,
    },
    /// The driver reported an error.
    #[error("{call} failed with {name} ({code}): {message}{}", advice(*.code))]
    Cuda {
        /// The driver function.
        call: &'static str,
        /// `CUresult` as a number.
        code: u32,
        /// Its name, such as `CUDA_ERROR_ILLEGAL_ADDRESS`.
        name: String,
        /// The driver's own sentence.
        message: String,
    },
    /// Device memory ran out.
    #[error(
        "the GPU has no room for {}: {} of {} are free; choose a smaller batch or stop other programs on the GPU",
        mib(*.wanted), mib(*.free), mib(*.total)
    )]
    OutOfMemory {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes free.
        free: usize,
        /// Bytes of the device.
        total: usize,
    },
    /// The driver does not load a cubin.
    #[error(
        "the driver (CUDA {driver}) does not load the cubin of `{entry}` on {arch}: {reason}. A cubin runs only on the \
         architecture it was compiled for, and only with a driver at least as new as its NVRTC's major version; \
         rebuild the engine here, or update the driver"
    )]
    Image {
        /// The kernel.
        entry: String,
        /// This GPU's architecture.
        arch: Arch,
        /// This driver's version.
        driver: CudaVersion,
        /// What is wrong with it.
        reason: String,
    },
    /// A launch has arguments that its kernel does not take.
    #[error("kernel `{entry}` takes parameters of {expected:?} bytes, the launch has {found:?}; rebuild the engine")]
    Arguments {
        /// The kernel.
        entry: String,
        /// Sizes the kernel declares, bytes.
        expected: Vec<u32>,
        /// Sizes the launch gives, bytes.
        found: Vec<u32>,
    },
    /// Nobody said where a tensor lies.
    #[error("kernel `{entry}` reads or writes {role:?}, but no device memory is assigned to it")]
    Unassigned {
        /// The kernel.
        entry: String,
        /// The tensor.
        role: Role,
    },
    /// No tensor copy takes such a tensor.
    #[error("a tensor map of {role:?} cannot be: {reason}")]
    TensorMap {
        /// Whose tensor.
        role: Role,
        /// Which rule it breaks.
        reason: String,
    },
    /// A grid, a block or a shared memory size that no GPU, or not this one, can launch.
    #[error("kernel `{entry}` cannot be launched: {what} is {found}, allowed is {allowed}")]
    Dimensions {
        /// The kernel.
        entry: String,
        /// Which number.
        what: &'static str,
        /// The number.
        found: u64,
        /// Its bound, in words.
        allowed: String,
    },
    /// A copy or fill reaches beyond a buffer.
    #[error("{what} reaches bytes {offset}..{end} of a buffer of {len} bytes", end = .offset.saturating_add(*.count))]
    OutOfBounds {
        /// Which transfer.
        what: &'static str,
        /// First byte.
        offset: usize,
        /// Bytes.
        count: usize,
        /// The buffer's size, bytes.
        len: usize,
    },
    /// The driver's events gave times that are no numbers.
    #[error("the driver measured a duration that is not a number; update the driver")]
    Clock,
    /// Bytes read back are no whole number of elements.
    #[error("{len} bytes are no whole number of elements of {size} bytes")]
    Elements {
        /// The buffer's size, bytes.
        len: usize,
        /// The element's size, bytes.
        size: usize,
    },
}

fn gpus(count: usize) -> String {
    match count {
        0 => "no GPU".to_owned(),
        1 => "one, number 0".to_owned(),
        n => format!("{n}, numbers 0 to {}", n - 1),
    }
}

fn list(archs: &[Arch]) -> String {
    archs.iter().map(Arch::to_string).collect::<Vec<_>>().join(", ")
}

fn defines(unit: &CompileUnit) -> String {
    let mut text = String::new();
    for (name, value) in &unit.defines {
        text.push_str(&format!(" {name}={value}"));
    }
    text
}

/// One digit is enough to choose a batch size by.
fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What to do about the errors that users do meet.
fn advice(code: u32) -> &'static str {
    match code {
        46 | 802 => "; the GPU is busy, in exclusive mode or not ready: see nvidia-smi",
        214 | 220 => "; the hardware reports memory errors: see nvidia-smi -q",
        700 | 714..=719 => {
            "; a kernel went wrong and the GPU's context is lost: run the same command under `compute-sanitizer`"
        }
        803 | 804 => {
            "; libcuda and the kernel module are of different releases: reboot, or match the container's libcuda"
        }
        900..=908 => "; this call is not allowed while a stream is being captured into a graph",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_nvrtc_names_the_command_that_brings_it() {
        let text = DeviceError::NoNvrtc { searched: vec!["/a".into(), "/b".into()] }.to_string();
        assert!(text.contains("pip install nvidia-cuda-nvrtc==13.0.88"), "{text}");
        assert!(text.contains("any of 2 usual folders"), "{text}");
        assert!(text.contains("LD_LIBRARY_PATH"), "{text}");
    }

    #[test]
    fn a_compile_error_names_source_entry_defines_and_architecture() {
        let unit = CompileUnit::new("conv/mma.cu", "conv_mma", [("BLOCK_M", 128)]);
        let text = DeviceError::Compile { unit: Box::new(unit), arch: Arch(80), log: "line 3".to_owned() }.to_string();
        assert_eq!(text, "conv/mma.cu does not compile for sm_80 (entry `conv_mma` BLOCK_M=128):\nline 3");
    }

    #[test]
    fn errors_of_kernels_name_the_tool_that_finds_them() {
        let error = DeviceError::Cuda {
            call: "cuStreamSynchronize",
            code: 700,
            name: "CUDA_ERROR_ILLEGAL_ADDRESS".to_owned(),
            message: "an illegal memory access was encountered".to_owned(),
        };
        assert!(error.to_string().contains("compute-sanitizer"), "{error}");
    }

    #[test]
    fn counts_read_as_sentences() {
        let text = DeviceError::NoDevice { ordinal: 2, count: 2 }.to_string();
        assert!(text.starts_with("there is no GPU 2: the driver sees 2, numbers 0 to 1;"), "{text}");
        let text = DeviceError::OutOfMemory { wanted: 3 << 20, free: 1 << 19, total: 16 << 20 }.to_string();
        assert!(text.starts_with("the GPU has no room for 3.0 MiB: 0.5 MiB of 16.0 MiB are free"), "{text}");
    }

    #[test]
    fn an_unsupported_architecture_lists_the_supported_ones() {
        let error = DeviceError::UnsupportedArch {
            arch: Arch(120),
            version: CudaVersion { major: 12, minor: 4 },
            supported: vec![Arch(80), Arch(90)],
        };
        assert!(error.to_string().starts_with("NVRTC 12.4 compiles for sm_80, sm_90, not for sm_120"), "{error}");
    }
}

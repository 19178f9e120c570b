//! NVRTC: CUDA C++ to machine code, without a GPU.
//! Source: NVRTC's documentation, <https://docs.nvidia.com/cuda/nvrtc/>.

use super::cubin::{Cubin, Resources, entries};
use super::error::DeviceError;
use super::library;
use super::options::options;
use super::program::Program;
use super::version::CudaVersion;
use crate::launch::CompileUnit;
use crate::target::Arch;
use cudarc::nvrtc::sys;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

/// NVRTC, found and asked for its version. Threads may compile at the same time.
#[derive(Clone, Debug)]
pub struct Compiler {
    version: CudaVersion,
    supported: Vec<Arch>,
}

impl Compiler {
    /// Finds NVRTC.
    ///
    /// # Errors
    /// [`DeviceError::NoNvrtc`], which names the command that brings it.
    pub fn new() -> Result<Self, DeviceError> {
        library::nvrtc()?;
        let (mut major, mut minor) = (0, 0);
        // SAFETY: NVRTC is loaded, and both pointers lead to an int each.
        check("nvrtcVersion", unsafe { sys::nvrtcVersion(&mut major, &mut minor) })?;
        let mut count = 0;
        // SAFETY: NVRTC is loaded, and the pointer leads to an int.
        check("nvrtcGetNumSupportedArchs", unsafe { sys::nvrtcGetNumSupportedArchs(&mut count) })?;
        let mut archs: Vec<c_int> = vec![0; count.max(0).unsigned_abs() as usize];
        // SAFETY: the array has as many ints as NVRTC said it would write.
        check("nvrtcGetSupportedArchs", unsafe { sys::nvrtcGetSupportedArchs(archs.as_mut_ptr()) })?;
        let version = CudaVersion { major: major.unsigned_abs(), minor: minor.unsigned_abs() };
        let supported = archs.into_iter().filter_map(|arch| u16::try_from(arch).ok()).map(Arch).collect();
        Ok(Self { version, supported })
    }

    /// NVRTC's version, the same as its toolkit's.
    pub fn version(&self) -> CudaVersion {
        self.version
    }

    /// The architectures it compiles for.
    pub fn supported(&self) -> &[Arch] {
        &self.supported
    }

    /// Compiles a unit of this binary to machine code.
    ///
    /// # Errors
    /// [`DeviceError::Compile`] with NVRTC's log, [`DeviceError::UnsupportedArch`], [`DeviceError::UnknownSource`],
    /// [`DeviceError::MissingEntry`].
    pub fn compile(&self, unit: &CompileUnit, arch: Arch) -> Result<Cubin, DeviceError> {
        self.compile_program(&Program::of(unit)?, unit, arch)
    }

    /// Compiles a unit from sources that are given (an engine file's, or a test's).
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn compile_program(&self, program: &Program, unit: &CompileUnit, arch: Arch) -> Result<Cubin, DeviceError> {
        let compiled = self.run(program, unit, arch)?;
        let ptx = compiled.ptx()?;
        let Some(resources) = Resources::parse(&compiled.log, &ptx, &unit.entry) else {
            return Err(DeviceError::MissingEntry { unit: Box::new(unit.clone()), found: entries(&ptx) });
        };
        Ok(Cubin { image: compiled.cubin()?, log: compiled.log, resources })
    }

    /// The PTX of a unit, for people to read.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn ptx(&self, unit: &CompileUnit, arch: Arch) -> Result<String, DeviceError> {
        self.run(&Program::of(unit)?, unit, arch)?.ptx()
    }

    fn run(&self, program: &Program, unit: &CompileUnit, arch: Arch) -> Result<Compiled, DeviceError> {
        if !self.supported.contains(&arch) {
            let supported = self.supported.clone();
            return Err(DeviceError::UnsupportedArch { arch, version: self.version, supported });
        }
        let handle = ProgramHandle::create(program)?;
        let options = options(unit, arch).iter().map(|o| c_string("an option", o)).collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program exists, and `pointers` has `len` zero-terminated strings that outlive the call.
        let outcome = unsafe { sys::nvrtcCompileProgram(handle.raw, pointers.len() as c_int, pointers.as_ptr()) };
        let log = handle.log()?;
        match outcome {
            sys::nvrtcResult::NVRTC_SUCCESS => Ok(Compiled { handle, log }),
            sys::nvrtcResult::NVRTC_ERROR_COMPILATION => {
                Err(DeviceError::Compile { unit: Box::new(unit.clone()), arch, log })
            }
            other => Err(failure("nvrtcCompileProgram", other, log)),
        }
    }
}

/// A program after a compilation that succeeded.
struct Compiled {
    handle: ProgramHandle,
    log: String,
}

impl Compiled {
    fn cubin(&self) -> Result<Vec<u8>, DeviceError> {
        let mut size = 0;
        // SAFETY: the program exists and is compiled; the pointer leads to a usize.
        check("nvrtcGetCUBINSize", unsafe { sys::nvrtcGetCUBINSize(self.handle.raw, &mut size) })?;
        let mut image = vec![0u8; size];
        // SAFETY: the buffer has the size NVRTC just asked for.
        check("nvrtcGetCUBIN", unsafe { sys::nvrtcGetCUBIN(self.handle.raw, image.as_mut_ptr().cast()) })?;
        Ok(image)
    }

    fn ptx(&self) -> Result<String, DeviceError> {
        let mut size = 0;
        // SAFETY: the program exists and is compiled; the pointer leads to a usize.
        check("nvrtcGetPTXSize", unsafe { sys::nvrtcGetPTXSize(self.handle.raw, &mut size) })?;
        let mut text = vec![0u8; size];
        // SAFETY: the buffer has the size NVRTC just asked for.
        check("nvrtcGetPTX", unsafe { sys::nvrtcGetPTX(self.handle.raw, text.as_mut_ptr().cast()) })?;
        Ok(until_zero(&text))
    }
}

/// An `nvrtcProgram`, destroyed when it goes. NVRTC does not say that it copies what a program is made of, so
/// the texts stay for as long.
struct ProgramHandle {
    raw: sys::nvrtcProgram,
    _texts: Vec<CString>,
}

impl ProgramHandle {
    fn create(program: &Program) -> Result<Self, DeviceError> {
        let mut texts = vec![c_string("a source's name", &program.name)?, c_string("a source", &program.text)?];
        for (header, content) in &program.headers {
            texts.push(c_string("a header's name", header)?);
            texts.push(c_string("a header", content)?);
        }
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let names: Vec<*const c_char> = pointers.iter().copied().skip(2).step_by(2).collect();
        let contents: Vec<*const c_char> = pointers.iter().copied().skip(3).step_by(2).collect();
        let mut raw = ptr::null_mut();
        // SAFETY: every string is zero-terminated and outlives the program; both arrays have `len` entries.
        let outcome = unsafe {
            sys::nvrtcCreateProgram(
                &mut raw,
                pointers[1],
                pointers[0],
                names.len() as c_int,
                contents.as_ptr(),
                names.as_ptr(),
            )
        };
        check("nvrtcCreateProgram", outcome)?;
        Ok(Self { raw, _texts: texts })
    }

    fn log(&self) -> Result<String, DeviceError> {
        let mut size = 0;
        // SAFETY: the program exists, and the pointer leads to a usize.
        check("nvrtcGetProgramLogSize", unsafe { sys::nvrtcGetProgramLogSize(self.raw, &mut size) })?;
        let mut log = vec![0u8; size];
        // SAFETY: the buffer has the size NVRTC just asked for.
        check("nvrtcGetProgramLog", unsafe { sys::nvrtcGetProgramLog(self.raw, log.as_mut_ptr().cast()) })?;
        Ok(until_zero(&log))
    }
}

impl Drop for ProgramHandle {
    fn drop(&mut self) {
        // SAFETY: the program exists, and nothing uses it after this.
        let outcome = unsafe { sys::nvrtcDestroyProgram(&mut self.raw) };
        if let Err(error) = check("nvrtcDestroyProgram", outcome) {
            tracing::warn!("{error}");
        }
    }
}

fn until_zero(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn c_string(what: &'static str, text: &str) -> Result<CString, DeviceError> {
    CString::new(text).map_err(|_| DeviceError::ZeroByte { what, text: text.chars().take(200).collect() })
}

fn check(call: &'static str, outcome: sys::nvrtcResult) -> Result<(), DeviceError> {
    match outcome {
        sys::nvrtcResult::NVRTC_SUCCESS => Ok(()),
        other => Err(failure(call, other, String::new())),
    }
}

fn failure(call: &'static str, outcome: sys::nvrtcResult, log: String) -> DeviceError {
    // SAFETY: NVRTC is loaded, since it returned `outcome`; the string it answers is constant.
    let name = unsafe {
        let text = sys::nvrtcGetErrorString(outcome);
        if text.is_null() { format!("{outcome:?}") } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    };
    let log = if log.is_empty() { "it left no log".to_owned() } else { log };
    DeviceError::Nvrtc { call, name, log }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_their_zero() {
        assert_eq!(until_zero(b"log\0\0"), "log");
        assert_eq!(until_zero(b""), "");
        assert_eq!(until_zero(b"no end"), "no end");
    }

    #[test]
    fn a_zero_byte_in_a_source_is_an_error() {
        let error = c_string("a source", "int\0").expect_err("C strings end at zero");
        assert!(error.to_string().starts_with("a source contains a zero byte"), "{error}");
    }
}

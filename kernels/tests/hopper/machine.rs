//! What runs a kernel of these tests: the emulator, or the GPU at hand.

use limpid_kernels::device::{Compiler, Device, DeviceBuffer, Program, Stream};
use limpid_kernels::emulator::{Emulator, EmulatorError, Memory};
use limpid_kernels::launch::{CompileUnit, Launch, Role};
use limpid_kernels::source::SOURCES;
use limpid_kernels::target::Arch;
use std::borrow::Cow;
use std::collections::BTreeMap;

const HOPPER: Arch = Arch(90);

/// Runs a launch of a kernel whose text is given.
pub trait Machine {
    /// Leaves in `memory` what the kernel left there.
    fn run(&self, text: &str, launch: &Launch, memory: &mut Memory) -> Result<(), EmulatorError>;
}

impl Machine for Emulator {
    fn run(&self, text: &str, launch: &Launch, memory: &mut Memory) -> Result<(), EmulatorError> {
        self.compile_text(&launch.unit, text, HOPPER)?.run(launch, memory).map(drop)
    }
}

/// The first GPU, which must be Hopper's.
pub struct Gpu {
    stream: Stream,
    compiler: Compiler,
}

impl Gpu {
    pub fn open() -> Self {
        let device = Device::open(0).expect("a GPU");
        assert_eq!(device.target().arch, HOPPER, "these instructions are sm_90's");
        Self { stream: Stream::new(&device).expect("a stream"), compiler: Compiler::new().expect("NVRTC") }
    }
}

impl Machine for Gpu {
    fn run(&self, text: &str, launch: &Launch, memory: &mut Memory) -> Result<(), EmulatorError> {
        let program = program(&launch.unit, text);
        let cubin = self.compiler.compile_program(&program, &launch.unit, HOPPER).unwrap_or_else(|e| panic!("{e}"));
        let buffers: BTreeMap<Role, DeviceBuffer> = memory
            .iter()
            .map(|(role, buffer)| (*role, DeviceBuffer::from_slice(&self.stream, &buffer.bytes).expect("memory")))
            .collect();
        let resolve = |role: Role| buffers.get(&role).map(DeviceBuffer::ptr);
        let prepared = self.stream.device().prepare(launch, &cubin, &resolve).unwrap_or_else(|e| panic!("{e}"));
        prepared.enqueue(&self.stream).unwrap_or_else(|e| panic!("{e}"));
        self.stream.synchronize().unwrap_or_else(|e| panic!("{:?}: {e}", launch.unit));
        for (role, buffer) in memory.iter_mut() {
            buffer.bytes = buffers[role].to_vec::<u8>(&self.stream).expect("it can be read");
        }
        Ok(())
    }
}

/// A text of these tests with the kernels' headers.
pub fn program<'t>(unit: &CompileUnit, text: &'t str) -> Program<'t> {
    let headers = SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh"));
    Program {
        name: Cow::Owned(unit.source.clone()),
        text: Cow::Borrowed(text),
        headers: headers.map(|(name, text)| (Cow::Borrowed(*name), Cow::Borrowed(*text))).collect(),
    }
}

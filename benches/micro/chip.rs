//! The chip at hand, and how a small kernel is compiled, launched and timed on it.

use limpid_kernels::device::{
    Compiler, Cubin, Device, DeviceBuffer, DeviceError, PreparedLaunch, Program, Repetitions, Samples, Stream, Timer,
};
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};
use limpid_kernels::source::SOURCES;
use limpid_kernels::target::{Arch, Target};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Texts of the kernels beside this file.
const TEXTS: [(&str, &str); 4] = [
    ("launches.cu", include_str!("launches.cu")),
    ("barrier.cu", include_str!("barrier.cu")),
    ("memory.cu", include_str!("memory.cu")),
    ("peak.cu", include_str!("peak.cu")),
];

/// A kernel of this folder and the form of its blocks.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Source, entry and definitions.
    pub unit: CompileUnit,
    /// Threads of a block.
    pub threads: u32,
    /// Dynamic shared memory, bytes.
    pub shared_bytes: u32,
    /// See [`Launch::dependent`].
    pub dependent: bool,
}

impl Kernel {
    /// A kernel without shared memory that starts when the grid before it has ended.
    pub fn new(source: &str, entry: &str, defines: &[(&str, u32)], threads: u32) -> Self {
        let unit = CompileUnit::new(source, entry, defines.iter().copied());
        Self { unit, threads, shared_bytes: 0, dependent: false }
    }

    /// Compiles it.
    pub fn compile(&self, compiler: &Compiler, arch: Arch) -> Result<Cubin, DeviceError> {
        let unknown = || DeviceError::UnknownSource { path: self.unit.source.clone() };
        let (_, text) = TEXTS.iter().find(|(name, _)| *name == self.unit.source).ok_or_else(unknown)?;
        let headers = SOURCES.iter().filter(|(name, _)| name.ends_with(".cuh"));
        let program = Program {
            name: Cow::Borrowed(&self.unit.source),
            text: Cow::Borrowed(text),
            headers: headers.map(|&(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))).collect(),
        };
        compiler.compile_program(&program, &self.unit, arch)
    }
}

/// A GPU with what it takes to time kernels on it.
pub struct Chip {
    pub device: Device,
    pub target: Target,
    pub stream: Stream,
    compiler: Compiler,
    cubins: BTreeMap<CompileUnit, Cubin>,
    timer: Timer,
}

impl Chip {
    /// The first GPU.
    pub fn open() -> Result<Self, DeviceError> {
        let device = Device::open(0)?;
        let (stream, timer) = (Stream::new(&device)?, Timer::new(&device));
        let (compiler, cubins) = (Compiler::new()?, BTreeMap::new());
        Ok(Self { target: device.target(), device, stream, compiler, cubins, timer })
    }

    /// A launch of `blocks` blocks on these buffers, with numbers behind them.
    pub fn prepare(
        &mut self,
        kernel: &Kernel,
        blocks: u32,
        buffers: &[&DeviceBuffer],
        numbers: &[u32],
    ) -> Result<PreparedLaunch, DeviceError> {
        let cubin = match self.cubins.entry(kernel.unit.clone()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(gap) => gap.insert(kernel.compile(&self.compiler, self.target.arch)?),
        };
        let pointers = (0..buffers.len() as u8).map(|i| Arg::Pointer(Role::Input(i)));
        let launch = Launch {
            unit: kernel.unit.clone(),
            grid: [blocks, 1, 1],
            block: [kernel.threads, 1, 1],
            cluster: Launch::ALONE,
            shared_bytes: kernel.shared_bytes,
            args: pointers.chain(numbers.iter().map(Arg::params)).collect(),
            dependent: kernel.dependent,
        };
        let resolve = |role| match role {
            Role::Input(i) => buffers.get(usize::from(i)).map(|buffer| buffer.ptr()),
            _ => None,
        };
        self.device.prepare(&launch, cubin, &resolve)
    }

    /// Times `calls` launches recorded as one graph: µs each.
    pub fn time(&mut self, launch: &PreparedLaunch, calls: u32, samples: u32) -> Result<Samples, DeviceError> {
        let repetitions = Repetitions { warm_up: 2, samples, calls };
        self.timer.measure_graph(&self.stream, repetitions, |stream, _| launch.enqueue(stream))
    }

    /// Memory that nobody has written yet.
    pub fn buffer(&self, bytes: usize) -> Result<DeviceBuffer, DeviceError> {
        DeviceBuffer::alloc(&self.device, bytes)
    }

    /// Memory filled with `words`, over and over.
    pub fn filled(&self, bytes: usize, words: &[u32]) -> Result<DeviceBuffer, DeviceError> {
        let pattern = DeviceBuffer::from_slice(&self.stream, words)?;
        let buffer = self.buffer(bytes)?;
        for offset in (0..bytes).step_by(pattern.len()) {
            let count = pattern.len().min(bytes - offset);
            buffer.enqueue_copy_within_device(offset, &pattern, 0, count, &self.stream)?;
        }
        self.stream.synchronize()?;
        Ok(buffer)
    }
}

/// Random words: as two f16 and as f32 small numbers of either sign, as four s8 anything.
pub fn random_words(count: usize) -> Vec<u32> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Exponents of 1/32 to 1 in each half.
        0x2800_2800 | ((state >> 16) as u32 & 0x93FF_93FF)
    };
    (0..count).map(word).collect()
}

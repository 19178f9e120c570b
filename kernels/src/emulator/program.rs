//! One compiled kernel, and how a launch goes to it and comes back. `runtime/main.cpp` is the other end.

use super::trace::{Trace, TraceAt};
use super::{EmulatorError, Fault, tensor_map};
use crate::launch::{Arg, Launch, Role};
use crate::tensor_map::TensorMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds after which a launch is said to make no progress.
const LIMIT_SECONDS: u32 = 120;

/// Memory behind one pointer argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The contents; the kernel may use these bytes and no others.
    pub bytes: Vec<u8>,
    /// For each byte 1 if somebody wrote it, else 0. Reading a 0 is a fault.
    pub written: Vec<u8>,
    /// True for what a kernel must leave alone.
    pub read_only: bool,
}

impl Buffer {
    /// An input: all bytes written, none to be changed.
    pub fn input(bytes: Vec<u8>) -> Self {
        Self { written: vec![1; bytes.len()], bytes, read_only: true }
    }

    /// Room for an answer: nothing written, every byte 0xff (NaN, as f16 and as f32).
    pub fn output(bytes: usize) -> Self {
        Self { bytes: vec![0xff; bytes], written: vec![0; bytes], read_only: false }
    }
}

/// Every buffer a launch points at.
pub type Memory = BTreeMap<Role, Buffer>;

/// Bytes (read, written) of one piece of memory, by the way they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// By loads, stores, atomics, `ldmatrix`, `stmatrix`.
    pub plain: (u64, u64),
    /// By `cp.async`.
    pub async_copy: (u64, u64),
    /// By bulk and tensor copies.
    pub bulk: (u64, u64),
    /// By `wgmma`, which reads matrices in shared memory: each of its four warps all of b.
    pub tensor_cores: (u64, u64),
    /// Different bytes of a buffer, however often they were moved; counted while tracing.
    pub distinct: (u64, u64),
}

impl Moved {
    /// All ways together.
    pub fn total(&self) -> (u64, u64) {
        let ways = [self.plain, self.async_copy, self.bulk, self.tensor_cores];
        ways.iter().fold((0, 0), |sum, way| (sum.0 + way.0, sum.1 + way.1))
    }

    fn take(answer: &mut &[u8]) -> Option<Self> {
        let mut pair = || Some((take_u64(answer)?, take_u64(answer)?));
        Some(Self { plain: pair()?, async_copy: pair()?, bulk: pair()?, tensor_cores: pair()?, distinct: pair()? })
    }
}

/// Bytes that the threads of a launch asked for, at the level of single instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Of each buffer.
    pub buffers: BTreeMap<Role, Moved>,
    /// Of shared memory.
    pub shared: Moved,
}

/// A kernel compiled for the CPU.
#[derive(Clone, Debug)]
pub struct Program {
    executable: PathBuf,
    entry: String,
}

impl Program {
    pub(super) fn new(executable: PathBuf, entry: String) -> Self {
        Self { executable, entry }
    }

    /// The executable: run a debugger on it to step through a kernel.
    pub fn path(&self) -> &Path {
        &self.executable
    }

    /// Runs one launch. On success the buffers that are not read-only hold what the kernel left in them.
    ///
    /// # Errors
    /// [`EmulatorError::Fault`] if the kernel did something wrong; a missing buffer; a process that cannot run.
    pub fn run(&self, launch: &Launch, memory: &mut Memory) -> Result<Traffic, EmulatorError> {
        Ok(self.answer(launch, memory, None)?.0)
    }

    /// As [`Program::run`], and tells what one block of it did.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn trace(&self, launch: &Launch, memory: &mut Memory, at: &TraceAt) -> Result<(Traffic, Trace), EmulatorError> {
        let (traffic, text) = self.answer(launch, memory, Some(at))?;
        Ok((traffic, Trace::parse(&text, &self.executable)))
    }

    fn answer(
        &self,
        launch: &Launch,
        memory: &mut Memory,
        trace: Option<&TraceAt>,
    ) -> Result<(Traffic, String), EmulatorError> {
        let request = self.request(launch, memory, trace)?;
        let answer = self.exchange(&request)?;
        if let Some(report) = answer.strip_prefix(b"fault\n") {
            let report = String::from_utf8_lossy(report);
            return Err(EmulatorError::Fault(Box::new(Fault::parse(&report, &self.entry, &self.executable))));
        }
        answer
            .strip_prefix(b"ok\n")
            .and_then(|payload| take_answer(payload, memory))
            .ok_or_else(|| self.no_answer(format!("{} bytes that are no answer", answer.len())))
    }

    /// The launch as `main.cpp` reads it.
    fn request(&self, launch: &Launch, memory: &Memory, trace: Option<&TraceAt>) -> Result<Vec<u8>, EmulatorError> {
        let mut request = Request::default();
        request.u32(LIMIT_SECONDS);
        launch.grid.iter().chain(&launch.block).chain(&launch.cluster).for_each(|&n| request.u32(n));
        request.u32(launch.shared_bytes);
        request.u32(u32::from(launch.dependent));
        request.u32(u32::from(launch.beside()));
        request.u32(u32::from(trace.is_some()));
        let at = trace.copied().unwrap_or_default();
        at.block.iter().for_each(|&n| request.u32(n));
        request.u32(at.thread);
        request.u64(at.instructions);
        request.u32(memory.len() as u32);
        for (role, buffer) in memory {
            let name = format!("{role:?}");
            request.u32(name.len() as u32);
            request.0.extend(name.as_bytes());
            request.u32(u32::from(buffer.read_only));
            request.u64(buffer.bytes.len() as u64);
            request.0.extend(&buffer.bytes);
            request.0.extend(&buffer.written);
        }
        request.u32(launch.args.len() as u32);
        for arg in &launch.args {
            match arg {
                Arg::Null => {
                    request.u32(1);
                    request.u32(u32::MAX);
                }
                Arg::Pointer(role) => {
                    let index = memory.keys().position(|known| known == role);
                    request.u32(1);
                    request.u32(index.ok_or(EmulatorError::MissingBuffer(*role))? as u32);
                }
                Arg::TensorMap(map) => {
                    let index = memory.keys().position(|known| *known == map.role);
                    request.u32(2);
                    request.u64(TensorMap::BYTES as u64);
                    request.u32(index.ok_or(EmulatorError::MissingBuffer(map.role))? as u32);
                    request.u64(map.offset);
                    request.0.extend(tensor_map::describe(map)?);
                }
                // Nothing is brought into a cache here.
                Arg::Ahead { beside, .. } => {
                    let nothing = Arg::ahead(0, 0, launch.blocks(), *beside);
                    request.u32(0);
                    request.u64(nothing.len() as u64);
                    request.0.extend(nothing);
                }
                Arg::Bytes(bytes) => {
                    request.u32(0);
                    request.u64(bytes.len() as u64);
                    request.0.extend(bytes);
                }
            }
        }
        Ok(request.0)
    }

    /// The process reads everything before it writes anything, so neither side waits for the other.
    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, EmulatorError> {
        let io = |source| EmulatorError::Io { path: self.executable.clone(), source };
        let mut child =
            Command::new(&self.executable).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(io)?;
        let sent = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(request));
        let mut answer = Vec::new();
        let received = child.stdout.take().map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut answer));
        let status = child.wait().map_err(io)?;
        if answer.is_empty() {
            return Err(self.no_answer(status.to_string()));
        }
        // A fault may end the process before it has read everything; what it says of the fault counts.
        if !answer.starts_with(b"fault\n") {
            sent.map_err(io)?;
        }
        received.map_err(io)?;
        Ok(answer)
    }

    fn no_answer(&self, status: String) -> EmulatorError {
        EmulatorError::NoAnswer { entry: self.entry.clone(), status }
    }
}

/// Little-endian numbers and bytes, one after another.
#[derive(Default)]
struct Request(Vec<u8>);

impl Request {
    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }
}

/// Takes traffic and contents of each buffer off the answer, then the trace; `None` if it is shorter or longer.
fn take_answer(mut answer: &[u8], memory: &mut Memory) -> Option<(Traffic, String)> {
    let mut traffic = Traffic::default();
    for (role, buffer) in memory.iter_mut() {
        traffic.buffers.insert(*role, Moved::take(&mut answer)?);
        if !buffer.read_only {
            let length = buffer.bytes.len();
            buffer.bytes.copy_from_slice(answer.split_off(..length)?);
            buffer.written.copy_from_slice(answer.split_off(..length)?);
        }
    }
    traffic.shared = Moved::take(&mut answer)?;
    let length = take_u64(&mut answer)? as usize;
    let trace = String::from_utf8_lossy(answer.split_off(..length)?).into_owned();
    answer.is_empty().then_some((traffic, trace))
}

fn take_u64(from: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*from.split_off(..8)?.first_chunk()?))
}

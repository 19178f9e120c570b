//! One compiled kernel, and how a launch goes to it and comes back. `runtime/main.cpp` is the other end.

use super::{EmulatorError, Fault};
use crate::launch::{Arg, Launch, Role};
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

/// Bytes that the threads of a launch asked for, at the level of single instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes (read, written) of each buffer.
    pub buffers: BTreeMap<Role, (u64, u64)>,
    /// Bytes (read, written) of shared memory.
    pub shared: (u64, u64),
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
        let request = self.request(launch, memory)?;
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
    fn request(&self, launch: &Launch, memory: &Memory) -> Result<Vec<u8>, EmulatorError> {
        let mut request = Request::default();
        request.u32(LIMIT_SECONDS);
        launch.grid.iter().chain(&launch.block).for_each(|&n| request.u32(n));
        request.u32(launch.shared_bytes);
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

/// Takes traffic and contents of each buffer off the answer; `None` if it is shorter or longer than that.
fn take_answer(mut answer: &[u8], memory: &mut Memory) -> Option<Traffic> {
    let mut traffic = Traffic::default();
    for (role, buffer) in memory.iter_mut() {
        traffic.buffers.insert(*role, (take_u64(&mut answer)?, take_u64(&mut answer)?));
        if !buffer.read_only {
            let length = buffer.bytes.len();
            buffer.bytes.copy_from_slice(answer.split_off(..length)?);
            buffer.written.copy_from_slice(answer.split_off(..length)?);
        }
    }
    traffic.shared = (take_u64(&mut answer)?, take_u64(&mut answer)?);
    answer.is_empty().then_some(traffic)
}

fn take_u64(from: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*from.split_off(..8)?.first_chunk()?))
}

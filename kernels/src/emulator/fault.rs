//! What a kernel did wrong, and where.

use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// An access outside of every buffer, of shared memory, or to another thread's local memory.
    OutOfBounds,
    /// An address that is no multiple of what the access needs.
    Misaligned,
    /// A read of memory nobody wrote.
    NeverWritten,
    /// A write to a buffer that is an input.
    WriteToInput,
    /// Two accesses to shared memory, one of them a write, with nothing that orders them.
    DataRace,
    /// An access to bytes or registers that an asynchronous operation has not delivered yet, or still reads.
    MissingWait,
    /// A store that bulk copies or wgmma meet without `fence.proxy.async`, or an mbarrier without its fence.
    MissingProxyFence,
    /// A matrix descriptor that does not fit what lies in shared memory.
    WrongDescriptor,
    /// A warp collective that not all lanes of its mask reach, or reach in different forms.
    MissingLanes,
    /// A barrier that not all threads reach.
    BarrierNotReached,
    /// A barrier used with different counts or forms at once, or an mbarrier against its rules.
    WrongBarrier,
    /// An instruction given an address in the wrong kind of memory.
    WrongMemorySpace,
    /// A launch whose grid, block or shared memory no GPU takes.
    WrongLaunch,
    /// Arguments that do not fit the kernel's parameters.
    WrongArguments,
    /// Integer division by zero.
    DivisionByZero,
    /// A launch that does not end.
    NoProgress,
    /// The kernel's own `trap`.
    Trap,
    /// Anything else: too little memory, a stack that overflows.
    Other,
}

impl FaultKind {
    /// By the name that the runtime gives it.
    fn parse(name: &str) -> Self {
        match name {
            "out of bounds" => FaultKind::OutOfBounds,
            "misaligned" => FaultKind::Misaligned,
            "never written" => FaultKind::NeverWritten,
            "write to an input" => FaultKind::WriteToInput,
            "data race" => FaultKind::DataRace,
            "missing wait" => FaultKind::MissingWait,
            "missing proxy fence" => FaultKind::MissingProxyFence,
            "wrong descriptor" => FaultKind::WrongDescriptor,
            "missing lanes" => FaultKind::MissingLanes,
            "barrier not reached" => FaultKind::BarrierNotReached,
            "wrong barrier" => FaultKind::WrongBarrier,
            "wrong memory space" => FaultKind::WrongMemorySpace,
            "wrong launch" => FaultKind::WrongLaunch,
            "wrong arguments" => FaultKind::WrongArguments,
            "division by zero" => FaultKind::DivisionByZero,
            "no progress" => FaultKind::NoProgress,
            "trap" => FaultKind::Trap,
            _ => FaultKind::Other,
        }
    }
}

/// One function on the way to a fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Frame {
    /// The function, without parameters and template arguments.
    pub function: String,
    /// Its source, as the kernel's catalog names it.
    pub file: String,
    /// The line; 0 if unknown.
    pub line: u32,
}

/// A fault: what, where, by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// A sentence that names memory, sizes and threads.
    pub message: String,
    /// The kernel.
    pub kernel: String,
    /// The block; `None` if no thread did it (a wrong launch).
    pub block: Option<[u32; 3]>,
    /// The thread in the block.
    pub thread: Option<[u32; 3]>,
    /// Where, the innermost inlined function first.
    pub place: Vec<Frame>,
    /// The other side of a race or of a barrier: who, and where.
    pub other: Option<(String, Vec<Frame>)>,
}

impl Fault {
    /// Reads the runtime's report (`fault.cpp`) and looks its addresses up in the executable.
    pub(super) fn parse(report: &str, kernel: &str, executable: &Path) -> Self {
        let field = |name: &str| report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let other = field("also").and_then(|text| text.split_once(' '));
        Self {
            kind: FaultKind::parse(field("kind").unwrap_or_default()),
            message: field("message").unwrap_or_default().to_owned(),
            kernel: kernel.to_owned(),
            block: field("block").and_then(triple),
            thread: field("thread").and_then(triple),
            place: field("pc").map(|pc| frames(executable, pc)).unwrap_or_default(),
            other: other.map(|(pc, who)| (who.to_owned(), frames(executable, pc))),
        }
    }
}

fn triple(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.split(' ').map(|n| n.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// The source lines of a return address, by binutils' addr2line, which comes with every C++ compiler on Linux.
/// Nothing if it is not there: a fault without a line is still a fault.
pub(super) fn frames(executable: &Path, pc: &str) -> Vec<Frame> {
    let Ok(address) = u64::from_str_radix(pc, 16) else { return Vec::new() };
    // A return address points behind the call.
    let address = format!("{:#x}", address.saturating_sub(1));
    let output = Command::new("addr2line").arg("-fiC").arg("-e").arg(executable).arg(address).output();
    let Ok(output) = output else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let frames = lines.chunks_exact(2).map(|pair| {
        let (file, line) = pair[1].rsplit_once(':').unwrap_or((pair[1], "0"));
        let line = line.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Frame { function: plain_name(pair[0]), file: short_name(file), line }
    });
    // The emulator's own wrappers are no news, nor is the call of the kernel.
    frames.filter(|frame| !frame.file.ends_with(".hpp") && frame.file != "??").collect()
}

/// A function's name without its parameters and template arguments, which fill a screen in tiled kernels.
fn plain_name(function: &str) -> String {
    let mut depth = 0;
    let mut name = String::new();
    for letter in function.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            '(' if depth == 0 => break,
            _ if depth == 0 => name.push(letter),
            _ => {}
        }
    }
    name.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// `conv/mma.cu` or `include/tile.cuh`, without the directory it was compiled in.
fn short_name(file: &str) -> String {
    let file = file.split_once(".tmp/").map_or(file, |(_, rest)| rest);
    file.trim_start_matches("./").to_owned()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kernel, self.message)?;
        if let (Some([bx, by, bz]), Some([tx, ty, tz])) = (self.block, self.thread) {
            write!(f, "\n  by thread ({tx},{ty},{tz}) of block ({bx},{by},{bz})")?;
        }
        let list = |f: &mut fmt::Formatter<'_>, frames: &[Frame]| {
            frames
                .iter()
                .try_for_each(|frame| write!(f, "\n    at {}:{} in {}", frame.file, frame.line, frame.function))
        };
        list(f, &self.place)?;
        if let Some((who, frames)) = &self.other {
            write!(f, "\n  {who}")?;
            list(f, frames)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

//! What one block of an emulated launch did, instruction by instruction.

use super::fault::{Frame, frames};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceAt {
    /// The block.
    pub block: [u32; 3],
    /// The thread of it whose tensor-core instructions are told, counted linearly.
    pub thread: u32,
    /// How many of them at most.
    pub instructions: u64,
}

/// How the accesses of one source line meet the banks of shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedAccess {
    /// Where, the innermost inlined function first.
    pub place: Vec<Frame>,
    /// True for stores.
    pub write: bool,
    /// Bytes of a lane.
    pub bytes: u32,
    /// Times that a warp asked.
    pub requests: u64,
    /// Times that shared memory had to serve it.
    pub transactions: u64,
    /// Times it would have to without bank conflicts.
    pub ideal: u64,
}

/// One element of a fragment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Element {
    /// `a`, `b` or `d`.
    pub operand: char,
    /// Of the instruction's matrix; of b this is k.
    pub row: u32,
    /// Of the instruction's matrix.
    pub column: u32,
    /// Its value; of d after the instruction.
    pub value: f64,
}

/// What the thread held of one tensor-core instruction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInstruction {
    /// Such as `mma.m16n8k16.f16`.
    pub name: String,
    /// Where.
    pub place: Vec<Frame>,
    /// Elements in the order of the registers.
    pub elements: Vec<Element>,
}

/// One block of a launch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// By source line.
    pub shared: Vec<SharedAccess>,
    /// Tensor-core instructions that the thread took part in.
    pub instructions: u64,
    /// The first of them.
    pub told: Vec<TensorInstruction>,
}

impl Trace {
    /// Reads `trace.cpp`'s report and looks its addresses up in the executable.
    pub(super) fn parse(report: &str, executable: &Path) -> Self {
        let mut known: BTreeMap<String, Vec<Frame>> = BTreeMap::new();
        let mut place = |pc: &str| known.entry(pc.to_owned()).or_insert_with(|| frames(executable, pc)).clone();
        let mut trace = Self::default();
        for line in report.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |i: usize| words.get(i).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
            match words[..] {
                ["shared", pc, kind, ..] => trace.shared.push(SharedAccess {
                    place: place(pc),
                    write: kind == "write",
                    bytes: number(3) as u32,
                    requests: number(4),
                    transactions: number(5),
                    ideal: number(6),
                }),
                ["instructions", _] => trace.instructions = number(1),
                ["tensor", pc, name] => {
                    let (name, place) = (name.to_owned(), place(pc));
                    trace.told.push(TensorInstruction { name, place, elements: Vec::new() });
                }
                [operand, _, _, value] => {
                    if let (Some(last), Some(operand)) = (trace.told.last_mut(), operand.chars().next()) {
                        let value = value.parse().unwrap_or(f64::NAN);
                        let (row, column) = (number(1) as u32, number(2) as u32);
                        last.elements.push(Element { operand, row, column, value });
                    }
                }
                _ => {}
            }
        }
        trace.join_lines();
        trace
    }

    /// Unrolled copies of a line are one line to a reader.
    fn join_lines(&mut self) {
        self.shared.sort_by(|a, b| (&a.place, a.write, a.bytes).cmp(&(&b.place, b.write, b.bytes)));
        self.shared.dedup_by(|next, first| {
            let same = next.place == first.place && next.write == first.write && next.bytes == first.bytes;
            if same {
                first.requests += next.requests;
                first.transactions += next.transactions;
                first.ideal += next.ideal;
            }
            same
        });
    }
}

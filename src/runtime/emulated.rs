//! Running a plan without a GPU: every launch of it through the emulator, with the plan's own memory layout.
//!
//! Slow, and right about everything a plan can get wrong: places, sizes, aliases, lifetimes, kernels. Tests run
//! small networks through it; `limpid emulate` runs one step.

use crate::plan::{Bound, ConstantError, Location, Plan, Step};
use limpid_graph::ir::Graph;
use limpid_graph::tensor::{Tensor, TensorError};
use limpid_kernels::emulator::{Buffer, Emulator, EmulatorError, Memory, Program, Trace, TraceAt, Traffic};
use limpid_kernels::launch::{Launch, Role};
use std::collections::BTreeMap;

/// Why an emulated run ended.
#[derive(Debug, thiserror::Error)]
pub enum EmulatedError {
    /// A kernel went wrong.
    #[error("step {index}, group `{group}`, {tactic}: {source}")]
    Step {
        /// Its number in the plan.
        index: usize,
        /// The group.
        group: String,
        /// What ran.
        tactic: String,
        /// What was found.
        source: EmulatorError,
    },
    /// Inputs that are not the plan's.
    #[error("the plan takes inputs of {expected:?} bytes, got {got:?}")]
    Inputs {
        /// Bytes of each input of the plan.
        expected: Vec<usize>,
        /// Bytes that came.
        got: Vec<usize>,
    },
    /// A constant does not fit its place.
    #[error(transparent)]
    Constant(#[from] ConstantError),
    /// An output is not what its port says.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// A stretch of emulated device memory.
#[derive(Clone, Debug)]
struct Region {
    bytes: Vec<u8>,
    /// 1 for each byte that somebody wrote.
    written: Vec<u8>,
}

impl Region {
    fn unwritten(bytes: usize) -> Self {
        Self { bytes: vec![0xFF; bytes], written: vec![0; bytes] }
    }

    fn holding(bytes: Vec<u8>) -> Self {
        Self { written: vec![1; bytes.len()], bytes }
    }
}

/// A plan in emulated memory.
pub struct EmulatedSession<'a> {
    plan: &'a Plan,
    emulator: &'a Emulator,
    arena: Region,
    constants: Region,
    inputs: Vec<Region>,
    outputs: Vec<Region>,
}

impl<'a> EmulatedSession<'a> {
    /// Lays out the constants of `graph`; nothing else is written yet.
    pub fn new(graph: &Graph, plan: &'a Plan, emulator: &'a Emulator) -> Result<Self, EmulatedError> {
        let mut constants = Region::unwritten(plan.constant_bytes as usize);
        for slot in &plan.constants {
            let bytes = slot.bytes(graph)?;
            let range = slot.offset as usize..slot.offset as usize + bytes.len();
            constants.bytes[range.clone()].copy_from_slice(&bytes);
            constants.written[range].fill(1);
        }
        let arena = Region::unwritten(plan.arena_bytes as usize);
        let outputs = plan.outputs.iter().map(|port| Region::unwritten(port.bytes())).collect();
        Ok(Self { plan, emulator, arena, constants, inputs: Vec::new(), outputs })
    }

    /// Runs all steps on these inputs.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EmulatedError> {
        self.start(inputs)?;
        (0..self.plan.steps.len()).try_for_each(|index| self.step(index).map(drop))?;
        self.outputs()
    }

    /// Puts the inputs in their places.
    pub fn start(&mut self, inputs: &[Tensor]) -> Result<(), EmulatedError> {
        let expected: Vec<usize> = self.plan.inputs.iter().map(|port| port.bytes()).collect();
        let got: Vec<usize> = inputs.iter().map(|tensor| tensor.bytes().len()).collect();
        if expected != got {
            return Err(EmulatedError::Inputs { expected, got });
        }
        self.inputs = inputs.iter().map(|tensor| Region::holding(tensor.bytes().to_vec())).collect();
        Ok(())
    }

    /// What the outputs hold.
    pub fn outputs(&self) -> Result<Vec<Tensor>, EmulatedError> {
        let outputs = self.plan.outputs.iter().zip(&self.outputs);
        outputs.map(|(port, region)| Ok(Tensor::from_bytes(port.dtype, &port.shape, &region.bytes)?)).collect()
    }

    /// Runs one step on what memory holds; the bytes its launches moved.
    pub fn step(&mut self, index: usize) -> Result<Vec<Traffic>, EmulatedError> {
        self.launch(index, |program, launch, memory| program.run(launch, memory))
    }

    /// As [`EmulatedSession::step`], and tells what one block of each launch did.
    pub fn trace(&mut self, index: usize, at: &TraceAt) -> Result<Vec<(Traffic, Trace)>, EmulatedError> {
        self.launch(index, |program, launch, memory| program.trace(launch, memory, at))
    }

    fn launch<T>(
        &mut self,
        index: usize,
        run: impl Fn(&Program, &Launch, &mut Memory) -> Result<T, EmulatorError>,
    ) -> Result<Vec<T>, EmulatedError> {
        let step = &self.plan.steps[index];
        let fail =
            |source| EmulatedError::Step { index, group: step.group.clone(), tactic: step.tactic.to_string(), source };
        let mut memory: Memory = step.operands.iter().map(|bound| (bound.role, self.load(bound))).collect();
        let mut told = Vec::with_capacity(step.launches.len());
        for launch in &step.launches {
            let program = self.emulator.compile(&launch.unit, self.plan.target.arch).map_err(fail)?;
            told.push(run(&program, launch, &mut memory).map_err(fail)?);
        }
        self.keep(step, memory);
        Ok(told)
    }

    /// What a kernel sees behind an operand.
    fn load(&self, bound: &Bound) -> Buffer {
        let (region, start) = match bound.location {
            Location::Arena(offset) => (&self.arena, offset),
            Location::Constants(offset) => (&self.constants, offset),
            Location::Input(index, offset) => (&self.inputs[index as usize], offset),
            Location::Output(index, offset) => (&self.outputs[index as usize], offset),
        };
        let range = start as usize..(start + bound.bytes) as usize;
        if bound.role == Role::Workspace {
            return Buffer::output(range.len());
        }
        let read_only = !matches!(bound.role, Role::Output(_));
        Buffer { bytes: region.bytes[range.clone()].to_vec(), written: region.written[range].to_vec(), read_only }
    }

    fn keep(&mut self, step: &Step, memory: BTreeMap<Role, Buffer>) {
        for bound in step.operands.iter().filter(|bound| matches!(bound.role, Role::Output(_))) {
            let Some(buffer) = memory.get(&bound.role) else { continue };
            let (region, start) = match bound.location {
                Location::Arena(offset) => (&mut self.arena, offset),
                Location::Output(index, offset) => (&mut self.outputs[index as usize], offset),
                // Nothing is written to inputs and constants.
                Location::Input(..) | Location::Constants(_) => continue,
            };
            let range = start as usize..(start + bound.bytes) as usize;
            region.bytes[range.clone()].copy_from_slice(&buffer.bytes);
            region.written[range].copy_from_slice(&buffer.written);
        }
    }
}

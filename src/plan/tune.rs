//! Timing candidates on the GPU at hand.
//!
//! Operands are random bytes that are ordinary small numbers, in buffers rotated so that the second-level cache
//! does not hold what a real run would have to fetch.

use super::select::{Measure, MeasureError};
use super::types::{Buffer, Work};
use limpid_kernels::device::{
    Compiler, CubinCache, Device, DeviceBuffer, DeviceError, PreparedLaunch, Repetitions, Stream, Timer,
};
use limpid_kernels::launch::{Candidate, CompileUnit, Role};
use std::collections::BTreeMap;

/// GPU time spent on one candidate, µs.
const BUDGET_US: f64 = 4000.0;

/// A candidate whose first run takes this many times as long as the best so far is not looked at any closer. A first
/// run is slower than later ones by its launch and by cold instruction memory, but not by this much.
const HOPELESS: f64 = 4.0;

/// Sets of operands at most; small sites reach the cache's size only with many.
const MOST_SETS: usize = 16;

/// Bytes of random numbers that operands are filled from. They are copied on the GPU: making and sending as many
/// bytes as a large layer reads would take longer than timing it.
const PATTERN_BYTES: usize = 16 << 20;

/// Measures on one GPU.
pub struct DeviceMeasure<'a> {
    device: Device,
    stream: Stream,
    pattern: DeviceBuffer,
    /// Operands, set after set.
    sets: Vec<BTreeMap<Role, DeviceBuffer>>,
    timer: Timer,
    compiler: Compiler,
    cache: &'a CubinCache,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a> DeviceMeasure<'a> {
    /// Measures on `device`, with kernels kept in `cache`; `progress` hears how many sites of how many are done.
    pub fn new(
        device: &Device,
        cache: &'a CubinCache,
        progress: &'a mut dyn FnMut(usize, usize),
    ) -> Result<Self, DeviceError> {
        let stream = Stream::new(device)?;
        let pattern = DeviceBuffer::from_slice(&stream, &small_halves(PATTERN_BYTES / 2))?;
        Ok(Self {
            device: device.clone(),
            stream,
            pattern,
            sets: Vec::new(),
            timer: Timer::new(device),
            compiler: Compiler::new()?,
            cache,
            progress,
        })
    }

    /// A first look that costs two runs, then, unless `best` is far ahead, samples that fill the budget.
    fn time(
        &mut self,
        work: &Work,
        buffers: &[Buffer],
        candidate: &Candidate,
        best: Option<f64>,
    ) -> Result<f64, DeviceError> {
        let sizes = operand_sizes(work, buffers, candidate);
        let bytes: u64 = sizes.values().sum();
        let wanted = (2 * self.device.target().l2_bytes).div_ceil(bytes.max(1)) as usize;
        let count = wanted.clamp(1, MOST_SETS);
        self.provide(count, &sizes)?;
        let sets = &self.sets[..count];
        let prepared = sets.iter().map(|set| self.load(candidate, set)).collect::<Result<Vec<_>, _>>()?;
        let mut enqueue = |stream: &Stream, call: u32| {
            prepared[call as usize % prepared.len()].iter().try_for_each(|launch| launch.enqueue(stream))
        };
        let look = Repetitions { warm_up: 1, samples: 1, calls: 1 };
        let first = self.timer.measure(&self.stream, look, &mut enqueue)?.min();
        if best.is_some_and(|best| first > HOPELESS * best) {
            return Ok(first);
        }
        let repetitions = Repetitions::for_budget(first, BUDGET_US);
        Ok(self.timer.measure_graph(&self.stream, repetitions, enqueue)?.median())
    }

    /// Sees to it that there are `count` sets with at least these bytes for each role, filled with the pattern. What
    /// an earlier candidate needed is kept: asking the driver for memory takes longer than most kernels.
    fn provide(&mut self, count: usize, sizes: &BTreeMap<Role, u64>) -> Result<(), DeviceError> {
        self.sets.resize_with(self.sets.len().max(count), BTreeMap::new);
        for set in &mut self.sets[..count] {
            for (&role, &bytes) in sizes {
                if set.get(&role).is_some_and(|buffer| buffer.len() as u64 >= bytes) {
                    continue;
                }
                // The old one first, so that both need not fit.
                set.remove(&role);
                let buffer = DeviceBuffer::alloc(&self.device, bytes as usize)?;
                for offset in (0..buffer.len()).step_by(PATTERN_BYTES) {
                    let count = PATTERN_BYTES.min(buffer.len() - offset);
                    buffer.enqueue_copy_within_device(offset, &self.pattern, 0, count, &self.stream)?;
                }
                set.insert(role, buffer);
            }
        }
        Ok(())
    }

    fn load(
        &self,
        candidate: &Candidate,
        operands: &BTreeMap<Role, DeviceBuffer>,
    ) -> Result<Vec<PreparedLaunch>, DeviceError> {
        let arch = self.device.target().arch;
        let resolve = |role: Role| operands.get(&role).map(DeviceBuffer::ptr);
        candidate
            .launches
            .iter()
            .map(|launch| {
                let cubin = self.cache.get(&self.compiler, &launch.unit, arch)?;
                self.device.prepare(launch, &cubin, &resolve)
            })
            .collect()
    }
}

/// Random halves that are small and positive, so that no product overflows and the chip sees real switching.
fn small_halves(count: usize) -> Vec<u16> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let half = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // 0x2800 to 0x3BFF: 1/32 to 1. Two of them, read as one f32, are small and positive, too.
        0x2800 | (state & 0x13FF) as u16
    };
    (0..count).map(half).collect()
}

/// Bytes behind each role of a candidate.
fn operand_sizes(work: &Work, buffers: &[Buffer], candidate: &Candidate) -> BTreeMap<Role, u64> {
    let mut sizes: BTreeMap<Role, u64> = work
        .operands
        .iter()
        .map(|(role, operand)| (*role, buffers[operand.buffer.0 as usize].bytes.saturating_sub(operand.offset)))
        .collect();
    if let (Some((_, shape)), Some(packing)) = (&work.weights, &candidate.weights) {
        sizes.insert(Role::Weights, packing.bytes(shape));
    }
    if work.bias.is_some() {
        sizes.insert(Role::Bias, 4 * candidate.bias_len as u64);
    }
    if work.scales.is_some() {
        sizes.insert(Role::Scales, 4 * candidate.scales_len as u64);
    }
    if candidate.workspace > 0 {
        sizes.insert(Role::Workspace, candidate.workspace as u64);
    }
    sizes
}

impl Measure for DeviceMeasure<'_> {
    fn identity(&self) -> String {
        let (device, driver) = (self.device.name(), self.device.driver_version());
        format!("{device}, driver {driver}, NVRTC {}", self.compiler.version())
    }

    fn prepare(&mut self, units: &[CompileUnit]) {
        // Failures are reported by the candidate they belong to.
        let _ = self.cache.get_all(&self.compiler, units, self.device.target().arch);
    }

    fn measure(
        &mut self,
        work: &Work,
        buffers: &[Buffer],
        candidate: &Candidate,
        best: Option<f64>,
    ) -> Result<f64, MeasureError> {
        self.time(work, buffers, candidate, best).map_err(|error| MeasureError(error.to_string()))
    }

    fn progress(&mut self, done: usize, of: usize) {
        (self.progress)(done, of);
    }
}

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

/// Sets of operands at most; small sites reach the cache's size only with many.
const MOST_SETS: usize = 16;

/// Measures on one GPU.
pub struct DeviceMeasure<'a> {
    device: Device,
    stream: Stream,
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
        Ok(Self {
            device: device.clone(),
            stream: Stream::new(device)?,
            timer: Timer::new(device),
            compiler: Compiler::new()?,
            cache,
            progress,
        })
    }

    fn time(&mut self, work: &Work, buffers: &[Buffer], candidate: &Candidate) -> Result<f64, DeviceError> {
        let sizes = operand_sizes(work, buffers, candidate);
        let bytes: u64 = sizes.values().sum();
        let wanted = (2 * self.device.target().l2_bytes).div_ceil(bytes.max(1)) as usize;
        let sets = (0..wanted.clamp(1, MOST_SETS)).map(|_| self.operands(&sizes)).collect::<Result<Vec<_>, _>>()?;
        let prepared = sets.iter().map(|set| self.load(candidate, set)).collect::<Result<Vec<_>, _>>()?;
        let estimate = candidate.cost.bytes as f64 / self.device.target().bandwidth * 1e6;
        let repetitions = Repetitions::for_budget(estimate, BUDGET_US);
        let samples = self.timer.measure_graph(&self.stream, repetitions, |stream, call| {
            prepared[call as usize % prepared.len()].iter().try_for_each(|launch| launch.enqueue(stream))
        })?;
        Ok(samples.median())
    }

    /// Buffers for every role. Small positive halves, so that no product overflows and clocks see real switching.
    fn operands(&self, sizes: &BTreeMap<Role, u64>) -> Result<BTreeMap<Role, DeviceBuffer>, DeviceError> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // As f16 0x2800..0x3BFF: 1/32 to 1. Two of them, read as f32, are small and positive, too.
            0x2800 | (state & 0x13FF) as u16
        };
        let fill = |bytes: u64, random: &mut dyn FnMut() -> u16| -> Vec<u16> {
            (0..bytes.div_ceil(2)).map(|_| random()).collect()
        };
        sizes
            .iter()
            .map(|(&role, &bytes)| Ok((role, DeviceBuffer::from_slice(&self.stream, &fill(bytes, &mut random))?)))
            .collect()
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

    fn measure(&mut self, work: &Work, buffers: &[Buffer], candidate: &Candidate) -> Result<f64, MeasureError> {
        self.time(work, buffers, candidate).map_err(|error| MeasureError(error.to_string()))
    }

    fn progress(&mut self, done: usize, of: usize) {
        (self.progress)(done, of);
    }
}

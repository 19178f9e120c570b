use super::{RunError, Session};
use limpid_graph::tensor::Tensor;
use limpid_kernels::device::{Clocks, DeviceError, Samples};
use std::time::Instant;

/// How long runs took.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// From calling [`Session::run`] to having its answer, transfers included, µs.
    pub host: Samples,
    /// The network alone, on the GPU's own clock, µs; `None` on the CPU.
    pub device: Option<Samples>,
    /// What the GPU's clocks stood at right after, if NVML tells; a time without its clock is half a figure.
    pub clocks: Option<Clocks>,
}

impl Session {
    /// Runs the network again and again on these inputs. At least one iteration is measured.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn measure(&mut self, inputs: &[Tensor], warm_up: u32, iterations: u32) -> Result<Latency, RunError> {
        for _ in 0..warm_up {
            self.run(inputs)?;
        }
        let iterations = iterations.max(1);
        let mut times = Vec::with_capacity(iterations as usize);
        for _ in 0..iterations {
            let start = Instant::now();
            self.run(inputs)?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let device = self.executor_mut().device_times(iterations)?.and_then(Samples::new);
        let clocks = self.executor_mut().clocks();
        let host = Samples::new(times).ok_or(DeviceError::Clock)?;
        Ok(Latency { host, device, clocks })
    }
}

//! How long work takes on the GPU.
//!
//! Events mark the stream before and after each sample, and nothing waits in between: the queue stays full, so
//! what is measured is the GPU and not the CPU's way to it. A kernel of a few microseconds is over before the
//! CPU has enqueued the next. [`Timer::measure_graph`] records many calls as one graph for it, which is also
//! how the kernel will run later; [`Timer::measure_refreshed`], where each call is a sample, keeps the GPU busy with
//! something else while the CPU enqueues the next few.

use super::buffer::DeviceBuffer;
use super::context::Device;
use super::error::DeviceError;
use super::event::Event;
use super::graph::GraphExec;
use super::samples::Samples;
use super::stream::Stream;

/// How often to do the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repetitions {
    /// Samples thrown away: clocks rise, caches and instruction memory fill.
    pub warm_up: u32,
    /// Samples kept, at least 1.
    pub samples: u32,
    /// Calls per sample, at least 1. The resolution of events, about 0.5 µs, is divided by it.
    pub calls: u32,
}

impl Repetitions {
    /// Enough to tell candidates apart: calls that fill some 100 µs per sample, and samples that fill `budget_us`
    /// together, at least 5 and at most 50, for work of about `estimate_us`.
    pub fn for_budget(estimate_us: f64, budget_us: f64) -> Self {
        let estimate_us = estimate_us.max(0.5);
        let calls = (100.0 / estimate_us).clamp(1.0, 50.0).round();
        let samples = (budget_us / (estimate_us * calls)).clamp(5.0, 50.0);
        Self { warm_up: 2, samples: samples as u32, calls: calls as u32 }
    }
}

/// Samples enqueued while the GPU is held busy.
const AHEAD: usize = 64;
/// What holds it: fills of a buffer, which take four milliseconds on the fastest memory of 2025 and longer on others. The
/// CPU takes half a millisecond to enqueue as many samples, and more where other programs want it as well.
const HOLD_BYTES: usize = 64 << 20;
const HOLD_FILLS: usize = 512;

/// Events to measure with, kept from one measurement to the next.
#[derive(Debug)]
pub struct Timer {
    device: Device,
    marks: Vec<(Event, Event)>,
}

impl Timer {
    /// A timer for work on this GPU.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), marks: Vec::new() }
    }

    /// Times `work`, which enqueues one call of what is measured; it gets the call's number, to rotate buffers by, so
    /// that the second-level cache does not hold what a real run would have to fetch. µs per call.
    ///
    /// # Errors
    /// Those of `work`, or of the kernels.
    pub fn measure(
        &mut self,
        stream: &Stream,
        repetitions: Repetitions,
        mut work: impl FnMut(&Stream, u32) -> Result<(), DeviceError>,
    ) -> Result<Samples, DeviceError> {
        let calls = repetitions.calls.max(1);
        let mut number = 0;
        let mut sample = |stream: &Stream| {
            for _ in 0..calls {
                work(stream, number)?;
                number = number.wrapping_add(1);
            }
            Ok(())
        };
        self.sample(stream, repetitions, calls, &mut |_, _| Ok(()), &mut sample)
    }

    /// As [`Timer::measure`] with one call a sample, however short; before each, `refresh` enqueues what is not to be in
    /// its time. It gets the sample's number, those of the warm-up counted as well.
    ///
    /// # Errors
    /// Those of `refresh` and `work`, or of the kernels.
    pub fn measure_refreshed(
        &mut self,
        stream: &Stream,
        repetitions: Repetitions,
        mut refresh: impl FnMut(&Stream, u32) -> Result<(), DeviceError>,
        mut work: impl FnMut(&Stream) -> Result<(), DeviceError>,
    ) -> Result<Samples, DeviceError> {
        let hold = DeviceBuffer::alloc(&self.device, HOLD_BYTES)?;
        let mut number = 0;
        let mut refresh = |stream: &Stream, count: u32| {
            if number % AHEAD == 0 {
                (0..HOLD_FILLS).try_for_each(|_| hold.enqueue_fill(0, stream))?;
            }
            number += 1;
            refresh(stream, count)
        };
        self.sample(stream, repetitions, 1, &mut refresh, &mut work)
    }

    /// As [`Timer::measure`], with the calls of a sample recorded as one graph: `work` is called once for each, and
    /// the graph is launched for every sample.
    ///
    /// # Errors
    /// Those of `work`, of the recording, or of the kernels.
    pub fn measure_graph(
        &mut self,
        stream: &Stream,
        repetitions: Repetitions,
        mut work: impl FnMut(&Stream, u32) -> Result<(), DeviceError>,
    ) -> Result<Samples, DeviceError> {
        let calls = repetitions.calls.max(1);
        let graph = GraphExec::capture(stream, |stream| (0..calls).try_for_each(|number| work(stream, number)))?;
        self.sample(stream, repetitions, calls, &mut |_, _| Ok(()), &mut |stream| graph.launch(stream))
    }

    fn sample(
        &mut self,
        stream: &Stream,
        repetitions: Repetitions,
        calls: u32,
        refresh: &mut dyn FnMut(&Stream, u32) -> Result<(), DeviceError>,
        once: &mut dyn FnMut(&Stream) -> Result<(), DeviceError>,
    ) -> Result<Samples, DeviceError> {
        let count = repetitions.samples.max(1) as usize;
        while self.marks.len() < count {
            self.marks.push((Event::timing(&self.device)?, Event::timing(&self.device)?));
        }
        for number in 0..repetitions.warm_up {
            refresh(stream, number)?;
            once(stream)?;
        }
        for ((before, after), number) in self.marks[..count].iter().zip(repetitions.warm_up..) {
            refresh(stream, number)?;
            before.record(stream)?;
            once(stream)?;
            after.record(stream)?;
        }
        stream.synchronize()?;
        let mut microseconds = Vec::with_capacity(count);
        for (before, after) in &self.marks[..count] {
            microseconds.push(f64::from(before.elapsed_ms(after)?) * 1e3 / f64::from(calls));
        }
        Samples::new(microseconds).ok_or(DeviceError::Clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_work_is_called_often_and_long_work_seldom() {
        let short = Repetitions::for_budget(5.0, 2000.0);
        assert_eq!((short.calls, short.samples), (20, 20));
        let long = Repetitions::for_budget(50_000.0, 2000.0);
        assert_eq!((long.calls, long.samples), (1, 5));
        let unknown = Repetitions::for_budget(0.0, 2000.0);
        assert_eq!((unknown.calls, unknown.samples), (50, 50));
    }
}

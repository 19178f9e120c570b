//! Keeping queries coming.

use super::{Measurement, Options};
use crate::runtime::{Lane, Origin, RunError, Trace};
use limpid_kernels::device::Clocks;
use std::collections::VecDeque;
use std::time::Duration;

/// Queries that are under way in a lane at least, so that the device never waits for the host: a thread that sleeps
/// until the oldest is done wakes some 50 µs later, and small networks answer in 10.
const UNDER_WAY: usize = 16;

/// What came of the queries of some lanes.
#[derive(Default)]
pub(super) struct Outcome {
    traces: Vec<Trace>,
    warm_up: usize,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.traces.extend(other.traces);
        self.warm_up += other.warm_up;
    }

    pub(super) fn measurement(mut self, clocks: Option<Clocks>) -> Measurement {
        self.traces.sort_by(|a, b| a.h2d_start.total_cmp(&b.h2d_start));
        let begin = self.traces.first().map_or(0.0, |trace| trace.h2d_start);
        let end = self.traces.iter().map(|trace| trace.d2h_end).fold(begin, f64::max);
        Measurement { traces: self.traces, warm_up_queries: self.warm_up, walltime_ms: end - begin, clocks }
    }
}

/// Runs queries on all lanes, in one thread or in a thread each.
pub(super) fn run(lanes: &mut [Box<dyn Lane>], options: &Options, origin: &Origin) -> Result<Outcome, RunError> {
    if !options.threads {
        return Driver::new(lanes, options, origin).run();
    }
    let outcomes: Vec<Result<Outcome, RunError>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            lanes.chunks_mut(1).map(|lane| scope.spawn(|| Driver::new(lane, options, origin).run())).collect();
        let outcomes = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        outcomes.collect()
    });
    let mut all = Outcome::default();
    for outcome in outcomes {
        all.add(outcome?);
    }
    Ok(all)
}

/// One thread's lanes.
struct Driver<'a> {
    lanes: Vec<Busy<'a>>,
    options: &'a Options,
    origin: &'a Origin,
    outcome: Outcome,
}

/// A lane, and which of its queries under way are measured.
struct Busy<'a> {
    lane: &'a mut dyn Lane,
    under_way: VecDeque<bool>,
    next_set: usize,
}

impl<'a> Driver<'a> {
    fn new(lanes: &'a mut [Box<dyn Lane>], options: &'a Options, origin: &'a Origin) -> Self {
        let busy = |lane: &'a mut Box<dyn Lane>| Busy { lane: &mut **lane, under_way: VecDeque::new(), next_set: 0 };
        Self { lanes: lanes.iter_mut().map(busy).collect(), options, origin, outcome: Outcome::default() }
    }

    /// Rounds of one query on each lane, until both time and number are reached; then what is under way ends.
    fn run(mut self) -> Result<Outcome, RunError> {
        let end = self.options.warm_up_ms + self.options.duration_s * 1e3;
        let (sets, mut measured) = (self.options.sets(), 0);
        let most = UNDER_WAY.max(2 * sets);
        loop {
            let now = self.origin.elapsed_ms();
            // What is begun after the warm-up counts, so that as many count as were asked for.
            let counts = now >= self.options.warm_up_ms;
            if counts && now >= end && measured >= self.options.iterations.max(1) {
                break;
            }
            measured += u32::from(counts);
            for busy in &mut self.lanes {
                if busy.under_way.len() >= most {
                    busy.finish(&mut self.outcome)?;
                }
                busy.lane.submit(busy.next_set)?;
                busy.next_set = (busy.next_set + 1) % sets;
                busy.under_way.push_back(counts);
            }
            if self.options.idle_ms > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(self.options.idle_ms / 1e3));
            }
        }
        for busy in &mut self.lanes {
            while !busy.under_way.is_empty() {
                busy.finish(&mut self.outcome)?;
            }
        }
        Ok(self.outcome)
    }
}

impl Busy<'_> {
    fn finish(&mut self, outcome: &mut Outcome) -> Result<(), RunError> {
        let trace = self.lane.finish()?;
        match self.under_way.pop_front() {
            Some(true) => outcome.traces.extend(trace),
            _ => outcome.warm_up += 1,
        }
        Ok(())
    }
}

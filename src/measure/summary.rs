use super::{Measurement, Trace};
use serde::Serialize;
use std::fmt;

/// What many values amount to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistic {
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// The middle one, or the mean of the two middle ones.
    pub median: f64,
    /// The percentiles asked for, in that order.
    pub percentiles: Vec<Percentile>,
    /// Standard deviation as a share of the mean: how steady they are.
    pub variation: f64,
    /// How far the middle half reaches, as a share of the median.
    pub spread: f64,
}

/// A bound that a share of all values does not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentile {
    /// The share, percent.
    pub percent: f64,
    /// The bound: one of the values, the one that trtexec picks.
    pub value: f64,
}

impl Statistic {
    /// Of these values in any order; `None` if there are none.
    pub fn of(mut values: Vec<f64>, percents: &[f64]) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let share = |of: f64, whole: f64| if whole > 0.0 { of / whole } else { 0.0 };
        let median = between(&values, 0.5);
        Some(Self {
            min,
            max,
            mean,
            median,
            percentiles: percents
                .iter()
                .map(|&percent| Percentile { percent, value: pick(&values, percent) })
                .collect(),
            variation: share(deviation, mean),
            spread: share(between(&values, 0.75) - between(&values, 0.25), median),
        })
    }
}

/// The quantile `q` of sorted values, between neighbours interpolated.
fn between(values: &[f64], q: f64) -> f64 {
    let place = q * (values.len() - 1) as f64;
    let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// trtexec's percentile: as many of the largest values are left out as 100 - `percent` percent come to, rounded down.
fn pick(values: &[f64], percent: f64) -> f64 {
    let left_out = ((1.0 - percent.clamp(0.0, 100.0) / 100.0) * values.len() as f64) as usize;
    values[(values.len() - 1).saturating_sub(left_out)]
}

/// A part of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Inputs move to the device.
    CopyIn,
    /// The network.
    Compute,
    /// Outputs move to the host.
    CopyOut,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::CopyIn => "copies in",
            Part::Compute => "compute",
            Part::CopyOut => "copies out",
        })
    }
}

/// What a measurement amounts to; times in ms.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Queries measured.
    pub queries: usize,
    /// From the first one's beginning to the last one's end.
    pub walltime_ms: f64,
    /// Queries per second; a query is a batch.
    pub throughput: f64,
    /// [`Trace::latency`].
    pub latency: Statistic,
    /// [`Trace::enqueue`].
    pub enqueue: Statistic,
    /// [`Trace::h2d`].
    pub h2d: Statistic,
    /// [`Trace::compute`].
    pub compute: Statistic,
    /// [`Trace::d2h`].
    pub d2h: Statistic,
    /// All inferences together. With several streams it may exceed the wall time.
    pub total_compute_ms: f64,
    /// All parts together as a share of the wall time: 1 is a device that does one thing at a time without a gap, more is
    /// overlap, less are gaps.
    pub busy: f64,
}

impl Summary {
    /// `None` if nothing was measured.
    pub fn of(measurement: &Measurement, percents: &[f64]) -> Option<Self> {
        let traces = &measurement.traces;
        let statistic = |part: fn(&Trace) -> f64| Statistic::of(traces.iter().map(part).collect(), percents);
        let walltime_ms = measurement.walltime_ms.max(f64::MIN_POSITIVE);
        Some(Self {
            queries: traces.len(),
            walltime_ms: measurement.walltime_ms,
            throughput: traces.len() as f64 / walltime_ms * 1e3,
            latency: statistic(Trace::latency)?,
            enqueue: statistic(Trace::enqueue)?,
            h2d: statistic(Trace::h2d)?,
            compute: statistic(Trace::compute)?,
            d2h: statistic(Trace::d2h)?,
            total_compute_ms: traces.iter().map(Trace::compute).sum(),
            busy: traces.iter().map(Trace::latency).sum::<f64>() / walltime_ms,
        })
    }

    /// The part that would still be there if all others were hidden behind it, and the throughput it alone would
    /// allow, queries/s. Only parts that were measured without overlap tell how long they take by themselves.
    pub fn bound(&self) -> (Part, f64) {
        let parts = [(Part::Compute, &self.compute), (Part::CopyIn, &self.h2d), (Part::CopyOut, &self.d2h)];
        let (part, slowest) = parts.into_iter().fold((Part::Compute, 0.0), |(part, most), (other, statistic)| {
            if statistic.median > most { (other, statistic.median) } else { (part, most) }
        });
        (part, 1e3 / slowest.max(f64::MIN_POSITIVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_trtexec() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let statistic = Statistic::of(values, &[90.0, 95.0, 99.0, 100.0, 0.0]).expect("200 values");
        let picked: Vec<f64> = statistic.percentiles.iter().map(|p| p.value).collect();
        // 20, 10, 2 and 0 of the largest are left out; nothing is left of none.
        assert_eq!(picked[1..], [190.0, 198.0, 200.0, 1.0]);
        assert!((180.0..=181.0).contains(&picked[0]), "0.1 * 200 rounds either way");
        assert_eq!((statistic.min, statistic.max, statistic.mean, statistic.median), (1.0, 200.0, 100.5, 100.5));
        assert!((statistic.spread - 99.5 / 100.5).abs() < 1e-12);
        assert!((statistic.variation - (39_999f64 / 12.0).sqrt() / 100.5).abs() < 1e-12);
        assert_eq!(Statistic::of(vec![], &[]), None);
    }

    fn trace(start: f64, h2d: f64, compute: f64, d2h: f64) -> Trace {
        let (there, done) = (start + h2d, start + h2d + compute);
        Trace {
            enqueue_start: start,
            enqueue_end: start + 0.125,
            h2d_start: start,
            h2d_end: there,
            compute_start: there,
            compute_end: done,
            d2h_start: done,
            d2h_end: done + d2h,
        }
    }

    #[test]
    fn a_summary_adds_up() {
        let traces: Vec<Trace> = (0..10).map(|i| trace(10.0 + 4.0 * f64::from(i), 1.0, 2.0, 0.5)).collect();
        let measurement = Measurement { traces, warm_up_queries: 3, walltime_ms: 40.0, clocks: None };
        let summary = Summary::of(&measurement, &[99.0]).expect("ten queries");
        assert_eq!((summary.queries, summary.throughput, summary.total_compute_ms), (10, 250.0, 20.0));
        assert_eq!((summary.latency.median, summary.enqueue.max, summary.busy), (3.5, 0.125, 35.0 / 40.0));
        assert_eq!(summary.bound(), (Part::Compute, 500.0));
        assert_eq!(Summary::of(&Measurement { traces: vec![], ..measurement }, &[]), None);
    }
}

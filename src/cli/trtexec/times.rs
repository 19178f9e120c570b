//! `--exportTimes`: every query's times, in trtexec's schema (tests/schemas/trtexec/times.json).

use super::json;
use crate::cli::CommandError;
use crate::measure::Trace;
use serde::Serialize;
use std::path::Path;

/// A query; moments since the clock was started, and durations, ms.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    start_enq_ms: f64,
    end_enq_ms: f64,
    start_h2d_ms: f64,
    end_h2d_ms: f64,
    start_compute_ms: f64,
    end_compute_ms: f64,
    start_d2h_ms: f64,
    end_d2h_ms: f64,
    h2d_ms: f64,
    compute_ms: f64,
    d2h_ms: f64,
    latency_ms: f64,
}

impl From<&Trace> for Query {
    fn from(trace: &Trace) -> Self {
        Self {
            start_enq_ms: trace.enqueue_start,
            end_enq_ms: trace.enqueue_end,
            start_h2d_ms: trace.h2d_start,
            end_h2d_ms: trace.h2d_end,
            start_compute_ms: trace.compute_start,
            end_compute_ms: trace.compute_end,
            start_d2h_ms: trace.d2h_start,
            end_d2h_ms: trace.d2h_end,
            h2d_ms: trace.h2d(),
            compute_ms: trace.compute(),
            d2h_ms: trace.d2h(),
            latency_ms: trace.latency(),
        }
    }
}

/// Writes all queries, in the order they began.
pub(super) fn export(path: &Path, traces: &[Trace]) -> Result<(), CommandError> {
    json::write(path, &traces.iter().map(Query::from).collect::<Vec<_>>())
}

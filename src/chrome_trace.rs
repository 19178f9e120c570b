//! A run as a picture: spans of time on tracks, for chrome://tracing and <https://ui.perfetto.dev>.
//!
//! ```
//! use limpid::chrome_trace::ChromeTrace;
//!
//! let mut trace = ChromeTrace::new("limpid run");
//! let host = trace.track("host");
//! trace.span(host, "read inputs", 0.0, 1500.0, &[("files", "3")]);
//! assert!(trace.to_json().contains(r#""name":"read inputs""#));
//! ```
//!
//! Source: *Trace Event Format*, Google, complete events (`"ph": "X"`).

use crate::measure::Trace;
use crate::output_file::write_whole;
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;
use std::time::Instant;

/// Spans of one process.
#[derive(Clone, Debug)]
pub struct ChromeTrace {
    events: Vec<Value>,
    tracks: u32,
}

/// A line that spans are drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track(u32);

/// Any number would do: there is one process.
const PROCESS: u32 = 1;

impl ChromeTrace {
    /// Of a process of this name.
    pub fn new(process: &str) -> Self {
        let name = json!({ "ph": "M", "pid": PROCESS, "name": "process_name", "args": { "name": process } });
        Self { events: vec![name], tracks: 0 }
    }

    /// A further track, below the others.
    pub fn track(&mut self, name: &str) -> Track {
        self.tracks += 1;
        let tid = self.tracks;
        let meta =
            |what: &str, args: Value| json!({ "ph": "M", "pid": PROCESS, "tid": tid, "name": what, "args": args });
        self.events.push(meta("thread_name", json!({ "name": name })));
        self.events.push(meta("thread_sort_index", json!({ "sort_index": tid })));
        Track(tid)
    }

    /// A span from `start_us` on, with what a click on it shows.
    pub fn span(&mut self, track: Track, name: &str, start_us: f64, duration_us: f64, shown: &[(&str, &str)]) {
        let args: Map<String, Value> = shown.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
        self.events.push(json!({
            "ph": "X", "pid": PROCESS, "tid": track.0, "name": name, "ts": start_us, "dur": duration_us, "args": args,
        }));
    }

    /// Queries, each part on a track of its own: the host's enqueueing, copies in, inferences, copies out. Times of
    /// traces count from `start_us`.
    pub fn queries(&mut self, traces: &[Trace], start_us: f64) {
        type Part = fn(&Trace) -> (f64, f64);
        let parts: [(&str, Part); 4] = [
            ("host: enqueue", |t| (t.enqueue_start, t.enqueue_end)),
            ("device: inputs", |t| (t.h2d_start, t.h2d_end)),
            ("device: inference", |t| (t.compute_start, t.compute_end)),
            ("device: outputs", |t| (t.d2h_start, t.d2h_end)),
        ];
        for (name, part) in parts {
            let track = self.track(name);
            for (number, (start, end)) in traces.iter().map(part).enumerate() {
                self.span(track, &format!("query {number}"), start_us + start * 1e3, (end - start) * 1e3, &[]);
            }
        }
    }

    /// Pieces of work that were timed each alone, µs, drawn end to end from `start_us` on: their group, and what it does.
    pub fn layers<'a, W: AsRef<str>>(&mut self, layers: impl IntoIterator<Item = (&'a str, W, f64)>, start_us: f64) {
        let track = self.track("layers, each timed alone");
        let mut start = start_us;
        for (group, what, duration) in layers {
            self.span(track, group, start, duration, &[("does", what.as_ref())]);
            start += duration;
        }
    }

    /// The whole as JSON.
    pub fn to_json(&self) -> String {
        json!({ "traceEvents": self.events, "displayTimeUnit": "ms" }).to_string()
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, |out| out.write_all(self.to_json().as_bytes()))
    }
}

/// What the host does, stage after stage, as it happens.
#[derive(Debug)]
pub struct Stages {
    start: Instant,
    done: Vec<(String, f64, f64)>,
}

impl Default for Stages {
    fn default() -> Self {
        Self::new()
    }
}

impl Stages {
    /// Time counts from now.
    pub fn new() -> Self {
        Self { start: Instant::now(), done: Vec::new() }
    }

    /// Since the beginning, µs.
    pub fn now_us(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1e6
    }

    /// Ends a stage that began where the one before ended.
    pub fn end(&mut self, name: &str) {
        let begun = self.done.last().map_or(0.0, |(_, _, end)| *end);
        self.done.push((name.to_owned(), begun, self.now_us()));
    }

    /// Draws them on a track of the host's, and returns where the last one ended, µs.
    pub fn draw(&self, trace: &mut ChromeTrace) -> f64 {
        let track = trace.track("host");
        for (name, start, end) in &self.done {
            trace.span(track, name, *start, end - start, &[]);
        }
        self.done.last().map_or(0.0, |(_, _, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(trace: &ChromeTrace) -> Vec<Value> {
        let value: Value = serde_json::from_str(&trace.to_json()).expect("JSON");
        value["traceEvents"].as_array().expect("a list").clone()
    }

    #[test]
    fn spans_lie_on_named_tracks() {
        let mut trace = ChromeTrace::new("test");
        let query = Trace {
            enqueue_start: 0.0,
            enqueue_end: 0.01,
            h2d_start: 0.02,
            h2d_end: 0.12,
            compute_start: 0.12,
            compute_end: 1.12,
            d2h_start: 1.12,
            d2h_end: 1.13,
        };
        trace.queries(&[query], 100.0);
        trace.layers([("conv1", "Conv+Relu", 3.5), ("fc", "Gemm", 1.0)], 7.0);
        let events = events(&trace);
        let find = |name: &str| events.iter().filter(|e| e["ph"] == "X" && e["name"] == name).collect::<Vec<_>>();
        let inference = find("query 0")[2];
        assert_eq!((inference["ts"].as_f64(), inference["dur"].as_f64()), (Some(220.0), Some(1000.0)));
        let fc = find("fc")[0];
        assert_eq!((fc["ts"].as_f64(), fc["args"]["does"].as_str()), (Some(10.5), Some("Gemm")));
        let named = |tid: &Value| events.iter().any(|e| e["name"] == "thread_name" && e["tid"] == *tid);
        assert!(events.iter().filter(|e| e["ph"] == "X").all(|e| named(&e["tid"])));
    }

    #[test]
    fn stages_follow_one_another() {
        let mut stages = Stages::new();
        stages.end("read");
        stages.end("run");
        let mut trace = ChromeTrace::new("test");
        let end = stages.draw(&mut trace);
        let spans: Vec<Value> = events(&trace).into_iter().filter(|e| e["ph"] == "X").collect();
        let edge = |span: &Value| span["ts"].as_f64().unwrap_or(-1.0) + span["dur"].as_f64().unwrap_or(-1.0);
        assert!((edge(&spans[0]) - spans[1]["ts"].as_f64().expect("a time")).abs() < 1e-6);
        assert!((edge(&spans[1]) - end).abs() < 1e-6 && spans[1]["name"] == "run");
    }
}

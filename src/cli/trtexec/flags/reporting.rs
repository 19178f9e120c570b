//! What is told, and where it is written.

use super::super::values::{file, percentiles, positive, put, set};
use super::Effect::Take;
use super::{Flag, Proof};
use std::path::Path;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "verbose",
        alias: Some("v"),
        help: "Say more, and explain the figures",
        effect: Take(|o, _| set(&mut o.reporting.verbose, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.verbose)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "avgRuns",
        value: Some("N"),
        help: "Queries that a line of the trace is the mean of (default 10)",
        effect: Take(|o, v| set(&mut o.reporting.average_runs, positive(v))),
        proof: Proof { taken: &[("100", |o| o.reporting.average_runs == 100)], wrong: &["0", "x"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "percentile",
        value: Some("P,.."),
        help: "Percentiles of the summary (default 90,95,99)",
        effect: Take(|o, v| set(&mut o.reporting.percentiles, percentiles(v))),
        proof: Proof {
            taken: &[("50,99.9", |o| o.reporting.percentiles == [50.0, 99.9])],
            wrong: &["101", "-1", "50,", "median"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "dumpOutput",
        help: "Print the outputs of the last query",
        effect: Take(|o, _| set(&mut o.reporting.dump_output, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.dump_output)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "dumpRawBindingsToFile",
        help: "Write inputs and outputs of the last query to raw files, named as trtexec names them",
        effect: Take(|o, _| set(&mut o.reporting.dump_raw_bindings, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.dump_raw_bindings)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "dumpProfile",
        help: "Print the time of each layer",
        effect: Take(|o, _| set(&mut o.reporting.dump_profile, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.dump_profile && o.reporting.profiles())], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "dumpLayerInfo",
        help: "Print the layers of the engine",
        effect: Take(|o, _| set(&mut o.reporting.dump_layer_info, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.dump_layer_info && o.reporting.lists_layers())], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "dumpOptimizationProfile",
        help: "Print the optimization profiles",
        effect: Take(|o, _| set(&mut o.reporting.dump_optimization_profile, Ok(true))),
        proof: Proof { taken: &[("", |o| o.reporting.dump_optimization_profile)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "exportTimes",
        value: Some("FILE"),
        help: "Write the times of every query as JSON",
        effect: Take(|o, v| put(&mut o.reporting.export_times, file(v))),
        proof: Proof {
            taken: &[("t.json", |o| o.reporting.export_times.as_deref() == Some(Path::new("t.json")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "exportOutput",
        value: Some("FILE"),
        help: "Write the outputs of the last query as JSON",
        effect: Take(|o, v| put(&mut o.reporting.export_output, file(v))),
        proof: Proof {
            taken: &[("o.json", |o| o.reporting.export_output.as_deref() == Some(Path::new("o.json")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "exportProfile",
        value: Some("FILE"),
        help: "Write the time of each layer as JSON",
        effect: Take(|o, v| put(&mut o.reporting.export_profile, file(v))),
        proof: Proof { taken: &[("p.json", |o| o.reporting.profiles() && !o.reporting.dump_profile)], wrong: &[""] },
        ..Flag::PLAIN
    },
    Flag {
        name: "exportLayerInfo",
        value: Some("FILE"),
        help: "Write the layers of the engine as JSON",
        effect: Take(|o, v| put(&mut o.reporting.export_layer_info, file(v))),
        proof: Proof {
            taken: &[("l.json", |o| o.reporting.lists_layers() && !o.reporting.dump_layer_info)],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
];

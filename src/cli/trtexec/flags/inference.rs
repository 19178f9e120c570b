//! How queries are run.

use super::super::options::Accuracy;
use super::super::values::{amount, duration, files, positive, put, set, shapes, whole, word};
use super::Effect::Take;
use super::{Flag, Proof};
use std::path::PathBuf;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "shapes",
        value: Some("SPEC"),
        help: "Extents of the inputs, where the model leaves them open: input:8x3x224x224,other:8x10",
        effect: Take(|o, v| set(&mut o.inference.shapes, shapes(v))),
        proof: Proof {
            taken: &[("x:8x3x4x4", |o| o.inference.shapes == [("x".to_owned(), vec![8, 3, 4, 4])])],
            wrong: &["8x3", "x:8,3"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "useProfile",
        value: Some("N"),
        help: "The optimization profile to run with (default 0)",
        effect: Take(|o, v| set(&mut o.inference.profile, whole(v).map(|n| n as usize))),
        proof: Proof { taken: &[("1", |o| o.inference.profile == 1)], wrong: &["-1"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "loadInputs",
        value: Some("SPEC"),
        help: "Inputs from raw files (numpy's tofile): input:a.bin,'other:0':b.bin (default: random numbers)",
        effect: Take(|o, v| set(&mut o.inference.load_inputs, files(v))),
        proof: Proof {
            taken: &[("x:a.bin,'y:0':b.bin", |o| {
                let pair = |name: &str, path| (name.to_owned(), PathBuf::from(path));
                o.inference.load_inputs == [pair("x", "a.bin"), pair("y:0", "b.bin")]
            })],
            wrong: &["x", "x:", "'x:a"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "loadRefOutputs",
        value: Some("SPEC"),
        help: "Compare outputs with raw files: output:r.bin; needs --loadInputs and --accuracyThreshold",
        effect: Take(|o, v| set(&mut o.inference.reference_outputs, files(v))),
        proof: Proof { taken: &[("y:r.bin", |o| o.inference.reference_outputs.len() == 1)], wrong: &["y"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "accuracyAlgorithm",
        value: Some("SPEC"),
        help: "How the loss is told: l0 (default), the share outside the tolerance; l1; l2; lInf; cos",
        effect: Take(|o, v| set(&mut o.inference.accuracy, accuracy(v))),
        proof: Proof { taken: &[("lInf", |o| o.inference.accuracy == Accuracy::LInf)], wrong: &["l3"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "accuracyThreshold",
        value: Some("X"),
        help: "A loss of this much or more is a failure",
        effect: Take(|o, v| put(&mut o.inference.accuracy_threshold, threshold(v))),
        proof: Proof { taken: &[("0.01", |o| o.inference.accuracy_threshold == Some(0.01))], wrong: &["0", "-1", "x"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "atol",
        value: Some("X"),
        help: "The absolute part of l0's tolerance (default 1e-5)",
        effect: Take(|o, v| set(&mut o.inference.absolute_tolerance, amount(v))),
        proof: Proof { taken: &[("1e-3", |o| o.inference.absolute_tolerance == 1e-3)], wrong: &["-1", "nan"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "rtol",
        value: Some("X"),
        help: "Its relative part (default 1e-5)",
        effect: Take(|o, v| set(&mut o.inference.relative_tolerance, amount(v))),
        proof: Proof { taken: &[("0", |o| o.inference.relative_tolerance == 0.0)], wrong: &["inf"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "iterations",
        value: Some("N"),
        help: "Queries at least (default 10)",
        effect: Take(|o, v| set(&mut o.inference.iterations, whole(v))),
        proof: Proof { taken: &[("25", |o| o.inference.iterations == 25)], wrong: &["-1", "ten", "1.5"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "warmUp",
        value: Some("MS"),
        help: "Milliseconds of queries that are not counted (default 200)",
        effect: Take(|o, v| set(&mut o.inference.warm_up, amount(v))),
        proof: Proof { taken: &[("0", |o| o.inference.warm_up == 0.0)], wrong: &["-1", "long"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "duration",
        value: Some("S"),
        help: "Seconds of queries at least (default 3); -1 goes on until it is stopped",
        effect: Take(|o, v| set(&mut o.inference.duration, duration(v))),
        proof: Proof {
            taken: &[("0.5", |o| o.inference.duration == Some(0.5)), ("-1", |o| o.inference.duration.is_none())],
            wrong: &["-2", "forever"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "idleTime",
        value: Some("MS"),
        help: "Milliseconds between one query and the next (default 0)",
        effect: Take(|o, v| set(&mut o.inference.idle, amount(v))),
        proof: Proof { taken: &[("0.5", |o| o.inference.idle == 0.5)], wrong: &["x"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "infStreams",
        alias: Some("streams"),
        value: Some("N"),
        help: "Inferences that run side by side (default 1)",
        effect: Take(|o, v| set(&mut o.inference.streams, positive(v))),
        proof: Proof { taken: &[("4", |o| o.inference.streams == 4)], wrong: &["0", "-1"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "exposeDMA",
        help: "Copy and compute one after the other",
        effect: Take(|o, _| set(&mut o.inference.expose_dma, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.expose_dma)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "noDataTransfers",
        help: "Leave inputs and outputs on the GPU",
        effect: Take(|o, _| set(&mut o.inference.transfers, Ok(false))),
        proof: Proof { taken: &[("", |o| !o.inference.transfers)], wrong: &["1"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "includeDataTransfers",
        help: "Copy inputs and outputs with every query (default)",
        effect: Take(|o, _| set(&mut o.inference.transfers, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.transfers)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "useSpinWait",
        help: "Wait for the GPU without sleeping",
        effect: Take(|o, _| set(&mut o.inference.spin_wait, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.spin_wait)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "noSpinWait",
        help: "Sleep while waiting for the GPU (default)",
        effect: Take(|o, _| set(&mut o.inference.spin_wait, Ok(false))),
        proof: Proof { taken: &[("", |o| !o.inference.spin_wait)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "threads",
        help: "Drive each stream from a thread of its own",
        effect: Take(|o, _| set(&mut o.inference.threads, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.threads)], wrong: &["4"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "useCudaGraph",
        help: "Launch an inference as one CUDA graph",
        effect: Take(|o, _| set(&mut o.inference.cuda_graph, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.cuda_graph)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "noCudaGraph",
        help: "Launch an inference kernel by kernel (default)",
        effect: Take(|o, _| set(&mut o.inference.cuda_graph, Ok(false))),
        proof: Proof { taken: &[("", |o| !o.inference.cuda_graph)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "timeDeserialize",
        help: "Time reading the engine, and exit",
        effect: Take(|o, _| set(&mut o.inference.time_deserialize, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.time_deserialize)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "separateProfileRun",
        help: "Measure layers in a second run, so that the first is told, too",
        effect: Take(|o, _| set(&mut o.inference.separate_profile_run, Ok(true))),
        proof: Proof { taken: &[("", |o| o.inference.separate_profile_run)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "skipInference",
        alias: Some("buildOnly"),
        help: "Stop once the engine is there",
        effect: Take(|o, _| set(&mut o.build.skip_inference, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.skip_inference)], wrong: &[] },
        ..Flag::PLAIN
    },
];

fn accuracy(text: &str) -> Result<Accuracy, String> {
    let words = [
        ("l0", Accuracy::L0),
        ("l1", Accuracy::L1),
        ("l2", Accuracy::L2),
        ("lInf", Accuracy::LInf),
        ("cos", Accuracy::Cosine),
    ];
    word(text, &words)
}

fn threshold(text: &str) -> Result<f64, String> {
    amount(text).ok().filter(|x| *x > 0.0).ok_or_else(|| "expected a number above 0".to_owned())
}

//! The model, the machine and the help.

use super::super::values::{file, put, set, whole};
use super::Effect::Take;
use super::{Flag, Proof};
use std::path::Path;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "onnx",
        value: Some("FILE"),
        help: "The ONNX model",
        effect: Take(|o, v| put(&mut o.model, file(v))),
        proof: Proof { taken: &[("m.onnx", |o| o.model.as_deref() == Some(Path::new("m.onnx")))], wrong: &[""] },
        ..Flag::PLAIN
    },
    Flag {
        name: "help",
        alias: Some("h"),
        help: "Print this help",
        effect: Take(|o, _| {
            o.help = true;
            Ok(())
        }),
        proof: Proof { taken: &[("", |o| o.help)], wrong: &[] },
        ..Flag::PLAIN
    },
];

pub(super) const SYSTEM_FLAGS: &[Flag] = &[Flag {
    name: "device",
    value: Some("N"),
    help: "The GPU, counted from 0 (default 0)",
    effect: Take(|o, v| set(&mut o.system.device, whole(v).map(|n| n as usize))),
    proof: Proof { taken: &[("2", |o| o.system.device == 2)], wrong: &["-1", "cuda"] },
    ..Flag::PLAIN
}];

//! What is multiplied in.

use super::super::options::Constraints;
use super::super::values::{file, layer_devices, layer_output_types, layer_precisions, put, set, word};
use super::Effect::Take;
use super::{Flag, Proof};
use limpid_graph::ir::Precision;
use std::path::Path;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "tf32",
        help: "Multiply in TF32 where FP32 is asked for (default)",
        effect: Take(|o, _| set(&mut o.build.tf32, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.tf32)], wrong: &["1"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "noTF32",
        help: "Multiply in FP32 proper",
        effect: Take(|o, _| set(&mut o.build.tf32, Ok(false))),
        proof: Proof { taken: &[("", |o| !o.build.tf32)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "fp16",
        help: "Allow FP16",
        effect: Take(|o, _| set(&mut o.build.fp16, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.fp16 && o.build.precisions() == "FP32+FP16")], wrong: &["yes"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "int8",
        help: "Allow INT8, with scales from --calib, from the model's Q/DQ, or, for its speed, from random numbers",
        effect: Take(|o, _| set(&mut o.build.int8, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.int8 && o.build.precisions() == "FP32+INT8")], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "best",
        help: "Allow all precisions and take the fastest for each layer",
        effect: Take(|o, _| {
            (o.build.best, o.build.fp16, o.build.int8) = (true, true, true);
            Ok(())
        }),
        proof: Proof { taken: &[("", |o| o.build.best && o.build.precisions() == "FP32+FP16+INT8")], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "stronglyTyped",
        help: "Types as the model has them, its Q/DQ included",
        effect: Take(|o, _| set(&mut o.build.strongly_typed, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.precisions() == "Strongly Typed")], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "calib",
        value: Some("FILE"),
        help: "A calibration cache, in TensorRT's format",
        effect: Take(|o, v| put(&mut o.build.calibration, file(v))),
        proof: Proof {
            taken: &[("c.cache", |o| o.build.calibration.as_deref() == Some(Path::new("c.cache")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "precisionConstraints",
        value: Some("MODE"),
        help: "Whether --layerPrecisions and --layerOutputTypes hold: none (default), prefer, obey",
        effect: Take(|o, v| {
            let words = [("none", Constraints::None), ("prefer", Constraints::Prefer), ("obey", Constraints::Obey)];
            set(&mut o.build.constraints, word(v, &words))
        }),
        proof: Proof { taken: &[("obey", |o| o.build.constraints == Constraints::Obey)], wrong: &["must"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "layerPrecisions",
        value: Some("SPEC"),
        help: "Precisions of layers: /layer4/*:fp16,/fc/Gemm:fp32; the last that matches counts",
        effect: Take(|o, v| set(&mut o.build.layer_precisions, layer_precisions(v))),
        proof: Proof {
            taken: &[("*:fp16,conv:int8", |o| {
                let precisions: Vec<Precision> = o.build.layer_precisions.iter().map(|l| l.precision).collect();
                precisions == [Precision::Fp16, Precision::Int8] && o.build.layer_precisions[1].layer == "conv"
            })],
            wrong: &["conv", "conv:bf16", "conv:int32", "*conv*:fp16"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "layerOutputTypes",
        value: Some("SPEC"),
        help: "Types of layers' outputs: conv:fp16+fp16; limpid sets them with the layer's precision",
        effect: Take(|o, v| set(&mut o.build.layer_output_types, layer_output_types(v))),
        proof: Proof {
            taken: &[("split:fp16+fp16", |o| o.build.layer_output_types[0].precision == Precision::Fp16)],
            wrong: &["split:fp16+fp32", "split"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "layerDeviceTypes",
        value: Some("SPEC"),
        help: "Where layers run: GPU is all there is",
        effect: Take(|_, v| layer_devices(v)),
        proof: Proof { taken: &[("conv:GPU,fc:GPU", |_| true)], wrong: &["conv:DLA", "conv:CPU", "conv"] },
        ..Flag::PLAIN
    },
];

//! What goes into an engine and comes out of it.

use super::super::values::{formats, set, shapes, whole};
use super::Effect::Take;
use super::{Flag, Proof};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "minShapes",
        value: Some("SPEC"),
        help: "The least extents of an optimization profile: input:1x3x224x224,other:1x10",
        effect: Take(|o, v| {
            let profile = o.build.profile();
            once(profile.min.is_empty())?;
            set(&mut profile.min, shapes(v))
        }),
        repeats: true,
        proof: Proof {
            taken: &[("x:1x3x8x8,y:scalar", |o| {
                o.build.profiles[0].min == [("x".to_owned(), vec![1, 3, 8, 8]), ("y".to_owned(), vec![])]
            })],
            wrong: &["x", "x:1x3xN", "x:0x3", ""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "optShapes",
        value: Some("SPEC"),
        help: "The extents that it is tuned for first; those of inference where --shapes says nothing",
        effect: Take(|o, v| {
            let profile = o.build.profile();
            once(profile.opt.is_empty())?;
            set(&mut profile.opt, shapes(v))
        }),
        repeats: true,
        proof: Proof {
            taken: &[("x:4x3", |o| o.build.profiles[0].opt == [("x".to_owned(), vec![4, 3])])],
            wrong: &["x:4*3"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "maxShapes",
        value: Some("SPEC"),
        help: "The largest extents; of min, opt and max, what is left out is as what is there",
        effect: Take(|o, v| {
            let profile = o.build.profile();
            once(profile.max.is_empty())?;
            set(&mut profile.max, shapes(v))
        }),
        repeats: true,
        proof: Proof {
            taken: &[("'x:0':8x3", |o| o.build.profiles[0].max == [("x:0".to_owned(), vec![8, 3])])],
            wrong: &[":8x3"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "profile",
        value: Some("N"),
        help: "The min, opt and max shapes that follow are of optimization profile N, counted from 0",
        effect: Take(|o, v| set(&mut o.build.current_profile, profile_number(v))),
        repeats: true,
        proof: Proof { taken: &[("1", |o| o.build.current_profile == 1)], wrong: &["-1", "first", "1000"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "optShapesCalib",
        value: Some("SPEC"),
        help: "Extents of the random inputs that INT8 takes its scales from where there is no --calib",
        effect: Take(|o, v| set(&mut o.build.calibration_shapes, shapes(v))),
        proof: Proof {
            taken: &[("x:2x3", |o| o.build.calibration_shapes == [("x".to_owned(), vec![2, 3])])],
            wrong: &["x:2y3"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "calibProfile",
        value: Some("N"),
        help: "The profile whose opt shapes they have otherwise (default 0)",
        effect: Take(|o, v| set(&mut o.build.calibration_profile, profile_number(v))),
        proof: Proof { taken: &[("1", |o| o.build.calibration_profile == 1)], wrong: &["x"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "inputIOFormats",
        value: Some("SPEC"),
        help: "Type and format of each input, or one for all: fp16:chw,uint8:hwc; of several with +, the one kernels work in",
        effect: Take(|o, v| set(&mut o.build.input_formats, formats(v))),
        proof: Proof {
            taken: &[("fp16:chw+hwc8,uint8:hwc", |o| {
                let [first, second] = &o.build.input_formats[..] else { return false };
                first.to_string() == "fp16:chw+hwc8" && second.to_string() == "uint8:hwc"
            })],
            wrong: &["fp16", "bf16:chw", "fp16:chw2", "fp16:nchw", "fp99:chw"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "outputIOFormats",
        value: Some("SPEC"),
        help: "Type and format of each output, or one for all",
        effect: Take(|o, v| set(&mut o.build.output_formats, formats(v))),
        proof: Proof {
            taken: &[("fp32:chw", |o| o.build.output_formats[0].to_string() == "fp32:chw")],
            wrong: &["fp32:dla_linear"],
        },
        ..Flag::PLAIN
    },
];

/// A profile gets each of its shapes once.
fn once(first: bool) -> Result<(), String> {
    if first { Ok(()) } else { Err("given twice for one profile; put --profile=N before each further one".to_owned()) }
}

fn profile_number(text: &str) -> Result<usize, String> {
    // Every profile is tuned at several sizes: a hundred of them is a slip of the keyboard.
    let number = whole(text).ok().filter(|number| *number < 100);
    number.map(|number| number as usize).ok_or_else(|| "expected a profile's number, from 0 to 99".to_owned())
}

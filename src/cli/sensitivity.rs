use super::CommandError;
use super::calibration::CalibrationArgs;
use super::console::{Console, table};
use super::pictures::PictureArgs;
use crate::builder::{Builder, Destination};
use crate::input::Preprocessing;
use crate::sensitivity::{self, Report, Sensitivity};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Measure what INT8 does to each group of a network, alone and accumulated
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Every group that can be INT8 is measured on the samples of --calib by the CPU reference, whose INT8 has the same bits
as every GPU's; no kernel changes by it.
  alone        the group alone is INT8 and reads the true FP32 activations: its own output, as SQNR and cosine
  network      the same run at the network's output, and how many samples change their best class
  accumulated  every group is INT8: the group's output carries the errors of all before it, too

Example:
  limpid sensitivity resnet50.onnx --calib pictures/ --calib-max 32 --imagenet-norm --center-crop --top 10")]
pub(super) struct SensitivityArgs {
    /// The ONNX model
    model: PathBuf,

    /// Show only the N groups that hurt the network's output the most
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    #[command(flatten)]
    calibration: CalibrationArgs,

    #[command(flatten)]
    pictures: PictureArgs,
}

/// Measures and prints, the most sensitive group first.
pub(super) fn run(args: &SensitivityArgs, console: &mut Console) -> Result<(), CommandError> {
    let preprocessing = args.pictures.apply(&Preprocessing::default())?;
    let model = limpid_graph::onnx::load(&args.model).map_err(crate::builder::BuildError::from)?;
    let options = args.calibration.options(&model.graph, &preprocessing)?;
    let Some(samples) = options.samples.clone() else {
        return Err(CommandError::usage("sensitivity is measured on samples: name them with --calib"));
    };
    let builder = Builder::new(Destination::Cpu).preprocessing(preprocessing).int8(options);
    let (graph, scales) = builder.calibrate(&args.model, &mut console.progress())?;
    scales.notes.iter().for_each(|note| console.note(format_args!("note: {note}")));
    let report = sensitivity::measure(&graph, &|name| scales.get(name), samples.as_ref(), &mut console.progress())?;
    let mut groups: Vec<&Sensitivity> = report.groups.iter().collect();
    groups.sort_by(|a, b| b.network.relative_l2().total_cmp(&a.network.relative_l2()));
    groups.truncate(args.top.unwrap_or(usize::MAX));
    console.json(|| as_json(&report, &groups))?;
    show(&report, &groups, console)
}

fn show(report: &Report, groups: &[&Sensitivity], console: &mut Console) -> Result<(), CommandError> {
    console.print(format_args!(
        "{} groups can be INT8, measured on {} samples; the most sensitive first\n",
        report.groups.len(),
        report.samples
    ))?;
    let header = ["group", "", "alone", "cosine", "network", "cosine", "top-1 changed", "accumulated", "cosine"];
    let mut rows = table(header, &[2, 3, 4, 5, 6, 7, 8]);
    for group in groups {
        let changed = format!("{}/{}", group.changed, report.samples);
        rows.add_row([
            group.name.clone(),
            group.op.to_owned(),
            decibels(group.alone.sqnr_db()),
            format!("{:.5}", group.alone.cosine()),
            decibels(group.network.sqnr_db()),
            format!("{:.5}", group.network.cosine()),
            changed,
            decibels(group.accumulated.sqnr_db()),
            format!("{:.5}", group.accumulated.cosine()),
        ]);
    }
    console.print(rows.trim_fmt())?;
    console.print(format_args!(
        "\nevery group in INT8: {} at the output, cosine {:.5}, {} of {} samples change their best class",
        decibels(report.network.sqnr_db()),
        report.network.cosine(),
        report.changed,
        report.samples
    ))?;
    Ok(())
}

fn decibels(value: f64) -> String {
    format!("{value:.1} dB")
}

fn as_json(report: &Report, groups: &[&Sensitivity]) -> Value {
    let distance = |d: &crate::compare::Distance| json!({ "sqnr_db": d.sqnr_db(), "cosine": d.cosine() });
    let group = |group: &&Sensitivity| {
        json!({
            "name": group.name, "op": group.op, "alone": distance(&group.alone), "network": distance(&group.network),
            "top_1_changed": group.changed, "accumulated": distance(&group.accumulated),
        })
    };
    json!({
        "samples": report.samples, "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "network": distance(&report.network), "top_1_changed": report.changed,
    })
}

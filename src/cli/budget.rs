use super::CommandError;
use super::compare::labels;
use super::console::{Console, table};
use crate::budget::{self, Budget, Evaluation, Mix};
use crate::builder::{Builder, Destination, Int8};
use crate::compare::Truth;
use crate::input::{Dataset, Preprocessing};
use crate::sensitivity;
use clap::Args;
use limpid_graph::ir::Precision;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How good an INT8 engine must be.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "INT8")]
pub(super) struct BudgetArgs {
    /// Find the fastest mix of INT8 and FP16 whose Acc@1 is at most this much below FP32's, such as 0.1pp
    #[arg(long, value_name = "PP", value_parser = Budget::drop, conflicts_with = "min_cosine")]
    max_drop: Option<Budget>,

    /// Find the fastest mix of INT8 and FP16 whose output has at least this mean cosine to FP32's
    #[arg(long, value_name = "COSINE", value_parser = Budget::cosine)]
    min_cosine: Option<Budget>,

    /// What a mix is judged on: as --calib, and other samples than those
    #[arg(long, value_name = "DIR|FILE")]
    eval: Option<PathBuf>,

    /// Samples of --eval at most, spread over all there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    eval_max: Option<u32>,

    /// What the samples of --eval show; see `limpid labels` [env: LABELS_CSV]
    #[arg(long, value_name = "CSV")]
    labels: Option<PathBuf>,
}

impl BudgetArgs {
    /// The mix for a model, if a budget was given, with INT8's options completed by the scales that were found.
    pub(super) fn find(
        &self,
        model: &Path,
        int8: &Int8,
        preprocessing: &Preprocessing,
        console: &mut Console,
    ) -> Result<Option<(Mix, Int8)>, CommandError> {
        let Some(budget) = self.max_drop.or(self.min_cosine) else { return Ok(None) };
        let (Some(path), Some(samples)) = (&self.eval, &int8.samples) else {
            return Err(CommandError::usage("a budget needs samples: --calib to calibrate on, --eval to judge by"));
        };
        let cpu = Builder::new(Destination::Cpu).preprocessing(preprocessing.clone());
        let baseline = cpu.clone().precision(Precision::Fp32).build(model, &mut console.progress())?;
        let mut dataset = Dataset::open(path, &baseline.graph)?;
        if let Some(most) = self.eval_max {
            dataset = dataset.at_most(most as usize);
        }
        let (labels, _) = labels(self.labels.clone(), &dataset, &baseline, console)?;
        let truth = Truth { labels, masks: None };
        let (graph, scales) = cpu.int8(int8.clone()).calibrate(model, &mut console.progress())?;
        let report = sensitivity::measure(&graph, &|name| scales.get(name), samples.as_ref(), &mut console.progress());
        let evaluation = Evaluation { baseline: &baseline, dataset: &dataset, truth: &truth, preprocessing };
        let mix = budget::search(&graph, &scales, &report?, budget, &evaluation, &mut console.progress())?;
        show(&mix, budget, console)?;
        Ok(Some((mix, Int8 { known: Some(Arc::new(scales)), ..int8.clone() })))
    }
}

fn show(mix: &Mix, budget: Budget, console: &mut Console) -> Result<(), CommandError> {
    console.print(format_args!("the way to the mix ({budget})"))?;
    let mut rows = table(["INT8", "FP16", "change", "drop", "cosine", ""], &[0, 1, 3, 4]);
    for attempt in &mix.attempts {
        rows.add_row([
            attempt.int8.to_string(),
            attempt.fp16.to_string(),
            attempt.change.clone(),
            attempt.answer.drop.map_or(String::new(), |drop| format!("{drop:.2} pp")),
            format!("{:.5}", attempt.answer.cosine),
            if attempt.allowed { "inside" } else { "outside" }.to_owned(),
        ]);
    }
    console.print(format_args!("{}\n", rows.trim_fmt()))?;
    Ok(())
}

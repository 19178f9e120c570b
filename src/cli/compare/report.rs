use super::Side;
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::compare::{Accuracy, Layer, Report};
use crate::input::Dataset;
use serde_json::{Value, json};

/// What came of comparing two engines.
pub(super) struct Comparison<'a> {
    pub baseline: &'a Side<'a>,
    pub test: &'a Side<'a>,
    pub dataset: &'a Dataset,
    pub report: &'a Report,
    /// Where labels are from.
    pub origin: Option<String>,
    pub layers: Option<&'a [Layer]>,
}

impl Comparison<'_> {
    /// For people.
    pub(super) fn show(&self, console: &mut Console) -> Result<(), CommandError> {
        let mut rows = vec![("baseline", self.baseline.line()), ("test", self.test.line())];
        let skipped = self.dataset.skipped().len();
        let besides = if skipped > 0 { format!("; {} skipped", units::count(skipped, "file")) } else { String::new() };
        rows.push(("samples", format!("{} of {}{besides}", self.report.samples, self.dataset.root().display())));
        if let (Some(origin), Some((_, counts))) = (&self.origin, &self.report.classification) {
            rows.push(("labels", format!("{} of {}, from {origin}", counts.labelled(), self.report.samples)));
        }
        console.print(pairs(rows))?;
        self.show_answers(console)?;

        let header = ["output", "cosine", "least", "relative L2", "L2", "largest difference"];
        let mut outputs = table(header, &[1, 2, 3, 4, 5]);
        for output in &self.report.outputs {
            outputs.add_row([
                output.name.clone(),
                format!("{:.6}", output.mean_cosine),
                format!("{:.6}", output.least_cosine),
                format!("{:.2e}", output.mean_relative_l2),
                format!("{:.2e}", output.mean_l2),
                format!("{:.2e}", output.largest_difference),
            ]);
        }
        console.print(format_args!("\n{}", outputs.trim_fmt()))?;
        for output in self.report.outputs.iter().filter(|output| output.not_finite > 0) {
            let samples = units::count(output.not_finite, "sample");
            console.print(format_args!("`{}` is not finite in {samples}", output.name))?;
        }
        self.show_layers(console)
    }

    /// How often the two say the same, and how often they are right.
    fn show_answers(&self, console: &mut Console) -> Result<(), CommandError> {
        let mut rows = table(["", "agreement", "baseline", "test", "difference"], &[1, 2, 3, 4]);
        let mut add = |name: &str, agreement: Option<f64>, ours: Option<f64>, theirs: Option<f64>| {
            let difference = ours.zip(theirs).map_or(String::new(), |(a, b)| format!("{:+.2} pp", (b - a) * 100.0));
            let [agreement, ours, theirs] = [agreement, ours, theirs].map(percent);
            rows.add_row([name.to_owned(), agreement, ours, theirs, difference]);
        };
        if let Some((_, counts)) = &self.report.classification {
            let (ours, theirs) = (counts.baseline(), counts.test());
            let first = |accuracy: Option<Accuracy>| accuracy.map(|a| a.top_1);
            let five = |accuracy: Option<Accuracy>| accuracy.and_then(|a| a.top_5);
            add("top-1", Some(counts.top_1_agreement()), first(ours), first(theirs));
            if counts.top_5_agreement().is_some() {
                add("top-5", counts.top_5_agreement(), five(ours), five(theirs));
            }
        }
        if let Some((_, counts)) = &self.report.segmentation {
            add("pixels", Some(counts.pixel_agreement()), None, None);
            if counts.masked() > 0 {
                add("mIoU", None, counts.baseline().mean_iou(), counts.test().mean_iou());
            }
        }
        if !rows.is_empty() {
            console.print(format_args!("\n{}", rows.trim_fmt()))?;
        }
        Ok(())
    }

    fn show_layers(&self, console: &mut Console) -> Result<(), CommandError> {
        let Some(layers) = self.layers else { return Ok(()) };
        let mut rows = table(["value", "operator", "types", "SQNR", "cosine", "relative L2"], &[3, 4, 5]);
        for Layer { name, op, dtypes: [ours, theirs], distance } in layers {
            rows.add_row([
                name.clone(),
                (*op).to_owned(),
                format!("{ours} {theirs}"),
                format!("{:.1} dB", distance.sqnr_db()),
                format!("{:.6}", distance.cosine()),
                format!("{:.2e}", distance.relative_l2()),
            ]);
        }
        console.print(format_args!("\n{}", rows.trim_fmt()))?;
        Ok(())
    }

    /// For machines.
    pub(super) fn as_json(&self) -> Value {
        let report = self.report;
        let points = |ours: Option<f64>, theirs: Option<f64>| ours.zip(theirs).map(|(a, b)| (b - a) * 100.0);
        let classification = report.classification.as_ref().map(|(output, counts)| {
            let (ours, theirs) = (counts.baseline(), counts.test());
            json!({
                "output": output, "top_1_agreement": counts.top_1_agreement(),
                "top_5_agreement": counts.top_5_agreement(), "labels": self.origin, "labelled": counts.labelled(),
                "baseline": ours, "test": theirs,
                "difference_pp": {
                    "top_1": points(ours.map(|a| a.top_1), theirs.map(|a| a.top_1)),
                    "top_5": points(ours.and_then(|a| a.top_5), theirs.and_then(|a| a.top_5)),
                },
            })
        });
        let segmentation = report.segmentation.as_ref().map(|(output, counts)| {
            let (ours, theirs) = (counts.baseline(), counts.test());
            json!({
                "output": output, "pixel_agreement": counts.pixel_agreement(), "masked": counts.masked(),
                "baseline": { "mean_iou": ours.mean_iou(), "iou": ours.iou() },
                "test": { "mean_iou": theirs.mean_iou(), "iou": theirs.iou() },
                "difference_pp": { "mean_iou": points(ours.mean_iou(), theirs.mean_iou()) },
            })
        });
        let layer = |layer: &Layer| {
            let Layer { name, op, dtypes, distance } = layer;
            json!({
                "name": name, "operator": op, "types": dtypes, "sqnr_db": distance.sqnr_db(),
                "cosine": distance.cosine(), "relative_l2": distance.relative_l2(),
            })
        };
        json!({
            "baseline": self.baseline.as_json(), "test": self.test.as_json(), "samples": report.samples,
            "skipped": self.dataset.skipped(), "outputs": report.outputs, "classification": classification,
            "segmentation": segmentation,
            "layers": self.layers.map(|layers| layers.iter().map(layer).collect::<Vec<_>>()),
        })
    }
}

/// A share as `95.10 %`; nothing where there is none.
fn percent(share: Option<f64>) -> String {
    share.map_or(String::new(), |share| format!("{:.2} %", share * 100.0))
}

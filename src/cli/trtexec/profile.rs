//! `--dumpProfile` and `--exportProfile`: the time of each layer, in trtexec's table and schema
//! (tests/schemas/trtexec/profile.json).

use super::json;
use crate::cli::CommandError;
use crate::runtime::StepTimes;
use limpid_graph::ir::Graph;
use limpid_kernels::device::Samples;
use serde::Serialize;
use std::path::Path;

/// A line of the profile; times in ms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    name: String,
    /// Of all runs together.
    time_ms: f64,
    average_ms: f64,
    median_ms: f64,
    /// Of the time of all layers.
    percentage: f64,
}

/// The first element of the export.
#[derive(Serialize)]
struct Count {
    /// Runs.
    count: usize,
}

/// The layers' times, as they are told.
pub(super) struct Profile {
    count: usize,
    layers: Vec<Layer>,
}

impl Profile {
    /// Of the steps of a plan, or of the nodes of `graph`.
    pub(super) fn of(times: &StepTimes, graph: &Graph) -> Self {
        match times {
            StepTimes::Plan { plan, times } => {
                Self::of_named(plan.steps.iter().zip(times).map(|(step, times)| (step.group.as_str(), times)))
            }
            StepTimes::Nodes { times: nodes, .. } => {
                Self::of_named(nodes.iter().map(|(id, times)| (graph.node(*id).name.as_str(), times)))
            }
        }
    }

    fn of_named<'a>(times: impl Iterator<Item = (&'a str, &'a Samples)> + Clone) -> Self {
        let total_us = |samples: &Samples| samples.sorted().iter().sum::<f64>();
        let all: f64 = times.clone().map(|(_, times)| total_us(times)).sum();
        let count = times.clone().next().map_or(0, |(_, times)| times.sorted().len());
        let layer = |(name, times): (&str, &Samples)| Layer {
            name: name.to_owned(),
            time_ms: total_us(times) / 1e3,
            average_ms: times.mean() / 1e3,
            median_ms: times.median() / 1e3,
            percentage: if all > 0.0 { 100.0 * total_us(times) / all } else { 0.0 },
        };
        Self { count, layers: times.map(layer).collect() }
    }

    /// Writes `[{"count": …}, {"name": …, "timeMs": …}, …]`.
    pub(super) fn export(&self, path: &Path) -> Result<(), CommandError> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Entry<'a> {
            Count(Count),
            Layer(&'a Layer),
        }
        let count = Entry::Count(Count { count: self.count });
        let entries: Vec<Entry<'_>> = [count].into_iter().chain(self.layers.iter().map(Entry::Layer)).collect();
        json::write(path, &entries)
    }

    /// trtexec's table.
    pub(super) fn table(&self) -> String {
        let mut lines = vec![
            format!("=== Profile ({} iterations ) ===", self.count),
            "   Time(ms)     Avg.(ms)   Median(ms)   Time(%)   Layer".to_owned(),
        ];
        let line = |layer: &Layer| {
            let Layer { name, time_ms, average_ms, median_ms, percentage } = layer;
            format!("{time_ms:11.2}{average_ms:13.4}{median_ms:13.4}{percentage:10.1}   {name}")
        };
        // What takes no time at all did not run.
        lines.extend(self.layers.iter().filter(|layer| layer.time_ms > 0.0).map(line));
        let sum = |part: fn(&Layer) -> f64| self.layers.iter().map(part).sum::<f64>();
        lines.push(line(&Layer {
            name: "Total".to_owned(),
            time_ms: sum(|layer| layer.time_ms),
            average_ms: sum(|layer| layer.average_ms),
            median_ms: sum(|layer| layer.median_ms),
            percentage: 100.0,
        }));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_columns_line_up() {
        let times = |us: &[f64]| Samples::new(us.to_vec()).expect("times");
        let (conv, fc) = (times(&[3000.0, 1000.0, 2000.0]), times(&[500.0, 500.0, 1000.0]));
        let profile = Profile::of_named([("conv", &conv), ("fc", &fc)].into_iter());
        let conv = &profile.layers[0];
        assert_eq!((profile.count, conv.time_ms, conv.average_ms, conv.median_ms), (3, 6.0, 2.0, 2.0));
        assert_eq!(profile.layers.iter().map(|layer| layer.percentage).sum::<f64>(), 100.0);
        let expected = "\
=== Profile (3 iterations ) ===
   Time(ms)     Avg.(ms)   Median(ms)   Time(%)   Layer
       6.00       2.0000       2.0000      75.0   conv
       2.00       0.6667       0.5000      25.0   fc
       8.00       2.6667       2.5000     100.0   Total";
        assert_eq!(profile.table(), expected);
    }
}

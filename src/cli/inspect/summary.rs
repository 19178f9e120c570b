use super::Fusion;
use crate::cli::units;
use crate::engine::Engine;
use crate::plan::Plan;
use crate::port::PortFormat;
use crate::shapes::{Profile, Range};
use limpid_graph::tensor::Symbol;
use serde::Serialize;
use std::collections::BTreeMap;

/// An engine in a few lines.
#[derive(Serialize)]
pub(in crate::cli) struct Summary {
    name: String,
    precision: &'static str,
    producer: String,
    opset: i64,
    model_hash: String,
    limpid_version: String,
    disabled_rules: Vec<String>,
    preprocessing: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    fusion: Fusion,
    weight_bytes: u64,
    profiles: Vec<ProfileSummary>,
    plans: Vec<PlanSummary>,
    cubins: usize,
    cubin_bytes: u64,
}

/// The extents an engine takes.
#[derive(Serialize)]
struct ProfileSummary {
    /// By the extents' names: smallest, optimum, largest.
    ranges: BTreeMap<String, [usize; 3]>,
    /// The extents its kernels were chosen at, the optimum first.
    tuned: Vec<String>,
}

impl ProfileSummary {
    fn of(profile: &Profile, plans: &[Plan]) -> Self {
        let range =
            |(symbol, range): (&Symbol, Range)| (symbol.name().to_owned(), [range.min(), range.opt(), range.max()]);
        let extents = |plan: &Plan| {
            let extents = plan.bindings.iter().map(|(symbol, extent)| format!("{}={extent}", symbol.name()));
            extents.collect::<Vec<_>>().join(" ")
        };
        let inside = plans.iter().filter(|plan| profile.contains(&plan.bindings));
        Self { ranges: profile.ranges().map(range).collect(), tuned: inside.map(extents).collect() }
    }

    fn line(&self) -> String {
        let ranges: Vec<String> = self
            .ranges
            .iter()
            .map(|(name, [min, opt, max])| match min == max {
                true => format!("{name}={max}"),
                false => format!("{name}={min}..{max} (opt {opt})"),
            })
            .collect();
        let ranges = ranges.join(", ");
        match &self.tuned[..] {
            [] | [_] => ranges,
            several => format!("{ranges}, tuned at {}", several.join(", ")),
        }
    }
}

#[derive(Serialize)]
struct PlanSummary {
    target: String,
    arch: String,
    extents: Vec<String>,
    steps: usize,
    launches: usize,
    arena_bytes: u64,
    unshared_bytes: u64,
    constant_bytes: u64,
}

impl PlanSummary {
    fn of(plan: &Plan) -> Self {
        Self {
            target: plan.target.name.clone(),
            arch: plan.target.arch.to_string(),
            extents: plan.inputs.iter().map(|port| format!("{} {}{:?}", port.name, port.dtype, port.shape)).collect(),
            steps: plan.steps.len(),
            launches: plan.steps.iter().map(|step| step.launches.len()).sum(),
            arena_bytes: plan.arena_bytes,
            unshared_bytes: plan.unshared_bytes,
            constant_bytes: plan.constant_bytes,
        }
    }

    fn line(&self) -> String {
        format!(
            "{} ({}), {}: {} in {}, arena {} ({} without sharing), constants {}",
            self.target,
            self.arch,
            self.extents.join(", "),
            units::count(self.steps, "step"),
            units::count(self.launches, "launch").replace("launchs", "launches"),
            units::bytes(self.arena_bytes),
            units::bytes(self.unshared_bytes),
            units::bytes(self.constant_bytes)
        )
    }
}

impl Summary {
    pub(in crate::cli) fn of(engine: &Engine) -> Self {
        let (graph, metadata) = (&engine.graph, &engine.metadata);
        let ports = |ports: Vec<PortFormat>| ports.iter().map(PortFormat::to_string).collect();
        let weights = graph.values().filter_map(|(_, value)| value.constant.as_ref());
        Self {
            name: metadata.name.clone(),
            precision: metadata.precision.name(),
            producer: metadata.producer.clone(),
            opset: metadata.opset,
            model_hash: metadata.model_hash.clone(),
            limpid_version: metadata.limpid_version.clone(),
            disabled_rules: metadata.disabled_rules.clone(),
            preprocessing: metadata.preprocessing.to_string(),
            inputs: ports(engine.inputs()),
            outputs: ports(engine.outputs()),
            fusion: Fusion::of(engine),
            weight_bytes: weights.map(|t| t.bytes().len() as u64).sum(),
            profiles: metadata.profiles.iter().map(|profile| ProfileSummary::of(profile, &engine.plans)).collect(),
            plans: engine.plans.iter().map(PlanSummary::of).collect(),
            cubins: engine.cubins.len(),
            cubin_bytes: engine.cubins.iter().map(|c| c.cubin.image.len() as u64).sum(),
        }
    }

    /// For people.
    pub(in crate::cli) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("precision", self.precision.to_owned())];
        rows.extend(self.inputs.iter().map(|input| ("input", input.clone())));
        rows.extend(self.outputs.iter().map(|output| ("output", output.clone())));
        rows.push(("nodes", self.fusion.to_string()));
        rows.push(("weights", units::bytes(self.weight_bytes)));
        rows.push(("pictures", self.preprocessing.clone()));
        let with_ranges = self.profiles.iter().filter(|profile| !profile.ranges.is_empty());
        rows.extend(with_ranges.map(|profile| ("profile", profile.line())));
        match self.plans.is_empty() {
            true => rows.push(("runs on", "the CPU reference (no GPU plan)".to_owned())),
            false => rows.extend(self.plans.iter().map(|plan| ("plan", plan.line()))),
        }
        if self.cubins > 0 {
            rows.push(("kernels", format!("{} compiled, {}", self.cubins, units::bytes(self.cubin_bytes))));
        }
        if !self.disabled_rules.is_empty() {
            rows.push(("left out", self.disabled_rules.join(", ")));
        }
        let producer = if self.producer.is_empty() { "an unnamed program" } else { &self.producer };
        rows.push(("model", format!("opset {}, by {producer}, blake3 {:.16}…", self.opset, self.model_hash)));
        rows.push(("built by", format!("limpid {}", self.limpid_version)));
        rows
    }
}

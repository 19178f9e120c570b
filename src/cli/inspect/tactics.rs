use super::needs_plan;
use crate::cli::console::{Console, table};
use crate::cli::{CommandError, units};
use crate::engine::Engine;
use crate::plan::{Instead, Offer, Part, Step};
use limpid_kernels::launch::Refusal;
use serde_json::{Value, json};

/// Prints every group's candidates, fastest first, and everyone who declined.
pub(super) fn show(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    needs_plan(engine)?;
    console.json(|| {
        let plans = engine.plans.iter().map(|plan| {
            let steps: Vec<Value> = plan.steps.iter().map(as_json).collect();
            json!({ "target": plan.target, "inputs": plan.inputs, "steps": steps })
        });
        plans.collect::<Vec<_>>()
    })?;
    for plan in &engine.plans {
        let extents: Vec<String> = plan.inputs.iter().map(|p| format!("{} {:?}", p.name, p.shape)).collect();
        console.print(format_args!("{} ({}), {}", plan.target.name, plan.target.arch, extents.join(", ")))?;
        for (index, step) in plan.steps.iter().enumerate() {
            show_step(index, step, console)?;
        }
    }
    Ok(())
}

fn show_step(index: usize, step: &Step, console: &mut Console) -> Result<(), CommandError> {
    let (flops, bytes) = (step.flops as f64 / 1e9, units::bytes(step.bytes));
    console.print(format_args!("\n{index}. {}: {} ({flops:.3} GFLOP, {bytes})", step.group, step.what))?;
    let best = step.offers.iter().find(|offer| offer.tactic == step.tactic).map(time);
    let mut rows = table(["", "tactic", "measured", "estimated", "slower by"], &[2, 3, 4]);
    for offer in &step.offers {
        let won = if offer.tactic == step.tactic { "*" } else { "" };
        let measured = offer.measured_us.map_or_else(|| "-".to_owned(), units::duration);
        let slower = best.filter(|best| *best > 0.0).map(|best| (time(offer) / best - 1.0) * 100.0);
        rows.add_row([
            won.to_owned(),
            offer.tactic.to_string(),
            measured,
            units::duration(offer.estimated_us),
            slower.filter(|_| won.is_empty()).map_or_else(String::new, |percent| format!("{percent:.0} %")),
        ]);
    }
    console.print(rows.trim_fmt())?;
    for (reason, kernels) in by_reason(&step.refusals) {
        console.print(format_args!("  declined: {}: {reason}", kernels.join(", ")))?;
    }
    if !step.parts.is_empty() {
        console.print(format_args!("  at once: {}", whats(&step.parts)))?;
    }
    for other in &step.instead {
        console.print(format_args!("  {}", instead(other)))?;
    }
    Ok(())
}

fn whats(parts: &[Part]) -> String {
    parts.iter().map(|part| format!("{} ({})", part.group, part.what)).collect::<Vec<_>>().join(", ")
}

/// What was not taken: in pieces, or at once, or why that cannot be.
fn instead(other: &Instead) -> String {
    let way = if other.tactics.len() == 1 { "at once" } else { "in pieces" };
    if other.tactics.is_empty() {
        let reasons = by_reason(&other.refusals);
        let reason = reasons.first().map_or_else(|| "no kernel".to_owned(), |(reason, _)| (*reason).to_owned());
        return format!("not at once: {}: {reason}", whats(&other.parts));
    }
    let tactics = other.tactics.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (time, how) = match other.measured_us {
        Some(time) => (time, "measured"),
        None => (other.estimated_us, "estimated"),
    };
    format!("not taken: {} {way} by {tactics}, {how} {}", whats(&other.parts), units::duration(time))
}

/// Most kernels decline most sites for the same few reasons; a reason with fewer kernels says more and comes first.
fn by_reason(refusals: &[Refusal]) -> Vec<(&str, Vec<&str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for refusal in refusals {
        match reasons.iter_mut().find(|(reason, _)| *reason == refusal.reason) {
            Some((_, kernels)) => kernels.push(&refusal.kernel),
            None => reasons.push((&refusal.reason, vec![&refusal.kernel])),
        }
    }
    reasons.sort_by_key(|(_, kernels)| kernels.len());
    reasons
}

fn as_json(step: &Step) -> Value {
    let offer = |offer: &Offer| {
        json!({
            "tactic": offer.tactic.to_string(), "measured_us": offer.measured_us, "estimated_us": offer.estimated_us,
        })
    };
    json!({
        "group": step.group, "what": step.what, "flops": step.flops, "bytes": step.bytes,
        "tactic": step.tactic.to_string(), "offers": step.offers.iter().map(offer).collect::<Vec<_>>(),
        "refusals": step.refusals, "parts": step.parts, "instead": step.instead,
    })
}

/// What the choice went by.
fn time(offer: &Offer) -> f64 {
    offer.measured_us.unwrap_or(offer.estimated_us)
}

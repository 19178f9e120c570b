use super::needs_plan;
use crate::cli::console::{Console, table};
use crate::cli::{CommandError, units};
use crate::engine::Engine;
use crate::plan::{Offer, Step};

/// Prints every group's candidates, fastest first, and everyone who declined.
pub(super) fn show(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    needs_plan(engine)?;
    console.json(|| {
        let plans = engine.plans.iter().map(|plan| {
            serde_json::json!({ "target": plan.target, "inputs": plan.inputs, "steps": plan.steps })
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
    for refusal in &step.refusals {
        console.print(format_args!("  {} declined: {}", refusal.kernel, refusal.reason))?;
    }
    Ok(())
}

/// What the choice went by.
fn time(offer: &Offer) -> f64 {
    offer.measured_us.unwrap_or(offer.estimated_us)
}

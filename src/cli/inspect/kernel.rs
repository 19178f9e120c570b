use super::{names, needs_plan};
use crate::cli::console::{Console, pairs};
use crate::cli::{CommandError, units};
use crate::engine::{Engine, StoredCubin};
use crate::plan::{Plan, Step};
use limpid_kernels::launch::Launch;
use serde_json::{Value, json};

/// The group that runs a node. An ONNX node may be asked for by its own name, wherever it was fused to.
pub(in crate::cli) fn group(engine: &Engine, wanted: &str) -> Result<String, CommandError> {
    let accounts = engine.ledger.account(&engine.graph);
    let groups = engine.plans.iter().flat_map(|p| &p.steps).flat_map(|s| s.groups()).map(|of| of.0);
    let fused = accounts.iter().filter(|a| a.group.is_some()).map(|a| a.origin.name.as_str());
    let name = names::find("node", wanted, groups.chain(fused))?;
    let account = accounts.iter().find(|a| a.origin.name == name);
    Ok(account.and_then(|a| a.group.as_deref()).unwrap_or(name).to_owned())
}

/// Nothing is launched for a group.
pub(in crate::cli) fn not_run(group: &str) -> CommandError {
    CommandError::Absent {
        message: format!("no kernel runs `{group}`: its values lie in place, nothing is computed"),
        help: format!("`limpid inspect ENGINE --why {group}` tells what became of it"),
    }
}

/// Prints what runs a node: each launch's kernel with its definitions and resources, then the sources.
pub(super) fn show(engine: &Engine, wanted: &str, console: &mut Console) -> Result<(), CommandError> {
    needs_plan(engine)?;
    let group = group(engine, wanted)?;

    let steps =
        |plan: &Plan| plan.steps.iter().filter(|s| s.groups().any(|of| of.0 == group)).cloned().collect::<Vec<Step>>();
    let found: Vec<(&Plan, Step)> =
        engine.plans.iter().flat_map(|plan| steps(plan).into_iter().map(move |step| (plan, step))).collect();
    if found.is_empty() {
        return Err(not_run(&group));
    }
    console.json(|| found.iter().map(|(plan, step)| as_json(engine, plan, step)).collect::<Vec<_>>())?;
    let mut sources: Vec<&str> = Vec::new();
    for (plan, step) in &found {
        console.print(format_args!("{}: {}\n  tactic {}", step.group, step.what, step.tactic))?;
        for launch in &step.launches {
            console.print(pairs(describe(launch, cubin(engine, plan, launch))))?;
            if !sources.contains(&launch.unit.source.as_str()) {
                sources.push(&launch.unit.source);
            }
        }
        console.print("")?;
    }
    for source in sources {
        let text = engine.sources.get(source).map_or("(the engine does not carry this source)", String::as_str);
        console.print(format_args!("// ---- {source}\n{}", text.trim_end()))?;
    }
    Ok(())
}

fn cubin<'e>(engine: &'e Engine, plan: &Plan, launch: &Launch) -> Option<&'e StoredCubin> {
    engine.cubins.iter().find(|c| c.unit == launch.unit && c.arch == plan.target.arch)
}

fn describe(launch: &Launch, cubin: Option<&StoredCubin>) -> Vec<(&'static str, String)> {
    let [x, y, z] = launch.grid;
    let [tx, ty, tz] = launch.block;
    let defines: Vec<String> = launch.unit.defines.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut rows = vec![
        ("kernel", format!("{} in {}", launch.unit.entry, launch.unit.source)),
        ("defines", defines.join(" ")),
        ("grid", format!("{x} x {y} x {z} blocks of {tx} x {ty} x {tz} threads")),
        ("shared", format!("{} dynamic", units::bytes(u64::from(launch.shared_bytes)))),
    ];
    if let Some(resources) = cubin.map(|c| &c.cubin.resources) {
        let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |v| v.to_string());
        rows.push(("registers", format!("{} a thread", number(resources.registers))));
        rows.push(("spilled", format!("{} bytes a thread", number(resources.spill_bytes))));
    }
    rows
}

fn as_json(engine: &Engine, plan: &Plan, step: &Step) -> Value {
    let launch = |launch: &Launch| {
        json!({
            "launch": launch,
            "resources": cubin(engine, plan, launch).map(|c| &c.cubin.resources),
            "source": engine.sources.get(&launch.unit.source),
        })
    };
    json!({
        "target": plan.target.arch.to_string(), "group": step.group, "what": step.what,
        "tactic": step.tactic.to_string(), "launches": step.launches.iter().map(launch).collect::<Vec<_>>(),
    })
}

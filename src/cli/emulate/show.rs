use super::verdict::Verdict;
use super::{EmulateArgs, Observed};
use crate::cli::CommandError;
use crate::cli::console::{Console, pairs, table};
use crate::cli::units;
use crate::runtime::isolated::IsolatedNode;
use limpid_kernels::emulator::{Moved, SharedAccess, TensorInstruction, Trace};
use limpid_kernels::launch::Launch;
use serde_json::json;

/// Prints it all.
pub(super) fn show(
    args: &EmulateArgs,
    isolated: &IsolatedNode,
    observed: &[Observed<'_>],
    verdicts: &[Verdict],
    console: &mut Console,
) -> Result<(), CommandError> {
    console.json(|| {
        let launch = |(launch, trace): (&Launch, &Trace)| {
            json!({ "kernel": launch.unit.entry, "source": launch.unit.source, "grid": launch.grid,
                "block": launch.block, "shared_bytes": launch.shared_bytes, "trace": trace })
        };
        let step = |seen: &Observed<'_>| {
            json!({ "group": seen.step.group, "what": seen.step.what, "tactic": seen.step.tactic.to_string(),
                "bytes": seen.account,
                "launches": seen.step.launches.iter().zip(&seen.traces).map(launch).collect::<Vec<_>>() })
        };
        json!({ "target": isolated.plan.target.arch.to_string(), "block": args.block, "thread": args.thread,
            "steps": observed.iter().map(step).collect::<Vec<_>>(), "outputs": verdicts, "notes": isolated.notes })
    })?;
    for seen in observed {
        console.print(format_args!("{}: {}\n  tactic {}", seen.step.group, seen.step.what, seen.step.tactic))?;
        show_bytes(seen, console)?;
        for (launch, trace) in seen.step.launches.iter().zip(&seen.traces) {
            show_launch(args, launch, trace, console)?;
        }
    }
    for verdict in verdicts {
        let word = if verdict.agrees { "right" } else { "WRONG" };
        console.print(format_args!(
            "\n{word}: {} elements, largest difference {:.2e}, relative L2 {:.2e}, allowed {}",
            verdict.elements, verdict.largest_difference, verdict.relative_l2, verdict.tolerance
        ))?;
    }
    for note in &isolated.notes {
        console.note(format_args!("note: {note}"));
    }
    Ok(())
}

fn show_bytes(seen: &Observed<'_>, console: &mut Console) -> Result<(), CommandError> {
    let header = ["memory", "", "different bytes", "loads, stores", "cp.async", "bulk copies", "wgmma"];
    let mut rows = table(header, &[2, 3, 4, 5, 6]);
    let mut row = |name: &str, moved: &Moved, both: bool| {
        let ways = [moved.distinct, moved.plain, moved.async_copy, moved.bulk, moved.tensor_cores];
        for (verb, pick) in [("read", 0), ("written", 1)] {
            let count = |pair: &(u64, u64)| if pick == 0 { pair.0 } else { pair.1 };
            if !both && ways.iter().all(|pair| count(pair) == 0) {
                continue;
            }
            let cells = ways.iter().map(|pair| count(pair).to_string());
            rows.add_row([name.to_owned(), verb.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
        }
    };
    for (name, moved) in &seen.account.buffers {
        row(name, moved, false);
    }
    row("shared", &Moved { distinct: (0, 0), ..seen.account.shared }, true);
    console.print(rows.trim_fmt())?;
    let account = &seen.account;
    let planned = account.planned.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
    let verdict = if account.agrees { "agrees" } else { "differs" };
    console.print(pairs([
        ("least", format!("{} bytes: every tensor once, without padding", account.least)),
        ("planned", format!("{planned} bytes: what the kernel is said to move, padding included")),
        (
            "seen",
            format!(
                "{} bytes, and {} that no window reaches: {verdict} with the plan",
                account.seen, account.unreached
            ),
        ),
    ]))?;
    Ok(())
}

fn show_launch(args: &EmulateArgs, launch: &Launch, trace: &Trace, console: &mut Console) -> Result<(), CommandError> {
    let [x, y, z] = args.block;
    console.print(format_args!(
        "\n{} in {}: grid {:?}, block {:?}, {} of shared memory; block ({x},{y},{z}):",
        launch.unit.entry,
        launch.unit.source,
        launch.grid,
        launch.block,
        units::bytes(launch.shared_bytes.into())
    ))?;
    if !trace.shared.is_empty() {
        let header = ["shared memory at", "", "bytes a lane", "requests", "transactions", "ideal", "conflicts"];
        let mut rows = table(header, &[2, 3, 4, 5, 6]);
        for access in &trace.shared {
            rows.add_row(shared_row(access));
        }
        console.print(rows.trim_fmt())?;
    }
    if trace.instructions > 0 {
        let count = trace.instructions;
        console.print(format_args!("thread {} takes part in {count} tensor-core instructions", args.thread))?;
    }
    for instruction in &trace.told {
        show_instruction(instruction, console)?;
    }
    Ok(())
}

fn shared_row(access: &SharedAccess) -> Vec<String> {
    // The line and who called it: one loader serves several operands.
    let lines: Vec<String> = access.place.iter().take(2).map(|f| format!("{}:{}", f.file, f.line)).collect();
    let place = if lines.is_empty() { "?".to_owned() } else { lines.join(" < ") };
    let extra = access.transactions.saturating_sub(access.ideal);
    vec![
        place,
        if access.write { "write" } else { "read" }.to_owned(),
        access.bytes.to_string(),
        access.requests.to_string(),
        access.transactions.to_string(),
        access.ideal.to_string(),
        if extra == 0 { "-".to_owned() } else { format!("{:.2}x", access.transactions as f64 / access.ideal as f64) },
    ]
}

fn show_instruction(instruction: &TensorInstruction, console: &mut Console) -> Result<(), CommandError> {
    let place = instruction.place.first().map_or_else(String::new, |f| format!(" at {}:{}", f.file, f.line));
    console.print(format_args!("  {}{place}", instruction.name))?;
    for operand in ['a', 'b', 'd'] {
        let elements = instruction.elements.iter().filter(|element| element.operand == operand);
        let texts: Vec<String> = elements.map(|e| format!("({},{}) {:.4}", e.row, e.column, e.value)).collect();
        if !texts.is_empty() {
            console.print(format_args!("    {operand}  {}", texts.join("  ")))?;
        }
    }
    Ok(())
}

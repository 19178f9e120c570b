use super::names;
use super::passes::fate;
use crate::cli::CommandError;
use crate::cli::console::Console;
use crate::engine::Engine;
use limpid_graph::rewrite::{Record, Verdict};
use serde_json::json;

/// Prints everything that is recorded about a node.
pub(super) fn show(engine: &Engine, wanted: &str, console: &mut Console) -> Result<(), CommandError> {
    let accounts = engine.ledger.account(&engine.graph);
    let records = engine.ledger.records();
    let all = accounts.iter().map(|a| a.origin.name.as_str());
    let all =
        all.chain(engine.graph.nodes().map(|(_, n)| n.name.as_str())).chain(records.iter().map(|r| r.node.as_str()));
    let name = names::find("node", wanted, all)?;

    let account = accounts.iter().find(|a| a.origin.name == name);
    let group = account.and_then(|a| a.group.as_deref()).unwrap_or(name);
    let about = |node: &str| records.iter().filter(|r| r.node == node).collect::<Vec<_>>();
    let own = about(name);
    let node = engine.graph.nodes().find(|(_, n)| n.name == group).map(|(_, n)| n);
    let members: Vec<&str> =
        accounts.iter().filter(|a| a.group.as_deref() == Some(group)).map(|a| a.origin.name.as_str()).collect();
    // A rule is booked where its pattern ends: what was fused into a convolution is told at the node that went.
    let others: Vec<&str> = std::iter::once(group).chain(members.iter().copied()).filter(|n| *n != name).collect();
    let of_group: Vec<&Record> = records.iter().filter(|r| others.contains(&r.node.as_str())).collect();

    console.json(|| {
        json!({
            "node": name, "op": account.map(|a| &a.origin.op_type), "fate": account.map(fate),
            "group": node.map(|_| group), "members": members, "records": own, "group_records": of_group,
        })
    })?;
    match account {
        Some(account) => console.print(format_args!("{name} ({}): {}", account.origin.op_type, fate(account)))?,
        None => console.print(format_args!("{name}: made by limpid, stands for no ONNX node"))?,
    }
    if let Some(node) = node {
        console.print(format_args!("group `{group}`: {} in {}", node.op, node.precision))?;
        if members.len() > 1 {
            console.print(format_args!("  holds {}", members.join(", ")))?;
        }
    }
    print_records("here", &own, console)?;
    print_records("elsewhere in its group", &of_group, console)?;
    if own.is_empty() && of_group.is_empty() {
        console.print("\nno rule has its pattern here, so none had anything to say")?;
    }
    Ok(())
}

fn print_records(place: &str, records: &[&Record], console: &mut Console) -> Result<(), CommandError> {
    if records.is_empty() {
        return Ok(());
    }
    console.print(format_args!("\nWhat rules said {place}:"))?;
    for record in records {
        let verdict = match record.verdict {
            Verdict::Applied => "applied ",
            Verdict::Declined => "declined",
        };
        console.print(format_args!("  {verdict} {} at `{}`: {}", record.rule, record.node, record.detail))?;
    }
    Ok(())
}

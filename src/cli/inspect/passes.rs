use crate::cli::CommandError;
use crate::cli::console::{Console, table};
use crate::engine::Engine;
use limpid_graph::rewrite::{Account, Fate, Verdict};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;

/// How many ONNX nodes went where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Fusion {
    /// ONNX nodes in the model.
    pub onnx_nodes: usize,
    /// Groups that run.
    pub groups: usize,
    /// Nodes that lead a group.
    pub kept: usize,
    /// Nodes inside another's group.
    pub fused: usize,
    /// Nodes computed before anything runs.
    pub folded: usize,
    /// Nodes that did nothing.
    pub removed: usize,
}

impl Fusion {
    pub(in crate::cli) fn of(engine: &Engine) -> Self {
        let mut fusion = Self { groups: engine.graph.nodes().count(), ..Self::default() };
        for account in engine.ledger.account(&engine.graph) {
            fusion.onnx_nodes += 1;
            *match account.fate {
                Fate::Kept => &mut fusion.kept,
                Fate::Fused { .. } => &mut fusion.fused,
                Fate::Folded { .. } => &mut fusion.folded,
                Fate::Removed { .. } => &mut fusion.removed,
            } += 1;
        }
        fusion
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { onnx_nodes, groups, kept, fused, folded, removed } = self;
        write!(
            f,
            "{onnx_nodes} in ONNX ({kept} kept, {fused} fused, {folded} folded, {removed} removed), {groups} groups run"
        )
    }
}

/// What became of a node, in words.
pub(super) fn fate(account: &Account) -> String {
    match &account.fate {
        Fate::Kept => "kept".to_owned(),
        Fate::Fused { rule, into } => {
            // A group may have been fused into another since; where the node is now is what counts.
            let group = account.group.as_deref().unwrap_or(into);
            format!("fused into `{group}` by {rule}")
        }
        Fate::Folded { rule, detail } => format!("folded by {rule}: {detail}"),
        Fate::Removed { rule, detail } => format!("removed by {rule}: {detail}"),
    }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Fused { .. } => "fused",
        Fate::Folded { .. } => "folded",
        Fate::Removed { .. } => "removed",
    }
}

/// Prints the account of every ONNX node, what each rule did, and what was declined.
pub(super) fn show(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    let accounts = engine.ledger.account(&engine.graph);
    let records = engine.ledger.records();
    console.json(|| {
        let line = |a: &Account| {
            json!({
                "node": a.origin.name, "op": a.origin.op_type, "fate": word(&a.fate), "group": a.group,
                "words": fate(a),
            })
        };
        json!({
            "summary": Fusion::of(engine),
            "nodes": accounts.iter().map(line).collect::<Vec<_>>(),
            "records": records,
        })
    })?;
    let mut rows = table(["ONNX node", "operator", "what became of it"], &[]);
    for account in &accounts {
        rows.add_row([&account.origin.name, &account.origin.op_type, &fate(account)]);
    }
    console.print(rows.trim_fmt())?;

    let mut by_rule: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for record in records {
        let counts = by_rule.entry(&record.rule).or_default();
        match record.verdict {
            Verdict::Applied => counts.0 += 1,
            Verdict::Declined => counts.1 += 1,
        }
    }
    if !by_rule.is_empty() {
        let mut rows = table(["rule", "applied", "declined"], &[1, 2]);
        for (rule, (applied, declined)) in by_rule {
            rows.add_row([rule.to_owned(), applied.to_string(), declined.to_string()]);
        }
        console.print(format_args!("\n{}", rows.trim_fmt()))?;
    }
    let declined: Vec<_> = records.iter().filter(|r| r.verdict == Verdict::Declined).collect();
    if !declined.is_empty() {
        console.print("\nNot done, and why:")?;
        for record in declined {
            console.print(format_args!("  {} at `{}`: {}", record.rule, record.node, record.detail))?;
        }
    }
    console.print(format_args!("\n{}", Fusion::of(engine)))?;
    Ok(())
}

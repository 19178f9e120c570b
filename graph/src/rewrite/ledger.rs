//! The book of what became of every ONNX node, and of what was tried and declined.

use super::patch::Applied;
use crate::ir::{Graph, OriginId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A node of the ONNX file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its name.
    pub name: String,
    /// Its operator.
    pub op_type: String,
}

/// Where an ONNX node is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It leads a group (perhaps of itself alone).
    Kept,
    /// It is part of another node's group, because of this rule.
    Fused {
        /// The rule.
        rule: String,
        /// The leading node's name when it was fused.
        into: String,
    },
    /// It was computed before anything runs.
    Folded {
        /// The rule, or `import`.
        rule: String,
        /// How.
        detail: String,
    },
    /// It did nothing, or nobody read it.
    Removed {
        /// The rule.
        rule: String,
        /// How.
        detail: String,
    },
}

/// What a rule did at a node, or why it did nothing there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Rewritten.
    Applied,
    /// Matched, but left alone.
    Declined,
}

/// One entry: a rule looked at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The rule.
    pub rule: String,
    /// The node it looked at.
    pub node: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Why it is right, or why not.
    pub detail: String,
}

/// One line of the account: an ONNX node and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The ONNX node.
    pub origin: Origin,
    /// What became of it.
    pub fate: Fate,
    /// The group it is part of now, by its leading node's name; `None` if it is gone.
    pub group: Option<String>,
}

/// The book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    origins: Vec<Origin>,
    fates: BTreeMap<OriginId, Fate>,
    records: Vec<Record>,
}

impl Ledger {
    /// Enters an ONNX node.
    pub fn register(&mut self, name: &str, op_type: &str) -> OriginId {
        let id = OriginId(self.origins.len() as u32);
        self.origins.push(Origin { name: name.to_owned(), op_type: op_type.to_owned() });
        self.fates.insert(id, Fate::Kept);
        id
    }

    /// Books a node as computed once and for all.
    pub fn fold(&mut self, origin: OriginId, rule: &str, detail: &str) {
        self.fates.insert(origin, Fate::Folded { rule: rule.to_owned(), detail: detail.to_owned() });
    }

    pub(super) fn applied(&mut self, rule: &str, node: &str, detail: &str, applied: Applied) {
        for (origin, into) in applied.fused {
            self.fates.insert(origin, Fate::Fused { rule: rule.to_owned(), into });
        }
        for origin in applied.folded {
            self.fold(origin, rule, detail);
        }
        for origin in applied.removed {
            self.fates.insert(origin, Fate::Removed { rule: rule.to_owned(), detail: detail.to_owned() });
        }
        self.record(rule, node, Verdict::Applied, detail);
    }

    pub(super) fn declined(&mut self, rule: &str, node: &str, reason: &str) {
        self.record(rule, node, Verdict::Declined, reason);
    }

    /// Enters a record that no rewrite goes with: a precision pass that keeps a node in FP32 says so here.
    pub fn note(&mut self, rule: &str, node: &str, detail: &str) {
        self.record(rule, node, Verdict::Applied, detail);
    }

    /// Enters a refusal that no rule made: a precision pass that leaves a node as it is says why.
    pub fn refuse(&mut self, rule: &str, node: &str, reason: &str) {
        self.record(rule, node, Verdict::Declined, reason);
    }

    fn record(&mut self, rule: &str, node: &str, verdict: Verdict, detail: &str) {
        let (rule, node, detail) = (rule.to_owned(), node.to_owned(), detail.to_owned());
        let record = Record { rule, node, verdict, detail };
        if !self.records.contains(&record) {
            self.records.push(record);
        }
    }

    /// The ONNX node of this id.
    pub fn origin(&self, id: OriginId) -> Option<&Origin> {
        self.origins.get(id.0 as usize)
    }

    /// Everything that was done or declined, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Every ONNX node exactly once: kept, fused into which group by which rule, folded, or removed.
    pub fn account(&self, graph: &Graph) -> Vec<Account> {
        let groups: BTreeMap<OriginId, &str> = graph
            .nodes()
            .flat_map(|(_, node)| node.origins.iter().map(move |&origin| (origin, node.name.as_str())))
            .collect();
        self.origins
            .iter()
            .enumerate()
            .map(|(index, origin)| {
                let id = OriginId(index as u32);
                let group = groups.get(&id).map(|g| (*g).to_owned());
                let fate = self.fates.get(&id).cloned().unwrap_or(Fate::Kept);
                Account { origin: origin.clone(), fate, group }
            })
            .collect()
    }
}

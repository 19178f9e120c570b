//! What an alignment must be, by plain search.

use limpid::duel::{Alignment, Evidence, Group, Layer, Network};
use std::collections::{BTreeMap, BTreeSet};

type Names = BTreeSet<String>;

/// A row: names of its nodes, its groups, and those of its layers that compute nodes.
type RowNames = (Names, Names, Names);

/// Everything is told exactly once, and times add up to what they were.
pub fn nothing_is_lost_or_doubled(network: &Network, groups: &[Group], layers: &[Layer], alignment: &Alignment) {
    let rows = alignment.rows.iter();
    let aligned = rows.clone().flat_map(|row| row.nodes.iter().cloned());
    let loose = [&alignment.limpid_only, &alignment.tensorrt_only, &alignment.neither];
    let loose = loose.into_iter().flatten().map(|node| node.name.clone());
    let known = network.nodes().iter().map(|node| node.name.clone());
    let held: Names = known.chain(groups.iter().flat_map(|group| group.nodes.clone())).collect();
    assert_eq!(sorted(aligned.chain(loose)), held.into_iter().collect::<Vec<_>>(), "ONNX nodes");

    let told = rows.clone().flat_map(|row| &row.groups).chain(&alignment.groups_alone).map(|group| group.name.clone());
    assert_eq!(sorted(told), sorted(groups.iter().map(|group| group.name.clone())), "groups");
    let placed = rows.clone().flat_map(|row| row.layers.iter().map(|placed| &placed.layer));
    let told = placed.chain(&alignment.layers_alone).map(|layer| layer.name.clone());
    assert_eq!(sorted(told), sorted(layers.iter().map(|layer| layer.name.clone())), "layers");

    let sum = |times: &mut dyn Iterator<Item = Option<limpid::duel::Timing>>| {
        times.flatten().map(|time| time.median_us).sum::<f64>()
    };
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.max(1.0);
    let limpid = alignment.limpid().map_or(0.0, |time| time.median_us);
    assert!(close(limpid, sum(&mut groups.iter().map(|group| group.time))), "limpid's time");
    let tensorrt = alignment.tensorrt().map_or(0.0, |time| time.median_us);
    assert!(close(tensorrt, sum(&mut layers.iter().map(|layer| layer.time))), "TensorRT's time");

    for row in &alignment.rows {
        let inside: Names = row.groups.iter().flat_map(|group| group.nodes.clone()).collect();
        assert!(!row.nodes.is_empty() && row.nodes.iter().all(|node| inside.contains(node)), "{row:?}");
        assert!(row.layers.iter().any(|placed| placed.by != Evidence::Beside), "{row:?}");
    }
}

/// The rows are what shares nodes, and the loose nodes those that one side has, given what is in each layer.
pub fn rows_are_what_shares_nodes(groups: &[Group], truth: &BTreeMap<String, Names>, alignment: &Alignment) {
    let rows: Vec<RowNames> = alignment.rows.iter().map(row_names).collect();
    let expected = components(groups, truth);
    for row in &expected {
        assert!(rows.contains(row), "there is no row\n{row:#?}\nbut\n{:#?}", near(&rows, row));
    }
    assert_eq!(rows.len(), expected.len());

    let held: Names = groups.iter().flat_map(|group| group.nodes.clone()).collect();
    let named: Names = truth.values().flatten().cloned().collect();
    let names = |nodes: &[limpid::duel::LooseNode]| nodes.iter().map(|node| node.name.clone()).collect::<Names>();
    assert_eq!(names(&alignment.limpid_only), &held - &named, "nodes that only limpid has");
    assert_eq!(names(&alignment.tensorrt_only), &named - &held, "nodes that only TensorRT has");
}

fn row_names(row: &limpid::duel::Row) -> RowNames {
    let layers =
        row.layers.iter().filter(|placed| placed.by != Evidence::Beside).map(|placed| placed.layer.name.clone());
    (
        row.nodes.iter().cloned().collect(),
        row.groups.iter().filter(|g| !g.nodes.is_empty()).map(|g| g.name.clone()).collect(),
        layers.collect(),
    )
}

/// Rows that share something with one, for a message.
fn near<'a>(rows: &'a [RowNames], row: &RowNames) -> Vec<&'a RowNames> {
    rows.iter().filter(|other| !other.0.is_disjoint(&row.0) || !other.1.is_disjoint(&row.1)).collect()
}

/// From each node outwards: the groups and layers that have it, their nodes, and so on.
fn components(groups: &[Group], truth: &BTreeMap<String, Names>) -> Vec<RowNames> {
    let held: Names = groups.iter().flat_map(|group| group.nodes.clone()).collect();
    let named: Names = truth.values().flatten().cloned().collect();
    let (mut rows, mut seen) = (Vec::new(), Names::new());
    for start in held.union(&named) {
        if !seen.insert(start.clone()) {
            continue;
        }
        let (mut nodes, mut queue) = (Names::new(), vec![start.clone()]);
        let (mut in_groups, mut in_layers) = (Names::new(), Names::new());
        while let Some(node) = queue.pop() {
            if !nodes.insert(node.clone()) {
                continue;
            }
            seen.insert(node.clone());
            for group in groups.iter().filter(|group| group.nodes.contains(&node)) {
                in_groups.insert(group.name.clone());
                queue.extend(group.nodes.clone());
            }
            for (layer, inside) in truth.iter().filter(|(_, inside)| inside.contains(&node)) {
                in_layers.insert(layer.clone());
                queue.extend(inside.clone());
            }
        }
        let both: Names = nodes.into_iter().filter(|node| held.contains(node) && named.contains(node)).collect();
        if !both.is_empty() {
            rows.push((both, in_groups, in_layers));
        }
    }
    rows
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

//! A duel as people read it: what was measured, the rows, and everything that has no place in a row.

use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::duel::{Alignment, Contender, Duel, Evidence, LooseNode, PlacedLayer, Row, Timing};

/// Signs of a name that a column shows; the JSON has all of it.
const WIDTH: usize = 56;

/// Prints the duel, as text or as JSON.
pub(super) fn show(duel: &Duel, console: &mut Console) -> Result<(), CommandError> {
    console.json(|| duel)?;
    console.print(head(duel))?;
    if !duel.alignment.rows.is_empty() {
        console.print(format_args!("\n{}", rows(duel)))?;
    }
    for list in loose(&duel.alignment) {
        console.print(format_args!("\n{list}"))?;
    }
    console.print(format_args!("\n{}", account(&duel.alignment)))?;
    for note in &duel.notes {
        console.print(format_args!("note: {note}"))?;
    }
    Ok(())
}

fn head(duel: &Duel) -> String {
    let mut lines = vec![("network", duel.network.clone())];
    lines.extend(duel.precision.clone().map(|precision| ("precision", precision)));
    lines.extend(duel.batch.map(|batch| ("batch", batch.to_string())));
    for contender in [&duel.limpid, &duel.tensorrt] {
        lines.push((&contender.name, contender_line(contender)));
    }
    if let Some(ratio) = duel.ratio {
        let (value, low, high, sure) = (ratio.value, ratio.low, ratio.high, ratio.confidence * 100.0);
        let verdict = if ratio.is_undecided() { "; no difference is certain" } else { "" };
        let line = format!("{value:.3} ({low:.3} to {high:.3} with {sure:.0} % confidence){verdict}");
        lines.push(("ratio", line));
    }
    pairs(lines)
}

fn contender_line(contender: &Contender) -> String {
    let mut parts: Vec<String> = contender.version.clone().into_iter().chain(contender.device.clone()).collect();
    parts.extend(contender.settings.iter().map(|(name, value)| format!("{name}: {value}")));
    let mut time = |what: &str, timing: Option<Timing>| {
        parts.extend(timing.map(|timing| format!("{what} {}", steady(timing))));
    };
    time("compute", contender.compute);
    time("latency", contender.latency);
    parts.extend(contender.absent.clone());
    parts.join("; ")
}

/// A time and half the width of the middle half of its samples.
fn steady(timing: Timing) -> String {
    let spread = timing.spread.map_or(String::new(), |spread| format!(" ±{:.1} %", spread * 50.0));
    units::duration(timing.median_us) + &spread
}

fn rows(duel: &Duel) -> String {
    let sides = [&duel.limpid.name, &duel.tensorrt.name];
    let ratio = format!("{} / {}", sides[1], sides[0]);
    let layers = format!("layers of {}", sides[1]);
    let mut rows = table(["group", "nodes", sides[0], sides[1], &ratio, &layers, "by"], &[1, 2, 3, 4]);
    for row in &duel.alignment.rows {
        rows.add_row([
            joined(row.groups.iter().map(|group| group.name.as_str())),
            row.nodes.len().to_string(),
            time(row.limpid),
            time(row.tensorrt),
            row.ratio().map_or(String::new(), times),
            joined(layer_names(row)),
            by(row),
        ]);
    }
    let (limpid, tensorrt) = (duel.alignment.limpid(), duel.alignment.tensorrt());
    let whole = limpid.zip(tensorrt).filter(|(limpid, _)| limpid.median_us > 0.0);
    let whole = whole.map_or(String::new(), |(limpid, tensorrt)| times(tensorrt.median_us / limpid.median_us));
    let nodes = duel.alignment.aligned_nodes().to_string();
    rows.add_row([
        "sum, what is alone included".to_owned(),
        nodes,
        time(limpid),
        time(tensorrt),
        whole,
        String::new(),
        String::new(),
    ]);
    rows.trim_fmt()
}

fn time(timing: Option<Timing>) -> String {
    timing.map_or("–".to_owned(), |timing| units::duration(timing.median_us))
}

/// A ratio with two digits that count, at least.
fn times(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.4}") } else { format!("{ratio:.2}") }
}

/// The names of a row's layers, those that compute nodes before those that only serve.
fn layer_names(row: &Row) -> impl Iterator<Item = &str> {
    let (beside, own): (Vec<_>, Vec<_>) = row.layers.iter().partition(|placed| placed.by == Evidence::Beside);
    own.into_iter().chain(beside).map(|placed| placed.layer.name.as_str())
}

/// What places the row's layers, each word once, the best first.
fn by(row: &Row) -> String {
    let mut words: Vec<_> = row.layers.iter().map(|PlacedLayer { by, .. }| *by).collect();
    words.sort_unstable();
    words.dedup();
    words.iter().map(|word| word.name()).collect::<Vec<_>>().join(", ")
}

/// One name, or the first of several.
fn joined<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let first = names.next().map(shortened).unwrap_or_default();
    match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// A long name without its middle.
fn shortened(name: &str) -> String {
    let signs: Vec<char> = name.chars().collect();
    if signs.len() <= WIDTH {
        return name.to_owned();
    }
    let half = (WIDTH - 1) / 2;
    let part = |signs: &[char]| signs.iter().collect::<String>();
    format!("{}…{}", part(&signs[..half]), part(&signs[signs.len() - half..]))
}

/// Everything without a row, list by list; empty lists are left out, and of one side alone its groups say enough.
fn loose(alignment: &Alignment) -> Vec<String> {
    let list =
        |title: String, lines: Vec<String>| (!lines.is_empty()).then(|| format!("{title}\n  {}", lines.join("\n  ")));
    let count = |number: usize, noun: &str| units::count(number, noun);
    let timed = |name: &str, what: &str, timing: Option<Timing>| {
        let timing = timing.map_or(String::new(), |timing| format!(", {}", units::duration(timing.median_us)));
        format!("{name}: {what}{timing}")
    };
    let node = |node: &LooseNode| match &node.tensorrt {
        Some(layer) => format!("{} ({}): {}; in `{layer}`", node.name, node.op_type, node.limpid),
        None => format!("{} ({}): {}", node.name, node.op_type, node.limpid),
    };
    let groups = alignment.groups_alone.iter().map(|group| timed(&group.name, &group.what.join(" | "), group.time));
    let layers = alignment
        .layers_alone
        .iter()
        .map(|layer| timed(&layer.name, layer.kind.as_deref().unwrap_or("of a kind that is not told"), layer.time));
    let strangers = alignment.strangers.iter().map(|stranger| format!("{}, in `{}`", stranger.name, stranger.layer));
    let one_side = alignment.rows.is_empty() && alignment.layers_alone.is_empty();
    let nodes = |nodes: &[LooseNode]| nodes.iter().filter(|_| !one_side).map(node).collect::<Vec<_>>();
    let lists = [
        list(format!("limpid alone, {}:", count(alignment.groups_alone.len(), "group")), groups.collect()),
        list(format!("TensorRT alone, {}:", count(alignment.layers_alone.len(), "layer")), layers.collect()),
        list(
            format!(
                "In a group of limpid's and named by no layer, {}:",
                count(alignment.limpid_only.len(), "ONNX node")
            ),
            nodes(&alignment.limpid_only),
        ),
        list(
            format!("In a layer of TensorRT's and in no group, {}:", count(alignment.tensorrt_only.len(), "ONNX node")),
            nodes(&alignment.tensorrt_only),
        ),
        list(format!("Nowhere, {}:", count(alignment.neither.len(), "ONNX node")), nodes(&alignment.neither)),
        list(
            format!("Named by TensorRT and no node of this network, {}:", count(alignment.strangers.len(), "name")),
            strangers.collect(),
        ),
    ];
    lists.into_iter().flatten().collect()
}

fn account(alignment: &Alignment) -> String {
    let (all, aligned) = (alignment.nodes(), alignment.aligned_nodes());
    let rows = units::count(alignment.rows.len(), "row");
    format!("{aligned} of {} aligned in {rows}", units::count(all, "ONNX node"))
}

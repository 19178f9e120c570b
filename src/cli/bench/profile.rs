use super::{Bench, BenchArgs};
use crate::cli::console::{Console, pairs, table};
use crate::cli::{CommandError, units};
use crate::measure::{Layer, Limit, Profile};
use serde_json::json;

/// Layers that share a group's name, added up.
#[derive(Clone, Debug, PartialEq)]
struct Group<'a> {
    name: &'a str,
    what: Vec<&'a str>,
    us: f64,
    flops: u64,
    bytes: u64,
    /// What bounds most of it, and the least time it takes, µs.
    bound: Option<(Limit, f64)>,
}

/// Times every group alone.
pub(super) fn run(args: &BenchArgs, bench: &mut Bench, console: &mut Console) -> Result<(), CommandError> {
    if args.flow.asks_for_flow() {
        return Err(CommandError::usage(
            "--profile times groups one by one; leave out the options of a flow of queries",
        ));
    }
    let iterations = args.runs(bench)?.min(200);
    let profile = Profile::of(&mut bench.session, &bench.inputs, iterations, &[90.0, 95.0, 99.0])?;
    let groups = groups(&profile.layers);
    let (sum, whole, least) = (profile.sum_us(), profile.whole.median, profile.bound_us());
    console.json(|| {
        let mut record = bench.record();
        record.insert("profile_us".to_owned(), json!(profile));
        record.insert("sum_us".to_owned(), json!(sum));
        record.insert("bound_us".to_owned(), json!(least));
        record
    })?;
    console.print(pairs([
        ("network", bench.network()),
        ("device", bench.device()),
        ("batch", bench.batch.to_string()),
    ]))?;
    let header = ["group", "what", "time", "share", "GFLOP", "bytes", "TFLOP/s", "GB/s", "limit", "of limit"];
    let mut rows = table(header, &[2, 3, 4, 5, 6, 7, 9]);
    for group in &groups {
        let (limit, share) = match group.bound {
            Some((limit, us)) => (limit.name(), format!("{:.1} %", us / group.us * 100.0)),
            None => ("", String::new()),
        };
        rows.add_row([
            group.name.to_owned(),
            group.what.join(" | "),
            units::duration(group.us),
            format!("{:.1} %", group.us / sum * 100.0),
            format!("{:.3}", group.flops as f64 / 1e9),
            units::bytes(group.bytes),
            format!("{:.1}", group.flops as f64 / group.us / 1e6),
            format!("{:.0}", group.bytes as f64 / group.us / 1e3),
            limit.to_owned(),
            share,
        ]);
    }
    console.print(format_args!("\n{}", rows.trim_fmt()))?;
    let gap = (sum / whole - 1.0) * 100.0;
    let (gap, than) = (gap.abs(), if gap < 0.0 { "less" } else { "more" });
    let (sum, end_to_end) = (units::duration(sum), units::duration(whole));
    console.print(format_args!("\nsum {sum}; end to end {end_to_end}: timed alone, groups take {gap:.1} % {than}"))?;
    if let Some(least) = least {
        let (share, least) = (least / whole * 100.0, units::duration(least));
        console.print(format_args!(
            "limit {least}: each group's operations at the peak of the chip or its bytes at full bandwidth, whichever \
             takes longer;\nend to end reaches {share:.1} % of it. More than 100 % is possible where the second-level cache \
             saves trips to memory."
        ))?;
    }
    Ok(())
}

/// One for each name, in the order they first run.
fn groups(layers: &[Layer]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    // The larger bound of the layers so far says which limit is the group's.
    let mut largest: Vec<f64> = Vec::new();
    for layer in layers {
        let index = groups.iter().position(|group| group.name == layer.group).unwrap_or_else(|| {
            let empty = Group { name: &layer.group, what: vec![], us: 0.0, flops: 0, bytes: 0, bound: None };
            groups.push(empty);
            largest.push(0.0);
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.what.push(&layer.what);
        group.us += layer.time.median;
        group.flops += layer.flops;
        group.bytes += layer.bytes;
        if let Some(bound) = layer.bound {
            let (limit, us) = group.bound.unwrap_or((bound.limit, 0.0));
            let limit = if bound.us > largest[index] { bound.limit } else { limit };
            largest[index] = largest[index].max(bound.us);
            group.bound = Some((limit, us + bound.us));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Bound, Statistic};

    #[test]
    fn layers_of_one_group_add_up() {
        let layer = |group: &str, us: f64, bound: Option<(Limit, f64)>| Layer {
            group: group.to_owned(),
            what: format!("takes {us}"),
            tactic: None,
            time: Statistic::of(vec![us], &[]).expect("a time"),
            flops: 1000,
            bytes: 10,
            bound: bound.map(|(limit, us)| Bound { limit, us }),
        };
        let layers = [
            layer("conv", 3.0, Some((Limit::Memory, 1.0))),
            layer("pool", 2.0, None),
            layer("conv", 5.0, Some((Limit::Compute, 2.0))),
        ];
        let groups = groups(&layers);
        assert_eq!(groups.iter().map(|g| (g.name, g.us)).collect::<Vec<_>>(), [("conv", 8.0), ("pool", 2.0)]);
        assert_eq!((groups[0].flops, groups[0].bound), (2000, Some((Limit::Compute, 3.0))));
        assert_eq!((groups[0].what.len(), groups[1].bound), (2, None));
    }
}

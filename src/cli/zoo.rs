//! `limpid zoo`: writes well-known networks as ONNX files.

use super::CommandError;
use super::console::Console;
use crate::output_file::write_whole;
use crate::zoo::{NETWORKS, Network, ZooError, find};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::json;
use std::path::PathBuf;

/// Write a well-known network as an ONNX file, unfused and with random weights
#[derive(Args, Clone, Debug)]
#[command(override_usage = "limpid zoo NET -o FILE [--seed N] [--size PIXELS | --any-size]\n       limpid zoo --list")]
pub(super) struct ZooArgs {
    /// Which network
    #[arg(value_name = "NET", value_parser = network_parser(), required_unless_present = "list")]
    pub network: Option<&'static Network>,

    /// The file to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "list")]
    pub output: Option<PathBuf>,

    /// Seed of the weights; the same seed gives the same file on every machine
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Height and width of the pictures it takes, if not the usual ones
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,

    /// Leave height and width of the pictures open, for engines that take a range of them
    #[arg(long, conflicts_with = "size")]
    pub any_size: bool,

    /// List the networks
    #[arg(long, conflicts_with_all = ["network", "output", "size", "any_size"])]
    pub list: bool,
}

/// Takes the names of the zoo; clap suggests the nearest for any other.
fn network_parser() -> impl TypedValueParser<Value = &'static Network> {
    let names = NETWORKS.iter().map(|network| PossibleValue::new(network.name).help(network.description));
    PossibleValuesParser::new(names).try_map(|name| find(&name).ok_or_else(|| format!("no network is called `{name}`")))
}

/// Runs the command.
///
/// # Errors
/// [`ZooError::Size`] for a size that the network's strides do not divide, [`ZooError::FixedSize`] for a network whose
/// size cannot be left open, [`ZooError::Io`] if the file cannot be written.
pub(super) fn run(args: &ZooArgs, console: &mut Console) -> Result<(), CommandError> {
    if let (Some(network), Some(output)) = (args.network, &args.output) {
        let built = match args.any_size {
            true => network.build_for_any_size(args.seed)?,
            false => network.build_for(args.size.unwrap_or(network.size), args.seed)?,
        };
        let encoded = built.model.encode().map_err(ZooError::from)?;
        write_whole(output, |out| encoded.write_to(out))
            .map_err(|source| ZooError::Io { path: output.clone(), source })?;
        console.json(|| {
            json!({
                "network": network.name, "parameters": built.parameters, "bytes": encoded.len(), "seed": args.seed,
                "output": output,
            })
        })?;
        console.print(format_args!(
            "{}: {} parameters, {:.1} MB, seed {} -> {}",
            network.title,
            grouped(built.parameters),
            encoded.len() as f64 / 1e6,
            args.seed,
            output.display()
        ))?;
    } else {
        console.json(|| {
            NETWORKS
                .iter()
                .map(|n| json!({ "name": n.name, "title": n.title, "input": ["N", n.channels, n.size, n.size] }))
                .collect::<Vec<_>>()
        })?;
        console.print(list())?;
    }
    Ok(())
}

/// The networks as a table.
pub fn list() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header([
        "name",
        "network",
        "input",
        "description",
    ]);
    for n in NETWORKS {
        let input = format!("N x {} x {} x {}", n.channels, n.size, n.size);
        table.add_row([n.name, n.title, &input, n.description]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// 25557032 as 25,557,032.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let lead = digits.len() % 3;
    let (head, tail) = digits.split_at(lead);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let parts: Vec<String> = (!head.is_empty()).then(|| head.to_owned()).into_iter().chain(groups).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser, Debug)]
    #[command(name = "limpid")]
    struct Wrapper {
        #[command(flatten)]
        args: ZooArgs,
    }

    #[test]
    fn arguments_are_declared_without_conflict() {
        Wrapper::command().debug_assert();
    }

    #[test]
    fn an_unknown_network_suggests_the_nearest() {
        let error = Wrapper::try_parse_from(["limpid", "resnet81", "-o", "x.onnx"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("'resnet18'"), "{error}");
    }

    #[test]
    fn a_network_needs_a_file_and_the_list_takes_none() {
        assert!(Wrapper::try_parse_from(["limpid", "mlp"]).is_err());
        assert!(Wrapper::try_parse_from(["limpid"]).is_err());
        assert!(Wrapper::try_parse_from(["limpid", "--list", "mlp"]).is_err());
        let listed = Wrapper::try_parse_from(["limpid", "--list"]).unwrap();
        assert!(listed.args.list && listed.args.network.is_none());
    }

    #[test]
    fn the_list_names_every_network() {
        let list = list();
        for network in NETWORKS {
            assert!(list.contains(network.name) && list.contains(network.title), "{list}");
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (25_557_032, "25,557,032"), (138_357_544, "138,357,544")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}

//! The help, from the table of flags.

use super::flags::{Effect, Flag, SECTIONS};
use std::fmt::Write;

/// The width of the column of flags.
const COLUMN: usize = 38;

/// Every flag with its line.
pub(super) fn text() -> String {
    let mut text =
        "Builds an engine from an ONNX model and measures it, by the command line of TensorRT's trtexec.\n\n\
                    Values stand behind `=` or a space: --onnx=model.onnx, --onnx model.onnx.\n"
            .to_owned();
    for section in &SECTIONS {
        // Writing into memory does not fail.
        let _ = write!(text, "\n=== {} ===\n", section.title);
        for flag in section.flags.iter().copied().flatten() {
            let _ = writeln!(text, "  {:COLUMN$} {}", written(flag), says(flag));
        }
    }
    text
}

fn written(flag: &Flag) -> String {
    let value = flag.value.map_or(String::new(), |grammar| format!("={grammar}"));
    let alias = flag.alias.map_or(String::new(), |alias| match alias.len() {
        1 => format!(", -{alias}"),
        _ => format!(", --{alias}"),
    });
    format!("--{}{value}{alias}", flag.name)
}

fn says(flag: &Flag) -> &'static str {
    match flag.effect {
        Effect::Take(_) => flag.help,
        Effect::Hint(reason) | Effect::Refuse(reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags;
    use super::*;

    #[test]
    fn the_help_names_every_flag_on_a_line_of_its_own() {
        let text = text();
        for flag in flags::all() {
            let lines = text
                .lines()
                .filter(|line| line.trim_start().split(['=', ',', ' ']).next() == Some(&format!("--{}", flag.name)));
            assert_eq!(lines.count(), 1, "--{}", flag.name);
        }
        assert!(text.lines().all(|line| line.chars().count() <= 200));
    }
}

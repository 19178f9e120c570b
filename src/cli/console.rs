use super::CommandError;
use crate::progress::Progress;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Where a command's words go.
pub(super) struct Console {
    json: bool,
    quiet: bool,
}

impl Console {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints a line of the result for people; nothing with `--json`.
    pub(super) fn print(&mut self, text: impl Display) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stdout().lock(), "{text}") }
    }

    /// Prints the result for machines, with `--json` only.
    pub(super) fn json<T: Serialize>(&mut self, make: impl FnOnce() -> T) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &make())?;
        writeln!(out)
    }

    /// A line beside the result, on standard error.
    pub(super) fn note(&mut self, text: impl Display) {
        if !self.quiet {
            // Nobody is there to be told that standard error is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// An error with what caused it and what to do about it.
    pub(super) fn error(&mut self, error: &CommandError) {
        let colour = io::stderr().is_terminal() && colour_allowed();
        let (red, cyan, plain) = if colour { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{plain} {error}\n");
        let mut cause = error.source();
        while let Some(source) = cause {
            text.push_str(&format!("  caused by: {source}\n"));
            cause = source.source();
        }
        if let Some(help) = error.help() {
            text.push_str(&format!("{cyan}help:{plain} {help}\n"));
        }
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Shows progress while it is kept, on a terminal only.
    pub(super) fn progress(&self) -> Bar {
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Bar { bar: ProgressBar::with_draw_target(None, target) }
    }
}

/// The convention of <https://no-color.org>.
pub(super) fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A progress bar on standard error.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Progress for Bar {
    fn stage(&mut self, name: &str, steps: Option<u64>) {
        tracing::info!("{name}");
        let template = match steps {
            Some(_) => "{msg:>18} [{bar:30}] {pos}/{len}  {elapsed}",
            None => "{msg:>18} {spinner} {elapsed}",
        };
        self.bar.reset();
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(steps.unwrap_or(0));
        self.bar.set_message(name.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn step(&mut self, what: &str) {
        if !what.is_empty() {
            tracing::debug!("{what}");
        }
        self.bar.inc(1);
    }

    fn done(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A table without frames: a header, a line, rows. `right` names the columns of numbers.
pub(super) fn table<const N: usize>(header: [&str; N], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_header(header);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
    }
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Names and values, one pair a line.
pub(super) fn pairs<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<(&str, String)> = rows.into_iter().collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("  {name:width$}  {value}")).collect();
    lines.join("\n")
}

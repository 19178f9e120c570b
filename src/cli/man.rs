use super::console::Console;
use super::{Cli, CommandError, units};
use crate::output_file::write_whole;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// Write the manual: a page for limpid and one for each command
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid man | man -l -                                read the first page
  limpid man -o ~/.local/share/man/man1                and `man limpid-build` works")]
pub(super) struct ManArgs {
    /// The folder to write limpid.1, limpid-build.1, … to; it is made if need be [default: print limpid.1]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Writes or prints it.
pub(super) fn run(args: &ManArgs, console: &mut Console) -> Result<(), CommandError> {
    let pages = pages()?;
    let Some(folder) = &args.output else {
        let (_, text) = &pages[0];
        console.json(|| json!({ "page": text }))?;
        return Ok(console.print(text.trim_end())?);
    };
    let failed = |path: &Path, error: io::Error| {
        CommandError::usage(format!("cannot write the manual to `{}`: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in &pages {
        let path = folder.join(name);
        write_whole(&path, |out| out.write_all(text.as_bytes())).map_err(|error| failed(&path, error))?;
    }
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    console.json(|| json!({ "output": folder, "pages": names }))?;
    Ok(console.print(format_args!("{} -> {}", units::count(pages.len(), "page"), folder.display()))?)
}

/// Names and texts of all pages, limpid's own first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut limpid = Cli::command();
    // Flags that every command has reach them only now.
    limpid.build();
    let page = |command: Command| {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let mut text = Vec::new();
        Man::new(command).render(&mut text)?;
        Ok((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()))
    };
    let commands: Vec<Command> = limpid.get_subcommands().cloned().collect();
    std::iter::once(limpid).chain(commands).map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_flags() {
        let pages = pages().expect("memory can be written to");
        assert_eq!(pages[0].0, "limpid.1");
        assert_eq!(pages.len(), 1 + Cli::command().get_subcommands().count());
        let (_, build) = pages.iter().find(|(name, _)| name == "limpid-build.1").expect("its page");
        for text in [".TH limpid-build 1", "precision", "timing", "verbose", "entropy"] {
            assert!(build.contains(text), "no {text} in\n{build}");
        }
    }
}

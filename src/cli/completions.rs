use super::console::Console;
use super::{Cli, CommandError};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde_json::json;

/// Print a script that completes commands, flags and values in a shell
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  limpid completions bash > ~/.local/share/bash-completion/completions/limpid
  limpid completions zsh > ~/.zfunc/_limpid                      with ~/.zfunc in fpath
  limpid completions fish > ~/.config/fish/completions/limpid.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs, console: &mut Console) -> Result<(), CommandError> {
    let script = script(args.shell);
    console.json(|| json!({ "shell": args.shell.to_string(), "script": script }))?;
    Ok(console.print(script.trim_end())?)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "limpid", &mut script);
    // Whatever is in it comes from this program's own texts.
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_knows_every_command_and_the_flags_of_build() {
        for &shell in Shell::value_variants() {
            let script = script(shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            for flag in ["input-formats", "precision", "timing-cache"] {
                assert!(script.contains(flag), "{shell}: {flag}");
            }
        }
    }
}

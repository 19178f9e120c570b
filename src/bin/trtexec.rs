//! The command `trtexec`: the same as `limpid trtexec`.

use std::process::ExitCode;

fn main() -> ExitCode {
    limpid::cli::trtexec()
}

//! The command `limpid`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    limpid::cli::main()
}

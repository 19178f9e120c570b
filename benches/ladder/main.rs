//! The kernel ladder: a matrix product and a convolution from three nested loops to the production kernels, one idea a
//! step. README.md beside this file tells the ideas.
//!
//! `cargo test --bench ladder` holds every step to plain loops in the emulator and compiles it with NVRTC where that is
//! installed. `… -- measure FILE` times them on the GPU at hand, the production kernels with them, and writes JSON.

mod check;
mod measure;
mod problem;
mod production;
mod steps;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measure", file] => match measure::measure(file) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        },
        _ if arguments.iter().any(|argument| argument == "--list") => {
            println!("ladder: test");
            ExitCode::SUCCESS
        }
        // What needs a GPU is not a test here.
        _ if arguments.iter().any(|argument| argument == "--ignored") => ExitCode::SUCCESS,
        _ if check::emulate() & check::compile() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

//! What runs launches: the emulator here, a GPU where there is one.

use limpid_kernels::emulator::{Emulator, EmulatorError, Memory};
use limpid_kernels::launch::Launch;
use limpid_kernels::target::Arch;
use std::path::Path;

/// Runs launches one after another on memory that starts and ends on the host.
pub trait Executor: Sync {
    /// Leaves in `memory` what the kernels left there, or says what went wrong.
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String>;

    /// True if it keeps account of which bytes were written; a GPU does not.
    fn knows_written(&self) -> bool;
}

impl Executor for Emulator {
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String> {
        launches.iter().try_for_each(|launch| {
            let program = self.compile(&launch.unit, arch).map_err(|e| e.to_string())?;
            program.run(launch, memory).map(drop).map_err(|e| e.to_string())
        })
    }

    fn knows_written(&self) -> bool {
        true
    }
}

/// The emulator with its cache under `target/`, or `None`, said aloud, on a machine that cannot have one.
/// Continuous integration (`CI` is set) must have it.
pub fn emulator() -> Option<Emulator> {
    match Emulator::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator")) {
        Ok(emulator) => Some(emulator),
        Err(error @ (EmulatorError::NoCompiler { .. } | EmulatorError::NotLinux)) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED, nothing was emulated: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

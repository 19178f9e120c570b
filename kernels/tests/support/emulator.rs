//! The emulator that tests run kernels on.

use limpid_kernels::emulator::{Emulator, EmulatorError};
use std::path::Path;
use std::sync::LazyLock;

/// The emulator with its cache under `target/`, or `None`, said aloud, on a machine that cannot have one.
/// With `LIMPID_REQUIRE_CXX` set, as continuous integration sets it, it must be there.
pub fn emulator() -> Option<&'static Emulator> {
    static EMULATOR: LazyLock<Option<Emulator>> =
        LazyLock::new(|| match Emulator::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator")) {
            Ok(emulator) => Some(emulator),
            Err(error @ (EmulatorError::NoCompiler { .. } | EmulatorError::NotLinux)) => {
                assert!(std::env::var_os("LIMPID_REQUIRE_CXX").is_none(), "{error}");
                eprintln!("SKIPPED, nothing was emulated: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        });
    EMULATOR.as_ref()
}

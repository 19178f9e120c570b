//! What tests on emulated kernels begin with.

use limpid_graph::tensor::Tensor;
use limpid_kernels::emulator::{Emulator, EmulatorError};
use std::path::Path;

/// The emulator, or a visible skip where there is no C++ compiler (unless the run demands one).
pub fn emulator() -> Option<Emulator> {
    match Emulator::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator")) {
        Ok(emulator) => Some(emulator),
        Err(error @ (EmulatorError::NoCompiler { .. } | EmulatorError::NotLinux)) => {
            assert!(std::env::var_os("LIMPID_REQUIRE_CXX").is_none(), "{error}");
            eprintln!("SKIPPED, nothing was emulated: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Numbers in [-1, 1), the same on every run.
pub fn random_input(shape: &[usize]) -> Tensor {
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    Tensor::new(shape, (0..shape.iter().product()).map(|_| next()).collect::<Vec<f32>>()).expect("it has that size")
}

//! How fast bytes come from the second-level cache, how much of it can be used, and how fast device memory is.

use crate::chip::{Chip, Kernel, random_words};
use crate::report::Report;
use limpid_kernels::device::DeviceError;

/// Working sets, MiB: the rate falls where they no longer fit.
const SETS: [usize; 13] = [1, 4, 8, 16, 24, 28, 32, 40, 48, 56, 64, 96, 192];
/// Bytes that a launch reads of a working set, in as many passes as that takes.
const READ: usize = 1 << 30;
/// A working set that no cache holds.
const LARGE: usize = 4 << 30;
const THREADS: u32 = 512;
/// Blocks on a multiprocessor.
const RESIDENT: u32 = 4;
/// `WAY` of memory.cu, and bytes moved for each byte of the working set.
const WAYS: [(u32, &str); 3] = [(0, "read"), (1, "written"), (2, "copied, both ways counted")];

/// Everything it compiles.
pub fn kernels() -> Vec<Kernel> {
    WAYS.into_iter().map(|(way, _)| mover(way)).collect()
}

fn mover(way: u32) -> Kernel {
    Kernel::new("memory.cu", "move", &[("WAY", way)], THREADS)
}

/// Measures the cache, then the memory.
pub fn measure(chip: &mut Chip, report: &mut Report) -> Result<(), DeviceError> {
    let blocks = chip.target.multiprocessors * RESIDENT;
    let memory = chip.filled(LARGE, &random_words(1 << 22))?;
    let sink = chip.buffer((blocks * THREADS) as usize * 16)?;
    let sets = SETS.into_iter().map(|mib| (mib << 20, 0, "read again and again"));
    let large = WAYS.into_iter().map(|(way, words)| (LARGE, way, words));
    for (bytes, way, words) in sets.chain(large) {
        let passes = READ.div_ceil(bytes);
        let numbers = [(bytes / 16) as u32, passes as u32];
        let launch = chip.prepare(&mover(way), blocks, &[&memory, &sink], &numbers)?;
        let samples = chip.time(&launch, 1, 10)?;
        let rate = (bytes * passes) as f64 / samples.median() / 1e3;
        report.add("memory", format!("{} MiB {words}", bytes >> 20), rate, "GB/s", samples);
    }
    Ok(())
}

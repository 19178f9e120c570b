//! What the tensor cores reach on random numbers when nothing else is to be done.

use crate::chip::{Chip, Kernel, random_words};
use crate::report::Report;
use limpid_kernels::device::DeviceError;
use limpid_kernels::target::Arch;

/// `KIND` of peak.cu, and the depth of one `mma` or `wgmma`.
const KINDS: [(u32, &str, u64); 3] = [(0, "f16", 16), (1, "s8", 32), (2, "tf32", 8)];
/// As in peak.cu.
const TILES: u64 = 4;
const STAGES: u32 = 4;
const STAGE_BYTES: u32 = (2 * 64 + 256) * 128;
/// Steps of one launch: some milliseconds, in which the clock settles.
const STEPS: u32 = 20_000;

/// A kernel, the blocks of it for each multiprocessor, and the operations of a block's step.
struct Peak {
    what: String,
    kernel: Kernel,
    resident: u32,
    operations: u64,
}

/// Those that an architecture has.
fn peaks(arch: Arch) -> Vec<Peak> {
    let mma = KINDS.into_iter().filter(|(_, name, _)| *name != "tf32").map(|(kind, name, depth)| Peak {
        what: format!("mma.sync {name}"),
        kernel: Kernel::new("peak.cu", "mma_peak", &[("KIND", kind)], 256),
        resident: 2,
        operations: 8 * TILES * TILES * 2 * 16 * 8 * depth,
    });
    let wgmma = KINDS.into_iter().filter(|_| arch == Arch(90)).map(|(kind, name, depth)| Peak {
        what: format!("wgmma {name}, operands in shared memory"),
        kernel: Kernel {
            shared_bytes: STAGES * STAGE_BYTES,
            ..Kernel::new("peak.cu", "wgmma_peak", &[("KIND", kind), ("STAGES", STAGES)], 256)
        },
        resident: 1,
        operations: 2 * 4 * 2 * 64 * 256 * depth,
    });
    mma.chain(wgmma).collect()
}

/// Everything it compiles.
pub fn kernels(arch: Arch) -> Vec<Kernel> {
    peaks(arch).into_iter().map(|peak| peak.kernel).collect()
}

/// Measures each.
pub fn measure(chip: &mut Chip, report: &mut Report) -> Result<(), DeviceError> {
    let bytes = (STAGES * STAGE_BYTES) as usize;
    let x = chip.filled(bytes, &random_words(bytes / 4))?;
    for peak in peaks(chip.target.arch) {
        let blocks = chip.target.multiprocessors * peak.resident;
        let y = chip.buffer((blocks * peak.kernel.threads) as usize * 4)?;
        let launch = chip.prepare(&peak.kernel, blocks, &[&x, &y], &[STEPS])?;
        let samples = chip.time(&launch, 1, 10)?;
        let operations = (peak.operations * u64::from(blocks) * u64::from(STEPS)) as f64;
        report.add("peak", peak.what, operations / samples.median() / 1e6, "TFLOP/s", samples);
    }
    Ok(())
}

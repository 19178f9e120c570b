//! What it costs to go from one step of a network to the next: between nodes of a CUDA graph, with and without
//! programmatic dependent launch, and by a barrier inside one kernel.

use crate::chip::{Chip, Kernel};
use crate::report::Report;
use limpid_kernels::device::DeviceError;

/// Nodes of a graph: about what a network has.
const NODES: u32 = 64;
/// Work of a kernel, clocks: none, and some 2 µs, as a layer at batch 1 has.
const CLOCKS: [u32; 2] = [0, 4000];
/// Barriers of one launch.
const ROUNDS: u32 = 1000;
/// Threads of a block that meets others.
const MEETING: [u32; 2] = [128, 1024];

/// When the next grid may start; `TRIGGER` of launches.cu.
const TRIGGERS: [(u32, &str); 3] = [(0, "when it has ended"), (1, "first thing"), (2, "after its work")];

/// Everything it compiles.
pub fn kernels() -> Vec<Kernel> {
    let busy = TRIGGERS.into_iter().map(|(trigger, _)| busy(trigger));
    busy.chain(MEETING.map(rounds)).collect()
}

fn busy(trigger: u32) -> Kernel {
    Kernel { dependent: trigger > 0, ..Kernel::new("launches.cu", "busy", &[("TRIGGER", trigger)], 128) }
}

fn rounds(threads: u32) -> Kernel {
    Kernel::new("barrier.cu", "rounds", &[], threads)
}

/// Measures both.
pub fn measure(chip: &mut Chip, report: &mut Report) -> Result<(), DeviceError> {
    let multiprocessors = chip.target.multiprocessors;
    let y = chip.buffer(multiprocessors as usize * 128 * 4)?;
    for clocks in CLOCKS {
        for blocks in [1, multiprocessors] {
            for (trigger, words) in TRIGGERS {
                let launch = chip.prepare(&busy(trigger), blocks, &[&y], &[clocks])?;
                let samples = chip.time(&launch, NODES, 50)?;
                let what = format!("{blocks} blocks of {clocks} clocks, next one {words}");
                report.add("graph node", what, samples.median(), "µs", samples);
            }
        }
    }
    let counter = chip.filled(4, &[0])?;
    for threads in MEETING {
        let launch = chip.prepare(&rounds(threads), multiprocessors, &[&counter], &[ROUNDS])?;
        let samples = chip.time(&launch, 1, 20)?;
        let what = format!("of {multiprocessors} blocks of {threads} threads");
        report.add("barrier", what, samples.median() / f64::from(ROUNDS), "µs", samples);
    }
    Ok(())
}

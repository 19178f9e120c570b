//! Faults planted into Hopper kernels, one a run, which the emulator must find and name.

use crate::copies;
use crate::emulated::emulator;
use crate::machine::Machine;
use crate::products::Case;
use limpid_kernels::emulator::{EmulatorError, FaultKind};
use limpid_kernels::tensor_map::Swizzle;

/// What `product.cu` calls them, what they are, and words of the report.
const PRODUCT: [(&str, FaultKind, &str); 14] = [
    ("K_LOOP_TOO_LONG", FaultKind::BarrierNotReached, "is in phase 2 and waits for 1 of 1 arrivals"),
    ("WRONG_PHASE", FaultKind::MissingWait, "has not delivered yet"),
    ("MISSING_WAIT", FaultKind::MissingWait, "has not delivered yet"),
    ("WRONG_SWIZZLE", FaultKind::WrongDescriptor, "read with 64-byte swizzle"),
    ("WRONG_STRIDE", FaultKind::WrongDescriptor, "row 8"),
    ("UNINITIALISED", FaultKind::NeverWritten, "accumulators that nobody wrote"),
    ("EARLY_READ", FaultKind::MissingWait, "wgmma.wait_group comes first"),
    ("NO_FENCE", FaultKind::MissingWait, "without wgmma.fence"),
    ("NO_EMPTY_WAIT", FaultKind::WrongBarrier, "have arrived in this phase already"),
    ("TOO_FEW_BYTES", FaultKind::BarrierNotReached, "bytes"),
    ("TOO_MANY_BYTES", FaultKind::BarrierNotReached, "and 16 bytes"),
    ("NO_INIT_FENCE", FaultKind::MissingProxyFence, "fence.mbarrier_init"),
    ("EARLY_RELEASE", FaultKind::DataRace, "bulk copy of byte 0 of dynamic shared memory and read"),
    ("ONE_WARP_LESS", FaultKind::MissingLanes, "another warp of the warpgroup"),
];

/// Of `copies.cu`, with the kernel.
const COPIES: [(&str, &str, FaultKind, &str); 6] = [
    ("bulk", "NO_PROXY_FENCE", FaultKind::MissingProxyFence, "without fence.proxy.async"),
    ("bulk", "NO_READ_WAIT", FaultKind::MissingWait, "the thread ends while its bulk copy"),
    ("pair", "NO_LAST_BARRIER", FaultKind::MissingWait, "such as a barrier of the cluster"),
    ("dependent", "EARLY_INPUT", FaultKind::MissingWait, "read of byte 0 of Input(0) ahead of griddepcontrol.wait"),
    ("dependent", "HALF_A_WARPGROUP", FaultKind::MissingLanes, "another warp of the warpgroup"),
    ("relay", "NO_NAMED_BARRIER", FaultKind::DataRace, "static shared memory"),
];

/// Boxes that tensor copies do not take, in this direction.
const BOXES: [(&str, FaultKind, &str); 4] = [
    ("AMID_16_BYTES", FaultKind::Misaligned, "element 24 of its rows, byte 24; multiples of 16"),
    ("STORE_LEFT_OF_ROWS", FaultKind::OutOfBounds, "begins at -4 in dimension 0"),
    ("STORE_ABOVE", FaultKind::OutOfBounds, "begins at -1 in dimension 2"),
    ("STORE_CUTS_16_BYTES", FaultKind::OutOfBounds, "the last 16 bytes whole, 8 of them behind the row"),
];

pub fn check() {
    let mut missed: Vec<String> = Vec::new();
    for (plant, kind, words) in PRODUCT {
        missed.extend(miss(plant, kind, words, "tests/product.cu", |machine| {
            Case { stages: 5, ..Case::new(64, Swizzle::B128) }.run(machine, plant).map(drop)
        }));
    }
    missed.extend(miss("IGNORED_TRY", FaultKind::MissingWait, "not delivered yet", "tests/product.cu", |machine| {
        Case::new(8, Swizzle::B32).run(machine, "IGNORED_TRY").map(drop)
    }));
    for (entry, plant, kind, words) in COPIES {
        missed.extend(miss(plant, kind, words, "tests/copies.cu", |machine| {
            copies::run(machine, entry, plant).map(drop)
        }));
    }
    for (what, kind, words) in BOXES {
        missed.extend(miss(what, kind, words, "tests/copies.cu", |machine| copies::refused(machine, what)));
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// What is wrong with what is said of the fault, if anything: it must be found for what it is, with line, block and
/// thread.
fn miss(
    plant: &str,
    kind: FaultKind,
    words: &str,
    file: &str,
    run: impl Fn(&dyn Machine) -> Result<(), EmulatorError>,
) -> Option<String> {
    let fault = match run(emulator()?) {
        Err(EmulatorError::Fault(fault)) => fault,
        other => return Some(format!("{plant} went unnoticed: {other:?}")),
    };
    println!("{plant}: {fault}\n");
    let placed = fault.block.is_some() && fault.thread.is_some();
    let lined = fault.place.iter().any(|frame| frame.file == file && frame.line > 0);
    let right = fault.kind == kind && fault.to_string().contains(words) && placed && lined;
    (!right).then(|| format!("{plant} should be {kind:?} ({words}), is {:?}: {fault}", fault.kind))
}

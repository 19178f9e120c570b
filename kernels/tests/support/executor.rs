//! What runs launches: the emulator here, a GPU where there is one.

use limpid_kernels::emulator::Memory;
use limpid_kernels::launch::Launch;
use limpid_kernels::target::Arch;

/// Runs launches one after another on memory that starts and ends on the host.
pub trait Executor: Sync {
    /// Leaves in `memory` what the kernels left there, or says what went wrong.
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String>;

    /// True if it keeps account of which bytes were written; a GPU does not, but leaves 0xff where nobody wrote.
    fn knows_written(&self) -> bool;
}

//! The benchmark of the tensor cores in `benches/micro` does the work that it counts: one block of it.

use crate::machine::Machine;
use limpid_kernels::emulator::{Buffer, Memory};
use limpid_kernels::launch::{Arg, CompileUnit, Launch, Role};

const TEXT: &str = include_str!("../../../benches/micro/peak.cu");
const STAGES: u32 = 2;
const SHARED: u32 = STAGES * (2 * 64 + 256) * 128;

/// What a block of 256 threads leaves after so many steps, on numbers that are positive as any type.
fn run(machine: &dyn Machine, entry: &str, defines: &[(&str, u32)], steps: u32) -> Vec<u32> {
    let unit = CompileUnit::new("benches/peak.cu", entry, defines.iter().copied());
    let bytes: Vec<u8> = (0..SHARED).map(|i| if i % 2 == 0 { i / 2 % 7 } else { 0x3c } as u8).collect();
    let mut memory = Memory::from([(Role::Input(0), Buffer::input(bytes)), (Role::Output(0), Buffer::output(256 * 4))]);
    let launch = Launch {
        unit,
        grid: [1; 3],
        block: [256, 1, 1],
        cluster: Launch::ALONE,
        shared_bytes: if entry == "wgmma_peak" { SHARED } else { 0 },
        args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&steps)],
        dependent: false,
    };
    machine.run(TEXT, &launch, &mut memory).unwrap_or_else(|error| panic!("{entry} {defines:?}: {error}"));
    bytemuck::pod_collect_to_vec(&memory[&Role::Output(0)].bytes)
}

/// Twice the steps are twice the sums.
pub fn check(machine: &dyn Machine) {
    for (entry, kind) in [("mma_peak", 0), ("mma_peak", 1), ("wgmma_peak", 0), ("wgmma_peak", 1), ("wgmma_peak", 2)] {
        let all = [("KIND", kind), ("STAGES", STAGES)];
        let defines = if entry == "wgmma_peak" { &all[..] } else { &all[..1] };
        let [once, twice] = [STAGES, 2 * STAGES].map(|steps| run(machine, entry, defines, steps));
        for (&once, &twice) in once.iter().zip(&twice) {
            if kind == 1 {
                assert!(once > 0 && twice == 2 * once, "{entry} s8: {once}, {twice}");
            } else {
                let ratio = f32::from_bits(twice) / f32::from_bits(once);
                assert!((ratio - 2.0).abs() < 1e-5, "{entry} {kind}: {ratio}");
            }
        }
    }
}

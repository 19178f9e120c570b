//! NVRTC's command line.
//!
//! `--use_fast_math` is left out on purpose: it would change every division, square root and denormal of a
//! kernel at a distance. A kernel that wants the fast form of one operation names the intrinsic where it uses it
//! (`__expf`, `__fdividef`), and the reader sees it.

use crate::launch::CompileUnit;
use crate::target::Arch;

/// The options for a unit, in the order NVRTC gets them. They are part of a cubin's cache key.
pub fn options(unit: &CompileUnit, arch: Arch) -> Vec<String> {
    let mut options = vec![
        // `sm_` asks for machine code; `compute_` would leave that to the driver, at every start.
        format!("--gpu-architecture={}", arch.nvrtc_name()),
        "--std=c++17".to_owned(),
        // Functions without a specifier are `__device__`: a `.cu` here has no host code.
        "--device-as-default-execution-space".to_owned(),
        // Source lines for profilers and compute-sanitizer; the machine code stays the same.
        "--generate-line-info".to_owned(),
        // Registers, spills and shared memory of each kernel appear in the log.
        "--ptxas-options=--verbose".to_owned(),
    ];
    options.extend(unit.defines.iter().map(|(name, value)| format!("--define-macro={name}={value}")));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hopper_gets_its_own_instructions() {
        let unit = CompileUnit::new("conv/mma.cu", "conv", [("BLOCK_M", "128")]);
        assert_eq!(options(&unit, Arch(90))[0], "--gpu-architecture=sm_90a");
        assert_eq!(options(&unit, Arch(75))[0], "--gpu-architecture=sm_75");
    }

    #[test]
    fn defines_come_in_the_order_of_their_names() {
        let unit = CompileUnit::new("a.cu", "a", [("STAGES", "3"), ("BLOCK_M", "64")]);
        let options = options(&unit, Arch(80));
        let defines: Vec<_> = options.iter().filter(|o| o.starts_with("--define-macro")).collect();
        assert_eq!(defines, ["--define-macro=BLOCK_M=64", "--define-macro=STAGES=3"]);
    }

    #[test]
    fn fast_math_is_never_asked_for() {
        let unit = CompileUnit::new("a.cu", "a", [("A", 1)]);
        for arch in Arch::TESTED {
            assert!(options(&unit, arch).iter().all(|option| !option.contains("fast_math")));
        }
    }
}

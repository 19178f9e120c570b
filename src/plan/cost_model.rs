//! How long a candidate will take, by a roofline with waves: good enough to order tactics where nothing can be
//! measured, and to keep hopeless ones from being timed where it can.
//!
//! ```text
//! t = launches · t_launch + flops / (peak · efficiency · fill) + bytes / (bandwidth · fill_memory)
//! ```
//!
//! `fill` is the share of the chip that the grid keeps busy: a grid smaller than the chip never fills it, and blocks of
//! a larger one do not end together. `efficiency` counts what blocks wait for; few of them run on a multiprocessor, so
//! computing and moving overlap little, and their times are added. Where memory limits everyone, the sum still tells
//! candidates apart.
//!
//! How good it is for `conv/mma` on an H200, over 229 convolutions whose tactics were timed there: ResNet-50 in FP16 at
//! batch 1 and 32 and in INT8 at 32, MobileNetV2 in FP16 at 1 and 32 without its depthwise ones. The winner is the first
//! choice for 148 of them, among the first four for 204 and among the first eight for 221, never behind the eleventh; the
//! first choice takes 3.7 % longer than the winner on average. The constants were fitted to these same times, so
//! elsewhere it will be worse: constants fitted to ResNet-50 alone chose first for 53 of MobileNetV2's 70 and lost 3.1 %
//! there. Other kernels' efficiencies are estimates that nobody fitted.

use limpid_graph::ir::Precision;
use limpid_kernels::launch::Candidate;
use limpid_kernels::target::Target;

/// Start of a kernel inside a CUDA graph, µs: what was seen between dependent empty kernels on recent chips.
const LAUNCH_US: f64 = 1.5;

/// Blocks a multiprocessor needs in flight for memory to run at full speed.
const BLOCKS_FOR_BANDWIDTH: f64 = 2.0;

/// What the last blocks add to the waves of a grid larger than the chip.
const TAIL_WAVES: f64 = 0.05;

/// The time of one run, µs.
pub fn estimate(candidate: &Candidate, precision: Precision, target: &Target) -> f64 {
    let cost = &candidate.cost;
    let multiprocessors = f64::from(target.multiprocessors.max(1));
    let blocks = cost.blocks.max(1) as f64;
    let together = f64::from(cost.blocks_per_multiprocessor.max(1)).min((blocks / multiprocessors).ceil());
    let waves = blocks / (multiprocessors * together);
    let fill = if waves <= 1.0 { waves } else { waves / (waves + TAIL_WAVES) }.max(1e-3);
    let memory_fill = (blocks / (multiprocessors * BLOCKS_FOR_BANDWIDTH)).clamp(0.05, 1.0);
    let peak = if cost.tensor_cores { target.peak(precision) } else { target.peak(Precision::Fp32) };
    let efficiency = f64::from(cost.efficiency).clamp(0.01, 1.0);
    let compute = cost.flops as f64 / (peak * efficiency * fill);
    let memory = cost.bytes as f64 / (target.bandwidth * memory_fill);
    candidate.launches.len() as f64 * LAUNCH_US + 1e6 * (compute + memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_kernels::launch::{CandidateCost, Tactic};
    use limpid_kernels::target::Arch;

    fn candidate(flops: u64, bytes: u64, blocks: u64, launches: usize) -> Candidate {
        let launch = limpid_kernels::launch::Launch {
            unit: limpid_kernels::launch::CompileUnit::new::<&str, u32>("none.cu", "none", []),
            grid: [1; 3],
            block: [1; 3],
            cluster: limpid_kernels::launch::Launch::ALONE,
            shared_bytes: 0,
            args: Vec::new(),
            dependent: false,
        };
        let cost =
            CandidateCost { flops, bytes, blocks, blocks_per_multiprocessor: 2, efficiency: 0.7, tensor_cores: true };
        let tactic = Tactic::new("test", &[]);
        Candidate {
            tactic,
            launches: vec![launch; launches],
            workspace: 0,
            weights: None,
            bias_len: 0,
            scales_len: 0,
            cost,
        }
    }

    #[test]
    fn filling_the_chip_is_faster_than_not() {
        let target = Target::typical(Arch(90));
        let few = estimate(&candidate(10_000_000_000, 1, 16, 1), Precision::Fp16, &target);
        let many = estimate(&candidate(10_000_000_000, 1, 264, 1), Precision::Fp16, &target);
        assert!(many < few / 4.0, "{many} µs with a full chip, {few} µs with 16 blocks");
    }

    #[test]
    fn a_second_launch_costs_its_start() {
        let target = Target::typical(Arch(80));
        let one = estimate(&candidate(1, 1, 1, 1), Precision::Fp16, &target);
        let two = estimate(&candidate(1, 1, 1, 2), Precision::Fp16, &target);
        assert!((two - one - LAUNCH_US).abs() < 1e-9);
    }

    #[test]
    fn memory_takes_its_time() {
        let target = Target::typical(Arch(90));
        let memory = estimate(&candidate(1, 48_000_000, 10_000, 1), Precision::Fp16, &target);
        assert!((memory - LAUNCH_US - 10.0).abs() < 0.5, "48 MB at 4.8 TB/s take 10 µs, got {memory}");
    }
}

//! Who brings which constants into the second-level cache.
//!
//! At small batches kernels wait for each other more than for memory, which is idle meanwhile, and yet each finds its
//! weights in device memory: a network's do not stay in the cache from one inference to the next. So each kernel that can
//! asks for those of the next one that has weights, while it is at work itself ([`Arg::Ahead`]).

use super::types::{Bound, Location, Plan, Step};
use limpid_kernels::launch::{Arg, Role};

/// The part of the second-level cache, as 1/n, that may be filled ahead: the kernel at work needs the rest.
const SHARE_OF_L2: u64 = 4;

/// A line of the cache.
const LINE_BYTES: u64 = 128;

/// What the address and the size of a prefetched stretch are multiples of.
const GRAIN_BYTES: u64 = 16;

impl Plan {
    /// Tells each kernel that can bring constants into the cache what to bring.
    pub(super) fn look_ahead(mut self) -> Self {
        let most = (self.target.l2_bytes / SHARE_OF_L2).min(u64::from(u32::MAX) / 2);
        let mut next: Option<(u64, u64)> = None;
        for step in self.steps.iter_mut().rev() {
            let own = constants(step);
            let mut args = step.launches.iter_mut().flat_map(|launch| &mut launch.args);
            let room = args.find(|arg| matches!(arg, Arg::Ahead { .. }));
            if let (Some(room), Some((start, end))) = (room, next) {
                let lines = end.next_multiple_of(LINE_BYTES).min(self.constant_bytes) - start;
                let bytes = lines.min(most) / GRAIN_BYTES * GRAIN_BYTES;
                *room = Arg::Ahead { bytes: bytes as u32, beside: false };
                step.operands.push(Bound { role: Role::Ahead, location: Location::Constants(start), bytes });
            }
            next = own.or(next);
        }
        self
    }
}

/// Where the weights of a step lie among the constants, from and to, with the bias and the scales where those lie right
/// behind them.
fn constants(step: &Step) -> Option<(u64, u64)> {
    let place = |role| {
        let bound = step.operands.iter().find(|bound| bound.role == role)?;
        match bound.location {
            Location::Constants(offset) => Some((offset, offset + bound.bytes)),
            _ => None,
        }
    };
    let (start, mut end) = place(Role::Weights)?;
    for (from, to) in [Role::Bias, Role::Scales].into_iter().filter_map(place) {
        if (end..end + super::memory::ALIGNMENT).contains(&from) {
            end = to;
        }
    }
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::port::Layouts;
    use limpid_graph::{onnx, passes};
    use limpid_kernels::target::{Arch, Target};
    use std::path::Path;

    fn network(target: &Target) -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion/fashion.onnx");
        let onnx::Model { mut graph, mut ledger, .. } = onnx::load(&path).expect("the model is fine");
        passes::optimize(&mut graph, &mut ledger, &[]).expect("rules keep graphs valid");
        let bindings = graph.bind(&[&[1, 1, 28, 28]]).expect("the shape fits");
        plan(&graph, &bindings, &Layouts::default(), target, None).expect("it can be planned")
    }

    fn ahead(step: &Step) -> Option<(u64, u64)> {
        let bound = step.operands.iter().find(|bound| bound.role == Role::Ahead)?;
        let Location::Constants(offset) = bound.location else { panic!("{bound:?} is written") };
        Some((offset, offset + bound.bytes))
    }

    fn asked(step: &Step) -> Vec<u32> {
        let args = step.launches.iter().flat_map(|launch| &launch.args);
        args.filter_map(|arg| if let Arg::Ahead { bytes, .. } = arg { Some(*bytes) } else { None }).collect()
    }

    #[test]
    fn each_kernel_looks_to_the_next_weights() {
        let plan = network(&Target::typical(Arch(90)));
        let mut looked = 0;
        for (index, step) in plan.steps.iter().enumerate() {
            let next = plan.steps[index + 1..].iter().find_map(constants);
            let (Some(&bytes), Some((from, to))) = (asked(step).first(), next) else {
                assert_eq!((ahead(step), asked(step).iter().sum::<u32>()), (None, 0), "nothing is ahead");
                continue;
            };
            let (start, end) = ahead(step).expect("what is asked for has a place");
            assert_eq!((start, end - start), (from, bytes.into()));
            assert!((to - 15..to + LINE_BYTES).contains(&end) && end <= plan.constant_bytes, "{start}..{end}");
            assert!(start.is_multiple_of(LINE_BYTES) && bytes.is_multiple_of(16), "{start}..{end}");
            looked += 1;
        }
        assert!(looked >= 2, "{looked} kernels look ahead");
    }

    #[test]
    fn the_bias_comes_along() {
        let plan = network(&Target::typical(Arch(90)));
        let with_bias = plan.steps.iter().find(|step| step.operands.iter().any(|bound| bound.role == Role::Bias));
        let step = with_bias.expect("convolutions have one");
        let bytes = |role| step.operands.iter().find(|bound| bound.role == role).map_or(0, |bound| bound.bytes);
        let (start, end) = constants(step).expect("and weights");
        assert!(end - start >= bytes(Role::Weights) + bytes(Role::Bias), "{step:?}");
    }

    #[test]
    fn a_small_cache_is_not_filled() {
        let plan = network(&Target { l2_bytes: 4096, ..Target::typical(Arch(90)) });
        let bytes: Vec<u64> = plan.steps.iter().filter_map(ahead).map(|(start, end)| end - start).collect();
        assert!(bytes.contains(&1024) && bytes.iter().all(|&bytes| bytes <= 1024), "{bytes:?}");
    }
}

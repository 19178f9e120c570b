//! Which grids run beside the one before them.
//!
//! Steps follow each other in one stream, and each waits for the one before. Where a network branches, that is more than it
//! needs: the two first convolutions of a residual block with a projection read the same activations. A kernel that can
//! ([`Arg::Ahead`]) then runs at the same time as the one before it; what holds for the stream as a whole stays
//! ([`Launch::dependent`](limpid_kernels::launch::Launch::dependent)).

use super::types::{Bound, Location, Plan, Step};
use limpid_kernels::launch::{Arg, Role};

/// Steps that a step may run beside: more would only wait for room on the multiprocessors.
const MOST_BESIDE: usize = 3;

impl Plan {
    /// Lets steps run beside those before them where nothing of one is anything to the other.
    pub(super) fn run_beside(mut self) -> Self {
        // The first step that may still be at work when the one at hand begins.
        let mut at_work = 0;
        for index in 1..self.steps.len() {
            let (before, rest) = self.steps.split_at_mut(index);
            let (step, running) = (&mut rest[0], &before[at_work..]);
            let free = running.len() <= MOST_BESIDE && running.iter().all(|other| independent(step, other));
            let [launch] = step.launches.as_mut_slice() else {
                at_work = index;
                continue;
            };
            match launch.args.iter_mut().find(|arg| matches!(arg, Arg::Ahead { .. })) {
                Some(Arg::Ahead { beside, .. }) if free => *beside = true,
                // It waits for the one before: all others have ended when the next one begins.
                _ => at_work = index,
            }
        }
        self
    }
}

/// True if neither writes what the other touches.
fn independent(a: &Step, b: &Step) -> bool {
    let meet = |writer: &Step, other: &Step| {
        let written = writer.operands.iter().filter(|bound| writes(bound.role));
        written.clone().any(|x| other.operands.iter().any(|y| overlap(x, y)))
    };
    !meet(a, b) && !meet(b, a)
}

fn writes(role: Role) -> bool {
    match role {
        Role::Output(_) | Role::Workspace => true,
        Role::Input(_) | Role::Residual | Role::Ahead => false,
        Role::Weights | Role::Bias | Role::Scales | Role::Constant(_) => false,
    }
}

fn overlap(a: &Bound, b: &Bound) -> bool {
    let place = |bound: &Bound| match bound.location {
        Location::Arena(offset) => (0, 0, offset),
        Location::Constants(offset) => (1, 0, offset),
        Location::Input(index, offset) => (2, index, offset),
        Location::Output(index, offset) => (3, index, offset),
    };
    let ((kind_a, index_a, from_a), (kind_b, index_b, from_b)) = (place(a), place(b));
    (kind_a, index_a) == (kind_b, index_b) && from_a < from_b + b.bytes && from_b < from_a + a.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::port::Layouts;
    use limpid_graph::{onnx, passes};
    use limpid_kernels::launch::Launch;
    use limpid_kernels::target::{Arch, Target};
    use std::path::Path;

    fn network() -> Plan {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fashion/fashion.onnx");
        let onnx::Model { mut graph, mut ledger, .. } = onnx::load(&path).expect("the model is fine");
        passes::optimize(&mut graph, &mut ledger, &[]).expect("rules keep graphs valid");
        let bindings = graph.bind(&[&[1, 1, 28, 28]]).expect("the shape fits");
        plan(&graph, &bindings, &Layouts::default(), &Target::typical(Arch(90)), None).expect("it can be planned")
    }

    /// Five steps of one launch that can run beside others; each reads and writes the given hundreds of bytes.
    fn steps(reads_and_writes: [(u64, u64); 5]) -> Vec<bool> {
        let mut plan = network();
        let can = |step: &&Step| {
            let args = step.launches.iter().flat_map(|launch| &launch.args);
            step.launches.len() == 1 && args.clone().any(|arg| matches!(arg, Arg::Ahead { .. }))
        };
        let step = plan.steps.iter().find(can).expect("there is a convolution").clone();
        let bound = |role, at: u64| Bound { role, location: Location::Arena(100 * at), bytes: 100 };
        let with = |(read, written)| Step {
            operands: vec![bound(Role::Input(0), read), bound(Role::Output(0), written)],
            ..step.clone()
        };
        plan.steps = reads_and_writes.map(with).into();
        plan.run_beside().steps.iter().map(|step| step.launches[0].beside()).collect()
    }

    #[test]
    fn blocks_with_a_projection_branch() {
        let plan = network();
        let mut found = 0;
        for (index, step) in plan.steps.iter().enumerate() {
            if step.launches.iter().any(Launch::beside) {
                assert!(step.group.ends_with("/conv1/Conv"), "{}", step.group);
                assert!(plan.steps[index - 1].group.contains("/shortcut"), "{}", plan.steps[index - 1].group);
                found += 1;
            }
        }
        assert!(found > 0, "a block's first convolution reads what its projection reads");
    }

    #[test]
    fn a_chain_stays_one() {
        assert_eq!(steps([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]), [false; 5]);
    }

    #[test]
    fn branches_run_beside_each_other() {
        // A projection and the block's own two, then their sum.
        assert_eq!(steps([(0, 1), (1, 2), (1, 3), (3, 4), (4, 5)]), [false, false, true, false, false]);
        // The fourth reads what the second has not finished, though the third has nothing to do with it.
        assert_eq!(steps([(0, 1), (1, 2), (1, 3), (2, 4), (4, 5)]), [false, false, true, false, false]);
        // At most so many at the same time.
        assert_eq!(steps([(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]), [false, true, true, true, false]);
    }

    #[test]
    fn what_is_still_read_or_written_is_not_overwritten() {
        assert_eq!(steps([(0, 1), (1, 2), (3, 1), (3, 2), (4, 5)]), [false, false, false, true, true]);
        assert_eq!(steps([(0, 1), (0, 1), (2, 3), (2, 0), (2, 3)]), [false, false, true, false, true]);
    }
}

use crate::plan::Step;
use limpid_kernels::emulator::{Moved, Traffic};
use limpid_kernels::launch::Role;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of a step, as planned and as seen.
///
/// The plan counts a step's bytes in two ways. `least` is the operator's: every tensor once, the bias among
/// them, without padding. `planned`
/// is the chosen kernel's: every operand once as it lies in memory, with its padding, partial sums of a split K once
/// written and once read, bias and scales left out; an operand too large for the second-level cache counts again for
/// each wave of blocks.
///
/// The emulator counts `seen`: how many different bytes of each operand the kernel read or wrote, launch by launch,
/// bias and scales left out as well. `unreached` are bytes of operands that nobody read, such as the pixels that a
/// strided window skips. Where nothing is read again, `planned = seen + unreached`. What instructions asked for, each
/// byte as often as it was asked for, is `moved`: the difference is what caches and shared memory save.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Account {
    /// By operand, all launches together.
    pub buffers: BTreeMap<String, Moved>,
    /// Of shared memory.
    pub shared: Moved,
    pub least: u64,
    pub planned: Option<u64>,
    pub seen: u64,
    pub unreached: u64,
    /// Whether `planned = seen + unreached`.
    pub agrees: bool,
}

impl Account {
    pub(super) fn new(step: &Step, planned: Option<u64>, traffic: &[Traffic]) -> Self {
        let mut buffers: BTreeMap<Role, Moved> = BTreeMap::new();
        let mut shared = Moved::default();
        for launch in traffic {
            launch.buffers.iter().for_each(|(role, moved)| add(buffers.entry(*role).or_default(), moved));
            add(&mut shared, &launch.shared);
        }
        let counted = |role: &Role| !matches!(role, Role::Bias | Role::Scales);
        let seen = buffers
            .iter()
            .filter(|(role, _)| counted(role))
            .map(|(_, moved)| moved.distinct.0 + moved.distinct.1)
            .sum();
        let unread = |role: Role| {
            let size = step.operands.iter().find(|bound| bound.role == role).map_or(0, |bound| bound.bytes);
            size.saturating_sub(buffers.get(&role).map_or(0, |moved| moved.distinct.0))
        };
        let read = step.operands.iter().map(|bound| bound.role);
        let read =
            read.filter(|role| matches!(role, Role::Input(_) | Role::Weights | Role::Constant(_) | Role::Residual));
        let unreached = read.map(unread).sum::<u64>();
        Self {
            buffers: buffers.into_iter().map(|(role, moved)| (format!("{role:?}"), moved)).collect(),
            shared,
            least: step.bytes,
            planned,
            seen,
            unreached,
            agrees: planned == Some(seen + unreached),
        }
    }
}

fn add(sum: &mut Moved, more: &Moved) {
    let ways = [
        (&mut sum.plain, more.plain),
        (&mut sum.async_copy, more.async_copy),
        (&mut sum.bulk, more.bulk),
        (&mut sum.tensor_cores, more.tensor_cores),
        (&mut sum.distinct, more.distinct),
    ];
    for (sum, more) in ways {
        *sum = (sum.0 + more.0, sum.1 + more.1);
    }
}

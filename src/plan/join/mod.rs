//! Work that one kernel may do at once: stretches of neighbours of which all but the last make what nobody outside of
//! the stretch reads.
//!
//! A [`Join`] is an offer beside the pieces it is made of. [`super::select`] times both and takes what is faster; what
//! was not taken stays with the step, with its time ([`super::Instead`]). One file per join.

mod chain;
mod conversion;

use super::lower::Lowered;
use super::types::{Buffer, BufferId, BufferKind, Operand, Part, Work};
use limpid_graph::ops::Cost;
use limpid_kernels::launch::Role;
use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch of work as a single piece.
#[derive(Clone, Debug)]
pub struct Join {
    /// Which pieces of [`Lowered::work`] it stands for, two or more.
    pub pieces: Range<usize>,
    /// The whole, its parts named.
    pub work: Work,
}

impl Lowered {
    /// With every join that is known for it. They may overlap.
    pub fn joined(mut self) -> Self {
        let work = &self.work;
        let uses = Uses::new(work, &self.buffers);
        let mut fresh = Fresh { known: self.buffers.len(), buffers: Vec::new() };
        let mut joins = Vec::new();
        for first in 0..work.len() {
            let converted = first.checked_sub(1).and_then(|before| conversion::join(work, before, &uses));
            let chains = chain::joins(work, first, converted.as_ref(), &uses, &mut fresh);
            joins.extend(converted.into_iter().chain(chains));
        }
        self.buffers.extend(fresh.buffers);
        self.joins = joins;
        self
    }
}

/// Buffers that only joins need: constants.
struct Fresh {
    known: usize,
    buffers: Vec<Buffer>,
}

impl Fresh {
    fn buffer(&mut self, name: &str, bytes: u64, kind: BufferKind) -> BufferId {
        let id = BufferId((self.known + self.buffers.len()) as u32);
        self.buffers.push(Buffer { name: name.to_owned(), bytes, kind });
        id
    }
}

/// Which pieces of work read or write a buffer.
struct Uses<'w> {
    buffers: &'w [Buffer],
    pieces: BTreeMap<BufferId, Vec<usize>>,
}

impl<'w> Uses<'w> {
    fn new(work: &[Work], buffers: &'w [Buffer]) -> Self {
        let mut pieces: BTreeMap<BufferId, Vec<usize>> = BTreeMap::new();
        for (index, work) in work.iter().enumerate() {
            for (_, operand) in &work.operands {
                pieces.entry(operand.buffer).or_default().push(index);
            }
        }
        Self { buffers, pieces }
    }

    /// True if the piece `first` alone writes what `operand` holds and the next alone reads it, by one of its roles.
    fn hands_over(&self, operand: Operand, first: usize) -> bool {
        let buffer = &self.buffers[operand.buffer.0 as usize];
        let users = self.pieces.get(&operand.buffer);
        buffer.kind == BufferKind::Activation && users.is_some_and(|users| *users == [first, first + 1])
    }

    /// What `pieces` must compute and move as one: nothing goes through the buffers between them.
    fn cost(&self, pieces: &[Work], between: &[Operand]) -> Cost {
        let flops = pieces.iter().map(|piece| piece.cost.flops).sum();
        let bytes: u64 = pieces.iter().map(|piece| piece.cost.bytes).sum();
        let saved: u64 = between.iter().map(|operand| 2 * self.buffers[operand.buffer.0 as usize].bytes).sum();
        Cost { flops, bytes: bytes.saturating_sub(saved) }
    }
}

/// What a piece reads or writes in a role.
fn operand(work: &Work, role: Role) -> Option<Operand> {
    work.operands.iter().find(|(own, _)| *own == role).map(|(_, operand)| *operand)
}

/// The pieces by their names.
fn parts(pieces: &[Work]) -> Vec<Part> {
    let part = |work: &Work| Part { group: work.group.clone(), node: work.node, what: work.what.clone() };
    pieces.iter().map(part).collect()
}

/// The joins to take, by their numbers, so that all pieces are done once in the least time. `pieces` are the times of
/// the pieces, `joins` the stretches and their times. Of equals, joins are taken: they need fewer launches.
pub(super) fn choose(pieces: &[f64], joins: &[(Range<usize>, f64)]) -> Vec<usize> {
    // The least time of the first so many pieces, and the join that ends there, if one does.
    let mut least: Vec<(f64, Option<usize>)> = vec![(0.0, None)];
    for (index, time) in pieces.iter().enumerate() {
        let mut best = (least[index].0 + time, None);
        for (number, (stretch, time)) in joins.iter().enumerate().filter(|(_, join)| join.0.end == index + 1) {
            let whole = least[stretch.start].0 + time;
            if whole <= best.0 {
                best = (whole, Some(number));
            }
        }
        least.push(best);
    }
    let (mut taken, mut end) = (Vec::new(), pieces.len());
    while end > 0 {
        match least[end].1 {
            Some(number) => {
                taken.push(number);
                end = joins[number].0.start;
            }
            None => end -= 1,
        }
    }
    taken.reverse();
    taken
}

#[cfg(test)]
mod tests {
    use super::choose;
    use proptest::prelude::*;

    #[test]
    fn the_faster_way_is_taken() {
        assert_eq!(choose(&[], &[]), Vec::<usize>::new());
        assert_eq!(choose(&[1.0, 2.0], &[(0..2, 3.5)]), Vec::<usize>::new());
        assert_eq!(choose(&[1.0, 2.0], &[(0..2, 3.0)]), [0], "as fast, with fewer launches");
        // Two that overlap, and one over all.
        let pieces = [1.0, 4.0, 1.0];
        assert_eq!(choose(&pieces, &[(0..2, 3.0), (1..3, 2.5)]), [1]);
        assert_eq!(choose(&pieces, &[(0..2, 3.0), (1..3, 2.5), (0..3, 3.4)]), [2]);
        assert_eq!(choose(&pieces, &[(0..2, f64::INFINITY)]), Vec::<usize>::new());
    }

    proptest! {
        /// Against every set of joins that do not overlap.
        #[test]
        fn nothing_is_faster(
            pieces in prop::collection::vec(1u32..20, 1..7),
            joins in prop::collection::vec((0usize..6, 2usize..5, 1u32..40), 0..6),
        ) {
            let pieces: Vec<f64> = pieces.into_iter().map(f64::from).collect();
            let joins: Vec<_> = joins
                .into_iter()
                .filter(|(first, count, _)| first + count <= pieces.len())
                .map(|(first, count, time)| (first..first + count, f64::from(time)))
                .collect();
            let time = |set: &[usize]| -> Option<f64> {
                let mut left = pieces.iter().copied().map(Some).collect::<Vec<_>>();
                let mut sum = 0.0;
                for &number in set {
                    let (stretch, time) = joins[number].clone();
                    for piece in stretch {
                        left[piece].take()?;
                    }
                    sum += time;
                }
                Some(sum + left.into_iter().flatten().sum::<f64>())
            };
            let sets = (0u32..1 << joins.len()).map(|bits| (0..joins.len()).filter(|i| bits >> i & 1 == 1).collect::<Vec<_>>());
            let least = sets.filter_map(|set| time(&set)).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(time(&choose(&pieces, &joins)), Some(least));
        }
    }
}

//! One arena for all activations: buffers that are never alive together share bytes.
//!
//! Greedy by size: the largest buffer first, each at the lowest offset where it meets none that is alive at the
//! same time (Pisarchyk & Lee, *Efficient Memory Management for Deep Neural Net Inference*, 2020, §4).

use super::select::{Choice, Selected};
use super::types::{Bound, BufferId, BufferKind, ConstantForm, ConstantSlot, Location, Operand, Plan, Port, Step};
use limpid_graph::ir::ValueId;
use limpid_graph::tensor::Bindings;
use limpid_kernels::launch::{Candidate, Role};
use limpid_kernels::target::Target;
use std::collections::BTreeMap;

/// Buffers start at multiples of this: what `cuMemAlloc` gives, and more than any vector access needs.
pub(super) const ALIGNMENT: u64 = 256;

/// Places everything and makes the plan.
pub fn lay_out(
    selected: Selected,
    target: &Target,
    bindings: &Bindings,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
) -> Plan {
    let mut constants = Constants::default();
    let mut lives = lifetimes(&selected);
    let workspaces: Vec<Option<usize>> = selected
        .choices
        .iter()
        .enumerate()
        .map(|(step, choice)| {
            let bytes = choice.candidate.workspace as u64;
            (bytes > 0).then(|| {
                lives.push(Life { buffer: None, bytes, first: step, last: step });
                lives.len() - 1
            })
        })
        .collect();
    let (offsets, arena_bytes) = place(&lives);
    let unshared_bytes = lives.iter().map(|l| l.bytes.next_multiple_of(ALIGNMENT)).sum();
    let arena: BTreeMap<BufferId, u64> =
        lives.iter().zip(&offsets).filter_map(|(life, &offset)| Some((life.buffer?, offset))).collect();
    let Selected { choices, buffers } = selected;
    let mut steps = Vec::with_capacity(choices.len());
    for (choice, workspace) in choices.into_iter().zip(workspaces) {
        let mut locate = |(role, operand): (Role, Operand)| {
            let buffer = &buffers[operand.buffer.0 as usize];
            let location = match buffer.kind {
                BufferKind::Activation => Location::Arena(arena[&operand.buffer] + operand.offset),
                BufferKind::Input(index) => Location::Input(index, operand.offset),
                BufferKind::Output(index) => Location::Output(index, operand.offset),
                BufferKind::Constant(value, form) => {
                    Location::Constants(constants.slot(value, form, buffer.bytes) + operand.offset)
                }
            };
            Bound { role, location, bytes: buffer.bytes - operand.offset }
        };
        let mut operands: Vec<Bound> = choice.work.operands.iter().copied().map(&mut locate).collect();
        operands.extend(constants.of(&choice));
        operands.extend(workspace.map(|life| Bound {
            role: Role::Workspace,
            location: Location::Arena(offsets[life]),
            bytes: lives[life].bytes,
        }));
        steps.push(step(choice, operands));
    }
    Plan {
        target: target.clone(),
        bindings: bindings.clone(),
        steps,
        arena_bytes,
        unshared_bytes,
        constant_bytes: constants.bytes,
        constants: constants.slots,
        inputs,
        outputs,
    }
    .look_ahead()
    .run_beside()
}

fn step(choice: Choice, operands: Vec<Bound>) -> Step {
    let Choice { work, candidate, offers, refusals, instead } = choice;
    Step {
        group: work.group,
        node: work.node,
        what: work.what,
        site: work.site,
        tactic: candidate.tactic,
        launches: candidate.launches,
        operands,
        flops: work.cost.flops,
        bytes: work.cost.bytes,
        offers,
        refusals,
        parts: work.parts,
        instead,
    }
}

#[derive(Default)]
struct Constants {
    slots: Vec<ConstantSlot>,
    known: BTreeMap<(ValueId, ConstantForm), u64>,
    bytes: u64,
}

impl Constants {
    /// The place of a constant in a form; a new one the first time it is asked for.
    fn slot(&mut self, value: ValueId, form: ConstantForm, bytes: u64) -> u64 {
        if let Some(&offset) = self.known.get(&(value, form)) {
            return offset;
        }
        let offset = self.bytes.next_multiple_of(ALIGNMENT);
        self.bytes = offset + bytes;
        self.known.insert((value, form), offset);
        self.slots.push(ConstantSlot { value, form, offset, size: bytes });
        offset
    }

    fn of(&mut self, choice: &Choice) -> Vec<Bound> {
        let Candidate { weights, bias_len, scales_len, .. } = &choice.candidate;
        let mut out = Vec::new();
        let mut bind = |role, value, form, bytes| {
            let location = Location::Constants(self.slot(value, form, bytes));
            out.push(Bound { role, location, bytes });
        };
        if let (Some((value, shape)), Some(packing)) = (&choice.work.weights, weights) {
            bind(Role::Weights, *value, ConstantForm::Packed(*packing), packing.bytes(shape));
        }
        if let Some(value) = choice.work.bias {
            let len = u32::try_from(*bias_len).unwrap_or(u32::MAX);
            bind(Role::Bias, value, ConstantForm::Bias { len }, u64::from(len) * 4);
        }
        if let (Some((value, _)), Some(input)) = (&choice.work.weights, choice.work.scales) {
            let len = u32::try_from(*scales_len).unwrap_or(u32::MAX);
            bind(Role::Scales, *value, ConstantForm::Scales { len, input }, u64::from(len) * 4);
        }
        out
    }
}

/// A buffer (or a step's workspace) and the steps between which its contents matter.
#[derive(Clone, Copy, Debug)]
struct Life {
    buffer: Option<BufferId>,
    bytes: u64,
    first: usize,
    last: usize,
}

fn lifetimes(selected: &Selected) -> Vec<Life> {
    let mut lives: BTreeMap<BufferId, Life> = BTreeMap::new();
    for (step, choice) in selected.choices.iter().enumerate() {
        for (_, operand) in &choice.work.operands {
            let buffer = &selected.buffers[operand.buffer.0 as usize];
            if buffer.kind == BufferKind::Activation {
                let new = Life { buffer: Some(operand.buffer), bytes: buffer.bytes, first: step, last: step };
                lives.entry(operand.buffer).or_insert(new).last = step;
            }
        }
    }
    lives.into_values().collect()
}

/// An offset for each life, and the arena's size.
fn place(lives: &[Life]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lives[i].bytes), lives[i].first, i));
    let mut offsets = vec![0u64; lives.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena = 0;
    for index in order {
        let life = lives[index];
        let mut neighbours: Vec<(u64, u64)> = placed
            .iter()
            .filter(|&&other| lives[other].first <= life.last && life.first <= lives[other].last)
            .map(|&other| (offsets[other], offsets[other] + lives[other].bytes))
            .collect();
        neighbours.sort_unstable();
        let mut offset = 0u64;
        for (start, end) in neighbours {
            if offset + life.bytes <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        offsets[index] = offset;
        arena = arena.max(offset + life.bytes);
        placed.push(index);
    }
    (offsets, arena)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn life(bytes: u64, first: usize, last: usize) -> Life {
        Life { buffer: None, bytes, first, last }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let chain: Vec<Life> = (0..10).map(|i| life(1024, i, i + 1)).collect();
        assert_eq!(place(&chain).1, 2048);
    }

    proptest! {
        #[test]
        fn nothing_alive_together_overlaps(spec in prop::collection::vec((1u64..5000, 0usize..20, 0usize..8), 1..40)) {
            let lives: Vec<Life> = spec.into_iter().map(|(bytes, first, span)| life(bytes, first, first + span)).collect();
            let (offsets, arena) = place(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert_eq!(offsets[i] % ALIGNMENT, 0);
                prop_assert!(offsets[i] + a.bytes <= arena);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    prop_assert!(!together || apart, "{i} and {j} overlap");
                }
            }
        }
    }
}

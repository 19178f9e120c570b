//! Dense layers one after another: rows go from one to the next on chip.
//!
//! ```text
//! a -> product -> h -> product -> y   =>   a -> chain of products -> y
//! ```
//!
//! The first layer may be one that reads f32 itself, see [`super::conversion`].

use super::{Fresh, Join, Uses, operand, parts};
use crate::plan::types::{BufferKind, ConstantForm, Operand, Work};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{ChainSite, GemmOperand, GemmSite, Site};
use std::ops::Range;

/// Layers of the longest chain that a kernel takes.
const MOST_LAYERS: usize = 3;

/// A layer that may be part of a chain: its pieces, and its work if it is a piece or a join itself.
struct Layer<'w> {
    pieces: Range<usize>,
    work: &'w Work,
    site: &'w GemmSite,
}

impl<'w> Layer<'w> {
    fn of(pieces: Range<usize>, work: &'w Work) -> Option<Self> {
        let Site::Gemm(site) = &work.site else { return None };
        let alone = site.b == GemmOperand::Weights && site.batch == 1 && site.epilogue.residual.is_none();
        (alone && work.weights.is_some()).then_some(Self { pieces, work, site })
    }
}

/// All chains whose first layer is the piece `first`, or the join `converted` of it and the one before.
pub(super) fn joins(
    work: &[Work],
    first: usize,
    converted: Option<&Join>,
    uses: &Uses<'_>,
    fresh: &mut Fresh,
) -> Vec<Join> {
    let alone = Layer::of(first..first + 1, &work[first]);
    let converted = converted.and_then(|join| Layer::of(join.pieces.clone(), &join.work));
    let mut joins = Vec::new();
    for head in alone.into_iter().chain(converted) {
        let mut layers = vec![head];
        while layers.len() < MOST_LAYERS {
            let Some(next) = behind(&layers[layers.len() - 1], work, uses) else { break };
            layers.push(next);
            joins.extend(chain(work, &layers, uses, fresh));
        }
    }
    joins
}

/// The layer that alone reads what this one makes.
fn behind<'w>(layer: &Layer<'_>, work: &'w [Work], uses: &Uses<'_>) -> Option<Layer<'w>> {
    let (last, next) = (layer.pieces.end - 1, layer.pieces.end);
    let made = operand(layer.work, Role::Output(0))?;
    let reader = Layer::of(next..next + 1, work.get(next)?)?;
    let read = operand(reader.work, Role::Input(0)) == Some(made) && uses.hands_over(made, last);
    let (own, theirs) = (layer.site, reader.site);
    let fits = (theirs.m, theirs.k, theirs.precision) == (own.m, own.n, own.precision);
    (read && fits && theirs.dtype_a == own.dtype_y).then_some(reader)
}

fn chain(work: &[Work], layers: &[Layer<'_>], uses: &Uses<'_>, fresh: &mut Fresh) -> Option<Join> {
    let (head, last) = (layers.first()?, layers.last()?);
    let mut operands = vec![(Role::Input(0), operand(head.work, Role::Input(0))?)];
    for (index, layer) in layers.iter().enumerate() {
        let (value, shape) = layer.work.weights.as_ref()?;
        let mut constant = |role, form, bytes| {
            let buffer = fresh.buffer(&layer.work.group, bytes, BufferKind::Constant(*value, form));
            operands.push((role, Operand { buffer, offset: 0 }));
        };
        let packing = ChainSite::packing(layer.site);
        constant(ChainSite::weights(index), ConstantForm::Packed(packing), packing.bytes(shape));
        if let Some(input) = layer.work.scales {
            let len = u32::try_from(ChainSite::scales_len(layer.site)).ok()?;
            constant(ChainSite::scales(index), ConstantForm::Scales { len, input }, u64::from(len) * 4);
        }
        if let Some(bias) = layer.work.bias {
            let len = u32::try_from(ChainSite::bias_len(layer.site)).ok()?;
            let kind = BufferKind::Constant(bias, ConstantForm::Bias { len });
            let buffer = fresh.buffer(&layer.work.group, u64::from(len) * 4, kind);
            operands.push((ChainSite::bias(index), Operand { buffer, offset: 0 }));
        }
    }
    operands.push((Role::Output(0), operand(last.work, Role::Output(0))?));
    let pieces = head.pieces.start..last.pieces.end;
    // Between the pieces, what a conversion makes included.
    let between: Vec<Operand> = work[pieces.start..pieces.end - 1]
        .iter()
        .map(|piece| operand(piece, Role::Output(0)))
        .collect::<Option<_>>()?;
    let whole = Work {
        group: head.work.group.clone(),
        node: head.work.node,
        what: layers.iter().map(|layer| layer.work.what.as_str()).collect::<Vec<_>>().join(", "),
        site: Site::Chain(ChainSite { layers: layers.iter().map(|layer| *layer.site).collect() }),
        operands,
        weights: None,
        bias: None,
        scales: None,
        cost: uses.cost(&work[pieces.clone()], &between),
        parts: parts(&work[pieces.clone()]),
    };
    Some(Join { pieces, work: whole })
}

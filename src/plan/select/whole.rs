//! Joins on their way through the selection, and the steps that come of them and of the pieces that stay alone.

use super::{Choice, Field, SelectError};
use crate::plan::join::Join;
use crate::plan::types::{Instead, Part};
use limpid_kernels::launch::Refusal;
use limpid_kernels::target::Target;
use std::ops::Range;

/// A [`Join`] with those who offer to do it, or the reasons of those who do not.
pub(super) struct Whole {
    /// Of all pieces.
    pub pieces: Range<usize>,
    pub field: Result<Field, (Vec<Part>, Vec<Refusal>)>,
}

impl Whole {
    pub fn all(joins: Vec<Join>, target: &Target) -> Vec<Self> {
        let whole = |Join { pieces, work }: Join| {
            let parts = work.parts.clone();
            let field = Field::new(work, target).map_err(|error| match error {
                SelectError::NoKernel { refusals, .. } => (parts, refusals),
                SelectError::NoneRan { .. } => (parts, Vec::new()),
            });
            Self { pieces, field }
        };
        joins.into_iter().map(whole).collect()
    }

    /// Its least time, µs; where pieces were `measured`, what was not is never taken.
    pub fn time_us(&self, measured: bool) -> f64 {
        let never = f64::INFINITY;
        let Ok(field) = &self.field else { return never };
        if measured && field.ranked[0].1.measured_us.is_none() { never } else { field.time_us() }
    }

    fn instead(&self) -> Instead {
        match &self.field {
            Ok(field) => Instead::of(&[field], field.work.parts.clone()),
            Err((parts, refusals)) => Instead {
                parts: parts.clone(),
                tactics: Vec::new(),
                estimated_us: 0.0,
                measured_us: None,
                refusals: refusals.clone(),
            },
        }
    }
}

impl Instead {
    /// The best of each field.
    fn of(fields: &[&Field], parts: Vec<Part>) -> Self {
        let best = || fields.iter().map(|field| &field.ranked[0].1);
        Self {
            parts,
            tactics: best().map(|offer| offer.tactic.clone()).collect(),
            estimated_us: best().map(|offer| offer.estimated_us).sum(),
            measured_us: best().map(|offer| offer.measured_us).sum(),
            refusals: Vec::new(),
        }
    }
}

/// The winners in order of execution: the wholes that are `taken`, ascending, and the pieces between them. Each says
/// what else could have been, at its own place or ending there.
pub(super) fn assemble(pieces: Vec<Field>, wholes: Vec<Whole>, taken: &[usize]) -> Vec<Choice> {
    let mut others: Vec<(usize, Instead)> = Vec::new();
    for (number, whole) in wholes.iter().enumerate() {
        let instead = match &whole.field {
            Ok(field) if taken.contains(&number) => {
                Instead::of(&pieces[whole.pieces.clone()].iter().collect::<Vec<_>>(), field.work.parts.clone())
            }
            _ => whole.instead(),
        };
        others.push((whole.pieces.end, instead));
    }
    let mut fields: Vec<(usize, Field)> = pieces.into_iter().enumerate().map(|(i, field)| (i + 1, field)).collect();
    for (_, whole) in wholes.into_iter().enumerate().filter(|(number, _)| taken.contains(number)) {
        let Ok(field) = whole.field else { continue };
        fields.retain(|(end, _)| !(whole.pieces.start + 1..=whole.pieces.end).contains(end));
        fields.push((whole.pieces.end, field));
    }
    fields.sort_by_key(|(end, _)| *end);
    let mut before = 0;
    let choice = |(end, field): (usize, Field)| {
        let ends_here = |place: &usize| (before + 1..=end).contains(place);
        let instead = others.iter().filter(|(place, _)| ends_here(place)).map(|(_, other)| other.clone()).collect();
        before = end;
        Choice { instead, ..field.winner() }
    };
    fields.into_iter().map(choice).collect()
}

//! Moves whose source and target step differently: one copy, or a few where they step along more dims than kernels
//! take.

use super::forms::{Form, padding_lanes, physical_order};
use super::{LowerError, Lowering, narrow};
use crate::plan::types::{BufferKind, Operand};
use limpid_graph::ir::ValueId;
use limpid_graph::ops::Cost;
use limpid_graph::tensor::DType;
use limpid_kernels::index::Walk;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{CopySite, Scale, Site, View};

/// Where a move begins, and what lies there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub operand: Operand,
    /// Elements before the first one moved.
    pub offset: i64,
    pub dtype: DType,
    pub scale: Scale,
}

/// One dim of a move: its extent, and the elements from one index to the next in the source and in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub extent: usize,
    pub from: i64,
    pub to: i64,
}

impl Lowering<'_> {
    /// Where a value lies in a form it is in.
    pub fn place(&self, value: ValueId, form: Form) -> Place {
        let operand = self.forms[&(value, form)].operand;
        Place { operand, offset: 0, dtype: self.spec(value).dtype, scale: self.scale(value) }
    }

    /// Memory for elements that are no value of the graph.
    pub fn scratch(&mut self, name: &str, elements: usize, dtype: DType, scale: Scale) -> Place {
        let bytes = (elements * dtype.size()) as u64;
        let buffer = self.new_buffer(name, bytes, BufferKind::Activation);
        Place { operand: Operand { buffer, offset: 0 }, offset: 0, dtype, scale }
    }

    /// Moves elements along `steps`, which are in the order of the target's memory, the fastest last. Zeros are
    /// written into the `zero_lanes` behind each of the last one's rows.
    pub fn move_along(
        &mut self,
        what: &str,
        x: Place,
        y: Place,
        steps: &[Step],
        zero_lanes: u32,
    ) -> Result<(), LowerError> {
        let dims = steps.iter().map(|step| narrow(step.extent)).collect::<Result<Vec<u32>, _>>()?;
        let strides = [steps.iter().map(|s| s.from).collect(), steps.iter().map(|s| s.to).collect()];
        let walk = Walk { dims, strides: strides.to_vec() };
        let walk = match walk.rank() {
            0..=View::MAX_RANK => walk,
            _ => Walk::new(&walk.dims, &[&walk.strides[0], &walk.strides[1]], zero_lanes > 0),
        };
        self.move_walk(what, x, y, walk, zero_lanes)
    }

    /// The shortest of too many dims is walked here, one copy an index.
    fn move_walk(&mut self, what: &str, x: Place, y: Place, walk: Walk, zero_lanes: u32) -> Result<(), LowerError> {
        let outer = 0..walk.rank().saturating_sub(1);
        if walk.rank() > View::MAX_RANK
            && let Some(shortest) = outer.min_by_key(|&d| walk.dims[d])
        {
            let mut rest = walk;
            let extent = rest.dims.remove(shortest);
            let [from, to] = [0, 1].map(|view| rest.strides[view].remove(shortest));
            for index in 0..i64::from(extent) {
                let x = Place { offset: x.offset + index * from, ..x };
                let y = Place { offset: y.offset + index * to, ..y };
                self.move_walk(what, x, y, rest.clone(), zero_lanes)?;
            }
            return Ok(());
        }
        let Walk { dims, strides } = walk;
        let view = |place: Place, strides: &[i64], zero_lanes| View {
            dims: dims.clone(),
            strides: strides.to_vec(),
            dtype: place.dtype,
            zero_lanes,
            scale: place.scale,
        };
        let (from, to) = (view(x, &strides[0], 0), view(y, &strides[1], zero_lanes));
        let cost = Cost { flops: 0, bytes: to.len() * (x.dtype.size() + y.dtype.size()) as u64 };
        let site = CopySite { x: from, x_offset: x.offset, y: to, y_offset: y.offset };
        let operands = vec![(Role::Input(0), x.operand), (Role::Output(0), y.operand)];
        self.emit(what.to_owned(), Site::Copy(site), operands, cost);
        Ok(())
    }

    /// One step for each axis of a value about to be written in `form`; `from` are the source's strides by logical
    /// axis. Returns the lanes of zeros behind the last one, too.
    pub fn steps_of(&self, output: ValueId, form: Form, from: &[i64]) -> Result<(Vec<Step>, u32), LowerError> {
        let (shape, to) = (&self.spec(output).shape, self.logical_strides(output, form));
        let step = |axis: usize| Step { extent: shape[axis], from: from[axis], to: to[axis] };
        let steps = physical_order(form, shape.len()).into_iter().map(step).collect();
        let zero_lanes = if form == Form::Image { padding_lanes(self.spec(output))? } else { 0 };
        Ok((steps, zero_lanes))
    }
}

/// The steps from one view to another of the same extents.
pub(super) fn steps(x: &View, y: &View) -> Vec<Step> {
    let strides = x.strides.iter().zip(&y.strides);
    y.dims.iter().zip(strides).map(|(&d, (&from, &to))| Step { extent: d as usize, from, to }).collect()
}

//! Concatenation: without copying where the layout allows it.
//!
//! Along channels, the parts of an image lie side by side in every pixel. A part whose first channel falls on a
//! 16-byte boundary can be written there by whoever makes it, with the whole's pitch; then the concatenation
//! costs nothing.

use super::forms::{Form, Placed, pictorial};
use super::strided::{Place, steps};
use super::{LowerError, Lowering, narrow};
use crate::plan::types::{BufferKind, Operand};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Concat, Op};
use limpid_kernels::site::{Image, VECTOR_BYTES, View};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// Reserves places inside concatenations, outer ones first, so that parts of parts fall into place, too.
    pub fn plan_concats(&mut self) -> Result<(), LowerError> {
        for id in self.graph.topological_order()?.into_iter().rev() {
            let node = self.graph.node(id);
            let Op::Concat(op) = &node.op else { continue };
            let whole = node.outputs[0];
            if !self.along_channels(op, whole) {
                continue;
            }
            let placed = match self.reserved.get(&whole) {
                Some(&placed) => placed,
                None => self.whole_image(whole)?,
            };
            let mut seen = BTreeSet::new();
            let mut channel = 0;
            for &part in &node.inputs {
                let spec = self.spec(part);
                let offset = (channel * spec.dtype.size()) as u64;
                channel += pictorial(spec)[1];
                if seen.insert(part) && self.can_be_written_at(part, whole, offset) {
                    self.reserved.insert(whole, placed);
                    self.reserved.insert(part, placed.offset_by(offset));
                }
            }
        }
        Ok(())
    }

    fn along_channels(&self, op: &Concat, whole: ValueId) -> bool {
        self.is_pictorial(whole) && self.spec(whole).shape.len() != 3 && op.axis == 1
    }

    fn whole_image(&mut self, whole: ValueId) -> Result<Placed, LowerError> {
        let spec = self.spec(whole);
        let [n, c, h, w] = pictorial(spec);
        let image = Image::dense(narrow(n)?, narrow(h)?, narrow(w)?, narrow(c)?, spec.dtype);
        let buffer = self.new_buffer(self.name(whole), image.bytes(), BufferKind::Activation);
        Ok(Placed { operand: Operand { buffer, offset: 0 }, pitch: image.pitch })
    }

    /// Whether whoever makes `part` can write it `offset` bytes into the pixels of `whole`.
    fn can_be_written_at(&self, part: ValueId, whole: ValueId, offset: u64) -> bool {
        let writes_images = self.graph.producer(part).is_some_and(|(_, node)| {
            matches!(
                node.op,
                Op::Conv(_)
                    | Op::ConvTranspose(_)
                    | Op::Pool(_)
                    | Op::GlobalPool(_)
                    | Op::Resize(_)
                    | Op::ScaleShift(_)
                    | Op::Activation(_)
                    | Op::Concat(_)
            )
        });
        let spec = self.spec(part);
        let channels = (pictorial(spec)[1] * spec.dtype.size()) as u64;
        let last = self.spec(whole).shape[1] * spec.dtype.size() == (offset + channels) as usize;
        // A part that is not last must end on a boundary, or its padding lanes would overwrite its neighbour.
        let aligned = offset.is_multiple_of(u64::from(VECTOR_BYTES))
            && (last || channels.is_multiple_of(u64::from(VECTOR_BYTES)));
        let free = !self.reserved.contains_key(&part);
        let same_type = spec.dtype == self.spec(whole).dtype && self.scale(part) == self.scale(whole);
        writes_images && aligned && free && same_type && !self.graph.outputs.contains(&part)
    }

    /// Copies the parts that are not in place already.
    pub fn concat(&mut self, node: &Node, op: &Concat) -> Result<(), LowerError> {
        let whole = node.outputs[0];
        let pictures = node.inputs.iter().all(|&v| self.forms.contains_key(&(v, Form::Image)));
        let in_place = self.reserved.contains_key(&whole);
        let form = if in_place || pictures && self.is_pictorial(whole) { Form::Image } else { Form::Dense };
        let axis = op.axis;
        let placed = self.write(whole, form)?;
        let strides = self.logical_strides(whole, form);
        let last = node.inputs.len() - 1;
        let mut start = 0;
        for (index, &part) in node.inputs.iter().enumerate() {
            let elements = start as i64 * strides[axis];
            start += self.spec(part).shape[axis];
            let there = placed.offset_by((elements as u64) * self.spec(whole).dtype.size() as u64);
            if self.forms.get(&(part, Form::Image)) == Some(&there) && form == Form::Image {
                continue;
            }
            self.copy_part(part, whole, form, elements, axis != 1 || index == last)?;
        }
        Ok(())
    }

    /// Copies `part` to `elements` after the start of `whole`, along with the whole's padding if it is the last.
    pub fn copy_part(
        &mut self,
        part: ValueId,
        whole: ValueId,
        form: Form,
        elements: i64,
        ends_pixel: bool,
    ) -> Result<(), LowerError> {
        let (source, from) = self.any_form(part)?;
        let x = self.view_for(source, from, part, form)?;
        let y = self.view(whole, form)?;
        // The padding of a part in the middle of a pixel is its neighbour's memory.
        let zero_lanes = if ends_pixel { y.zero_lanes } else { 0 };
        let steps = steps(&x, &View { dims: x.dims.clone(), ..y });
        let to = Place { offset: elements, ..self.place(whole, form) };
        let what = format!("copy `{}` into `{}`", self.name(part), self.name(whole));
        self.move_along(&what, self.place(source, from), to, &steps, zero_lanes)
    }
}

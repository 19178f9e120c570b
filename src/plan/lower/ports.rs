//! The network's inputs and outputs, in whatever layout the caller has them; see [`crate::port`].
//!
//! What lies as kernels want it is read and written where it is. Anything else is moved once, and its type is
//! converted on the way: a `uint8:hwc` input of an FP16 network costs one kernel.

use super::forms::{Form, Placed, padding_lanes, pictorial};
use super::strided::{Place, Step};
use super::{LowerError, Lowering, narrow};
use crate::plan::types::{BufferKind, Operand};
use crate::port::{Blocks, Layout};
use limpid_graph::ir::ValueId;
use limpid_graph::ops::Spec;
use limpid_kernels::site::{Image, Strided};

/// An input as the caller gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreign {
    operand: Operand,
    blocks: Blocks,
}

/// An input as it is given: what image it would become, how it lies, and where.
pub(super) type Given = (Image, Strided, Operand);

/// Blocks that are moved together: all but the last, which may be narrower and is what padding follows.
struct Part {
    first: usize,
    count: usize,
    lanes: usize,
    zero_lanes: usize,
}

impl Lowering<'_> {
    pub fn place_inputs(&mut self) -> Result<(), LowerError> {
        for (index, &input) in self.graph.inputs.iter().enumerate() {
            let layout = self.layouts.input(index);
            let bytes = self.port_bytes(input, layout)?;
            let buffer = self.new_buffer(self.name(input), bytes, BufferKind::Input(index as u32));
            let operand = Operand { buffer, offset: 0 };
            let spec = self.spec(input);
            match layout.blocks(pictorial(spec)[1]) {
                None => self.put(input, Form::Dense, Placed::dense(operand)),
                Some(blocks) if is_image(spec, blocks)? => {
                    self.put(input, Form::Image, Placed { operand, pitch: narrow(blocks.pitch)? });
                }
                Some(blocks) => {
                    self.foreign.insert(input, Foreign { operand, blocks });
                }
            }
        }
        Ok(())
    }

    /// Brings each output of the network into the caller's buffer, in the caller's layout.
    pub fn deliver_outputs(&mut self) -> Result<(), LowerError> {
        for (index, &output) in self.graph.outputs.iter().enumerate() {
            let layout = self.layouts.output(index);
            let blocks = layout.blocks(pictorial(self.spec(output))[1]);
            let form = if blocks.is_some() { Form::Image } else { Form::Dense };
            let there = |p: &Placed| self.buffers[p.operand.buffer.0 as usize].kind == BufferKind::Output(index as u32);
            if self.forms.get(&(output, form)).is_some_and(there) {
                continue;
            }
            self.group = format!("output {}", self.name(output));
            self.node = None;
            let bytes = self.port_bytes(output, layout)?;
            let buffer = self.new_buffer(self.name(output), bytes, BufferKind::Output(index as u32));
            let operand = Operand { buffer, offset: 0 };
            let (source, from) = self.any_form(output)?;
            match blocks {
                None => self.copy_value(source, from, output, Form::Dense, Placed::dense(operand))?,
                Some(blocks) => self.write_blocks(source, from, output, operand, blocks)?,
            }
        }
        Ok(())
    }

    /// The caller's buffer, if the value is an output of the network, nothing lies there yet and it is to lie there
    /// row-major (no `pitch`), or as an image of this pitch.
    pub fn output_buffer(&mut self, value: ValueId, pitch: Option<u32>) -> Option<Operand> {
        let index = self.graph.outputs.iter().position(|&o| o == value)?;
        if self.buffers.iter().any(|b| b.kind == BufferKind::Output(index as u32)) {
            return None;
        }
        let layout = self.layouts.output(index);
        let pixels = layout.blocks(pictorial(self.spec(value))[1]);
        let fits = match (pitch, pixels) {
            (None, None) => true,
            // Wider pixels have lanes of padding that nobody who writes an image fills with zeros.
            (Some(pitch), Some(blocks)) => blocks.count == 1 && blocks.pitch == pitch as usize,
            _ => false,
        };
        let bytes = self.port_bytes(value, layout).ok().filter(|_| fits)?;
        let buffer = self.new_buffer(self.name(value), bytes, BufferKind::Output(index as u32));
        Some(Operand { buffer, offset: 0 })
    }

    /// True if the caller gets the value row-major and nobody else reads it: who can write it so should.
    pub fn leaves_dense(&self, value: ValueId) -> bool {
        let index = self.graph.outputs.iter().position(|&o| o == value);
        let channels = pictorial(self.spec(value))[1];
        let dense = |index| self.layouts.output(index).blocks(channels).is_none();
        index.is_some_and(dense) && self.graph.readers(value).next().is_none()
    }

    /// The input that a value is, or is converted from, if it lies in a layout that only a copy reads and nobody has
    /// made the value or anything between yet.
    pub fn foreign_root(&self, value: ValueId) -> Option<ValueId> {
        let mut source = value;
        loop {
            if [Form::Image, Form::Dense].iter().any(|&form| self.forms.contains_key(&(source, form))) {
                return None;
            }
            match self.casts.get(&source) {
                Some(&from) => source = from,
                None => return self.foreign.contains_key(&source).then_some(source),
            }
        }
    }

    /// The input of reals that `value` is, or is converted from, as the caller gives it: where a single node reads the value,
    /// so that nobody else wants it as an image, and it lies in one block of pixels or row-major.
    pub fn given(&self, value: ValueId) -> Result<Option<Given>, LowerError> {
        let input = self.casts.get(&value).copied().unwrap_or(value);
        let read_once = [value, input].iter().all(|&value| self.graph.only_reader(value).is_some());
        let reals = self.spec(input).dtype.is_float() && !self.scale(input).is_quantized();
        if !read_once || !reals || !self.is_pictorial(value) || !self.graph.inputs.contains(&input) {
            return Ok(None);
        }
        let made = [(value, Form::Image), (input, Form::Image)].iter().any(|form| self.forms.contains_key(form));
        let [_, c, h, w] = pictorial(self.spec(input)).map(|extent| extent as i64);
        let (operand, strides) = match (self.forms.get(&(input, Form::Dense)), self.foreign.get(&input)) {
            (Some(placed), _) if !made => (placed.operand, [c * h * w, h * w, w, 1]),
            (None, Some(Foreign { operand, blocks })) if !made && blocks.count == 1 => {
                let pitch = blocks.pitch as i64;
                (*operand, [h * w * pitch, 1, w * pitch, pitch])
            }
            _ => return Ok(None),
        };
        let source = Strided { dtype: self.spec(input).dtype, strides };
        Ok(Some((self.image_of(value)?, source, operand)))
    }

    /// Makes `value` in `form` of the input it is, or is converted from.
    pub fn read_foreign(&mut self, input: ValueId, value: ValueId, form: Form) -> Result<Placed, LowerError> {
        let Foreign { operand, blocks } = self.foreign[&input];
        let placed = self.write(value, form)?;
        let [_, c, h, w] = pictorial(self.spec(value));
        let x = Place { operand, offset: 0, dtype: self.spec(input).dtype, scale: self.scale(input) };
        let y = self.place(value, form);
        let to = self.logical_strides(value, form);
        let zero_lanes = if form == Form::Image { padding_lanes(self.spec(value))? as usize } else { 0 };
        let what = format!("layout {} port -> {} {}", x.dtype, y.dtype, form.name());
        for part in parts(c, blocks, zero_lanes) {
            let [pictures, block, rows, columns, lanes] = self.steps_of_blocks(value, blocks, &part);
            let step = |(extent, port): (usize, i64), own: i64| Step { extent, from: port, to: own };
            let pictures = step(pictures, to[0]);
            let channels = [step(block, blocks.width as i64 * to[1]), step(lanes, to[1])];
            let pixels = [step(rows, to[2]), step(columns, to[3])];
            let steps = match form {
                Form::Image => [pictures, pixels[0], pixels[1], channels[0], channels[1]],
                Form::Dense => [pictures, channels[0], channels[1], pixels[0], pixels[1]],
            };
            let x = Place { offset: (part.first * h * w * blocks.pitch) as i64, ..x };
            let y = Place { offset: (part.first * blocks.width) as i64 * to[1], ..y };
            self.move_along(&what, x, y, &steps, narrow(part.zero_lanes)?)?;
        }
        Ok(placed)
    }

    /// Makes the caller's output of `source`, which `output` is or is converted from.
    fn write_blocks(
        &mut self,
        source: ValueId,
        from: Form,
        output: ValueId,
        operand: Operand,
        blocks: Blocks,
    ) -> Result<(), LowerError> {
        let [_, c, h, w] = pictorial(self.spec(output));
        let x = self.place(source, from);
        let y = Place { operand, offset: 0, dtype: self.spec(output).dtype, scale: self.scale(output) };
        let own = self.logical_strides(source, from);
        let zero_lanes = blocks.pitch - (c - (blocks.count - 1) * blocks.width);
        let what = format!("layout {} {} -> {} port", x.dtype, from.name(), y.dtype);
        for part in parts(c, blocks, zero_lanes) {
            let [pictures, block, rows, columns, lanes] = self.steps_of_blocks(output, blocks, &part);
            let step = |(extent, port): (usize, i64), own: i64| Step { extent, from: own, to: port };
            let steps = [
                step(pictures, own[0]),
                step(block, blocks.width as i64 * own[1]),
                step(rows, own[2]),
                step(columns, own[3]),
                step(lanes, own[1]),
            ];
            let x = Place { offset: (part.first * blocks.width) as i64 * own[1], ..x };
            let y = Place { offset: (part.first * h * w * blocks.pitch) as i64, ..y };
            self.move_along(&what, x, y, &steps, narrow(part.zero_lanes)?)?;
        }
        Ok(())
    }

    /// Extents of a part and the elements of the caller's buffer from one index to the next: pictures, blocks, rows,
    /// columns, lanes.
    fn steps_of_blocks(&self, value: ValueId, blocks: Blocks, part: &Part) -> [(usize, i64); 5] {
        let [n, _, h, w] = pictorial(self.spec(value));
        let block = h * w * blocks.pitch;
        [
            (n, (blocks.count * block) as i64),
            (part.count, block as i64),
            (h, (w * blocks.pitch) as i64),
            (w, blocks.pitch as i64),
            (part.lanes, 1),
        ]
    }

    fn port_bytes(&self, value: ValueId, layout: Layout) -> Result<u64, LowerError> {
        let spec = self.spec(value);
        Ok((layout.shape(&spec.shape)?.iter().product::<usize>() * spec.dtype.size()) as u64)
    }
}

/// True if kernels can read pixels of these blocks where they lie: whole vectors, and none with lanes of padding, which
/// kernels rely on to be zeros and callers need not fill.
fn is_image(spec: &Spec, blocks: Blocks) -> Result<bool, LowerError> {
    let image = Image::dense(1, 1, 1, narrow(blocks.pitch)?, spec.dtype);
    let aligned = image.pitch as usize == blocks.pitch;
    Ok(blocks.count == 1 && aligned && padding_lanes(spec)? == 0)
}

/// The blocks of `c` channels in one part, or in two where the last block differs from the others.
fn parts(c: usize, blocks: Blocks, zero_lanes: usize) -> Vec<Part> {
    let Blocks { count, width, .. } = blocks;
    let last = c - (count - 1) * width;
    if count == 1 || (zero_lanes == 0 && last == width) {
        return vec![Part { first: 0, count, lanes: if count == 1 { last } else { width }, zero_lanes }];
    }
    vec![
        Part { first: 0, count: count - 1, lanes: width, zero_lanes: 0 },
        Part { first: count - 1, count: 1, lanes: last, zero_lanes },
    ]
}

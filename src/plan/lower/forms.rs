//! Where values lie, and how they get from one form to the other.

use super::strided::steps;
use super::{LowerError, Lowering, narrow};
use crate::plan::types::{BufferKind, Operand};
use limpid_graph::ir::ValueId;
use limpid_graph::ops::Spec;
use limpid_graph::tensor::row_major_strides;
use limpid_kernels::site::{Image, Scale, View};

/// How a value lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// NHWC, channels padded to a multiple of 16 bytes. Of rank 2 (N,C), 3 (N,C,L) or 4 (N,C,H,W).
    Image,
    /// Row-major in logical order.
    Dense,
}

impl Form {
    /// For people.
    pub fn name(self) -> &'static str {
        if self == Form::Image { "NHWC" } else { "dense" }
    }
}

/// Where a value lies in one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub operand: Operand,
    /// Elements from one pixel to the next; of an image only.
    pub pitch: u32,
}

impl Placed {
    pub fn dense(operand: Operand) -> Self {
        Self { operand, pitch: 0 }
    }
}

impl Lowering<'_> {
    pub fn put(&mut self, value: ValueId, form: Form, placed: Placed) {
        self.forms.insert((value, form), placed);
    }

    /// True if the value can be an image.
    pub fn is_pictorial(&self, value: ValueId) -> bool {
        (2..=4).contains(&self.spec(value).shape.len())
    }

    /// The image a value is, `pitch` elements from pixel to pixel.
    pub fn image(&self, value: ValueId, pitch: u32) -> Result<Image, LowerError> {
        let spec = self.spec(value);
        let [n, c, h, w] = pictorial(spec);
        Ok(Image {
            n: narrow(n)?,
            h: narrow(h)?,
            w: narrow(w)?,
            c: narrow(c)?,
            pitch,
            dtype: spec.dtype,
            scale: self.scale(value),
        })
    }

    /// The image a value becomes where nothing else is said of its pitch.
    pub fn image_of(&self, value: ValueId) -> Result<Image, LowerError> {
        let spec = self.spec(value);
        self.image(value, Image::dense(1, 1, 1, narrow(pictorial(spec)[1])?, spec.dtype).pitch)
    }

    /// What a value's integers stand for.
    pub fn scale(&self, value: ValueId) -> Scale {
        match &self.spec(value).quant {
            Some(quant) if quant.axis.is_none() => quant.scales.first().map_or(Scale::ONE, |&scale| Scale::new(scale)),
            _ => Scale::ONE,
        }
    }

    /// Reads a value as an image, bringing it into that form if it is not.
    pub fn read_image(&mut self, value: ValueId) -> Result<(Image, Operand), LowerError> {
        let placed = self.read(value, Form::Image)?;
        Ok((self.image(value, placed.pitch)?, placed.operand))
    }

    /// Reads a value row-major.
    pub fn read_dense(&mut self, value: ValueId) -> Result<Operand, LowerError> {
        Ok(self.read(value, Form::Dense)?.operand)
    }

    pub fn read(&mut self, value: ValueId, form: Form) -> Result<Placed, LowerError> {
        if let Some(&placed) = self.forms.get(&(value, form)) {
            return Ok(placed);
        }
        if let Some(input) = self.foreign_root(value) {
            return self.read_foreign(input, value, form);
        }
        let (source, from) = self.any_form(value)?;
        // A constant is placed the first time it is asked for.
        if let Some(&placed) = self.forms.get(&(value, form)) {
            return Ok(placed);
        }
        if source == value
            && let Some(placed) = self.same_bytes(value, from)
        {
            self.put(value, form, placed);
            return Ok(placed);
        }
        let target = self.write(value, form)?;
        self.copy_value(source, from, value, form, target)?;
        Ok(target)
    }

    /// Some form a value is in. If it is a cast that nobody made yet: the form of what it is cast from.
    pub fn any_form(&mut self, value: ValueId) -> Result<(ValueId, Form), LowerError> {
        let mut source = value;
        loop {
            // Images first: they are what most work writes.
            for form in [Form::Image, Form::Dense] {
                if self.forms.contains_key(&(source, form)) {
                    return Ok((source, form));
                }
            }
            match self.casts.get(&source) {
                Some(&from) => source = from,
                None if self.foreign.contains_key(&source) => {
                    self.read_foreign(source, source, Form::Image)?;
                }
                None => {
                    let operand = self.constant_buffer(source);
                    self.put(source, Form::Dense, Placed::dense(operand));
                }
            }
        }
    }

    /// A value in one form that has the same bytes in the other: one pixel a picture, no padding.
    fn same_bytes(&self, value: ValueId, from: Form) -> Option<Placed> {
        let spec = self.spec(value);
        if !self.is_pictorial(value) {
            return None;
        }
        let [_, c, h, w] = pictorial(spec);
        let placed = self.forms.get(&(value, from))?;
        let padded = Image::dense(1, 1, 1, narrow(c).ok()?, spec.dtype).pitch;
        let unpadded = h * w == 1 && padded as usize == c && (from == Form::Dense || placed.pitch == padded);
        unpadded.then_some(Placed { operand: placed.operand, pitch: padded })
    }

    /// Memory for a value about to be written in this form.
    pub fn write(&mut self, value: ValueId, form: Form) -> Result<Placed, LowerError> {
        let placed = match form {
            Form::Image => match self.reserved.get(&value) {
                Some(&placed) => placed,
                None => self.new_image(value)?,
            },
            Form::Dense => Placed::dense(self.new_dense(value)),
        };
        self.put(value, form, placed);
        Ok(placed)
    }

    /// An image about to be written.
    pub fn write_image(&mut self, value: ValueId) -> Result<(Image, Operand), LowerError> {
        let placed = self.write(value, Form::Image)?;
        Ok((self.image(value, placed.pitch)?, placed.operand))
    }

    /// Row-major memory about to be written.
    pub fn write_dense(&mut self, value: ValueId) -> Result<Operand, LowerError> {
        Ok(self.write(value, Form::Dense)?.operand)
    }

    fn new_image(&mut self, value: ValueId) -> Result<Placed, LowerError> {
        let spec = self.spec(value);
        let [n, c, h, w] = pictorial(spec);
        let image = Image::dense(narrow(n)?, narrow(h)?, narrow(w)?, narrow(c)?, spec.dtype);
        let unpadded = h * w == 1 && image.pitch as usize == c;
        if unpadded && let Some(operand) = self.output_buffer(value, None) {
            let placed = Placed { operand, pitch: image.pitch };
            self.put(value, Form::Dense, placed);
            return Ok(placed);
        }
        if let Some(operand) = self.output_buffer(value, Some(image.pitch)) {
            return Ok(Placed { operand, pitch: image.pitch });
        }
        let buffer = self.new_buffer(self.name(value), image.bytes(), BufferKind::Activation);
        Ok(Placed { operand: Operand { buffer, offset: 0 }, pitch: image.pitch })
    }

    fn new_dense(&mut self, value: ValueId) -> Operand {
        if let Some(operand) = self.output_buffer(value, None) {
            return operand;
        }
        let bytes = self.spec(value).bytes() as u64;
        let buffer = self.new_buffer(self.name(value), bytes, BufferKind::Activation);
        Operand { buffer, offset: 0 }
    }

    /// The strides of a value in a form, one for each of its logical dims.
    pub fn logical_strides(&self, value: ValueId, form: Form) -> Vec<i64> {
        let pitch = self.forms.get(&(value, form)).map_or(1, |p| i64::from(p.pitch));
        strides_of(&self.spec(value).shape, form, pitch)
    }

    /// A value in a form as a view, dims in physical order.
    pub fn view(&self, value: ValueId, form: Form) -> Result<View, LowerError> {
        self.view_for(value, form, value, form)
    }

    /// `value` in `form`, seen with the extents and physical order of `like` in `like_form`; dims of extent 1 repeat.
    ///
    /// Its lanes of padding are `like`'s, so that the view of `like` itself can be written through.
    pub fn view_for(&self, value: ValueId, form: Form, like: ValueId, like_form: Form) -> Result<View, LowerError> {
        let shape = &self.spec(value).shape;
        let extents = &self.spec(like).shape;
        let own = self.logical_strides(value, form);
        let missing = extents.len() - shape.len().min(extents.len());
        let strides: Vec<i64> = (0..extents.len())
            .map(|axis| match axis.checked_sub(missing) {
                Some(i) if shape[i] == extents[axis] && extents[axis] != 1 => own[i],
                _ => 0,
            })
            .collect();
        let dims = extents.iter().map(|&d| narrow(d)).collect::<Result<Vec<u32>, _>>()?;
        let order = physical_order(like_form, extents.len());
        let zero_lanes = if like_form == Form::Image { padding_lanes(self.spec(like))? } else { 0 };
        Ok(View {
            dims: order.iter().map(|&axis| dims[axis]).collect(),
            strides: order.iter().map(|&axis| strides[axis]).collect(),
            dtype: self.spec(value).dtype,
            zero_lanes,
            scale: self.scale(value),
        })
    }

    /// Copies `source` in `from` to `target`'s memory in `to`; types may differ, extents may not.
    pub fn copy_value(
        &mut self,
        source: ValueId,
        from: Form,
        target: ValueId,
        to: Form,
        placed: Placed,
    ) -> Result<(), LowerError> {
        // The source first: it may be the target itself, elsewhere in the same form.
        let (x, from_view) = (self.place(source, from), self.view_for(source, from, target, to)?);
        self.put(target, to, placed);
        let (y, to_view) = (self.place(target, to), self.view(target, to)?);
        let what = format!("layout {} {} -> {} {}", x.dtype, from.name(), y.dtype, to.name());
        self.move_along(&what, x, y, &steps(&from_view, &to_view), to_view.zero_lanes)
    }
}

/// The axes of a value in the order they lie in memory, outermost first.
pub(super) fn physical_order(form: Form, rank: usize) -> Vec<usize> {
    match (form, rank) {
        (Form::Image, 3) => vec![0, 2, 1],
        (Form::Image, 4) => vec![0, 2, 3, 1],
        _ => (0..rank).collect(),
    }
}

/// The strides of a tensor of these extents in a form, one for each of its logical dims; an image has `pitch` elements
/// from one pixel to the next.
pub(super) fn strides_of(shape: &[usize], form: Form, pitch: i64) -> Vec<i64> {
    match (form, shape) {
        (Form::Image, [_, _]) => vec![pitch, 1],
        (Form::Image, &[_, _, l]) => vec![l as i64 * pitch, 1, pitch],
        (Form::Image, &[_, _, h, w]) => vec![(h * w) as i64 * pitch, 1, w as i64 * pitch, pitch],
        _ => row_major_strides(shape).into_iter().map(|s| s as i64).collect(),
    }
}

/// (N,C), (N,C,L) or (N,C,H,W) as [n, c, h, w].
pub(super) fn pictorial(spec: &Spec) -> [usize; 4] {
    match *spec.shape.as_slice() {
        [n, c] => [n, c, 1, 1],
        [n, c, l] => [n, c, 1, l],
        [n, c, h, w] => [n, c, h, w],
        _ => [1, 1, 1, spec.len()],
    }
}

/// Lanes between a pixel's channels and the next multiple of 16 bytes.
pub(super) fn padding_lanes(spec: &Spec) -> Result<u32, LowerError> {
    let c = narrow(pictorial(spec)[1])?;
    Ok(Image::dense(1, 1, 1, c, spec.dtype).padded_channels() - c)
}

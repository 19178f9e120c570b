//! y[i, …] = x[start + i·step, …] along some axes.
//! <https://onnx.ai/onnx/operators/onnx__Slice.html>

use super::{Cost, Eval, OpError, Operator, ShapeValue, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor, row_major_strides};
use serde::{Deserialize, Serialize};

/// A range along one axis, counted as ONNX and Python do: negative bounds from the end, bounds beyond it cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRange {
    /// The axis.
    pub axis: usize,
    /// The first index.
    pub start: i64,
    /// The index before which to stop; the symbolic extent of another tensor, perhaps.
    pub end: Dim,
    /// The distance from one index to the next; not 0.
    pub step: i64,
}

/// Ranges along some axes. Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The ranges, each along an axis of its own. Other axes are taken whole.
    pub ranges: Vec<SliceRange>,
}

/// Bounds as far out as this mean "to the end": exporters write `i32::MAX`, `i64::MAX` and numbers nearby.
const FAR: i64 = i32::MAX as i64 - 1;

impl SliceRange {
    /// The first index within an extent, and how many there are.
    fn within(&self, extent: i64, end: i64) -> (i64, i64) {
        let from_end = |bound: i64| if bound < 0 { bound.saturating_add(extent) } else { bound };
        let (start, end) = (from_end(self.start), from_end(end));
        if self.step > 0 {
            let (start, end) = (start.clamp(0, extent), end.clamp(0, extent));
            (start, (end - start).max(0).div_euclid(self.step) + i64::from((end - start).max(0) % self.step != 0))
        } else {
            let last = (extent - 1).max(0);
            let (start, end) = (start.clamp(0, last), end.clamp(-1, last));
            let span = if extent == 0 { 0 } else { (start - end).max(0) };
            (start, span / -self.step + i64::from(span % -self.step != 0))
        }
    }

    /// How many indices there are in an extent. Where a symbol is involved, the bounds are taken to lie within
    /// the extent; [`SliceRange::positions`] checks that once the symbols have values.
    fn count(&self, extent: &Dim) -> Dim {
        if let (Some(extent), Some(end)) = (extent.as_const(), self.end.as_const()) {
            return Dim::from(self.within(extent, end).1);
        }
        let forward = self.step > 0;
        let bound = |at: Dim, far: Dim| match at.as_const() {
            Some(number) if number.abs() >= FAR => far,
            Some(number) if number < 0 => extent.clone() + at,
            _ => at,
        };
        let (first, last) = (Dim::default(), extent.clone() - Dim::from(1));
        let before_first = Dim::from(-1);
        let start = Dim::from(self.start);
        let count = if forward {
            let start = bound(start, first);
            (bound(self.end.clone(), extent.clone()) - start).ceil_div(self.step)
        } else {
            let start = bound(start, last);
            (start - bound(self.end.clone(), before_first)).ceil_div(-self.step)
        };
        if count.as_const().is_some_and(|c| c < 0) { Dim::default() } else { count }
    }

    /// The first index for actual extents of input and output.
    ///
    /// # Errors
    /// If a bound that inference took to lie within the input does not.
    pub fn first(&self, input: usize, output: usize) -> Result<usize, OpError> {
        let beyond = || OpError::Shape {
            what: "the sliced axis",
            expected: format!("long enough for {output} elements of {self}"),
            got: input.to_string(),
        };
        let (extent, count) = (i64::try_from(input), i64::try_from(output));
        let (Ok(extent), Ok(count)) = (extent, count) else { return Err(beyond()) };
        // A symbolic end is known by how many elements it leads to.
        let (start, whole) = self.within(extent, if self.step > 0 { i64::MAX } else { i64::MIN });
        let exact = self.end.as_const().map(|end| self.within(extent, end).1);
        if count > whole || exact.is_some_and(|exact| exact != count) {
            return Err(beyond());
        }
        usize::try_from(start).map_err(|_| beyond())
    }
}

impl std::fmt::Display for SliceRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.start, self.end)?;
        if self.step != 1 {
            write!(f, ":{}", self.step)?;
        }
        Ok(())
    }
}

impl Slice {
    /// Reads ONNX's `Slice`: everything by attribute before opset 10, by input since.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let rank = build.graph().fact(x).rank();
        let extents = |index: usize, name: &'static str| -> Result<Vec<Dim>, ImportError> {
            match node.optional_input(index) {
                Some(value) => build.extents_input(node, value, name),
                None => Ok(node.ints(name)?.unwrap_or_default().into_iter().map(Dim::from).collect()),
            }
        };
        let (starts, ends) = (extents(1, "starts")?, extents(2, "ends")?);
        let axes = axis::integers(node, build, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let axes = axis::in_order(node, "axes", &axes, rank)?;
        let steps = axis::integers(node, build, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        if starts.len() != ends.len() || starts.len() != axes.len() || starts.len() != steps.len() {
            let got = format!("{}, {}, {} and {}", starts.len(), ends.len(), axes.len(), steps.len());
            return Err(node.bad_attribute("starts", "as many as ends, axes and steps", got));
        }
        let mut ranges = Vec::with_capacity(axes.len());
        for (((axis, start), end), step) in axes.into_iter().zip(starts).zip(ends).zip(steps) {
            let start = start
                .as_const()
                .ok_or_else(|| node.error(OpError::Symbolic { what: "the start of a slice", dim: start.clone() }))?;
            if step == 0 || step.checked_abs().is_none() {
                return Err(node.bad_attribute("steps", "other than 0", step));
            }
            ranges.push(SliceRange { axis, start, end, step });
        }
        build.add(node, Slice { ranges }.into(), &[x])
    }
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let axes: Vec<usize> = self.ranges.iter().map(|r| r.axis).collect();
        vec![("axes", axis::list(&axes)), ("ranges", axis::list(&self.ranges))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let mut dims = x.shape.to_vec();
        for range in &self.ranges {
            let Some(dim) = dims.get_mut(range.axis) else {
                return Err(OpError::shape("x", format!("of rank {} at least", range.axis + 1), &x.shape));
            };
            *dim = range.count(dim);
        }
        Ok(vec![movement::moved(x, Shape::new(dims))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let shape = &eval.outputs[0].shape;
        let strides = row_major_strides(x.shape());
        let mut offsets: Vec<_> = (0..x.rank()).map(|a| movement::along(strides[a], 0..x.shape()[a])).collect();
        for range in &self.ranges {
            let count = shape[range.axis];
            let first = range.first(x.shape()[range.axis], count)? as i64;
            let indices = (0..count as i64).map(|i| (first + i * range.step) as usize);
            offsets[range.axis] = movement::along(strides[range.axis], indices);
        }
        Ok(vec![movement::gather(x, &offsets, 0.0)?])
    }

    fn cost(&self, _inputs: &[Spec], outputs: &[Spec]) -> Cost {
        // Only what is kept is read.
        Cost { flops: 0, bytes: 2 * Cost::traffic(&[], outputs) }
    }

    fn shape_arithmetic(&self, inputs: &[Option<&ShapeValue>]) -> Option<ShapeValue> {
        let (&[Some(x)], [range]) = (inputs, self.ranges.as_slice()) else { return None };
        if x.shape.len() != 1 {
            return None;
        }
        let (start, count) = range.within(i64::try_from(x.elements.len()).ok()?, range.end.as_const()?);
        let pick = |i: i64| x.elements.get(usize::try_from(start + i * range.step).ok()?).cloned();
        let elements: Option<Vec<Dim>> = (0..count).map(pick).collect();
        Some(ShapeValue { real: x.real, ..ShapeValue::vector(elements?) })
    }
}

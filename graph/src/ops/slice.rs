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
            Some(number) if number.unsigned_abs() >= FAR.unsigned_abs() => far,
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

    fn only_moves(&self) -> bool {
        true
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};
    use crate::tensor::{Bindings, DType, Symbol};
    use proptest::prelude::*;

    fn range(start: i64, end: i64, step: i64) -> SliceRange {
        SliceRange { axis: 0, start, end: Dim::from(end), step }
    }

    fn of(len: usize, start: i64, end: i64, step: i64) -> Vec<f32> {
        evaluate(Slice { ranges: vec![range(start, end, step)] }, &[counting(&[len])]).unwrap().to_f32()
    }

    /// The indices one after the other, as the operator's page tells it.
    fn walk(len: i64, start: i64, end: i64, step: i64) -> Vec<i64> {
        let from_end = |bound: i64| if bound < 0 { bound + len } else { bound };
        let (low, high) = if step > 0 { (0, len) } else { (0, len - 1) };
        let mut index = from_end(start).max(low).min(high);
        let mut out = Vec::new();
        while (0..len).contains(&index) && (if step > 0 { index < from_end(end) } else { index > from_end(end) }) {
            out.push(index);
            index += step;
        }
        out
    }

    #[test]
    fn ranges_by_hand() {
        assert_eq!(of(5, 1, 3, 1), [2.0, 3.0]);
        assert_eq!(of(5, -2, i64::MAX, 1), [4.0, 5.0]);
        assert_eq!(of(5, 0, -1, 2), [1.0, 3.0]);
        assert_eq!(of(5, -1, i64::MIN, -1), [5.0, 4.0, 3.0, 2.0, 1.0]);
        assert_eq!(of(5, i64::MAX, 0, -2), [5.0, 3.0]);
        assert_eq!(of(5, 3, 3, 1), [0f32; 0]);
        assert_eq!(of(5, 4, 2, 1), [0f32; 0]);
        assert_eq!(of(0, 0, 5, 1), [0f32; 0]);
        assert_eq!(of(5, 0, 5, i64::MAX), [1.0]);
    }

    #[test]
    fn several_axes_at_once() {
        let ranges = vec![SliceRange { axis: 2, ..range(1, 3, 1) }, SliceRange { axis: 0, ..range(-1, i64::MIN, -1) }];
        let y = evaluate(Slice { ranges }, &[counting(&[2, 2, 3])]).unwrap();
        assert_eq!(y.shape(), [2, 2, 2]);
        assert_eq!(y.to_f32(), [8.0, 9.0, 11.0, 12.0, 2.0, 3.0, 5.0, 6.0]);
        let beyond = Slice { ranges: vec![SliceRange { axis: 3, ..range(0, 1, 1) }] };
        assert!(evaluate(beyond, &[counting(&[2, 2, 3])]).is_err());
    }

    #[test]
    fn symbols_stay_in_the_extents() {
        let h = Dim::symbol(Symbol::new("H"));
        let count = |r: SliceRange| r.count(&h);
        assert_eq!(count(range(0, i64::MAX, 2)), h.ceil_div(2));
        assert_eq!(count(range(1, -1, 1)), h.clone() - Dim::from(2));
        assert_eq!(count(range(-1, i64::MAX, 1)), Dim::from(1));
        assert_eq!(count(range(-1, i64::MIN, -1)), h.clone());
        assert_eq!(count(SliceRange { end: h.floor_div(2), ..range(0, 0, 1) }), h.floor_div(2));
        // Of a fixed table as much as the input is long.
        assert_eq!(SliceRange { end: h.clone(), ..range(0, 0, 1) }.count(&Dim::from(512)), h);
    }

    #[test]
    fn a_symbolic_end_beyond_the_table_is_found_when_it_has_a_value() {
        let end = Dim::symbol(Symbol::new("H"));
        let range = SliceRange { end, ..range(0, 0, 1) };
        assert_eq!(range.first(512, 100), Ok(0));
        assert!(range.first(512, 600).is_err());
    }

    proptest! {
        #[test]
        fn slices_are_what_a_walk_collects(
            len in 0i64..12, start in -15i64..15, end in -15i64..15, step in prop_oneof![-4i64..0, 1i64..5],
        ) {
            let want: Vec<f32> = walk(len, start, end, step).iter().map(|&i| i as f32 + 1.0).collect();
            prop_assert_eq!(of(len as usize, start, end, step), want);
        }

        /// Extents inferred from a symbol are right for its value, or the value is refused.
        #[test]
        fn inference_with_a_symbol_is_right_or_refused(
            len in 1i64..12, start in -15i64..15, end in -15i64..15, step in prop_oneof![-4i64..0, 1i64..5],
        ) {
            let h = Symbol::new("H");
            let fact = Fact::new(DType::F32, Shape::new([Dim::symbol(h.clone())]));
            let range = range(start, end, step);
            let inferred = Slice { ranges: vec![range.clone()] }.infer(&[&fact]).unwrap();
            let mut bindings = Bindings::new();
            bindings.bind(h, len);
            let count = inferred[0].shape.eval(&bindings).unwrap()[0];
            let indices = walk(len, start, end, step);
            match range.first(len as usize, count) {
                Ok(first) => {
                    prop_assert_eq!(count, indices.len());
                    prop_assert!(indices.first().is_none_or(|&i| i == first as i64));
                }
                Err(_) => prop_assert_ne!(count, indices.len()),
            }
        }
    }
}

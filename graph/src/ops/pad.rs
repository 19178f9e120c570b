//! A border around a tensor, along any axes: of one value, of the edge, of a mirror image, or of the other side.
//! <https://onnx.ai/onnx/operators/onnx__Pad.html>

use super::{Cost, Eval, OpError, Operator, Spec, axis, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, QuantParams, Shape, Tensor, row_major_strides};
use serde::{Deserialize, Serialize};

/// What stands in the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PadMode {
    /// One value.
    Constant,
    /// The mirror image, the edge itself not repeated: `c b | a b c | b a`.
    Reflect,
    /// The edge: `a a | a b c | c c`.
    Edge,
    /// The other side: `b c | a b c | a b`.
    Wrap,
}

impl PadMode {
    /// The index within `0..extent` that stands at `index`, which may lie outside; `None` for the value.
    pub fn source(self, index: i64, extent: i64) -> Option<i64> {
        if (0..extent).contains(&index) {
            return Some(index);
        }
        match self {
            PadMode::Constant => None,
            PadMode::Edge => Some(index.clamp(0, extent - 1)),
            PadMode::Wrap => Some(index.rem_euclid(extent)),
            PadMode::Reflect => {
                // Back and forth over the extent, the turning points once each.
                let period = (2 * (extent - 1)).max(1);
                let phase = index.rem_euclid(period);
                Some(phase.min(period - phase).min(extent - 1))
            }
        }
    }

    /// The name in ONNX.
    pub const fn name(self) -> &'static str {
        match self {
            PadMode::Constant => "constant",
            PadMode::Reflect => "reflect",
            PadMode::Edge => "edge",
            PadMode::Wrap => "wrap",
        }
    }
}

/// A border. Input: x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    /// What stands in it.
    pub mode: PadMode,
    /// Elements added before the first, one number an axis; negative ones are taken away.
    pub begin: Vec<i64>,
    /// Elements added after the last.
    pub end: Vec<i64>,
    /// The value of `Constant`; of an integer tensor, a whole number.
    pub value: f32,
}

impl Pad {
    /// Reads ONNX's `Pad`: pads and value by attribute before opset 11, by input since; axes since opset 18.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let rank = build.graph().fact(x).rank();
        let mode = match node.string("mode")?.as_deref() {
            None | Some("constant") => PadMode::Constant,
            Some("reflect") => PadMode::Reflect,
            Some("edge") => PadMode::Edge,
            Some("wrap") => PadMode::Wrap,
            Some(other) => return Err(node.bad_attribute("mode", "constant, reflect, edge or wrap", other)),
        };
        let pads = match axis::integers(node, build, 1, "pads")? {
            Some(pads) => pads,
            // Its name in opset 1.
            None => node.ints("paddings")?.ok_or_else(|| node.bad_attribute("pads", "given", "nothing"))?,
        };
        let axes = match axis::integers(node, build, 3, "axes")? {
            Some(axes) => axis::in_order(node, "axes", &axes, rank)?,
            None => (0..rank).collect(),
        };
        if pads.len() != 2 * axes.len() || pads.iter().any(|p| p.abs_diff(0) > i32::MAX as u64) {
            let expected = format!("{} numbers below 2^31", 2 * axes.len());
            return Err(node.bad_attribute("pads", expected, format!("{pads:?}")));
        }
        let (mut begin, mut end) = (vec![0; rank], vec![0; rank]);
        for (i, &axis) in axes.iter().enumerate() {
            begin[axis] = pads[i];
            end[axis] = pads[axes.len() + i];
        }
        let value = match node.optional_input(2) {
            Some(value) => Self::value(node, build, value)?,
            None => node.float("value")?.unwrap_or(0.0),
        };
        build.add(node, Pad { mode, begin, end, value }.into(), &[x])
    }

    fn value(node: &NodeView<'_>, build: &Builder, value: ValueId) -> Result<f32, ImportError> {
        let tensor = build.constant_input(node, value, "constant_value")?;
        let real = tensor.to_f32().first().copied().unwrap_or(0.0);
        if !tensor.dtype().is_float() && tensor.to_i64().first().is_some_and(|&whole| real as i64 != whole) {
            return Err(node.bad_attribute("constant_value", "exact as f32", format!("{:?}", tensor.to_i64())));
        }
        Ok(real)
    }
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = vec![("begin", axis::list(&self.begin)), ("end", axis::list(&self.end))];
        match self.mode {
            PadMode::Constant if self.value == 0.0 => {}
            PadMode::Constant => out.push(("value", self.value.to_string())),
            other => out.push(("mode", other.name().to_owned())),
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if x.rank() != self.begin.len() || x.rank() != self.end.len() {
            return Err(OpError::shape("x", format!("of rank {}", self.begin.len()), &x.shape));
        }
        let zero_is_zero = x.quant.as_ref().is_none_or(QuantParams::is_symmetric);
        if x.quant.is_some() && !(self.only_moves() && zero_is_zero) {
            let expected = "0 around integers that stand for reals, whose own 0 is 0".to_owned();
            return Err(OpError::Attribute { name: "value", expected, got: self.value.to_string() });
        }
        let mut dims = Vec::with_capacity(x.rank());
        for (axis, dim) in x.shape.iter().enumerate() {
            let padded = dim.clone() + Dim::from(self.begin[axis]) + Dim::from(self.end[axis]);
            let empty = dim.as_const() == Some(0) && padded != *dim && self.mode != PadMode::Constant;
            if padded.as_const().is_some_and(|d| d < 0) || empty {
                return Err(OpError::shape("x", format!("longer along axis {axis}"), &x.shape));
            }
            dims.push(padded);
        }
        Ok(vec![movement::moved(x, Shape::new(dims))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let strides = row_major_strides(x.shape());
        let offsets = |axis: usize| -> movement::Offsets {
            let extent = x.shape()[axis] as i64;
            let position = |i: usize| self.mode.source(i as i64 - self.begin[axis], extent);
            (0..eval.outputs[0].shape[axis]).map(|i| position(i).map(|p| p as usize * strides[axis])).collect()
        };
        let offsets: Vec<_> = (0..x.rank()).map(offsets).collect();
        Ok(vec![movement::gather(x, &offsets, self.value)?])
    }

    fn only_moves(&self) -> bool {
        self.mode != PadMode::Constant || self.value == 0.0
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate, tensor};
    use crate::tensor::DType;

    fn row(mode: PadMode, begin: i64, end: i64, len: usize) -> Result<Vec<f32>, OpError> {
        let op = Pad { mode, begin: vec![begin], end: vec![end], value: 9.0 };
        Ok(evaluate(op, &[counting(&[len])])?.to_f32())
    }

    #[test]
    fn modes_by_hand() {
        assert_eq!(row(PadMode::Constant, 2, 1, 2), Ok(vec![9.0, 9.0, 1.0, 2.0, 9.0]));
        assert_eq!(row(PadMode::Edge, 2, 1, 2), Ok(vec![1.0, 1.0, 1.0, 2.0, 2.0]));
        assert_eq!(row(PadMode::Reflect, 2, 1, 3), Ok(vec![3.0, 2.0, 1.0, 2.0, 3.0, 2.0]));
        assert_eq!(row(PadMode::Wrap, 2, 1, 3), Ok(vec![2.0, 3.0, 1.0, 2.0, 3.0, 1.0]));
    }

    #[test]
    fn borders_longer_than_the_tensor_go_back_and_forth() {
        assert_eq!(row(PadMode::Reflect, 5, 0, 3), Ok(vec![2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0]));
        assert_eq!(row(PadMode::Wrap, 4, 0, 2), Ok(vec![1.0, 2.0, 1.0, 2.0, 1.0, 2.0]));
        assert_eq!(row(PadMode::Reflect, 2, 2, 1), Ok(vec![1.0; 5]));
    }

    #[test]
    fn negative_pads_take_away() {
        assert_eq!(row(PadMode::Constant, -1, 1, 3), Ok(vec![2.0, 3.0, 9.0]));
        assert_eq!(row(PadMode::Edge, 1, -2, 3), Ok(vec![1.0, 1.0]));
        assert_eq!(row(PadMode::Constant, -1, -2, 3), Ok(vec![]));
        assert!(row(PadMode::Constant, -2, -2, 3).is_err());
    }

    #[test]
    fn an_empty_tensor_has_no_edge() {
        assert_eq!(row(PadMode::Constant, 1, 1, 0), Ok(vec![9.0, 9.0]));
        assert!(row(PadMode::Edge, 1, 0, 0).is_err());
    }

    #[test]
    fn corners_belong_to_both_axes() {
        let op = Pad { mode: PadMode::Reflect, begin: vec![1, 0], end: vec![0, 1], value: 0.0 };
        let y = evaluate(op, &[counting(&[2, 2])]).unwrap();
        assert_eq!(y, tensor(&[3, 3], &[3.0, 4.0, 3.0, 1.0, 2.0, 1.0, 3.0, 4.0, 3.0]));
    }

    #[test]
    fn integers_are_padded_with_integers() {
        let op = Pad { mode: PadMode::Constant, begin: vec![1], end: vec![0], value: -7.0 };
        let y = evaluate(op, &[counting(&[1]).cast(DType::I64)]).unwrap();
        assert_eq!(y.as_slice::<i64>().unwrap(), [-7, 1]);
    }
}

//! The sliding window that convolutions and pools share: kernel, stride, dilation, padding.

use super::OpError;
use crate::onnx::{ImportError, NodeView};
use crate::tensor::Dim;
use serde::{Deserialize, Serialize};

/// How a window meets the borders of its input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// Elements added before and after, per spatial axis.
    Explicit {
        /// Before the first element.
        begin: Vec<usize>,
        /// After the last element.
        end: Vec<usize>,
    },
    /// Output is ceil(input / stride); an odd element goes after the last.
    SameUpper,
    /// Output is ceil(input / stride); an odd element goes before the first.
    SameLower,
}

/// A window over the spatial axes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Extent per spatial axis.
    pub kernel: Vec<usize>,
    /// Step per spatial axis.
    pub strides: Vec<usize>,
    /// Distance between neighbours in the window.
    pub dilations: Vec<usize>,
    /// What stands around the input.
    pub padding: Padding,
}

/// `count` extents, strides or pads. Larger than any tensor's they are damage, and their products would overflow.
pub(super) fn sizes(values: &[i64], count: usize) -> Option<Vec<usize>> {
    let size = |&v: &i64| i32::try_from(v).ok().and_then(|v| usize::try_from(v).ok());
    values.iter().map(size).collect::<Option<Vec<_>>>().filter(|s| s.len() == count)
}

impl Window {
    /// A window of this kernel: stride 1, dense, unpadded.
    pub fn of(kernel: &[usize]) -> Self {
        let ones = vec![1; kernel.len()];
        let zeros = vec![0; kernel.len()];
        Self {
            kernel: kernel.to_vec(),
            strides: ones.clone(),
            dilations: ones,
            padding: Padding::Explicit { begin: zeros.clone(), end: zeros },
        }
    }

    /// Reads `strides`, `dilations`, `pads`, `auto_pad`; `kernel` comes from the weights or `kernel_shape`.
    pub fn from_onnx(node: &NodeView<'_>, kernel: &[usize]) -> Result<Self, ImportError> {
        let rank = kernel.len();
        let positive = |name: &'static str| -> Result<Vec<usize>, ImportError> {
            let Some(values) = node.ints(name)? else { return Ok(vec![1; rank]) };
            let expected = || format!("{rank} positive numbers below 2^31");
            sizes(&values, rank)
                .filter(|s| !s.contains(&0))
                .ok_or_else(|| node.bad_attribute(name, expected(), format!("{values:?}")))
        };
        let padding = match node.string("auto_pad")?.as_deref() {
            Some("SAME_UPPER") => Padding::SameUpper,
            Some("SAME_LOWER") => Padding::SameLower,
            Some("VALID") => Window::of(kernel).padding,
            None | Some("NOTSET") => {
                let pads = node.ints("pads")?.unwrap_or_else(|| vec![0; 2 * rank]);
                let sizes = sizes(&pads, 2 * rank).ok_or_else(|| {
                    let expected = format!("{} numbers below 2^31, none negative", 2 * rank);
                    node.bad_attribute("pads", expected, format!("{pads:?}"))
                })?;
                Padding::Explicit { begin: sizes[..rank].to_vec(), end: sizes[rank..].to_vec() }
            }
            Some(other) => {
                return Err(node.bad_attribute("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER", other));
            }
        };
        let (strides, dilations) = (positive("strides")?, positive("dilations")?);
        if kernel.contains(&0) {
            return Err(node.bad_attribute("kernel_shape", "positive numbers", format!("{kernel:?}")));
        }
        Ok(Self { kernel: kernel.to_vec(), strides, dilations, padding })
    }

    /// Attributes for the canonical print; what is 1 or 0 throughout is left out.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let by = |values: &[usize]| values.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut out = vec![("kernel", by(&self.kernel))];
        if self.strides.iter().any(|s| *s != 1) {
            out.push(("strides", by(&self.strides)));
        }
        if self.dilations.iter().any(|d| *d != 1) {
            out.push(("dilations", by(&self.dilations)));
        }
        match &self.padding {
            Padding::SameUpper => out.push(("padding", "same_upper".to_owned())),
            Padding::SameLower => out.push(("padding", "same_lower".to_owned())),
            Padding::Explicit { begin, end } if begin == end && begin.iter().all(|p| *p == 0) => {}
            Padding::Explicit { begin, end } if begin == end => out.push(("padding", by(begin))),
            Padding::Explicit { begin, end } => out.push(("padding", format!("{}..{}", by(begin), by(end)))),
        }
        out
    }

    /// Number of spatial axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }

    /// Extent of the dilated window along an axis.
    pub fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Output extents for input extents, which may be symbolic. `ceil_mode` rounds up as pools may,
    /// a last window that would start in the padding after the input being left out.
    pub fn infer(&self, spatial: &[Dim], ceil_mode: bool) -> Result<Vec<Dim>, OpError> {
        let mut out = Vec::with_capacity(spatial.len());
        for (axis, input) in spatial.iter().enumerate() {
            let stride = self.strides[axis] as i64;
            let Padding::Explicit { begin, end } = &self.padding else {
                out.push(input.ceil_div(stride));
                continue;
            };
            let span = input.clone() + Dim::from(begin[axis] + end[axis]) - Dim::from(self.reach(axis));
            if !ceil_mode {
                out.push(span.floor_div(stride) + Dim::from(1));
                continue;
            }
            let rounded_up = span.ceil_div(stride) + Dim::from(1);
            match (rounded_up.as_const(), input.as_const()) {
                (Some(o), Some(i)) if (o - 1) * stride >= i + begin[axis] as i64 => out.push(Dim::from(o - 1)),
                (Some(_), Some(_)) => out.push(rounded_up),
                // ceil(span/stride)·stride < span + stride: within this bound the last window starts in time.
                _ if end[axis] + self.strides[axis] <= self.reach(axis) => out.push(rounded_up),
                _ => return Err(OpError::Symbolic { what: "the input of a rounded-up window", dim: input.clone() }),
            }
        }
        for (axis, extent) in out.iter().enumerate() {
            if extent.as_const().is_some_and(|e| e <= 0) {
                return Err(OpError::Shape {
                    what: "the padded input",
                    expected: format!("at least the window's reach, {} along spatial axis {axis}", self.reach(axis)),
                    got: spatial[axis].to_string(),
                });
            }
        }
        Ok(out)
    }

    /// Padding before the first element, per axis, for actual extents.
    pub fn pad_begin(&self, input: &[usize], output: &[usize]) -> Vec<usize> {
        match &self.padding {
            Padding::Explicit { begin, .. } => begin.clone(),
            same => (0..self.rank())
                .map(|axis| {
                    let needed = (output[axis].saturating_sub(1) * self.strides[axis] + self.reach(axis))
                        .saturating_sub(input[axis]);
                    if *same == Padding::SameLower { needed.div_ceil(2) } else { needed / 2 }
                })
                .collect(),
        }
    }
}

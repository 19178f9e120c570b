//! A tensor resampled to other extents, each axis by itself.
//! <https://onnx.ai/onnx/operators/onnx__Resize.html>, <https://onnx.ai/onnx/operators/onnx__Upsample.html>

use super::exact::{Line, resample};
use super::sampling::{CoordinateMode, NearestMode, ResizeMode};
use super::{Cost, Eval, OpError, Operator, Spec, axis, exact, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor, row_major_strides};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What becomes of one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ResizeAxis {
    /// It stays.
    Same,
    /// floor(extent · scale)
    Scale(f32),
    /// This extent; the scale is the quotient.
    Size(Dim),
    /// This extent, by a scale that several axes share to keep a picture's proportions.
    Fitted {
        /// The new extent.
        size: usize,
        /// The scale.
        scale: f32,
    },
}

impl ResizeAxis {
    /// The new extent.
    fn infer(&self, extent: &Dim) -> Result<Dim, OpError> {
        match self {
            ResizeAxis::Same => Ok(extent.clone()),
            ResizeAxis::Size(size) => Ok(size.clone()),
            ResizeAxis::Fitted { size, .. } => Ok(Dim::from(*size)),
            ResizeAxis::Scale(scale) => match (Self::fraction(*scale), extent.as_const()) {
                (Some((numerator, denominator)), _) => {
                    Ok((extent.clone() * Dim::from(numerator)).floor_div(denominator))
                }
                (None, Some(extent)) => Ok(Dim::from((extent as f32 * scale).floor() as i64)),
                (None, None) => Err(OpError::Symbolic { what: "an extent under this scale", dim: extent.clone() }),
            },
        }
    }

    /// The simplest fraction that rounds to `scale`. 0.7 as f32 is below 7/10, but seven tenths of 10 are 7.
    fn fraction(scale: f32) -> Option<(i64, i64)> {
        const LARGEST: i64 = 1 << 10;
        let closest = |denominator: i64| ((f64::from(scale) * denominator as f64).round() as i64, denominator);
        (1..=LARGEST).map(closest).find(|&(n, d)| (n as f64 / d as f64) as f32 == scale)
    }

    /// Output extent / input extent as the coordinate formulas take it.
    pub fn scale(&self, input: usize, output: usize) -> f32 {
        match self {
            ResizeAxis::Scale(scale) | ResizeAxis::Fitted { scale, .. } => *scale,
            ResizeAxis::Same | ResizeAxis::Size(_) => output as f32 / input as f32,
        }
    }
}

/// A resampling. Input: x; scales, sizes and region, inputs in ONNX, are settled at import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// How values between positions are made.
    pub mode: ResizeMode,
    /// Where positions are.
    pub coordinates: CoordinateMode,
    /// One entry for each axis of x.
    pub axes: Vec<ResizeAxis>,
}

impl Resize {
    /// The coordinate in the input that each output position along `axis` reads.
    pub fn sources(&self, axis: usize, input: usize, output: usize) -> Vec<f32> {
        let scale = self.axes[axis].scale(input, output);
        (0..output).map(|x| self.coordinates.source(axis, x, input, output, scale)).collect()
    }

    /// The coordinates along `axis` as a line (slope, offset): output position o reads fma(slope, o, offset). What
    /// kernels, and INT8 everywhere, go by.
    pub fn line(&self, axis: usize, input: usize, output: usize) -> (f32, f32) {
        if self.keeps(axis) {
            return (1.0, 0.0);
        }
        self.coordinates.line(axis, input, output, self.axes[axis].scale(input, output))
    }

    /// True if `axis` stays as it is, whatever the coordinates.
    fn keeps(&self, axis: usize) -> bool {
        let whole = self.coordinates.extrapolation().is_none();
        self.axes[axis] == ResizeAxis::Same || whole && self.axes[axis] == ResizeAxis::Scale(1.0)
    }

    /// True if this coordinate takes the extrapolation value.
    fn outside(&self, coordinate: f32, extent: usize) -> bool {
        let inside = coordinate >= 0.0 && coordinate <= extent as f32 - 1.0;
        self.coordinates.extrapolation().is_some() && !inside
    }

    fn nearest(&self, x: &Tensor, shape: &[usize], mode: NearestMode) -> Result<Tensor, OpError> {
        let strides = row_major_strides(x.shape());
        let offsets = |axis: usize| -> movement::Offsets {
            let extent = x.shape()[axis];
            if self.keeps(axis) {
                return movement::along(strides[axis], 0..extent);
            }
            let sources = self.sources(axis, extent, shape[axis]).into_iter();
            sources.map(|c| (!self.outside(c, extent)).then(|| mode.index(c, extent) * strides[axis])).collect()
        };
        let offsets: Vec<_> = (0..x.rank()).map(offsets).collect();
        movement::gather(x, &offsets, self.coordinates.extrapolation().unwrap_or(0.0))
    }

    /// The last axis first, as linear interpolation is defined in [`exact`].
    fn exact(&self, eval: &Eval<'_>, scale: f32) -> Result<Tensor, OpError> {
        let (input, output) = (&eval.specs[0].shape, &eval.outputs[0]);
        let mut y = exact::reals(eval.inputs[0].as_slice()?);
        let mut shape = input.clone();
        for axis in (0..input.len()).rev().filter(|&a| !self.keeps(a)) {
            let (slope, offset) = self.line(axis, input[axis], output.shape[axis]);
            let extrapolates = self.coordinates.extrapolation().is_some();
            let line = Line { slope, offset, extent: input[axis], positions: output.shape[axis], extrapolates };
            let inner = shape[axis + 1..].iter().product();
            shape[axis] = line.positions;
            movement::volume(&shape, DType::F32)?;
            y = resample(&y, &line, self.mode, inner);
        }
        exact::blended(y, scale, self.coordinates.extrapolation().unwrap_or(0.0), output)
    }

    /// One axis resampled: each output row is a weighted sum of input rows.
    fn along(&self, x: &Tensor, axis: usize, output: usize) -> Result<Tensor, OpError> {
        let extent = x.shape()[axis];
        let inner: usize = x.shape()[axis + 1..].iter().product();
        let mut shape = x.shape().to_vec();
        shape[axis] = output;
        let mut y = vec![0f32; movement::volume(&shape, x.dtype())?];
        let sources = self.sources(axis, extent, output).into_iter();
        // No taps where the coordinate lies outside.
        let taps: Vec<_> =
            sources.map(|c| if self.outside(c, extent) { Vec::new() } else { self.mode.taps(c, extent) }).collect();
        let fill = self.coordinates.extrapolation().unwrap_or(0.0);
        let data = x.as_slice::<f32>()?;
        let rows = y.par_chunks_mut(inner.max(1)).with_min_len(1 + (1 << 12) / inner.max(1));
        rows.enumerate().for_each(|(row, out)| {
            let (outer, taps) = (row / output, &taps[row % output]);
            if taps.is_empty() {
                out.fill(fill);
            }
            for &(index, weight) in taps {
                let start = (outer * extent + index) * inner;
                out.iter_mut().zip(&data[start..start + inner]).for_each(|(y, x)| *y += weight * x);
            }
        });
        Ok(Tensor::new(&shape, y)?)
    }
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let axis = |a: &ResizeAxis| match a {
            ResizeAxis::Same => "same".to_owned(),
            ResizeAxis::Scale(scale) => format!("x{scale}"),
            ResizeAxis::Size(size) => size.to_string(),
            ResizeAxis::Fitted { size, scale } => format!("{size}=x{scale}"),
        };
        let mode = match self.mode {
            ResizeMode::Nearest(_) => "nearest",
            ResizeMode::Linear => "linear",
            ResizeMode::Cubic { .. } => "cubic",
        };
        let axes: Vec<String> = self.axes.iter().map(axis).collect();
        vec![("mode", mode.to_owned()), ("coordinates", self.coordinates.name().to_owned()), ("axes", axes.join(","))]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        if x.rank() != self.axes.len() {
            return Err(OpError::shape("x", format!("of rank {}", self.axes.len()), &x.shape));
        }
        if x.quant.is_some() && !matches!(self.mode, ResizeMode::Cubic { .. }) {
            OpError::real_or_int8("x", x)?;
        } else if !matches!(self.mode, ResizeMode::Nearest(_)) {
            OpError::real("x", x)?;
        }
        let dims: Result<Vec<Dim>, OpError> = self.axes.iter().zip(x.shape.iter()).map(|(a, d)| a.infer(d)).collect();
        let shape = Shape::new(dims?);
        let made = |(from, to): (&Dim, &Dim)| to.as_const().is_some_and(|t| t <= 0) || from.as_const() == Some(0);
        if x.shape.iter().zip(shape.iter()).any(made) {
            return Err(OpError::shape("the output", "without empty axes", &shape));
        }
        Ok(vec![movement::moved(x, shape)?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let x = &eval.inputs[0];
        let shape = &eval.outputs[0].shape;
        movement::volume(shape, x.dtype())?;
        if x.is_empty() {
            return Err(OpError::Tensor(format!("there is nothing in a tensor of shape {:?} to resize", x.shape())));
        }
        if let Some(scale) = eval.specs[0].exact_scale() {
            return Ok(vec![self.exact(eval, scale)?]);
        }
        if let ResizeMode::Nearest(mode) = self.mode {
            return Ok(vec![self.nearest(x, shape, mode)?]);
        }
        // The last axis first, as most implementations do, so that rounding falls alike.
        let mut y = x.clone();
        for axis in (0..x.rank()).rev().filter(|&a| !self.keeps(a)) {
            y = self.along(&y, axis, shape[axis])?;
        }
        Ok(vec![y])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let taps: u64 = match self.mode {
            ResizeMode::Nearest(_) => 0,
            ResizeMode::Linear => 2,
            ResizeMode::Cubic { .. } => 4,
        };
        // A product and a sum for each tap and resampled axis.
        let axes = (0..self.axes.len()).filter(|&a| !self.keeps(a)).count() as u64;
        Cost { flops: 2 * taps * axes * outputs[0].len() as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

/// How the node's inputs lie, which changed with the opsets.
struct Layout {
    roi: Option<usize>,
    scales: usize,
    sizes: Option<usize>,
}

impl Resize {
    /// Reads ONNX's `Resize` (opset 10 and later) and `Upsample` (opset 7 to 9).
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let x = node.input(0)?;
        let shape = build.graph().fact(x).shape.clone();
        // Upsample and the first Resize know no modes of coordinates or rounding; theirs are these.
        let early = node.op_type() == "Upsample" || node.opset() < 11;
        let layout = if early {
            Layout { roi: None, scales: 1, sizes: None }
        } else {
            Layout { roi: Some(1), scales: 2, sizes: Some(3) }
        };
        if node.flag("antialias")? {
            return Err(node.bad_attribute("antialias", "0; limpid does not filter before it shrinks", 1));
        }
        let which = match node.ints("axes")? {
            Some(axes) => axis::in_order(node, "axes", &axes, shape.rank())?,
            None => (0..shape.rank()).collect(),
        };
        let coordinates = if early {
            CoordinateMode::Asymmetric
        } else {
            Self::coordinates(node, build, &layout, &which, shape.rank())?
        };
        let mode = Self::mode(node, early)?;
        let mut axes = vec![ResizeAxis::Same; shape.rank()];
        let scales = match node.optional_input(layout.scales) {
            Some(scales) => build.constant_input(node, scales, "scales")?.to_f32(),
            None => node.floats("scales")?.unwrap_or_default(),
        };
        let sizes = match layout.sizes.and_then(|index| node.optional_input(index)) {
            Some(sizes) => build.extents_input(node, sizes, "sizes")?,
            None => Vec::new(),
        };
        let expected = || format!("{} numbers above 0, or else sizes as many", which.len());
        match (scales.len(), sizes.len()) {
            (scaled, 0) if scaled == which.len() && scales.iter().all(|s| *s > 0.0 && s.is_finite()) => {
                which.iter().zip(&scales).for_each(|(&axis, &scale)| axes[axis] = ResizeAxis::Scale(scale));
            }
            (0, sized) if sized == which.len() && sizes.iter().all(|s| s.as_const().is_none_or(|s| s > 0)) => {
                Self::fit(node, &shape, &which, &sizes, &mut axes)?;
            }
            _ => return Err(node.bad_attribute("scales", expected(), format!("{scales:?} and {sizes:?}"))),
        }
        build.add(node, Resize { mode, coordinates, axes }.into(), &[x])
    }

    fn mode(node: &NodeView<'_>, early: bool) -> Result<ResizeMode, ImportError> {
        match node.string("mode")?.as_deref() {
            None | Some("nearest") if early => Ok(ResizeMode::Nearest(NearestMode::Floor)),
            None | Some("nearest") => Ok(ResizeMode::Nearest(match node.string("nearest_mode")?.as_deref() {
                None | Some("round_prefer_floor") => NearestMode::RoundPreferFloor,
                Some("round_prefer_ceil") => NearestMode::RoundPreferCeil,
                Some("floor") => NearestMode::Floor,
                Some("ceil") => NearestMode::Ceil,
                Some(other) => {
                    let expected = "round_prefer_floor, round_prefer_ceil, floor or ceil";
                    return Err(node.bad_attribute("nearest_mode", expected, other));
                }
            })),
            Some("linear" | "bilinear") => Ok(ResizeMode::Linear),
            Some("cubic") if !early => Ok(ResizeMode::Cubic {
                coefficient: node.float("cubic_coeff_a")?.unwrap_or(-0.75),
                exclude_outside: node.flag("exclude_outside")?,
            }),
            Some(other) => Err(node.bad_attribute("mode", "nearest, linear or cubic", other)),
        }
    }

    fn coordinates(
        node: &NodeView<'_>,
        build: &Builder,
        layout: &Layout,
        which: &[usize],
        rank: usize,
    ) -> Result<CoordinateMode, ImportError> {
        Ok(match node.string("coordinate_transformation_mode")?.as_deref() {
            None | Some("half_pixel") => CoordinateMode::HalfPixel,
            Some("half_pixel_symmetric") => CoordinateMode::HalfPixelSymmetric,
            Some("pytorch_half_pixel") => CoordinateMode::PytorchHalfPixel,
            Some("align_corners") => CoordinateMode::AlignCorners,
            Some("asymmetric") => CoordinateMode::Asymmetric,
            Some("tf_half_pixel_for_nn") => CoordinateMode::TfHalfPixelForNn,
            Some("tf_crop_and_resize") => {
                let region = match layout.roi.and_then(|index| node.optional_input(index)) {
                    Some(roi) => build.constant_input(node, roi, "roi")?.to_f32(),
                    None => Vec::new(),
                };
                if region.len() != 2 * which.len() {
                    return Err(node.bad_attribute("roi", format!("{} numbers", 2 * which.len()), region.len()));
                }
                let (mut start, mut end) = (vec![0.0; rank], vec![1.0; rank]);
                for (i, &axis) in which.iter().enumerate() {
                    start[axis] = region[i];
                    end[axis] = region[which.len() + i];
                }
                let extrapolation = node.float("extrapolation_value")?.unwrap_or(0.0);
                CoordinateMode::TfCropAndResize { start, end, extrapolation }
            }
            Some(other) => {
                let expected = "half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, \
                                tf_half_pixel_for_nn or tf_crop_and_resize";
                return Err(node.bad_attribute("coordinate_transformation_mode", expected, other));
            }
        })
    }

    /// Sizes as they are, or, since opset 18, as bounds within which (or beyond which) a picture keeps its proportions.
    fn fit(
        node: &NodeView<'_>,
        shape: &Shape,
        which: &[usize],
        sizes: &[Dim],
        axes: &mut [ResizeAxis],
    ) -> Result<(), ImportError> {
        let policy = node.string("keep_aspect_ratio_policy")?;
        let smaller = match policy.as_deref() {
            None | Some("stretch") => {
                which.iter().zip(sizes).for_each(|(&axis, size)| axes[axis] = ResizeAxis::Size(size.clone()));
                return Ok(());
            }
            Some("not_larger") => true,
            Some("not_smaller") => false,
            Some(other) => {
                let expected = "stretch, not_larger or not_smaller";
                return Err(node.bad_attribute("keep_aspect_ratio_policy", expected, other));
            }
        };
        let known = |dim: &Dim| {
            dim.as_usize().filter(|d| *d > 0).ok_or_else(|| {
                node.error(OpError::Symbolic { what: "an extent that keeps proportions", dim: dim.clone() })
            })
        };
        let mut scale: Option<f32> = None;
        for (&axis, size) in which.iter().zip(sizes) {
            let own = known(size)? as f32 / known(&shape[axis])? as f32;
            scale = Some(scale.map_or(own, |s| if smaller { s.min(own) } else { s.max(own) }));
        }
        let scale = scale.unwrap_or(1.0);
        for &axis in which {
            let size = (scale * known(&shape[axis])? as f32 + 0.5).floor() as usize;
            axes[axis] = ResizeAxis::Fitted { size, scale };
        }
        Ok(())
    }
}

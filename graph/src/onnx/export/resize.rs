//! <https://onnx.ai/onnx/operators/onnx__Resize.html>: inputs x, region, scales, sizes; what does not apply is left out.

use super::step::{Attributes, ints};
use super::{ExportError, Exporter};
use crate::ir::Node;
use crate::ops::{CoordinateMode, NearestMode, Resize, ResizeAxis, ResizeMode};
use crate::tensor::Dim;

/// What says how large the result is.
#[derive(Default)]
struct Target {
    region: String,
    scales: String,
    sizes: String,
}

impl Exporter<'_> {
    /// The node that resamples.
    pub fn resize(&mut self, op: &Resize, node: &Node) -> Result<String, ExportError> {
        let x = self.read(node.inputs[0]);
        let axes: Vec<usize> = (0..op.axes.len()).filter(|&axis| op.axes[axis] != ResizeAxis::Same).collect();
        if axes.is_empty() {
            return Ok(self.main("Identity", &[x], Vec::new()));
        }
        let (mode, coordinates) = self.written(op, node)?;
        let mut attributes = interpolation(mode);
        attributes.push(("coordinate_transformation_mode", coordinates.name().into()));
        let mut target = Target::default();
        if let CoordinateMode::TfCropAndResize { start, end, extrapolation } = coordinates {
            attributes.push(("extrapolation_value", (*extrapolation).into()));
            let region = axes.iter().map(|&axis| start[axis]).chain(axes.iter().map(|&axis| end[axis]));
            target.region = self.vector("region", region.collect());
        }
        let fitted = |axis: &ResizeAxis| matches!(axis, ResizeAxis::Fitted { .. });
        // Other axes are named only where that makes a difference: older readers expect one number an axis.
        let named = !target.region.is_empty() || op.axes.iter().any(fitted);
        let which = if named { axes } else { (0..op.axes.len()).collect() };
        if named {
            attributes.push(("axes", ints(&which).into()));
        }
        if op.axes.iter().any(fitted) {
            attributes.push(("keep_aspect_ratio_policy", "not_larger".into()));
            target.sizes = self.fitted(op, node, &which)?;
        } else {
            self.sized(op, node, &which, &mut target)?;
        }
        Ok(self.main("Resize", &[x, target.region, target.scales, target.sizes], attributes))
    }

    /// Scales or sizes, as the graph has them; ONNX takes one kind.
    fn sized(&mut self, op: &Resize, node: &Node, which: &[usize], target: &mut Target) -> Result<(), ExportError> {
        let scale = |&axis: &usize| match op.axes[axis] {
            ResizeAxis::Same => Some(1.0),
            ResizeAxis::Scale(scale) => Some(scale),
            _ => None,
        };
        if let Some(scales) = which.iter().map(scale).collect::<Option<Vec<f32>>>() {
            target.scales = self.vector("scales", scales);
            return Ok(());
        }
        if which.iter().any(|&axis| matches!(op.axes[axis], ResizeAxis::Scale(_))) {
            return Err(self.inexpressible(node, "resize of some axes by scale and of others to size"));
        }
        let shape = &self.graph.fact(node.outputs[0]).shape;
        let sizes: Vec<Dim> = which.iter().map(|&axis| shape[axis].clone()).collect();
        target.sizes = self.extents("sizes", &sizes)?;
        Ok(())
    }

    /// Sizes that lead to the common scale of all axes under the policy `not_larger`, by which the axis with the
    /// least quotient of sizes decides: one that has just this quotient is given as it is, all others roomier.
    fn fitted(&mut self, op: &Resize, node: &Node, which: &[usize]) -> Result<String, ExportError> {
        let shape = &self.graph.fact(node.inputs[0]).shape;
        let decides = |axis: usize| match (&op.axes[axis], shape[axis].as_usize()) {
            (ResizeAxis::Fitted { size, scale }, Some(extent)) => *size as f32 / extent as f32 == *scale,
            _ => false,
        };
        let Some(decisive) = which.iter().copied().find(|&axis| decides(axis)) else {
            return Err(self.inexpressible(node, "resize by a common scale that is the quotient of no axis"));
        };
        let size = |&axis: &usize| match op.axes[axis] {
            ResizeAxis::Fitted { size, .. } => Some(size as i64 + i64::from(axis != decisive)),
            _ => None,
        };
        match which.iter().map(size).collect::<Option<Vec<i64>>>() {
            Some(sizes) => Ok(self.vector("sizes", sizes)),
            None => Err(self.inexpressible(node, "resize of some axes by a common scale only")),
        }
    }

    /// Modes as this operator set has them: `tf_half_pixel_for_nn` went with opset 13. Half a pixel further left
    /// and rounded to the nearest, halves up, is rounded down.
    fn written<'a>(&self, op: &'a Resize, node: &Node) -> Result<(ResizeMode, &'a CoordinateMode), ExportError> {
        match (op.mode, &op.coordinates) {
            (ResizeMode::Nearest(NearestMode::Floor), CoordinateMode::TfHalfPixelForNn) => {
                Ok((ResizeMode::Nearest(NearestMode::RoundPreferCeil), &CoordinateMode::HalfPixel))
            }
            (_, CoordinateMode::TfHalfPixelForNn) => {
                Err(self.inexpressible(node, "tf_half_pixel_for_nn any more; it can be said otherwise with floor only"))
            }
            (mode, coordinates) => Ok((mode, coordinates)),
        }
    }
}

fn interpolation(mode: ResizeMode) -> Attributes {
    match mode {
        ResizeMode::Linear => vec![("mode", "linear".into())],
        ResizeMode::Nearest(nearest) => vec![("mode", "nearest".into()), ("nearest_mode", nearest.name().into())],
        ResizeMode::Cubic { coefficient, exclude_outside } => vec![
            ("mode", "cubic".into()),
            ("cubic_coeff_a", coefficient.into()),
            ("exclude_outside", i64::from(exclude_outside).into()),
        ],
    }
}

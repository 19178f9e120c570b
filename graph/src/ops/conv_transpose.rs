//! y[n,k, p·stride + r·dilation - pad] += w[c,k,r] · x[n,c,p], then the epilogue: the adjoint of a convolution.
//! <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html>
//!
//! Inputs: x (N,C,spatial…), w (C,K/groups,kernel…), bias (K) if the epilogue has one, residual (y's shape) if it has one.

use super::finish::Finish;
use super::product::{Left, Product, Right, View};
use super::sliding::Sliding;
use super::{Cost, Epilogue, Eval, OpError, Operator, Padding, Spec, Window, exact, movement, window};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Dim, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// A transposed convolution with what was fused into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose {
    /// Kernel, stride, dilation and what is cut off the full result; the padding is always explicit.
    pub window: Window,
    /// Elements added after the last, per spatial axis: what tells apart the inputs that one stride merged.
    pub output_padding: Vec<usize>,
    /// Input channels are split into this many independent groups.
    pub groups: usize,
    /// What happens to each sum before it is stored.
    pub epilogue: Epilogue,
}

impl Operator for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = self.window.attributes();
        if self.output_padding.iter().any(|p| *p != 0) {
            let text: Vec<String> = self.output_padding.iter().map(usize::to_string).collect();
            out.push(("output_padding", text.join("x")));
        }
        if self.groups != 1 {
            out.push(("groups", self.groups.to_string()));
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let count = 2 + self.epilogue.input_count();
        OpError::between(inputs, count, count)?;
        let (x, w) = (inputs[0], inputs[1]);
        if x.rank() != self.window.rank() + 2 || w.rank() != x.rank() {
            return Err(OpError::shape("x", format!("of rank {}", self.window.rank() + 2), &x.shape));
        }
        if x.shape[1] != w.shape[0] {
            return Err(OpError::shape("x", format!("of {} channels", w.shape[0]), &x.shape));
        }
        if w.shape[0].as_usize().is_none_or(|c| self.groups == 0 || c % self.groups != 0) {
            return Err(OpError::shape("w", format!("a multiple of {} channels", self.groups), &w.shape));
        }
        let filters = w.shape[1].clone() * Dim::from(self.groups);
        let mut dims = vec![x.shape[0].clone(), filters.clone()];
        dims.extend(self.spatial(&x.shape[2..])?);
        let shape = Shape::new(dims);
        self.epilogue.check(inputs, 2, &filters, &shape)?;
        let terms: Vec<Dim> =
            w.shape[2..].iter().cloned().chain(w.shape[0].exact_div(&Dim::from(self.groups))).collect();
        let dtype = exact::check_product(inputs, &self.epilogue, 1, &terms)?;
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, w) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        // The pairs of the convolution that this is the adjoint of: from y, its input, to x, its output.
        let sliding = Sliding::new(&self.window, &shape[2..], &x.shape()[2..]);
        let (filters, plane) = (shape[1], sliding.input_len());
        let volume = movement::volume(shape, DType::F32)?;
        let product = Product::new();
        if let Some(finish) = exact::Finish::of(&self.epilogue, eval, filters)? {
            let (x, w) = (exact::reals(x.as_slice()?), exact::reals(w.as_slice()?));
            let mut y = vec![0i32; volume];
            self.scatter(eval, &sliding, &mut y, |group, given| {
                let [inputs, weights] = self.operands(eval, &sliding, [&x, &w], group);
                exact::multiply(&product, weights.transposed(), inputs, given)
            })?;
            return Ok(vec![finish.apply(&y, filters, plane)?]);
        }
        let (x, w) = (x.as_slice()?, w.as_slice()?);
        let mut y = vec![0f32; volume];
        self.scatter(eval, &sliding, &mut y, |group, given| {
            let [inputs, weights] = self.operands(eval, &sliding, [x, w], group);
            product.multiply(&Left::Plain(weights.transposed()), Right::Dense(inputs), 1.0, given)
        })?;
        Finish::new(&self.epilogue, eval, 2)?.apply(&mut y, filters, plane);
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let per_input: usize = inputs[1].shape[1..].iter().product();
        Cost { flops: 2 * (inputs[0].len() * per_input) as u64, bytes: Cost::traffic(inputs, outputs) }
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }
}

impl ConvTranspose {
    /// For each image and group, `give` makes what every input gives to every output it reaches,
    /// (filters·kernel, inputs), and each row is added up where its kernel element puts it.
    fn scatter<S: Copy + Default + AddAssign + Send + Sync>(
        &self,
        eval: &Eval<'_>,
        sliding: &Sliding,
        y: &mut [S],
        give: impl Fn(usize, &mut [S]) -> Result<(), OpError> + Sync,
    ) -> Result<(), OpError> {
        if y.is_empty() {
            return Ok(());
        }
        let taps = sliding.taps();
        let (filters, places) = (eval.specs[1].shape[1], sliding.output_len());
        y.par_chunks_mut(filters * sliding.input_len()).enumerate().try_for_each(|(group, planes)| {
            let mut given = vec![S::default(); movement::volume(&[filters * taps.len(), places], DType::F32)?];
            give(group, &mut given)?;
            let per_filter = given.par_chunks(taps.len() * places);
            planes.par_chunks_mut(sliding.input_len()).zip(per_filter).for_each(|(plane, given)| {
                for (tap, given) in taps.iter().zip(given.chunks(places)) {
                    for (places, at) in tap.runs() {
                        let reached = plane.get_mut(at..).unwrap_or_default().iter_mut().step_by(tap.step);
                        reached.zip(&given[places]).for_each(|(sum, &value)| *sum += value);
                    }
                }
            });
            Ok(())
        })
    }

    /// Of one image and group: the inputs (channels, inputs) and the weights (channels, filters·kernel).
    fn operands<'a>(&self, eval: &Eval<'_>, sliding: &Sliding, [x, w]: [&'a [f32]; 2], group: usize) -> [View<'a>; 2] {
        let shape = &eval.specs[1].shape;
        let (channels, places) = (shape[0] / self.groups, sliding.output_len());
        let width = shape[1] * sliding.kernel_len();
        let inputs = View::dense(&x[group * channels * places..][..channels * places], channels, places);
        let weights = &w[group % self.groups * channels * width..][..channels * width];
        [inputs, View::dense(weights, channels, width)]
    }

    /// (input - 1)·stride + reach + output_padding - begin - end, per axis.
    fn spatial(&self, input: &[Dim]) -> Result<Vec<Dim>, OpError> {
        let Padding::Explicit { begin, end } = &self.window.padding else {
            let got = "relative to the input".to_owned();
            return Err(OpError::Attribute { name: "padding", expected: "explicit".to_owned(), got });
        };
        let extent = |(axis, input): (usize, &Dim)| {
            let full = (input.clone() - Dim::from(1)) * Dim::from(self.window.strides[axis])
                + Dim::from(self.window.reach(axis) + self.output_padding[axis]);
            let extent = full - Dim::from(begin[axis] + end[axis]);
            match extent.as_const() {
                Some(e) if e <= 0 => Err(OpError::Shape {
                    what: "the output less its padding",
                    expected: format!("at least 1 along spatial axis {axis}"),
                    got: e.to_string(),
                }),
                _ => Ok(extent),
            }
        };
        input.iter().enumerate().map(extent).collect()
    }

    /// Reads ONNX's `ConvTranspose`; whatever way the padding is given, it becomes explicit here.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let (x, w) = (node.input(0)?, node.input(1)?);
        let weights = build.known_shape(node, w, "w")?;
        let window = Window::from_onnx(node, weights.get(2..).unwrap_or_default())?;
        let output_padding = sizes(node, "output_padding", window.rank())?.unwrap_or_else(|| vec![0; window.rank()]);
        let groups = node.positive("group")?.unwrap_or(1);
        let mut inputs = vec![x, w];
        inputs.extend(node.optional_input(2));
        let epilogue = Epilogue { bias: inputs.len() == 3, ..Epilogue::default() };
        let mut op = ConvTranspose { window, output_padding, groups, epilogue };
        let spatial = build.graph().fact(x).shape.get(2..).unwrap_or_default();
        if let Some(excess) = op.excess(node, spatial)? {
            op.cut(&excess);
        }
        build.add(node, op.into(), &inputs)
    }

    /// By how much the full result is larger than what is asked for, per axis; `None` if `pads` says it.
    fn excess(&self, node: &NodeView<'_>, spatial: &[Dim]) -> Result<Option<Vec<i64>>, ImportError> {
        let window = &self.window;
        let reach = |axis: usize| (window.reach(axis) + self.output_padding[axis]) as i64;
        if let Some(wanted) = sizes(node, "output_shape", window.rank())? {
            let excess = wanted.iter().zip(spatial).enumerate().map(|(axis, (&wanted, input))| {
                let symbolic = || OpError::Symbolic { what: "x, if output_shape is given,", dim: input.clone() };
                let input = input.as_usize().ok_or_else(|| node.error(symbolic()))?;
                Ok((input.saturating_sub(1) * window.strides[axis]) as i64 + reach(axis) - wanted as i64)
            });
            return excess.collect::<Result<_, _>>().map(Some);
        }
        // SAME: the output is input·stride, so the excess does not depend on the input's extent.
        let same = !matches!(window.padding, Padding::Explicit { .. });
        Ok(same.then(|| (0..window.rank()).map(|axis| reach(axis) - window.strides[axis] as i64).collect()))
    }

    /// Cuts the excess off both ends, the odd element after the last for SAME_UPPER and before the first
    /// otherwise, as ONNX has it. A negative excess is output padding.
    fn cut(&mut self, excess: &[i64]) {
        let (mut begin, mut end) = (Vec::new(), Vec::new());
        for (axis, &excess) in excess.iter().enumerate() {
            let cut = usize::try_from(excess).unwrap_or(0);
            self.output_padding[axis] += usize::try_from(-excess).unwrap_or(0);
            let first = if self.window.padding == Padding::SameUpper { cut / 2 } else { cut.div_ceil(2) };
            begin.push(first);
            end.push(cut - first);
        }
        self.window.padding = Padding::Explicit { begin, end };
    }
}

/// Sizes of the spatial axes; some exporters give the batch and the channels of `output_shape`, too.
fn sizes(node: &NodeView<'_>, name: &'static str, rank: usize) -> Result<Option<Vec<usize>>, ImportError> {
    let Some(values) = node.ints(name)? else { return Ok(None) };
    let spatial = values.get(values.len().saturating_sub(rank)..).unwrap_or_default();
    let expected = || format!("{rank} numbers below 2^31, none negative");
    let wrong = || node.bad_attribute(name, expected(), format!("{values:?}"));
    window::sizes(spatial, rank).map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;

    fn transpose(kernel: usize, stride: usize) -> ConvTranspose {
        let mut window = Window::of(&[1, kernel]);
        window.strides = vec![1, stride];
        ConvTranspose { window, output_padding: vec![0, 0], groups: 1, epilogue: Epilogue::default() }
    }

    #[test]
    fn every_input_leaves_a_copy_of_the_kernel() {
        let w = tensor(&[1, 1, 1, 3], &[1.0, 10.0, 100.0]);
        let y = evaluate(transpose(3, 2), &[counting(&[1, 1, 1, 2]), w]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 1, 5], &[1.0, 10.0, 102.0, 20.0, 200.0]));
    }

    #[test]
    fn padding_cuts_and_output_padding_adds() {
        let w = tensor(&[1, 1, 1, 3], &[1.0, 10.0, 100.0]);
        let mut op = transpose(3, 2);
        op.window.padding = Padding::Explicit { begin: vec![0, 1], end: vec![0, 1] };
        let y = evaluate(op.clone(), &[counting(&[1, 1, 1, 2]), w.clone()]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 1, 3], &[10.0, 102.0, 20.0]));
        op.output_padding = vec![0, 1];
        let y = evaluate(op, &[counting(&[1, 1, 1, 2]), w]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 1, 4], &[10.0, 102.0, 20.0, 200.0]));
    }

    #[test]
    fn an_odd_excess_is_cut_where_onnx_says() {
        let mut op = transpose(4, 1);
        op.window.padding = Padding::SameUpper;
        op.cut(&[0, 3]);
        assert_eq!(op.window.padding, Padding::Explicit { begin: vec![0, 1], end: vec![0, 2] });
        op.cut(&[0, 3]);
        assert_eq!(op.window.padding, Padding::Explicit { begin: vec![0, 2], end: vec![0, 1] });
        op.cut(&[0, -2]);
        assert_eq!((op.output_padding, op.window.padding), (vec![0, 2], Window::of(&[1, 4]).padding));
    }
}

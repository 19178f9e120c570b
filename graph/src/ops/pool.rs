//! y[n,c,p] = max or mean over the window at p of x[n,c,·].
//! <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, <https://onnx.ai/onnx/operators/onnx__AveragePool.html>
//!
//! Input: x (N,C,spatial…).

use super::sliding::Sliding;
use super::{Cost, Eval, OpError, Operator, Padding, Spec, Window, exact, movement, quantize_onnx, window};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What a pool makes of the elements it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolKind {
    /// The largest; NaN if one of them is NaN.
    Max,
    /// The mean.
    Average,
}

impl PoolKind {
    /// One more element: the larger of the two, or their sum.
    fn take(self, so_far: f32, x: f32) -> f32 {
        match self {
            PoolKind::Max => Self::larger(so_far, x),
            PoolKind::Average => so_far + x,
        }
    }

    /// The larger of two, NaN if either is: `f32::max` would let a NaN go unseen.
    pub(super) fn larger(a: f32, b: f32) -> f32 {
        if b > a || b.is_nan() { b } else { a }
    }
}

/// A pool over a sliding window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Largest or mean.
    pub kind: PoolKind,
    /// Kernel, stride, dilation, padding.
    pub window: Window,
    /// The output's extents are rounded up: the last window may reach beyond the padding.
    pub ceil_mode: bool,
    /// The mean counts padding as zeros (but never what is beyond the padding). Without meaning for `Max`.
    pub count_include_pad: bool,
}

impl Operator for Pool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Average => "AveragePool",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = self.window.attributes();
        for (name, flag) in [("ceil_mode", self.ceil_mode), ("count_include_pad", self.count_include_pad)] {
            if flag {
                out.push((name, "1".to_owned()));
            }
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        OpError::real_or_int8("x", x)?;
        if x.exact_scale().is_some() {
            exact::check_sum(self.window.kernel.iter().product(), exact::LARGEST_INTEGER)?;
        }
        if x.rank() != self.window.rank() + 2 {
            return Err(OpError::shape("x", format!("of rank {}", self.window.rank() + 2), &x.shape));
        }
        self.check_padding()?;
        let mut dims = x.shape[..2].to_vec();
        dims.extend(self.window.infer(&x.shape[2..], self.ceil_mode)?);
        Ok(vec![Fact { shape: Shape::new(dims), ..x.clone() }])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, output) = (&eval.inputs[0], &eval.outputs[0]);
        let sliding = Sliding::new(&self.window, &x.shape()[2..], &output.shape[2..]);
        let volume = movement::volume(&output.shape, DType::F32)?;
        let Some(scale) = eval.specs[0].exact_scale() else {
            let empty = if self.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 };
            let mut y = vec![empty; volume];
            gather(&sliding, x.as_slice::<f32>()?, &mut y, |y, x| self.kind.take(y, x));
            self.share(&sliding, &mut y, |sum, share| sum / share);
            return Ok(vec![Tensor::new(&output.shape, y)?]);
        };
        let x = x.as_slice::<i8>()?;
        Ok(vec![match self.kind {
            PoolKind::Max => {
                let mut y = vec![i8::MIN; volume];
                gather(&sliding, x, &mut y, i8::max);
                exact::integers(y, scale, output)?
            }
            PoolKind::Average => {
                let mut sums = vec![0i32; volume];
                gather(&sliding, x, &mut sums, |sum, x| sum + i32::from(x));
                let mut y: Vec<f32> = sums.into_iter().map(|sum| sum as f32).collect();
                self.share(&sliding, &mut y, |sum, share| sum * (scale / share));
                exact::reals_as(y, output)?
            }
        }])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let window: usize = self.window.kernel.iter().product();
        Cost { flops: (outputs[0].len() * window) as u64, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl Pool {
    /// A window that lies in the padding altogether has no largest element and no mean.
    fn check_padding(&self) -> Result<(), OpError> {
        let Padding::Explicit { begin, end } = &self.window.padding else { return Ok(()) };
        let pads = begin.iter().zip(end).enumerate();
        let Some((axis, pads)) = pads.into_iter().find(|(axis, (b, e))| **b.max(e) >= self.window.reach(*axis)) else {
            return Ok(());
        };
        let expected = format!("less than the window's reach, {} along spatial axis {axis}", self.window.reach(axis));
        Err(OpError::Attribute { name: "pads", expected, got: format!("{} and {}", pads.0, pads.1) })
    }

    /// Makes sums means, by what each is divided by; does nothing for `Max`.
    fn share(&self, sliding: &Sliding, y: &mut [f32], mean: impl Fn(f32, f32) -> f32 + Sync) {
        if self.kind == PoolKind::Max || y.is_empty() {
            return;
        }
        let axes = (0..sliding.rank()).map(|axis| sliding.met(axis, self.count_include_pad));
        let counts =
            axes.fold(vec![1usize], |outer, axis| outer.iter().flat_map(|o| axis.iter().map(move |a| o * a)).collect());
        // A dilated window may meet nothing but padding; its mean is 0.
        let shares: Vec<f32> = counts.into_iter().map(|count| count.max(1) as f32).collect();
        y.par_chunks_mut(shares.len())
            .for_each(|y| y.iter_mut().zip(&shares).for_each(|(y, &share)| *y = mean(*y, share)));
    }

    /// Reads ONNX's `MaxPool` and `AveragePool`; the indices of maxima are not made.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        if node.wants_output(1) {
            return Err(node.bad_attribute("Indices", "an output that nobody reads", "one that is read"));
        }
        let x = node.input(0)?;
        let extents = node.ints("kernel_shape")?.unwrap_or_default();
        let kernel = window::sizes(&extents, extents.len())
            .filter(|k| !k.is_empty())
            .ok_or_else(|| node.bad_attribute("kernel_shape", "positive numbers below 2^31", format!("{extents:?}")))?;
        let op = Pool {
            kind: if node.op_type() == "MaxPool" { PoolKind::Max } else { PoolKind::Average },
            window: Window::from_onnx(node, &kernel)?,
            ceil_mode: node.flag("ceil_mode")?,
            count_include_pad: node.flag("count_include_pad")?,
        };
        quantize_onnx::add_on_reals(node, build, op.into(), x)
    }
}

/// Lets each output take every element that its window meets.
fn gather<T: Copy + Sync, S: Copy + Send>(sliding: &Sliding, x: &[T], y: &mut [S], take: impl Fn(S, T) -> S + Sync) {
    if y.is_empty() {
        return;
    }
    let taps = sliding.taps();
    y.par_chunks_mut(sliding.output_len()).zip(x.par_chunks(sliding.input_len())).for_each(|(y, x)| {
        for (tap, (outputs, at)) in taps.iter().flat_map(|tap| tap.runs().map(move |run| (tap, run))) {
            let met = x.get(at..).unwrap_or_default().iter().step_by(tap.step);
            y[outputs].iter_mut().zip(met).for_each(|(y, &x)| *y = take(*y, x));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;
    use crate::tensor::{Dim, Symbol};

    fn pool(kind: PoolKind, kernel: usize, stride: usize) -> Pool {
        let mut window = Window::of(&[kernel]);
        window.strides = vec![stride];
        Pool { kind, window, ceil_mode: false, count_include_pad: false }
    }

    fn padded(mut pool: Pool, begin: usize, end: usize) -> Pool {
        pool.window.padding = Padding::Explicit { begin: vec![begin], end: vec![end] };
        pool
    }

    #[test]
    fn padding_is_never_the_largest() {
        let x = tensor(&[1, 1, 3], &[-1.0, -2.0, -3.0]);
        let y = evaluate(padded(pool(PoolKind::Max, 2, 2), 1, 0), &[x]).unwrap();
        assert_eq!(y, tensor(&[1, 1, 2], &[-1.0, -2.0]));
    }

    #[test]
    fn nan_is_not_lost() {
        let x = tensor(&[1, 1, 4], &[f32::NAN, 1.0, 2.0, f32::NAN]);
        let y = evaluate(pool(PoolKind::Max, 2, 1), &[x]).unwrap().to_f32();
        assert!(y[0].is_nan() && y[1] == 2.0 && y[2].is_nan());
    }

    #[test]
    fn mean_counts_padding_only_if_asked() {
        let mut op = padded(pool(PoolKind::Average, 2, 2), 1, 1);
        let x = tensor(&[1, 1, 2], &[4.0, 6.0]);
        assert_eq!(evaluate(op.clone(), std::slice::from_ref(&x)).unwrap().to_f32(), [4.0, 6.0]);
        op.count_include_pad = true;
        assert_eq!(evaluate(op, &[x]).unwrap().to_f32(), [2.0, 3.0]);
    }

    #[test]
    fn rounding_up_adds_a_window_that_is_cut_off() {
        let mut op = Pool { ceil_mode: true, ..pool(PoolKind::Average, 3, 2) };
        assert_eq!(evaluate(op.clone(), &[counting(&[1, 1, 6])]).unwrap().to_f32(), [2.0, 4.0, 5.5]);
        // What lies beyond the padding does not count, even if the padding does.
        op.count_include_pad = true;
        assert_eq!(evaluate(op.clone(), &[counting(&[1, 1, 6])]).unwrap().to_f32(), [2.0, 4.0, 5.5]);
        // A last window that would start in the padding after the input is left out.
        let op = padded(Pool { kind: PoolKind::Max, ..op }, 1, 1);
        assert_eq!(evaluate(op, &[counting(&[1, 1, 3])]).unwrap().to_f32(), [2.0, 3.0]);
    }

    #[test]
    fn dilation_skips_elements() {
        let mut op = pool(PoolKind::Max, 2, 1);
        op.window.dilations = vec![3];
        let x = tensor(&[1, 1, 5], &[5.0, 9.0, 9.0, 1.0, 2.0]);
        assert_eq!(evaluate(op, &[x]).unwrap().to_f32(), [5.0, 9.0]);
    }

    #[test]
    fn windows_of_nothing_but_padding_are_refused() {
        let x = Fact::of(DType::F32, &[1, 1, 5]);
        let message = padded(pool(PoolKind::Max, 2, 1), 2, 0).infer(&[&x]).unwrap_err().to_string();
        assert_eq!(
            message,
            "attribute `pads` must be less than the window's reach, 2 along spatial axis 0, got 2 and 0"
        );
    }

    #[test]
    fn rounding_up_a_symbol_is_refused_where_the_last_window_is_in_doubt() {
        let symbolic = Shape::new([1.into(), 1.into(), Dim::symbol(Symbol::new("W"))]);
        let x = Fact::new(DType::F32, symbolic);
        let usual = padded(Pool { ceil_mode: true, ..pool(PoolKind::Max, 3, 2) }, 1, 1);
        assert_eq!(usual.infer(&[&x]).unwrap()[0].shape[2].to_string(), "⌊(W)/2⌋+1");
        let doubtful = Pool { ceil_mode: true, ..pool(PoolKind::Max, 1, 3) };
        assert!(matches!(doubtful.infer(&[&x]), Err(OpError::Symbolic { .. })));
    }
}

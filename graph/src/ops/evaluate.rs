//! For tests: one operator on tensors, without a graph around it.

use super::{Eval, Op, OpError, Spec};
use crate::ir::Fact;
use crate::tensor::{Bindings, Tensor};
use std::borrow::Borrow;

/// The first output of [`evaluate_all`].
pub(crate) fn evaluate(op: impl Into<Op>, inputs: &[impl Borrow<Tensor>]) -> Result<Tensor, OpError> {
    Ok(evaluate_all(op, inputs)?.swap_remove(0))
}

/// Infers, runs, and checks that what was made is what was inferred.
pub(crate) fn evaluate_all(op: impl Into<Op>, inputs: &[impl Borrow<Tensor>]) -> Result<Vec<Tensor>, OpError> {
    let op = op.into();
    let inputs: &[Tensor] = &inputs.iter().map(|t| t.borrow().clone()).collect::<Vec<_>>();
    let facts: Vec<Fact> = inputs.iter().map(|t| Fact::of(t.dtype(), t.shape())).collect();
    let made = op.infer(&facts.iter().collect::<Vec<_>>())?;
    let spec = |f: &Fact| Spec { dtype: f.dtype, shape: f.shape.eval(&Bindings::new()).unwrap(), quant: None };
    let (specs, outputs): (Vec<Spec>, Vec<Spec>) = (facts.iter().map(spec).collect(), made.iter().map(spec).collect());
    let results = op.as_operator().reference(&Eval { inputs, specs: &specs, outputs: &outputs })?;
    assert_eq!(results.len(), outputs.len(), "{op}");
    for (result, output) in results.iter().zip(&outputs) {
        assert_eq!(result.shape(), output.shape, "{op}");
        assert_eq!(result.dtype(), output.dtype, "{op}");
    }
    Ok(results)
}

/// A tensor of f32 values.
pub(crate) fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape, values.to_vec()).unwrap()
}

/// 1, 2, 3, … in this shape.
pub(crate) fn counting(shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    tensor(shape, &(1..=len).map(|i| i as f32).collect::<Vec<_>>())
}

//! y = epilogue( alpha · A·B ), with A or B transposed if asked; the dense layer.
//! <https://onnx.ai/onnx/operators/onnx__Gemm.html>
//!
//! Inputs: a (…,M,K), or (K,M) if `trans_a`; b (N,K) if `trans_b`, else (K,N); bias (N) if the epilogue has one,
//! residual (y's shape) if it has one. Unlike ONNX's, `a` may have more dims, all of which are rows.
//!
//! A constant `b` is always kept as (N,K), one row of weights for each output feature, and has taken up alpha:
//! that is the form kernels read, and the one in which a scale per feature is a scale per row. Where `b` is computed,
//! import multiplies `a` by alpha first.

use super::finish::Finish;
use super::product::{Left, Product, Right, View};
use super::{Binary, BinaryFunction, Cost, Epilogue, Eval, OpError, Operator, Spec, exact, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{DType, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// A matrix product with what was fused into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gemm {
    /// `a` holds A's columns as rows.
    pub trans_a: bool,
    /// `b` holds B's columns as rows: (N,K).
    pub trans_b: bool,
    /// Multiplied into each sum, before the epilogue.
    pub alpha: f32,
    /// What happens to each sum before it is stored.
    pub epilogue: Epilogue,
}

impl Gemm {
    /// The form of a dense layer: weights (N,K), alpha 1.
    pub fn dense(epilogue: Epilogue) -> Self {
        Self { trans_a: false, trans_b: true, alpha: 1.0, epilogue }
    }
}

impl Operator for Gemm {
    fn name(&self) -> &'static str {
        "Gemm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        for (name, flag) in [("trans_a", self.trans_a), ("trans_b", self.trans_b)] {
            if flag {
                out.push((name, "1".to_owned()));
            }
        }
        if self.alpha != 1.0 {
            out.push(("alpha", self.alpha.to_string()));
        }
        out
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let count = 2 + self.epilogue.input_count();
        OpError::between(inputs, count, count)?;
        let (a, b) = (inputs[0], inputs[1]);
        if b.rank() != 2 {
            return Err(OpError::shape("b", "of rank 2", &b.shape));
        }
        let (k, n) = if self.trans_b { (&b.shape[1], &b.shape[0]) } else { (&b.shape[0], &b.shape[1]) };
        let (rows, depth) = match a.shape.dims() {
            [depth, row] if self.trans_a => (std::slice::from_ref(row), depth),
            [rows @ .., depth] if !self.trans_a && !rows.is_empty() => (rows, depth),
            _ => {
                return Err(OpError::shape(
                    "a",
                    if self.trans_a { "of rank 2" } else { "of rank 2 or more" },
                    &a.shape,
                ));
            }
        };
        if depth != k {
            return Err(OpError::shape("a", format!("of {k} features"), &a.shape));
        }
        let shape = Shape::new(rows.iter().chain([n]).cloned());
        self.epilogue.check(inputs, 2, n, &shape)?;
        let dtype = exact::check_product(inputs, &self.epilogue, 0, std::slice::from_ref(k))?;
        let dense = self.trans_b && self.alpha == 1.0;
        if a.exact_scale().is_some() && !dense {
            let (expected, got) = ("(N,K) and alpha 1, for INT8".to_owned(), format!("alpha {}", self.alpha));
            return Err(OpError::Attribute { name: "trans_b", expected, got });
        }
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (a, b) = (&eval.inputs[0], &eval.inputs[1]);
        let shape = &eval.outputs[0].shape;
        let volume = movement::volume(shape, DType::F32)?;
        let features = shape.last().copied().unwrap_or(1);
        let product = Product::new();
        if let Some(finish) = exact::Finish::of(&self.epilogue, eval, features)? {
            let (a, b) = (exact::reals(a.as_slice()?), exact::reals(b.as_slice()?));
            let [a, b] = self.operands(eval, [&a, &b]);
            let mut y = vec![0i32; volume];
            exact::multiply(&product, a, b, &mut y)?;
            return Ok(vec![finish.apply(&y, features, 1)?]);
        }
        let [a, b] = self.operands(eval, [a.as_slice()?, b.as_slice()?]);
        let mut y = vec![0f32; volume];
        product.multiply(&Left::Plain(a), Right::Dense(b), self.alpha, &mut y)?;
        Finish::new(&self.epilogue, eval, 2)?.apply(&mut y, features, 1);
        Ok(vec![Tensor::new(shape, y)?])
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        let k = inputs[1].shape[usize::from(self.trans_b)];
        Cost { flops: 2 * (outputs[0].len() * k) as u64, bytes: Cost::traffic(inputs, outputs) }
    }

    fn epilogue(&self) -> Option<&Epilogue> {
        Some(&self.epilogue)
    }

    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        Some(&mut self.epilogue)
    }
}

impl Gemm {
    /// A (rows, K) and B (K, N), however they lie.
    fn operands<'a>(&self, eval: &Eval<'_>, [a, b]: [&'a [f32]; 2]) -> [View<'a>; 2] {
        let (stored, shape) = (&eval.specs[1].shape, &eval.outputs[0].shape);
        let stored = View::dense(b, stored[0], stored[1]);
        let b = if self.trans_b { stored.transposed() } else { stored };
        let (k, rows) = (b.extents[0], shape[..shape.len() - 1].iter().product());
        let a = if self.trans_a { View::dense(a, k, rows).transposed() } else { View::dense(a, rows, k) };
        [a, b]
    }

    /// Reads ONNX's `Gemm`: alpha·A·B + beta·C. C is the bias if it has one value a feature.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let (mut a, mut b) = (node.input(0)?, node.input(1)?);
        let mut op = Gemm {
            trans_a: node.flag("transA")?,
            trans_b: node.flag("transB")?,
            alpha: node.float("alpha")?.unwrap_or(1.0),
            epilogue: Epilogue::default(),
        };
        let constant = build.graph().constant(b).cloned();
        if let Some(weights) = constant.filter(|w| w.rank() == 2 && (!op.trans_b || op.alpha != 1.0)) {
            let rows = if op.trans_b { weights } else { transposed(&weights).map_err(|e| node.error(e))? };
            let scaled = scaled(&rows, op.alpha).map_err(|e| node.error(e))?;
            b = build.extra_constant(node, "weights", scaled);
            (op.trans_b, op.alpha) = (true, 1.0);
        }
        if op.alpha != 1.0 {
            // (alpha·A)·B: a multiplication that rules and kernels know.
            let alpha = Tensor::scalar(op.alpha).cast(build.graph().fact(a).dtype);
            let alpha = build.extra_constant(node, "alpha", alpha);
            a = build.add_part(node, "scaled a", Binary::new(BinaryFunction::Mul).into(), &[a, alpha])?[0];
            op.alpha = 1.0;
        }
        let beta = node.float("beta")?.unwrap_or(1.0);
        let Some(c) = node.optional_input(2).filter(|_| beta != 0.0) else {
            return build.add(node, op.into(), &[a, b]);
        };
        let features = build.graph().fact(b).shape.get(usize::from(!op.trans_b)).cloned().unwrap_or_default();
        if let Some(bias) = Self::bias(node, build, c, beta, features.as_usize())? {
            op.epilogue.bias = true;
            return build.add(node, op.into(), &[a, b, bias]);
        }
        // A whole matrix, or one that is computed: its own Mul and Add, in which a rule may see a residual.
        let product = build.add_part(node, "product", op.into(), &[a, b])?[0];
        let mut addend = c;
        if beta != 1.0 {
            let beta = Tensor::scalar(beta).cast(build.graph().fact(c).dtype);
            let beta = build.extra_constant(node, "beta", beta);
            addend = build.add_part(node, "scaled", Binary::new(BinaryFunction::Mul).into(), &[c, beta])?[0];
        }
        build.add(node, Binary::new(BinaryFunction::Add).into(), &[product, addend])
    }

    /// C as (N), beta taken up, if that is what it comes down to.
    fn bias(
        node: &NodeView<'_>,
        build: &mut Builder,
        c: ValueId,
        beta: f32,
        features: Option<usize>,
    ) -> Result<Option<ValueId>, ImportError> {
        let shape = build.graph().fact(c).shape.clone();
        let Some(features) = features else { return Ok(None) };
        if beta == 1.0 && shape == Shape::of(&[features]) {
            return Ok(Some(c));
        }
        let one_row = shape.as_concrete().is_some_and(|dims| {
            let (last, rows) = dims.split_last().map_or((1, &[][..]), |(l, r)| (*l, r));
            rows.iter().all(|d| *d == 1) && (last == 1 || last == features)
        });
        let Some(tensor) = build.graph().constant(c).filter(|_| one_row) else { return Ok(None) };
        let values = scaled(tensor, beta).map_err(|e| node.error(e))?;
        let row = values.to_f32();
        let row: Vec<f32> = (0..features).map(|i| row[i % row.len()]).collect();
        let bias = Tensor::new(&[features], row).map_err(|e| node.error(e.into()))?.cast(values.dtype());
        Ok(Some(build.extra_constant(node, "bias", bias)))
    }
}

/// The transpose of a matrix of reals.
pub(crate) fn transposed(matrix: &Tensor) -> Result<Tensor, OpError> {
    let [rows, columns] = matrix.shape() else {
        return Err(OpError::shape("b", "of rank 2", &Shape::of(matrix.shape())));
    };
    let (rows, columns, values) = (*rows, *columns, matrix.to_f32());
    let flipped: Vec<f32> = (0..rows * columns).map(|i| values[(i % rows) * columns + i / rows]).collect();
    Ok(Tensor::new(&[columns, rows], flipped)?.cast(matrix.dtype()))
}

/// Every element times `factor`; the tensor itself if that is 1.
fn scaled(tensor: &Tensor, factor: f32) -> Result<Tensor, OpError> {
    if factor == 1.0 {
        return Ok(tensor.clone());
    }
    let values: Vec<f32> = tensor.to_f32().into_iter().map(|v| v * factor).collect();
    Ok(Tensor::new(tensor.shape(), values)?.cast(tensor.dtype()))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::{counting, evaluate, tensor};
    use super::*;

    #[test]
    fn dense_layer_reads_weights_row_by_row() {
        let (x, w) = (tensor(&[1, 2], &[1.0, 10.0]), counting(&[3, 2]));
        let y = evaluate(Gemm::dense(Epilogue { bias: true, ..Epilogue::default() }), &[x, w, counting(&[3])]).unwrap();
        assert_eq!(y, tensor(&[1, 3], &[22.0, 45.0, 68.0]));
    }

    #[test]
    fn leading_dims_are_rows() {
        let y = evaluate(Gemm::dense(Epilogue::default()), &[counting(&[2, 1, 2]), tensor(&[1, 2], &[1.0, 1.0])]);
        assert_eq!(y.unwrap(), tensor(&[2, 1, 1], &[3.0, 7.0]));
    }

    #[test]
    fn alpha_comes_before_the_bias() {
        let op = Gemm { alpha: 2.0, ..Gemm::dense(Epilogue { bias: true, ..Epilogue::default() }) };
        let one = |v: f32| tensor(&[1, 1], &[v]);
        assert_eq!(evaluate(op, &[one(3.0), one(5.0), tensor(&[1], &[1.0])]).unwrap().to_f32(), [31.0]);
    }

    #[test]
    fn transposes() {
        assert_eq!(transposed(&counting(&[2, 3])).unwrap(), tensor(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
        assert!(transposed(&counting(&[2])).is_err());
    }
}

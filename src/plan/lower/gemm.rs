//! Matrix products.

use super::conv::describe;
use super::forms::{Form, Placed};
use super::{LowerError, Lowering, narrow};
use crate::plan::types::{Operand, Work};
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Epilogue, Gemm};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{EpilogueSite, GemmOperand, GemmSite, Image, Site};

impl Lowering<'_> {
    /// A dense layer. Rows of rank-2 operands have an image's pitch; of more dims, they lie dense.
    pub fn gemm(&mut self, node: &Node, op: &Gemm) -> Result<(), LowerError> {
        if op.trans_a || !op.trans_b || op.alpha != 1.0 {
            let reason =
                "only y = a·bᵀ with constant weights (N,K) has a kernel, and this product is transposed or scaled";
            return Err(self.unsupported(node, "Gemm", reason));
        }
        let weights = self.constant_operand(node, 1, "weights")?;
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let form = if self.spec(input).shape.len() == 2 { Form::Image } else { Form::Dense };
        let (a_at, pitch_a) = self.rows(input, form)?;
        let k = narrow(self.spec(input).shape.last().copied().unwrap_or(1))?;
        let n = narrow(self.spec(output).shape.last().copied().unwrap_or(1))?;
        let m = narrow(self.spec(output).len() / n.max(1) as usize)?;
        let (epilogue, bias, residual) = self.row_epilogue(node, &op.epilogue, form, [m, n])?;
        let placed = self.write(output, form)?;
        let pitch_y = if form == Form::Image { placed.pitch } else { n };
        let site = GemmSite {
            m,
            n,
            k,
            batch: 1,
            pitch_a,
            pitch_y,
            stride_a: 0,
            stride_y: 0,
            b: GemmOperand::Weights,
            dtype_a: self.spec(input).dtype,
            dtype_y: self.spec(output).dtype,
            scale_y: self.scale(output),
            precision: node.precision,
            epilogue,
        };
        let mut operands = vec![(Role::Input(0), a_at), (Role::Output(0), placed.operand)];
        operands.extend(residual.map(|at| (Role::Residual, at)));
        self.emit_weighted(node, Site::Gemm(site), operands, weights, bias);
        Ok(())
    }

    /// A product of two activations (or of one with a constant that no rule made weights of).
    pub fn mat_mul(&mut self, node: &Node) -> Result<(), LowerError> {
        let (a, b, output) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        let (a_shape, b_shape) = (self.spec(a).shape.clone(), self.spec(b).shape.clone());
        let ([a_batch @ .., m, k], [b_batch @ .., _, n]) = (a_shape.as_slice(), b_shape.as_slice()) else {
            return Err(self.unsupported(node, "MatMul", "an operand is a vector; kernels multiply matrices"));
        };
        let shared = b_batch.iter().all(|&d| d == 1);
        if !shared && a_batch != b_batch {
            let reason =
                format!("batches {a_batch:?} and {b_batch:?} broadcast; kernels take equal ones or one right operand");
            return Err(self.unsupported(node, "MatMul", reason));
        }
        let batch: usize = a_batch.iter().product();
        // One right operand for all: the batch is just more rows.
        let (m, batch) = if shared { (m * batch, 1) } else { (*m, batch) };
        let (a_at, b_at) = (self.read_dense(a)?, self.read_dense(b)?);
        let y_at = self.write_dense(output)?;
        let (k, n) = (*k, *n);
        let site = GemmSite {
            m: narrow(m)?,
            n: narrow(n)?,
            k: narrow(k)?,
            batch: narrow(batch)?,
            pitch_a: narrow(k)?,
            pitch_y: narrow(n)?,
            stride_a: (m * k) as u64,
            stride_y: (m * n) as u64,
            b: GemmOperand::Activations { pitch: narrow(n)?, stride: (k * n) as u64 },
            dtype_a: self.spec(a).dtype,
            dtype_y: self.spec(output).dtype,
            scale_y: self.scale(output),
            precision: node.precision,
            epilogue: EpilogueSite { steps: Epilogue::default(), residual: None },
        };
        let operands = vec![(Role::Input(0), a_at), (Role::Input(1), b_at), (Role::Output(0), y_at)];
        let (group, cost) = (self.group.clone(), self.cost_of(node));
        let what = describe(node);
        let work = Work {
            group,
            node: self.node,
            what,
            site: Site::Gemm(site),
            operands,
            weights: None,
            bias: None,
            scales: None,
            cost,
        };
        self.work.push(work);
        Ok(())
    }

    fn rows(&mut self, value: ValueId, form: Form) -> Result<(Operand, u32), LowerError> {
        match form {
            Form::Image => self.read_image(value).map(|(image, at)| (at, image.pitch)),
            Form::Dense => Ok((self.read_dense(value)?, narrow(self.spec(value).shape.last().copied().unwrap_or(1))?)),
        }
    }

    /// The epilogue of a product whose rows lie in `form`: the residual is an image of m pixels.
    fn row_epilogue(
        &mut self,
        node: &Node,
        steps: &Epilogue,
        form: Form,
        [m, n]: [u32; 2],
    ) -> Result<(EpilogueSite, Option<ValueId>, Option<Operand>), LowerError> {
        let bias = steps.bias_index(2).map(|index| self.constant_operand(node, index, "bias")).transpose()?;
        let Some(index) = steps.residual_index(2) else {
            return Ok((EpilogueSite { steps: *steps, residual: None }, bias, None));
        };
        let value = node.inputs[index];
        let (at, pitch) = self.rows(value, form)?;
        let residual = Image { n: 1, h: 1, w: m, c: n, pitch, dtype: self.spec(value).dtype, scale: self.scale(value) };
        Ok((EpilogueSite { steps: *steps, residual: Some(residual) }, bias, Some(at)))
    }
}

impl Placed {
    /// Bytes from the start of the buffer.
    pub fn offset_by(self, bytes: u64) -> Self {
        Self { operand: Operand { offset: self.operand.offset + bytes, ..self.operand }, ..self }
    }
}

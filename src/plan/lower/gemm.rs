//! Matrix products.

use super::forms::{Form, Placed};
use super::strided::{Place, Step};
use super::{LowerError, Lowering, narrow};
use crate::plan::types::Operand;
use limpid_graph::ir::{Node, ValueId};
use limpid_graph::ops::{Epilogue, Gemm, Spec};
use limpid_graph::tensor::row_major_strides;
use limpid_kernels::index::Walk;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{EpilogueSite, GemmOperand, GemmSite, Image, Scale, Site, vector_width};

impl Lowering<'_> {
    /// A dense layer. Rows of rank-2 operands have an image's pitch; of more dims, they lie dense.
    pub fn gemm(&mut self, node: &Node, op: &Gemm) -> Result<(), LowerError> {
        if op.alpha != 1.0 {
            return Err(self.unsupported(node, "Gemm", "it scales its product; kernels take weights that are scaled"));
        }
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let form = if self.spec(input).shape.len() == 2 { Form::Image } else { Form::Dense };
        let (a_at, pitch_a) = match op.trans_a {
            true => self.transposed(input)?,
            false => self.rows(input, form)?,
        };
        let k = narrow(self.spec(input).shape[if op.trans_a { 0 } else { self.spec(input).shape.len() - 1 }])?;
        let n = narrow(self.spec(output).shape.last().copied().unwrap_or(1))?;
        let m = narrow(self.spec(output).len() / n.max(1) as usize)?;
        // Constants (N,K) are packed; any other right operand is read as it comes, rows of K.
        let weights = node.inputs[1];
        let constant = op.trans_b && self.graph.constant(weights).is_some();
        let (b, b_at) = match (constant, op.trans_b) {
            (true, _) => (GemmOperand::Weights, None),
            (false, true) => {
                let (at, pitch) = self.transposed(weights)?;
                (GemmOperand::Activations { pitch, stride: 0 }, Some(at))
            }
            (false, false) => {
                let at = self.read_dense(weights)?;
                (GemmOperand::Activations { pitch: n, stride: 0 }, Some(at))
            }
        };
        let (epilogue, bias, residual) = self.row_epilogue(node, &op.epilogue, form, [m, n])?;
        // Rows are written wherever they are wanted, padded or not.
        let form = if self.leaves_dense(output) { Form::Dense } else { form };
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
            b,
            dtype_a: self.spec(input).dtype,
            scale_a: Scale::ONE,
            dtype_y: self.spec(output).dtype,
            scale_y: self.scale(output),
            precision: node.precision,
            epilogue,
        };
        let mut operands = vec![(Role::Input(0), a_at)];
        operands.extend(b_at.map(|at| (Role::Input(1), at)));
        operands.push((Role::Output(0), placed.operand));
        operands.extend(residual.map(|at| (Role::Residual, at)));
        self.emit_product(node, Site::Gemm(site), operands, constant.then_some(weights), bias);
        Ok(())
    }

    /// A matrix with rows and columns exchanged, and the pitch of its rows: whole vectors, zeros behind them.
    fn transposed(&mut self, matrix: ValueId) -> Result<(Operand, u32), LowerError> {
        let (source, from) = self.any_form(matrix)?;
        let Spec { shape, dtype, .. } = self.spec(matrix).clone();
        let width = vector_width(dtype) as usize;
        let (rows, columns) = (shape[1], shape[0]);
        let pitch = columns.next_multiple_of(width);
        let y = self.scratch(&format!("{} transposed", self.name(matrix)), rows * pitch, dtype, self.scale(matrix));
        let strides = self.logical_strides(source, from);
        let steps = [
            Step { extent: rows, from: strides[1], to: pitch as i64 },
            Step { extent: columns, from: strides[0], to: 1 },
        ];
        self.move_along("transpose", self.place(source, from), y, &steps, narrow(pitch - columns)?)?;
        Ok((y.operand, narrow(pitch)?))
    }

    /// A product of two activations (or of one with a constant that no rule made weights of).
    ///
    /// A vector is a row on the left and a column on the right. Batches broadcast by a stride of 0; where one stride
    /// does not lead through both operands' batches, the operand that repeats is written out.
    pub fn mat_mul(&mut self, node: &Node) -> Result<(), LowerError> {
        let (a, b, output) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        let (a_batch, [m, k]) = matrices(&self.spec(a).shape, true);
        let (b_batch, [_, n]) = matrices(&self.spec(b).shape, false);
        let vectors = [a, b].into_iter().filter(|&value| self.spec(value).shape.len() == 1).count();
        let shape = &self.spec(output).shape;
        let batch = shape[..(shape.len() + vectors).saturating_sub(2)].to_vec();
        let (mut a_at, mut b_at) = (self.read_dense(a)?, self.read_dense(b)?);
        let dims = batch.iter().map(|&d| narrow(d)).collect::<Result<Vec<u32>, _>>()?;
        let (mut a_strides, mut b_strides) = (spread(&a_batch, &batch, m * k), spread(&b_batch, &batch, k * n));
        let y_strides = spread(&batch, &batch, m * n);
        let mut walk = Walk::new(&dims, &[&a_strides, &b_strides, &y_strides], false);
        if walk.rank() > 1 && a_strides != spread(&batch, &batch, m * k) {
            a_at = self.written_out(a, a_at, &batch, &a_strides, m * k)?;
            a_strides = spread(&batch, &batch, m * k);
            walk = Walk::new(&dims, &[&a_strides, &b_strides, &y_strides], false);
        }
        if walk.rank() > 1 {
            b_at = self.written_out(b, b_at, &batch, &b_strides, k * n)?;
            b_strides = spread(&batch, &batch, k * n);
            walk = Walk::new(&dims, &[&a_strides, &b_strides, &y_strides], false);
        }
        let mut batch = walk.inner();
        let [mut m, n, k] = [narrow(m)?, narrow(n)?, narrow(k)?];
        let [stride_a, stride_b, stride_y] = [0, 1, 2].map(|view| walk.strides[view][0] as u64);
        let rows_follow = stride_a == u64::from(m) * u64::from(k) && stride_b == 0;
        if batch > 1 && rows_follow {
            // One right operand for all: the batch is just more rows.
            (m, batch) = (narrow(m as usize * batch as usize)?, 1);
        }
        let single = batch == 1;
        let y_at = self.write_dense(output)?;
        let site = GemmSite {
            m,
            n,
            k,
            batch,
            pitch_a: k,
            pitch_y: n,
            stride_a: if single { u64::from(m) * u64::from(k) } else { stride_a },
            stride_y: if single { u64::from(m) * u64::from(n) } else { stride_y },
            b: GemmOperand::Activations {
                pitch: n,
                stride: if single { u64::from(k) * u64::from(n) } else { stride_b },
            },
            dtype_a: self.spec(a).dtype,
            scale_a: Scale::ONE,
            dtype_y: self.spec(output).dtype,
            scale_y: self.scale(output),
            precision: node.precision,
            epilogue: EpilogueSite { steps: Epilogue::default(), residual: None },
        };
        let operands = vec![(Role::Input(0), a_at), (Role::Input(1), b_at), (Role::Output(0), y_at)];
        self.emit_product(node, Site::Gemm(site), operands, None, None);
        Ok(())
    }

    /// A dense operand whose matrices of `elements` elements repeat along `batch`, every repetition in memory.
    fn written_out(
        &mut self,
        value: ValueId,
        at: Operand,
        batch: &[usize],
        strides: &[i64],
        elements: usize,
    ) -> Result<Operand, LowerError> {
        let Spec { dtype, .. } = *self.spec(value);
        let scale = self.scale(value);
        let count = batch.iter().product::<usize>() * elements;
        let y = self.scratch(&format!("{} repeated", self.name(value)), count, dtype, scale);
        let matrix = Step { extent: elements, from: 1, to: 1 };
        let own = spread(batch, batch, elements);
        let steps: Vec<Step> = (batch.iter().zip(strides).zip(own))
            .map(|((&extent, &from), to)| Step { extent, from, to })
            .chain([matrix])
            .collect();
        self.move_along("repeat", Place { operand: at, offset: 0, dtype, scale }, y, &steps, 0)?;
        Ok(y.operand)
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

/// A product's operand as batch dims and a matrix.
fn matrices(shape: &[usize], left: bool) -> (Vec<usize>, [usize; 2]) {
    match shape {
        [batch @ .., rows, columns] => (batch.to_vec(), [*rows, *columns]),
        [only] if left => (Vec::new(), [1, *only]),
        [only] => (Vec::new(), [*only, 1]),
        [] => (Vec::new(), [1, 1]),
    }
}

/// Strides along `batch` of an operand whose own batch, of matrices of `elements` elements, is broadcast to it.
fn spread(own: &[usize], batch: &[usize], elements: usize) -> Vec<i64> {
    let missing = batch.len() - own.len();
    let strides = row_major_strides(own);
    let stride = |axis: usize| match axis.checked_sub(missing) {
        Some(i) if own[i] > 1 => (strides[i] * elements) as i64,
        _ => 0,
    };
    (0..batch.len()).map(stride).collect()
}

impl Placed {
    /// Bytes from the start of the buffer.
    pub fn offset_by(self, bytes: u64) -> Self {
        Self { operand: Operand { offset: self.operand.offset + bytes, ..self.operand }, ..self }
    }
}

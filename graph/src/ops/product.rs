//! Matrix products in f32, on which convolutions and dense layers of the reference come down; by rten-gemm.

use super::OpError;
use super::sliding::Sliding;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, Im2Col, PackedAMatrix};
use rten_tensor::Matrix;
use std::ops::Range;

/// A matrix that lies in a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Where the elements are, the first one being (0,0).
    pub data: &'a [f32],
    /// Rows and columns.
    pub extents: [usize; 2],
    /// Distance of neighbouring rows and of neighbouring columns, in elements.
    pub strides: [usize; 2],
}

impl<'a> View<'a> {
    /// Rows one after another.
    pub fn dense(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, extents: [rows, columns], strides: [columns, 1] }
    }

    /// Rows and columns swapped.
    pub fn transposed(self) -> Self {
        let ([rows, columns], [down, right]) = (self.extents, self.strides);
        Self { data: self.data, extents: [columns, rows], strides: [right, down] }
    }

    /// Some of the columns.
    pub fn columns(self, range: Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }

    /// Some of the rows.
    pub fn rows(self, range: Range<usize>) -> Self {
        let data = self.data.get(range.start * self.strides[0]..).unwrap_or_default();
        Self { data, extents: [range.len(), self.extents[1]], ..self }
    }

    fn matrix(self) -> Result<Matrix<'a, f32>, OpError> {
        Matrix::from_slice_with_strides(self.extents, self.data, self.strides).map_err(|_| {
            OpError::Tensor(format!("{} elements do not make a matrix {:?}", self.data.len(), self.extents))
        })
    }
}

/// The right operand of a product.
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    /// A matrix in memory.
    Dense(View<'a>),
    /// The patches of a picture, one a column, which are only laid out block by block as the product needs them.
    Patches(&'a Im2Col<'a, f32>),
}

/// A left operand that many products share, laid out for them once.
pub(super) enum Left<'a> {
    /// As it is in memory; the product lays it out itself.
    Plain(View<'a>),
    /// Laid out.
    Packed(PackedAMatrix<f32>),
}

/// Multiplies; holds the kernel for the CPU at hand.
pub(super) struct Product(GemmExecutor<f32, f32, f32>);

impl Product {
    pub fn new() -> Self {
        Self(GemmExecutor::new())
    }

    /// Lays out a left operand if more than one product will read it.
    pub fn left<'a>(&self, a: View<'a>, products: usize) -> Result<Left<'a>, OpError> {
        Ok(if products > 1 { Left::Packed(self.0.prepack_a(a.matrix()?)) } else { Left::Plain(a) })
    }

    /// The patches of `channels` planes that a window slides over, as a right operand.
    pub fn patches<'a>(&self, sliding: &Sliding, planes: &'a [f32], channels: usize) -> Im2Col<'a, f32> {
        sliding.patches(planes, channels, [self.0.im2col_row_count_step(), self.0.im2col_col_count_step()])
    }

    /// out = alpha · a·b, row-major; what was in `out` is not read.
    pub fn multiply(&self, a: &Left<'_>, b: Right<'_>, alpha: f32, out: &mut [f32]) -> Result<(), OpError> {
        let a = match a {
            Left::Plain(view) => GemmInputA::Unpacked(view.matrix()?),
            Left::Packed(packed) => GemmInputA::Packed(packed),
        };
        let b = match b {
            Right::Dense(view) => GemmInputB::Unpacked(view.matrix()?),
            Right::Patches(patches) => GemmInputB::Im2Col(patches),
        };
        let options = GemmOptions { alpha, ..GemmOptions::default() };
        self.0.gemm(out, a, b, options).map_err(|error| OpError::Tensor(error.to_string()))
    }
}

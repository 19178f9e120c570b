use crate::tensor::{Dim, Tensor};

/// A small tensor whose elements are extents: what `Shape` makes and `Reshape` reads.
///
/// It lets `Shape -> Gather -> Concat -> Reshape` be carried out at import with the batch still a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeValue {
    /// Rank 0 or 1 in practice.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub elements: Vec<Dim>,
    /// True while they are stored as reals (whole ones), so that a division keeps its fraction.
    pub real: bool,
}

impl ShapeValue {
    /// No more elements than this: longer tensors are data, not shapes.
    pub const LARGEST: usize = 64;

    /// A vector of extents.
    pub fn vector(elements: Vec<Dim>) -> Self {
        Self { shape: vec![elements.len()], elements, real: false }
    }

    /// One extent, rank 0.
    pub fn scalar(element: Dim) -> Self {
        Self { shape: Vec::new(), elements: vec![element], real: false }
    }

    /// The extents in a constant; `None` for fractions and for anything large.
    pub fn from_tensor(tensor: &Tensor) -> Option<Self> {
        /// Whole numbers up to here are exact as f32.
        const LARGEST_REAL: f32 = (1 << 24) as f32;
        if tensor.len() > Self::LARGEST {
            return None;
        }
        let real = tensor.dtype().is_float();
        if real && tensor.to_f32().iter().any(|v| v.fract() != 0.0 || v.abs() > LARGEST_REAL || v.is_nan()) {
            return None;
        }
        let elements = tensor.to_i64().into_iter().map(Dim::from).collect();
        Some(Self { shape: tensor.shape().to_vec(), elements, real })
    }

    /// The numbers, if no symbol is left.
    pub fn as_consts(&self) -> Option<Vec<i64>> {
        self.elements.iter().map(Dim::as_const).collect()
    }

    /// As an i64 tensor, if no symbol is left.
    pub fn to_tensor(&self) -> Option<Tensor> {
        Tensor::new(&self.shape, self.as_consts()?).ok()
    }

    /// The same elements under another shape, if it has as many.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        let len = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (len == self.elements.len()).then(|| Self { shape, ..self.clone() })
    }

    /// Each element changed; `None` if one cannot be.
    pub fn map(&self, f: impl Fn(&Dim) -> Option<Dim>) -> Option<Self> {
        let elements: Option<Vec<Dim>> = self.elements.iter().map(f).collect();
        Some(Self { elements: elements?, ..self.clone() })
    }

    /// Two of rank 0 or 1 joined element by element, one element broadcast to many; `None` if a pair cannot be.
    pub fn zip(&self, other: &Self, f: impl Fn(&Dim, &Dim) -> Option<Dim>) -> Option<Self> {
        let len = match (self.elements.len(), other.elements.len()) {
            (a, b) if a == b => a,
            (1, b) => b,
            (a, 1) => a,
            _ => return None,
        };
        let rank = self.shape.len().max(other.shape.len());
        if rank > 1 {
            return None;
        }
        let pick = |v: &Self, i: usize| if v.elements.len() == 1 { 0 } else { i };
        let join = |i: usize| f(&self.elements[pick(self, i)], &other.elements[pick(other, i)]);
        let elements: Option<Vec<Dim>> = (0..len).map(join).collect();
        Some(Self { shape: if rank == 0 { Vec::new() } else { vec![len] }, elements: elements?, real: self.real })
    }
}

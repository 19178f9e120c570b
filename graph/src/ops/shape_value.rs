use crate::tensor::{Dim, Tensor};

/// A small integer tensor whose elements are extents: what `Shape` makes and `Reshape` reads.
///
/// It lets `Shape -> Gather -> Concat -> Reshape` be carried out at import with the batch still a symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeValue {
    /// Rank 0 or 1 in practice.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub elements: Vec<Dim>,
}

impl ShapeValue {
    /// A vector of extents.
    pub fn vector(elements: Vec<Dim>) -> Self {
        Self { shape: vec![elements.len()], elements }
    }

    /// One extent, rank 0.
    pub fn scalar(element: Dim) -> Self {
        Self { shape: Vec::new(), elements: vec![element] }
    }

    /// The extents in an integer constant; `None` for reals and for anything large.
    pub fn from_tensor(tensor: &Tensor) -> Option<Self> {
        const LARGEST: usize = 64;
        if tensor.dtype().is_float() || tensor.len() > LARGEST {
            return None;
        }
        let elements = tensor.to_i64().into_iter().map(Dim::from).collect();
        Some(Self { shape: tensor.shape().to_vec(), elements })
    }

    /// The numbers, if no symbol is left.
    pub fn as_consts(&self) -> Option<Vec<i64>> {
        self.elements.iter().map(Dim::as_const).collect()
    }

    /// As an i64 tensor, if no symbol is left.
    pub fn to_tensor(&self) -> Option<Tensor> {
        Tensor::new(&self.shape, self.as_consts()?).ok()
    }
}
